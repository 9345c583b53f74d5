// The live list. One tab of a browser holds the stream (Web Locks) and tells the others (BroadcastChannel).
import { list, changed, link, announcement } from "./store.js";
import { listTitle, causeWords } from "./words.js";
import { dispatch } from "./player/engine.js";
import { get } from "./api.js";

const LOCK = "segue-feed";
const AMBER_AFTER_MS = 2000; // a short gap is not worth a warning
let channel = null;
let source = null;
let release = null;
let amber = null;
let cancel = null;

export function openFeed() {
  closeFeed();
  channel = new BroadcastChannel("segue-feed");
  channel.onmessage = ({ data }) => {
    if (data.kind === "list") show(data.list);
    else if (data.kind === "link") link.value = data.link;
    else if (data.kind === "ask" && source) {
      tell({ kind: "link", link: link.value });
      if (list.value) tell({ kind: "list", list: list.value });
    }
  };
  cancel = new AbortController();
  if (navigator.locks) {
    // The lock is held until the tab goes or logs out; then the next tab takes over.
    navigator.locks.request(LOCK, { signal: cancel.signal }, () => new Promise((resolve) => { release = resolve; lead(); }))
      .catch(() => {});
    tell({ kind: "ask" });
  } else {
    lead();
  }
  get("recommendations").then(show).catch(() => {});
}

export function closeFeed() {
  cancel?.abort();
  source?.close();
  release?.();
  channel?.close();
  clearTimeout(amber);
  source = release = channel = cancel = null;
  list.value = null;
}

function tell(what) { channel?.postMessage(what); }

function setLink(value) {
  clearTimeout(amber);
  link.value = value;
  tell({ kind: "link", link: value });
}

function lead() {
  source = new EventSource("/api/v1/feed");
  source.onopen = () => setLink("live");
  source.onerror = () => {
    clearTimeout(amber);
    if (source?.readyState === EventSource.CLOSED) setLink("full");
    else amber = setTimeout(() => setLink("reconnecting"), AMBER_AFTER_MS);
  };
  source.addEventListener("recommendations", ({ data }) => {
    const newest = JSON.parse(data);
    tell({ kind: "list", list: newest });
    show(newest);
  });
}

// Newer means greater offset, within one log.
export function isNewer(next, held) {
  if (!held || held.offset == null) return true;
  if (next.offset == null) return false;
  return next.generation !== held.generation || next.offset > held.offset;
}

function show(next) {
  const held = list.value;
  if (!isNewer(next, held)) return;
  const before = new Set((held?.items ?? []).map((item) => item.track_id));
  const fresh = held ? next.items.filter((item) => !before.has(item.track_id)).map((item) => item.track_id) : [];
  list.value = next;
  changed.value = new Set(fresh);
  dispatch({ type: "upcoming", tracks: next.items, rail: "made-for-you", modelId: next.model_id });
  if (held && next.cause) {
    announcement.value = `${listTitle(next)}: ${fresh.length} new of ${next.items.length}. ${causeWords(next)}`;
  }
}
