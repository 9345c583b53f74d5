import { html } from "../html.js";
import { Rails } from "../components/rails.js";
import { TrackList } from "../components/track_row.js";
import { list } from "../store.js";
import { causeWords, hops, listTitle } from "../words.js";

function Updated({ shown }) {
  const words = causeWords(shown);
  if (!words) return html`<p class="updated">${shown.model_id ? "From what you have played so far." : "Play a track to the end and this list becomes yours."}</p>`;
  const steps = hops(shown.timings);
  return html`<details class="updated" data-offset=${shown.offset}><summary>${words}</summary>
    <dl>${steps.map((step) => html`<div><dt>${step.name}</dt><dd>${step.value}</dd></div>`)}
      <div><dt>model</dt><dd><code>${shown.model_id ? shown.model_id.slice(0, 12) : "none yet"}</code></dd></div>
      <div><dt>position in the log</dt><dd><code>${shown.partition}/${shown.offset}</code></dd></div></dl></details>`;
}

export function Home() {
  const shown = list.value;
  if (!shown) return html`<h1 tabindex="-1">Made for you</h1><p class="empty" aria-busy="true">Loading your list…</p>`;
  const title = listTitle(shown);
  if (!shown.items.length) {
    return html`<h1 tabindex="-1">${title}</h1><${Updated} shown=${shown} />
      <p class="empty">The catalogue is empty. Load one with <code>segue etl</code>, and this page fills.</p>`;
  }
  return html`<div class=${shown.rails?.length ? "page" : ""}>
    <div class="made"><h1 tabindex="-1">${title}</h1><${Updated} shown=${shown} />
      <${TrackList} tracks=${shown.items} rail="made-for-you" modelId=${shown.model_id} label=${title} /></div>
    <${Rails} shown=${shown} /></div>`;
}
