import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { html } from "../html.js";
import { TrackList } from "../components/track_row.js";
import { Trouble, useLoaded } from "./loaded.js";

const PAUSE_MS = 150;
const typed = { words: "" }; // kept while other screens are open

export function Search() {
  const words = useSignal(typed.words);
  const asked = useSignal(typed.words);
  const field = useRef(null);
  useEffect(() => { field.current?.focus(); }, []);
  useEffect(() => {
    typed.words = words.value;
    const timer = setTimeout(() => { asked.value = words.value.trim(); }, PAUSE_MS);
    return () => clearTimeout(timer);
  }, [words.value]);
  const loaded = useLoaded(asked.value ? `search?q=${encodeURIComponent(asked.value)}` : null);
  const tracks = asked.value ? loaded.value?.tracks : null;
  return html`<h1 tabindex="-1">Search</h1>
    <form role="search" class="search" onSubmit=${(event) => { event.preventDefault(); asked.value = words.value.trim(); }}>
      <label class="heard-only" for="q">Title or artist</label>
      <input id="q" type="search" ref=${field} value=${words.value} placeholder="Title or artist" autocomplete="off" maxlength="200"
        onInput=${(event) => { words.value = event.target.value; }} /></form>
    <${Trouble} loaded=${loaded} />
    <p class="updated" role="status">${!tracks ? "" : tracks.length ? `${tracks.length} found` : `Nothing for “${asked.value}”. Try fewer letters.`}</p>
    ${tracks?.length ? html`<${TrackList} tracks=${tracks} rail="search" label="Found" />` : null}`;
}
