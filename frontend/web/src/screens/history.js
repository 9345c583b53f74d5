import { useSignal } from "@preact/signals";
import { get } from "../api.js";
import { html } from "../html.js";
import { Icon } from "../components/icons.js";
import { play } from "../actions.js";
import { historyWords, when } from "../words.js";
import { Trouble, useLoaded } from "./loaded.js";

const PAGE = 50;

function Entry({ entry }) {
  const title = entry.title ?? (entry.track_id ? `Track ${entry.track_id}` : "");
  const track = { ...entry, genres: [] };
  return html`<li class="entry">
    ${entry.playable ? html`<button class="quiet" aria-label="Play ${title}" onClick=${() => play([track], track, "history", null)}><${Icon} name="play" /></button>` : html`<span class="quiet"></span>`}
    <div class="what"><p class="title">${title || historyWords(entry)}</p><p class="by">${entry.artist ?? ""}</p></div>
    <span class="aside">${title ? historyWords(entry) : ""}<br /><time datetime=${new Date(entry.time_ms).toISOString()}>${when(entry.time_ms)}</time></span></li>`;
}

// Pages behind the first one, fetched when asked for; a refresh of the first begins anew.
function useMore(first) {
  const more = useSignal({ first: null, events: [], cursor: null });
  const held = more.value.first === first ? more.value : { first, events: [], cursor: first?.next_cursor ?? null };
  const fetchMore = async () => {
    more.value = { ...held, error: null, busy: true };
    try {
      const page = await get(`history?limit=${PAGE}&cursor=${held.cursor}`);
      if (more.peek().first === first) more.value = { first, events: [...held.events, ...page.events], cursor: page.next_cursor };
    } catch (error) {
      if (more.peek().first === first) more.value = { ...held, error };
    }
  };
  return { ...held, fetchMore };
}

export function History() {
  const loaded = useLoaded(`history?limit=${PAGE}`);
  const more = useMore(loaded.value);
  const events = loaded.value && [...loaded.value.events, ...more.events];
  return html`<h1 tabindex="-1">History</h1>
    <p class="updated">What Segue has learned from, newest first. <button class="plain" onClick=${loaded.again}>Refresh</button></p>
    <${Trouble} loaded=${loaded} />
    ${!events ? null : events.length ? html`<ol class="tracks">${events.map((entry) => html`<${Entry} key="${entry.partition}/${entry.offset}" entry=${entry} />`)}</ol>`
    : html`<p class="empty">Nothing yet. What you play, like or hide appears here.</p>`}
    ${more.error ? html`<p class="trouble" role="alert">${more.error.message}</p>` : null}
    ${more.cursor ? html`<p class="further"><button disabled=${more.busy} onClick=${more.fetchMore}>Show more</button></p>` : null}`;
}
