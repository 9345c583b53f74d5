// The player as a pure function: (state, event) -> [state, effects]. No clock, no element, no network.
// States: idle, loading, playing, paused, stalled, blocked, error.

export const HEARD_STEP_MS = 2000; // a longer step between two time updates is a seek, not listening
export const PRELOAD_MS = 15000;
const REMEMBERED = 50; // tracks that "previous" can go back to
const RESTART_MS = 3000; // "previous" restarts a track that has run longer than this

export const initial = Object.freeze({
  status: "idle", queue: [], index: -1, generation: 0, rail: null, modelId: null,
  positionMs: 0, durationMs: 0, heardMs: 0, lastMs: null, preloaded: false, message: null,
});

export const current = (state) => state.queue[state.index] ?? null;

// Tracks with sound, each with its place in the list that it came from.
const numbered = (tracks) => tracks.map((track, at) => ({ ...track, position: track.place ?? at })).filter((track) => track.playable);

const nothing = (state) => [state, []];

function finished(state, reason) {
  const track = current(state);
  const heard = Math.round(state.heardMs);
  if (!track || (heard === 0 && reason !== "finished")) return [];
  const trackMs = Math.max(1, Math.round(state.durationMs || track.track_ms || heard));
  return [{
    type: "report", track, listenedMs: heard, trackMs, reason,
    source: { rail: state.rail, position: track.position ?? null, modelId: state.modelId },
  }];
}

function start(state, index, effects) {
  if (index < 0 || index >= state.queue.length) {
    return [{ ...state, status: "idle", index: -1, positionMs: 0, heardMs: 0, lastMs: null, preloaded: false },
      [...effects, { type: "silence" }]];
  }
  const generation = state.generation + 1;
  const next = {
    ...state, index, generation, status: "loading", positionMs: 0, durationMs: state.queue[index].track_ms ?? 0,
    heardMs: 0, lastMs: null, preloaded: false, message: null,
  };
  return [next, [...effects, { type: "load", track: state.queue[index], generation }]];
}

const handlers = {
  // Start a list of tracks at one of them. Tracks without sound are left out.
  play(state, { tracks, trackId, rail = "list", modelId = null }) {
    const queue = numbered(tracks);
    const index = queue.findIndex((track) => track.track_id === trackId);
    if (index < 0) return nothing(state);
    return start({ ...state, queue, rail, modelId }, index, finished(state, "stopped"));
  },
  toggle(state) {
    if (state.status === "playing" || state.status === "stalled" || state.status === "loading") {
      return [{ ...state, status: "paused", lastMs: null }, [{ type: "pause" }]];
    }
    if (state.status === "paused" || state.status === "blocked") {
      return [{ ...state, status: "loading" }, [{ type: "resume" }]];
    }
    return state.status === "error" ? start(state, state.index, []) : nothing(state);
  },
  next(state) {
    return state.index < 0 ? nothing(state) : start(state, state.index + 1, finished(state, "skipped"));
  },
  previous(state) {
    if (state.index < 0) return nothing(state);
    if (state.positionMs > RESTART_MS || state.index === 0) {
      return [{ ...state, lastMs: null }, [{ type: "seek", ms: 0 }]];
    }
    return start(state, state.index - 1, finished(state, "skipped"));
  },
  seek(state, { ms }) {
    if (state.index < 0) return nothing(state);
    const to = Math.min(Math.max(0, ms), Math.max(0, state.durationMs - 250));
    return [{ ...state, positionMs: to, lastMs: null }, [{ type: "seek", ms: to }]];
  },
  // What comes after the playing track follows the newest list; the playing one stays.
  upcoming(state, { tracks, rail, modelId }) {
    const playing = current(state);
    if (!playing || state.rail !== rail) return nothing(state);
    const rest = numbered(tracks).filter((track) => track.track_id !== playing.track_id);
    const before = state.queue.slice(Math.max(0, state.index - REMEMBERED), state.index + 1);
    const next = { ...state, queue: [...before, ...rest], index: before.length - 1, modelId, preloaded: false };
    return [next, [{ type: "unload-next" }]];
  },
  hidden(state, { trackId, artistId }) {
    const out = (track) => track.track_id === trackId || (artistId != null && track.artist_id === artistId);
    const playing = current(state);
    const rest = state.queue.filter((track, at) => at <= state.index || !out(track));
    const kept = { ...state, queue: rest, preloaded: false };
    if (playing && out(playing)) return start(kept, kept.index + 1, finished(state, "skipped"));
    return [kept, [{ type: "unload-next" }]];
  },
  "element-duration"(state, { ms, generation }) {
    return generation === state.generation && ms > 0 ? nothing({ ...state, durationMs: ms }) : nothing(state);
  },
  "element-playing"(state, { generation }) {
    return generation === state.generation && state.status !== "paused"
      ? nothing({ ...state, status: "playing", message: null }) : nothing(state);
  },
  "element-waiting"(state, { generation }) {
    return generation === state.generation && state.status === "playing"
      ? nothing({ ...state, status: "stalled" }) : nothing(state);
  },
  "element-time"(state, { ms, generation }) {
    if (generation !== state.generation || state.index < 0) return nothing(state);
    const step = state.lastMs === null ? 0 : ms - state.lastMs;
    const heardMs = state.heardMs + (state.status === "playing" && step > 0 && step <= HEARD_STEP_MS ? step : 0);
    const next = { ...state, positionMs: ms, lastMs: ms, heardMs };
    const upcoming = state.queue[state.index + 1];
    const near = state.durationMs > 0 && state.durationMs - ms <= PRELOAD_MS;
    if (!state.preloaded && upcoming && near) {
      return [{ ...next, preloaded: true }, [{ type: "preload", track: upcoming }]];
    }
    return nothing(next);
  },
  "element-ended"(state, { generation }) {
    if (generation !== state.generation) return nothing(state);
    return start(state, state.index + 1, finished(state, "finished"));
  },
  "element-blocked"(state, { generation }) {
    return generation === state.generation
      ? nothing({ ...state, status: "blocked", message: "Press play to start" }) : nothing(state);
  },
  "element-error"(state, { generation, message }) {
    return generation === state.generation
      ? nothing({ ...state, status: "error", message: message ?? "This track could not be played" }) : nothing(state);
  },
  leaving(state) {
    return [{ ...state, heardMs: 0 }, finished(state, "stopped")];
  },
  stop(state) {
    return [{ ...initial, generation: state.generation + 1 }, [...finished(state, "stopped"), { type: "silence" }]];
  },
};

export function reduce(state, event) {
  const handler = handlers[event.type];
  return handler ? handler(state, event) : nothing(state);
}
