// Runs the reducer's effects on two <audio> elements: one plays while the other loads what comes next.
import { signal } from "@preact/signals";
import { initial, reduce, current } from "./reducer.js";

export const player = signal(initial);
export const elements = [new Audio(), new Audio()];
let active = 0;
let activeGeneration = 0;
let report = () => {};

const address = (track) => `/api/v1/tracks/${track.track_id}/audio`;
const holds = (element, track) => element.dataset.track === String(track.track_id);

export function onReport(listener) { report = listener; }

export function dispatch(event) {
  const [state, effects] = reduce(player.peek(), event);
  player.value = state;
  effects.forEach(run);
  tellSystem(state);
}

function put(element, track) {
  if (holds(element, track) && !element.error) {
    element.currentTime = 0;
    return;
  }
  element.dataset.track = String(track.track_id);
  element.src = address(track);
}

function empty(element) {
  element.pause();
  delete element.dataset.track;
  element.removeAttribute("src");
  element.load();
}

function sound() {
  const generation = activeGeneration;
  elements[active].play().catch((error) => {
    if (error.name === "NotAllowedError") dispatch({ type: "element-blocked", generation });
    else if (error.name !== "AbortError") dispatch({ type: "element-error", generation });
  });
}

const effects = {
  load({ track, generation }) {
    elements[active].pause();
    if (holds(elements[1 - active], track)) active = 1 - active;
    activeGeneration = generation;
    put(elements[active], track);
    sound();
  },
  preload({ track }) { put(elements[1 - active], track); },
  "unload-next"() { empty(elements[1 - active]); },
  pause() { elements[active].pause(); },
  resume() { sound(); },
  seek({ ms }) { elements[active].currentTime = ms / 1000; },
  silence() { activeGeneration = -1; elements.forEach(empty); },
  report(effect) { report(effect); },
};

function run(effect) { effects[effect.type](effect); }

elements.forEach((element, index) => {
  element.preload = "auto";
  const forward = (name, make) => element.addEventListener(name, () => {
    if (index === active && activeGeneration >= 0) dispatch({ ...make(), generation: activeGeneration });
  });
  forward("durationchange", () => ({ type: "element-duration", ms: Number.isFinite(element.duration) ? element.duration * 1000 : 0 }));
  forward("playing", () => ({ type: "element-playing" }));
  forward("waiting", () => ({ type: "element-waiting" }));
  forward("timeupdate", () => ({ type: "element-time", ms: element.currentTime * 1000 }));
  forward("ended", () => ({ type: "element-ended" }));
  forward("error", () => ({ type: "element-error" }));
});

function tellSystem(state) {
  const track = current(state);
  document.title = track ? `${track.title} – ${track.artist} · Segue` : "Segue";
  if (!("mediaSession" in navigator)) return;
  const media = navigator.mediaSession;
  media.playbackState = state.status === "playing" ? "playing" : track ? "paused" : "none";
  if (media.metadata?.title !== track?.title) {
    media.metadata = track ? new MediaMetadata({ title: track.title, artist: track.artist }) : null;
  }
}

if ("mediaSession" in navigator) {
  const keys = { play: "toggle", pause: "toggle", nexttrack: "next", previoustrack: "previous" };
  for (const [action, type] of Object.entries(keys)) {
    navigator.mediaSession.setActionHandler(action, () => dispatch({ type }));
  }
}

// What was heard of the playing track is told when the page goes; the browser may not come back.
addEventListener("pagehide", () => dispatch({ type: "leaving" }));
