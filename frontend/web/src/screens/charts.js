import { html } from "../html.js";
import { TrackList } from "../components/track_row.js";
import { when } from "../words.js";
import { Trouble, useLoaded } from "./loaded.js";

const listens = new Intl.NumberFormat();

export function Charts() {
  const loaded = useLoaded("charts");
  const charts = loaded.value;
  return html`<h1 tabindex="-1">Charts</h1>
    <p class="updated">Most listened here${charts?.created_ms ? `, counted ${when(charts.created_ms)}` : ""}.</p>
    <${Trouble} loaded=${loaded} />
    ${!charts ? null : charts.items.length
    ? html`<${TrackList} tracks=${charts.items} rail="charts" label="Charts" aside=${(track) => html`${listens.format(track.count)}<small> listens</small>`} />`
    : html`<p class="empty">Nobody has listened yet. The first track heard to the end opens the charts.</p>`}`;
}
