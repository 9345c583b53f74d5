// What several screens share.
import { signal } from "@preact/signals";

export const username = signal(undefined); // undefined: not known yet, null: not logged in
export const list = signal(null); // the newest list
export const changed = signal(new Set()); // track ids that are new in it
export const seen = new Map(); // tracks that stand, or stood, on the page, by id: what a key on a row means
export const liked = signal(new Set());
export const hidden = signal(new Set());
export const link = signal("connecting"); // connecting, live, reconnecting, full
export const message = signal(null); // { text, undo? }
export const announcement = signal(""); // said politely by screen readers
export const route = signal("home");
export const routeTrack = signal(null); // the track of the screen "track"

const SEEN_KEPT = 2000;

export function see(track) {
  if (seen.size >= SEEN_KEPT && !seen.has(track.track_id)) seen.delete(seen.keys().next().value);
  seen.set(track.track_id, track);
}

let messageTimer = null;

export function notice(text, undo = null) {
  clearTimeout(messageTimer);
  message.value = { text, undo };
  messageTimer = setTimeout(() => { message.value = null; }, 8000);
}

export function toggled(set, id, on) {
  const next = new Set(set);
  if (on) next.add(id); else next.delete(id);
  return next;
}
