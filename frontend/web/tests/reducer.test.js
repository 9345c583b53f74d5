import assert from "node:assert/strict";
import { test } from "node:test";
import { current, HEARD_STEP_MS, initial, reduce } from "../src/player/reducer.js";

const track = (id, more = {}) => ({ track_id: id, artist_id: id * 10, playable: true, track_ms: 30_000, ...more });
const TRACKS = [track(1), track(2, { playable: false }), track(3), track(4)];

function run(state, ...events) {
  let effects = [];
  for (const event of events) {
    let more;
    [state, more] = reduce(state, typeof event === "function" ? event(state) : event);
    effects = effects.concat(more);
  }
  return [state, effects];
}

const now = (type, more = {}) => (state) => ({ type, generation: state.generation, ...more });
const playing = (trackId = 1) => run(initial, { type: "play", tracks: TRACKS, trackId, rail: "made-for-you", modelId: "m" },
  now("element-duration", { ms: 30_000 }), now("element-playing"))[0];
const kinds = (effects) => effects.map((effect) => effect.type);
const reports = (effects) => effects.filter((effect) => effect.type === "report");

test("play loads the chosen track and leaves out tracks without sound", () => {
  const [state, effects] = run(initial, { type: "play", tracks: TRACKS, trackId: 3 });
  assert.deepEqual(state.queue.map((entry) => entry.track_id), [1, 3, 4]);
  assert.deepEqual(state.queue.map((entry) => entry.position), [0, 2, 3]);
  assert.equal(current(state).track_id, 3);
  assert.deepEqual(kinds(effects), ["load"]);
});

test("a track keeps the place that it was sent at", () => {
  const [state] = run(initial, { type: "play", tracks: [track(1, { place: 4 }), track(3, { place: 7 })], trackId: 3 });
  assert.equal(current(state).position, 7);
});

test("a track without sound does not start", () => {
  assert.equal(reduce(initial, { type: "play", tracks: TRACKS, trackId: 2 })[0], initial);
});

test("only forward steps of at most two seconds while playing count as heard", () => {
  const [state] = run(playing(), now("element-time", { ms: 0 }), now("element-time", { ms: 250 }),
    now("element-time", { ms: 250 + HEARD_STEP_MS }), now("element-time", { ms: 20_000 }), now("element-time", { ms: 19_000 }),
    now("element-time", { ms: 19_200 }));
  assert.equal(state.heardMs, 250 + HEARD_STEP_MS + 200);
});

test("a seek does not count as heard", () => {
  const [state, effects] = run(playing(), now("element-time", { ms: 100 }), { type: "seek", ms: 1100 }, now("element-time", { ms: 1100 }));
  assert.equal(state.heardMs, 0);
  assert.deepEqual(kinds(effects), ["seek"]);
});

test("the end of a track reports it as finished and starts the next one", () => {
  const [state, effects] = run(playing(), now("element-time", { ms: 0 }), now("element-time", { ms: 1500 }), now("element-ended"));
  assert.equal(current(state).track_id, 3);
  assert.deepEqual(kinds(effects), ["report", "load"]);
  assert.deepEqual(reports(effects)[0], {
    type: "report", track: { ...track(1), position: 0 }, listenedMs: 1500, trackMs: 30_000, reason: "finished",
    source: { rail: "made-for-you", position: 0, modelId: "m" },
  });
});

test("next reports a skip with what was heard", () => {
  const [, effects] = run(playing(), now("element-time", { ms: 0 }), now("element-time", { ms: 400 }), { type: "next" });
  assert.equal(reports(effects)[0].reason, "skipped");
  assert.equal(reports(effects)[0].listenedMs, 400);
});

test("what was never heard is not reported as a skip", () => {
  assert.deepEqual(kinds(run(playing(), { type: "next" })[1]), ["load"]);
});

test("after the last track there is silence", () => {
  const [state, effects] = run(playing(4), now("element-ended"));
  assert.equal(state.status, "idle");
  assert.equal(current(state), null);
  assert.ok(kinds(effects).includes("silence"));
});

test("events of an element that plays no more change nothing", () => {
  const state = playing();
  for (const type of ["element-time", "element-ended", "element-error", "element-playing"]) {
    assert.equal(reduce(state, { type, generation: state.generation - 1, ms: 5 })[0], state);
  }
});

test("the next track is loaded once, shortly before the end", () => {
  const [state, effects] = run(playing(), now("element-time", { ms: 10_000 }), now("element-time", { ms: 16_000 }), now("element-time", { ms: 17_000 }));
  assert.deepEqual(effects, [{ type: "preload", track: { ...track(3), position: 2 } }]);
  assert.ok(state.preloaded);
});

test("a newer list replaces what comes next and leaves the playing track alone", () => {
  const before = playing(3);
  const [state] = reduce(before, { type: "upcoming", tracks: [track(9), track(3), track(8)], rail: "made-for-you", modelId: "n" });
  assert.equal(current(state).track_id, 3);
  assert.deepEqual(state.queue.slice(state.index + 1).map((entry) => entry.track_id), [9, 8]);
  assert.equal(state.generation, before.generation);
});

test("a newer list does not touch a queue from elsewhere", () => {
  const [state] = run(initial, { type: "play", tracks: TRACKS, trackId: 1, rail: "charts" });
  assert.equal(reduce(state, { type: "upcoming", tracks: [track(9)], rail: "made-for-you" })[0], state);
});

test("toggle pauses, resumes, and asks again when the browser blocked the sound", () => {
  let [state, effects] = run(playing(), { type: "toggle" });
  assert.equal(state.status, "paused");
  assert.deepEqual(kinds(effects), ["pause"]);
  [state, effects] = run(state, { type: "toggle" });
  assert.deepEqual(kinds(effects), ["resume"]);
  [state] = run(state, now("element-blocked"));
  assert.equal(state.status, "blocked");
  assert.deepEqual(kinds(run(state, { type: "toggle" })[1]), ["resume"]);
});

test("previous restarts a track that has run for a while, else goes back", () => {
  assert.deepEqual(kinds(run(playing(3), now("element-time", { ms: 5000 }), { type: "previous" })[1]), ["seek"]);
  assert.equal(current(run(playing(3), { type: "previous" })[0]).track_id, 1);
});

test("hiding the playing track goes on with the next one that is not hidden", () => {
  const [state] = run(playing(), { type: "hidden", trackId: 1 });
  assert.equal(current(state).track_id, 3);
  const [later] = run(playing(), { type: "hidden", artistId: 30 });
  assert.deepEqual(later.queue.map((entry) => entry.track_id), [1, 4]);
});

test("leaving reports what was heard once", () => {
  const [state, effects] = run(playing(), now("element-time", { ms: 0 }), now("element-time", { ms: 900 }), { type: "leaving" });
  assert.equal(reports(effects)[0].reason, "stopped");
  assert.deepEqual(run(state, { type: "leaving" })[1], []);
});
