// The rails beside the list: each one heading, one promise, one row of tracks.
import { html } from "../html.js";
import { hidden } from "../store.js";
import { railTitle, railWords } from "../words.js";
import { TrackList } from "./track_row.js";

function Rail({ rail, modelId }) {
  const heading = `rail-${rail.kind}`;
  return html`<section class="rail" aria-labelledby=${heading} data-rail=${rail.kind}>
    <h2 id=${heading} tabindex="-1">${railTitle(rail)}</h2><p class="promise">${railWords(rail)}</p>
    <${TrackList} tracks=${rail.items} rail=${rail.kind} modelId=${modelId} label=${railTitle(rail)} tiles /></section>`;
}

function jump(kind) {
  const heading = document.getElementById(`rail-${kind}`);
  heading.scrollIntoView();
  heading.focus({ preventScroll: true });
}

export function Rails({ shown }) {
  const rails = (shown.rails ?? []).filter((rail) => rail.items.some((item) => !hidden.value.has(item.track_id)));
  if (!rails.length) return null;
  return html`<nav class="jumps" aria-label="On this page">${rails.map((rail) => html`<button key=${rail.kind}
      onClick=${() => jump(rail.kind)}>${railTitle(rail)}</button>`)}</nav>
    <div class="rails">${rails.map((rail) => html`<${Rail} key=${rail.kind} rail=${rail} modelId=${shown.model_id} />`)}</div>`;
}
