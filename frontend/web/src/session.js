// Log in and out: what is opened with a user and closed without one.
import { ApiError, call, get } from "./api.js";
import { closeFeed, openFeed } from "./feed.js";
import { openOutbox } from "./outbox.js";
import { dispatch } from "./player/engine.js";
import { liked, hidden, notice, username } from "./store.js";

export async function enter(name) {
  username.value = name ?? "listener";
  openOutbox(name ?? "listener");
  openFeed();
  get("likes").then(({ track_ids: ids }) => { liked.value = new Set([...ids, ...liked.peek()]); }).catch(() => {});
}

export async function leave() {
  dispatch({ type: "stop" });
  try {
    await call("DELETE", "session");
  } catch (error) {
    if (error.status !== 401) { notice(`Could not log out: ${error.message}`); return; }
  }
  closeFeed();
  openOutbox(null);
  liked.value = new Set();
  hidden.value = new Set();
  username.value = null;
}

export async function restore() {
  try {
    const session = await get("session");
    if (session.logged_in) await enter(session.username);
    else username.value = null;
  } catch (error) {
    if (!(error instanceof ApiError) || error.status === 401) username.value = null;
    else setTimeout(restore, error.retryAfterMs ?? 2000);
  }
}
