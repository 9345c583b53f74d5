// One table of shortcuts: it acts and it is the help sheet.
import { signal } from "@preact/signals";
import { hide, less, like } from "./actions.js";
import { dispatch, player } from "./player/engine.js";
import { current } from "./player/reducer.js";
import { go } from "./routes.js";
import { list, seen } from "./store.js";

export const help = signal(false);
export const enabled = signal(localStorage.getItem("segue.shortcuts") !== "off");

export function setEnabled(on) {
  enabled.value = on;
  localStorage.setItem("segue.shortcuts", on ? "on" : "off");
}

function toggle() {
  const first = list.value?.items.find((item) => item.playable);
  if (current(player.value) || !first) dispatch({ type: "toggle" });
  else dispatch({ type: "play", tracks: list.value.items, trackId: first.track_id, rail: "made-for-you", modelId: list.value.model_id });
}

// The track that a key means: the one whose row has the focus, else the playing one.
function meant() {
  const row = document.activeElement?.closest?.("[data-track]");
  const id = row ? Number(row.dataset.track) : null;
  return seen.get(id) ?? current(player.value);
}

const withTrack = (act) => () => { const track = meant(); if (track) act(track); };

export const shortcuts = [
  { key: " ", name: "Space", does: "Play or pause", act: toggle },
  { key: "j", does: "Next track", act: () => dispatch({ type: "next" }) },
  { key: "k", does: "Previous track", act: () => dispatch({ type: "previous" }) },
  { key: "l", does: "Like, or take the like back", act: withTrack(like) },
  { key: "h", does: "Hide the track", act: withTrack(hide) },
  { key: "x", does: "Fewer like this", act: withTrack(less) },
  { key: "/", does: "Search", act: () => go("search") },
  { key: "?", does: "Show this sheet", act: () => { help.value = !help.value; } },
];

function typing(target) {
  return target.closest?.("input:not([type=range]), textarea, select, [contenteditable], dialog[open]");
}

export function listen() {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || typing(event.target)) return;
    if (event.key === " " && event.target.closest?.("button, a, summary, input")) return;
    const found = shortcuts.find((shortcut) => shortcut.key === event.key);
    if (!found || (!enabled.value && found.key !== "?")) return;
    event.preventDefault();
    found.act();
  });
}
