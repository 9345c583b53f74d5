import { html } from "../html.js";
import { Cover } from "../components/cover.js";
import { Licence } from "../components/player_bar.js";
import { LikeButton, PlayButton, TrackList } from "../components/track_row.js";
import { routeTrack, see } from "../store.js";
import { clock } from "../words.js";
import { Trouble, useLoaded } from "./loaded.js";

function About({ track }) {
  const facts = [track.album, track.genres?.join(", "), track.track_ms ? clock(track.track_ms) : null].filter(Boolean);
  see(track);
  return html`<div class="about" data-track=${track.track_id}>
    ${track.playable ? html`<${PlayButton} track=${track} tracks=${[track]} rail="track" modelId=${null} />` : html`<span class="art"><${Cover} track=${track} dim /></span>`}
    <div class="what"><h1 tabindex="-1">${track.title}</h1><p class="by">${track.artist}</p>
      <p class="facts">${facts.join(" · ")}${track.playable ? "" : html` <span class="mute">no sound here</span>`}</p><${Licence} track=${track} /></div>
    <${LikeButton} track=${track} /></div>`;
}

export function Track() {
  const id = routeTrack.value;
  const track = useLoaded(id ? `tracks/${id}` : null);
  const similar = useLoaded(id ? `tracks/${id}/similar?limit=20` : null);
  const shown = track.value?.track_id === id ? track.value : null;
  const near = similar.value?.track_id === id ? similar.value : null;
  return html`${shown ? html`<${About} track=${shown} />` : html`<h1 tabindex="-1">Track</h1>`}
    <${Trouble} loaded=${track} />
    ${!shown ? null : html`<h2 class="more">More like this</h2><${Trouble} loaded=${similar} />
      ${!near ? null : near.items.length
    ? html`<${TrackList} tracks=${near.items} rail="similar" modelId=${near.model_id} label="More like this" />`
    : html`<p class="empty">Nobody has listened to it yet, and its sound is not known. Once it is, its neighbours stand here.</p>`}`}`;
}
