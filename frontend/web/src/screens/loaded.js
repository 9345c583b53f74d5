// One way to show what is fetched: waiting, failed with a way on, or there.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { html } from "../html.js";
import { get } from "../api.js";

export function useLoaded(path) {
  const state = useSignal({ path: null });
  const tries = useSignal(0);
  const attempt = tries.value;
  useEffect(() => {
    if (path === null) { state.value = { path }; return undefined; }
    const cancel = new AbortController();
    state.value = { ...state.peek(), busy: true };
    get(path, { signal: cancel.signal })
      .then((value) => { state.value = { path, value }; })
      .catch((error) => { if (error.name !== "AbortError") state.value = { ...state.peek(), busy: false, error }; });
    return () => cancel.abort();
  }, [path, attempt]);
  return { ...state.value, again: () => { tries.value += 1; } };
}

export function Trouble({ loaded }) {
  if (!loaded.error) return null;
  return html`<p class="trouble" role="alert">${loaded.error.message} <button onClick=${loaded.again}>Try again</button></p>`;
}
