// The live list. One tab of a browser holds the stream (Web Locks) and tells the others (BroadcastChannel).
import { announcement, changed, link, list, username } from "./store.js";
import { listTitle, causeWords } from "./words.js";
import { dispatch } from "./player/engine.js";
import { get } from "./api.js";
import { completes, fresh, isNewer, merged, placed } from "./newest.js";

const LOCK = "segue-feed";
const MAX_WAIT_MS = 30_000;
const AMBER_AFTER_MS = 2000; // a short gap is not worth a warning
let channel = null;
let source = null;
let release = null;
let amber = null;
let cancel = null;
let retry = null;
let refusals = 0;

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
    release = () => {};
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
  clearTimeout(retry);
  refusals = 0;
  source = release = channel = cancel = null;
  list.value = null;
}

function tell(what) { channel?.postMessage(what); }

function setLink(value) {
  clearTimeout(amber);
  link.value = value;
  tell({ kind: "link", link: value });
}

// A browser comes back by itself after a lost connection, but not after an answer that is no stream: 204 (too many
// streams), 503 (a part is away), 401. Then this asks for the list now and then, and tries the stream again.
function comeBack() {
  refusals += 1;
  setLink(refusals > 2 ? "full" : "reconnecting");
  clearTimeout(retry);
  retry = setTimeout(async () => {
    try {
      const session = await get("session");
      if (!session.logged_in) { username.value = null; return; }
      show(await get("recommendations"));
    } catch {
      // the next try tells
    }
    if (release) lead();
  }, Math.min(MAX_WAIT_MS, 1000 * 2 ** refusals) * (0.75 + Math.random() / 2));
}

function lead() {
  source?.close();
  source = new EventSource("/api/v1/feed");
  source.onopen = () => { refusals = 0; setLink("live"); };
  source.onerror = () => {
    clearTimeout(amber);
    if (source?.readyState === EventSource.CLOSED) comeBack();
    else amber = setTimeout(() => setLink("reconnecting"), AMBER_AFTER_MS);
  };
  source.addEventListener("recommendations", ({ data }) => {
    const newest = JSON.parse(data);
    tell({ kind: "list", list: newest });
    show(newest);
  });
}

function show(next) {
  const held = list.value;
  if (!isNewer(next, held)) return;
  const shown = merged(placed(next), held);
  const found = fresh(shown, held);
  const said = completes(next, held); // what follows later is no news
  list.value = shown;
  changed.value = new Set(found.ids);
  dispatch({ type: "upcoming", tracks: shown.items, rail: "made-for-you", modelId: shown.model_id });
  if (held && shown.cause && !said) {
    announcement.value = `${listTitle(shown)}: ${found.inList} new of ${shown.items.length}. ${causeWords(shown)}`;
  }
}
