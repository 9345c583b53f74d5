// What a listener can do with a track: shown at once, kept in the outbox until the log has it.
import { record } from "./outbox.js";
import { dispatch, onReport } from "./player/engine.js";
import { liked, hidden, notice, toggled } from "./store.js";

onReport(({ track, listenedMs, trackMs, reason, source }) => {
  record("play", {
    track_id: track.track_id, listened_ms: listenedMs, track_ms: trackMs, end_reason: reason,
    source: { rail: source.rail ?? "list", position: source.position, model_id: source.modelId },
  });
});

export function like(track) {
  const on = !liked.value.has(track.track_id);
  liked.value = toggled(liked.value, track.track_id, on);
  record(on ? "like" : "unlike", { track_id: track.track_id });
}

export function hide(track) {
  hidden.value = toggled(hidden.value, track.track_id, true);
  record("hide", { track_id: track.track_id });
  dispatch({ type: "hidden", trackId: track.track_id });
  notice(`“${track.title}” is hidden`, () => {
    hidden.value = toggled(hidden.value, track.track_id, false);
    record("unhide", { track_id: track.track_id });
  });
}

export function hideArtist(track) {
  record("hide", { artist_id: track.artist_id });
  dispatch({ type: "hidden", artistId: track.artist_id });
  notice(`${track.artist} is hidden`, () => record("unhide", { artist_id: track.artist_id }));
}

export function less(track) {
  record("less", { track_id: track.track_id });
  notice(`Fewer like “${track.title}”`);
}

export function play(tracks, track, rail, modelId) {
  dispatch({ type: "play", tracks, trackId: track.track_id, rail, modelId });
}
