import { html } from "../html.js";
import { hide, less, like, play } from "../actions.js";
import { dispatch, player } from "../player/engine.js";
import { current } from "../player/reducer.js";
import { changed, hidden, liked, see } from "../store.js";
import { trackAddress } from "../routes.js";
import { railReasonWords, reasonWords, shareWords } from "../words.js";
import { Cover } from "./cover.js";
import { Icon } from "./icons.js";

const SAID = new Set(["because", "rediscover", "discovery", "similar"]); // their headings say the reason already
const LIVE = new Set(["made-for-you", "because", "rediscover", "discovery"]);

export function PlayButton({ track, tracks, rail, modelId }) {
  const state = player.value;
  const here = current(state)?.track_id === track.track_id;
  const running = here && (state.status === "playing" || state.status === "stalled" || state.status === "loading");
  if (!track.playable) {
    return html`<span class="art" title="There is no sound for this track"><${Cover} track=${track} dim /></span>`;
  }
  const act = () => (here ? dispatch({ type: "toggle" }) : play(tracks, track, rail, modelId));
  const icon = here && (state.status === "loading" || state.status === "stalled") ? "wait" : running ? "pause" : "play";
  return html`<button class="art" onClick=${act} aria-label="${running ? "Pause" : "Play"} ${track.title}">
    <${Cover} track=${track} /><span class=${here ? "over here" : "over"}><${Icon} name=${icon} /></span></button>`;
}

export function LikeButton({ track }) {
  const on = liked.value.has(track.track_id);
  return html`<button class="quiet heart" aria-pressed=${String(on)} onClick=${() => like(track)}
    aria-label="Like ${track.title}" title="Like (l)"><${Icon} name="heart" /></button>`;
}

function Reason({ item, rail }) {
  const words = SAID.has(rail) ? railReasonWords(rail, item) : reasonWords(item);
  const shares = shareWords(item);
  if (!words) return null;
  if (!shares.length) return html`<p class="reason">${words}</p>`;
  return html`<details class="reason"><summary>${words}</summary><ul>${shares.map((share) => html`<li>${share}</li>`)}</ul></details>`;
}

export function TrackRow({ track, tracks, rail, modelId, aside, tile }) {
  const here = current(player.value)?.track_id === track.track_id;
  const names = [tile ? "tile" : "row", here && "current", changed.value.has(track.track_id) && LIVE.has(rail) && "fresh"];
  see(track);
  return html`<li class=${names.filter(Boolean).join(" ")} data-track=${track.track_id}>
    <${PlayButton} ...${{ track, tracks, rail, modelId }} />
    <div class="what">
      <p class="title"><a href=${trackAddress(track.track_id)}>${track.title}</a></p>
      <p class="by">${track.artist}${track.genres?.length ? html`<span class="genre"> · ${track.genres.slice(0, 2).join(", ")}</span>` : null}
        ${track.playable ? null : html`<span class="mute"> · no sound here</span>`}</p>
      <${Reason} item=${track} rail=${rail} />
    </div>
    ${aside == null ? null : html`<span class="aside">${aside}</span>`}
    <div class="acts">
      <${LikeButton} track=${track} />
      <button class="quiet" onClick=${() => less(track)} aria-label="Fewer like ${track.title}" title="Fewer like this (x)"><${Icon} name="less" /></button>
      <button class="quiet" onClick=${() => hide(track)} aria-label="Hide ${track.title}" title="Hide (h)"><${Icon} name="hide" /></button>
    </div>
  </li>`;
}

export function TrackList({ tracks, rail, modelId, aside, label, tiles = false }) {
  const shown = tracks.filter((track) => !hidden.value.has(track.track_id));
  return html`<ol class="tracks" aria-label=${label}>${shown.map((track) => html`<${TrackRow} key=${track.track_id}
    ...${{ track, tracks: shown, rail, modelId, aside: aside?.(track), tile: tiles }} />`)}</ol>`;
}

