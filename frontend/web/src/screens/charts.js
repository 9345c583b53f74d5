import { useSignal } from "@preact/signals";
import { html } from "../html.js";
import { TrackList } from "../components/track_row.js";
import { branches, when } from "../words.js";
import { Trouble, useLoaded } from "./loaded.js";

const number = new Intl.NumberFormat();
const listeners = (count) => html`${number.format(count)}<small> ${count === 1 ? "listener" : "listeners"}</small>`;

function GenreChoice({ genres, chosen }) {
  if (!genres.length) return null;
  return html`<p class="choice"><label>Genre <select value=${chosen.value} onChange=${(event) => { chosen.value = event.target.value; }}>
    <option value="">All genres</option>
    ${branches(genres).map(({ genre, depth }) => html`<option key=${genre} value=${genre}>${"\u2003".repeat(depth)}${genre}</option>`)}</select></label></p>`;
}

export function Charts() {
  const chosen = useSignal("");
  const loaded = useLoaded(chosen.value ? `charts?genre=${encodeURIComponent(chosen.value)}` : "charts");
  const charts = loaded.value;
  const nobody = charts?.genre ? `Nobody has listened to ${charts.genre} lately.` : "Nobody has listened yet. The first track heard to the end opens the charts.";
  return html`<h1 tabindex="-1">Charts</h1>
    <p class="updated">Heard by most listeners here within 30 days${charts?.created_ms ? `, counted ${when(charts.created_ms)}` : ""}.</p>
    ${charts ? html`<${GenreChoice} genres=${charts.genres} chosen=${chosen} />` : null}
    <${Trouble} loaded=${loaded} />
    ${!charts ? null : charts.items.length
    ? html`<${TrackList} tracks=${charts.items} rail="charts" label=${charts.genre ? `Charts of ${charts.genre}` : "Charts"} aside=${(track) => listeners(track.count)} />`
    : html`<p class="empty">${nobody}</p>`}`;
}
