import { html } from "../html.js";
import { Icon } from "../components/icons.js";
import { play } from "../actions.js";
import { historyWords, when } from "../words.js";
import { Trouble, useLoaded } from "./loaded.js";

function Entry({ entry }) {
  const title = entry.title ?? (entry.track_id ? `Track ${entry.track_id}` : "");
  const track = { ...entry, genres: [] };
  return html`<li class="entry">
    ${entry.playable ? html`<button class="quiet" aria-label="Play ${title}" onClick=${() => play([track], track, "history", null)}><${Icon} name="play" /></button>` : html`<span class="quiet"></span>`}
    <div class="what"><p class="title">${title || historyWords(entry)}</p><p class="by">${entry.artist ?? ""}</p></div>
    <span class="aside">${title ? historyWords(entry) : ""}<br /><time datetime=${new Date(entry.time_ms).toISOString()}>${when(entry.time_ms)}</time></span></li>`;
}

export function History() {
  const loaded = useLoaded("history?limit=100");
  const events = loaded.value?.events;
  return html`<h1 tabindex="-1">History</h1>
    <p class="updated">What Segue has learned from, newest first. <button class="plain" onClick=${loaded.again}>Refresh</button></p>
    <${Trouble} loaded=${loaded} />
    ${!events ? null : events.length ? html`<ol class="tracks">${events.map((entry) => html`<${Entry} key="${entry.partition}/${entry.offset}" entry=${entry} />`)}</ol>`
    : html`<p class="empty">Nothing yet. What you play, like or hide appears here.</p>`}`;
}
