// Events that the log has not acknowledged yet. They lie in localStorage, each under its own key
// "(session, seq)", so that tabs never overwrite each other, and are sent again until the server says 202.
import { signal } from "@preact/signals";
import { post } from "./api.js";
import { notice, username } from "./store.js";

const PREFIX = "segue.outbox.";
const BATCH = 100;
const MAX_WAIT_MS = 30_000;
const session = `web-${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 10)}`;
let owner = null;
let seq = 0;
let waitMs = 0;
let timer = null;
let sending = false;

export const unsaved = signal(0);

function keys() {
  const mine = `${PREFIX}${owner}.`;
  return Object.keys(localStorage).filter((key) => key.startsWith(mine)).sort();
}

function count() { unsaved.value = owner === null ? 0 : keys().length; }

// Only the events of the user who is logged in are sent; another user's wait for that login.
export function openOutbox(username) {
  owner = username === null ? null : encodeURIComponent(username.toLowerCase());
  count();
  if (owner !== null) schedule(0);
}

export function record(type, fields) {
  if (owner === null) return;
  seq += 1;
  const event = { type, session, seq, client_time: new Date().toISOString(), ...fields };
  const key = `${PREFIX}${owner}.${Date.now().toString(36).padStart(10, "0")}.${session}.${String(seq).padStart(8, "0")}`;
  localStorage.setItem(key, JSON.stringify(event));
  count();
  schedule(0);
}

function schedule(ms) {
  clearTimeout(timer);
  timer = setTimeout(flush, ms);
}

async function flush() {
  if (sending || owner === null) return;
  const batch = keys().slice(0, BATCH);
  if (!batch.length) return;
  sending = true;
  let next = null;
  try {
    await post("events", { events: batch.map((key) => JSON.parse(localStorage.getItem(key))) });
    batch.forEach((key) => localStorage.removeItem(key));
    waitMs = 0;
    next = 0;
  } catch (error) {
    next = failed(error, batch);
  } finally {
    sending = false;
    count();
  }
  if (next !== null && keys().length) schedule(next);
}

// 400 and 413 never become acceptable: the culprit is dropped and said; all else is tried again later.
function failed(error, batch) {
  if (error.status === 400 || error.status === 413) {
    const culprits = Number.isInteger(error.problem.index) ? [batch[error.problem.index]] : batch;
    culprits.forEach((key) => localStorage.removeItem(key));
    notice(`Could not be saved: ${error.message}`);
    return 0;
  }
  if (error.status === 401) { username.value = null; return null; } // they wait for the next login
  waitMs = Math.min(MAX_WAIT_MS, Math.max(1000, waitMs * 2));
  return Math.max(error.retryAfterMs ?? 0, waitMs * (0.75 + Math.random() / 2));
}

addEventListener("online", () => schedule(0));
addEventListener("storage", count);
addEventListener("pagehide", () => {
  if (owner === null) return;
  const batch = keys().slice(0, 20).map((key) => JSON.parse(localStorage.getItem(key)));
  if (!batch.length) return;
  // It stays in the outbox: sent twice it has effect once, by (session, seq).
  fetch("/api/v1/events", {
    method: "POST", keepalive: true, credentials: "same-origin",
    headers: { "Content-Type": "application/json" }, body: JSON.stringify({ events: batch }),
  }).catch(() => {});
});
