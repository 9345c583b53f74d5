import assert from "node:assert/strict";
import { test } from "node:test";
import { completes, fresh, isNewer, merged, placed } from "../src/newest.js";

const item = (id) => ({ track_id: id });
const rail = (kind, ...ids) => ({ kind, items: ids.map(item) });
const list = (offset, ids, more = {}) => ({ generation: "g", offset, model_id: "m", items: ids.map(item), rails: [], brief: false, cause: null, ...more });

test("newer is the greater offset within one log", () => {
  assert.ok(isNewer(list(2, []), list(1, [])));
  assert.ok(!isNewer(list(1, []), list(1, [])));
  assert.ok(!isNewer(list(1, []), list(2, [])));
  assert.ok(isNewer(list(1, [], { generation: "h" }), list(2, [])));
  assert.ok(!isNewer(list(null, []), list(2, [])));
  assert.ok(isNewer(list(2, []), null));
});

test("at one place another model, or a list made whole, replaces what is there", () => {
  const brief = list(3, [1], { brief: true });
  assert.ok(isNewer(list(3, [1]), brief));
  assert.ok(!isNewer(brief, list(3, [1])));
  assert.ok(!isNewer(brief, brief));
  assert.ok(isNewer(list(3, [1], { model_id: "n" }), list(3, [1])));
  assert.ok(completes(list(3, [1]), brief));
  assert.ok(!completes(list(4, [1]), brief));
});

test("a brief list keeps the rails before it, without what stands in it by now", () => {
  const held = list(3, [1, 2], { rails: [rail("because", 5, 6), rail("discovery", 7), rail("rediscover", 9)] });
  const next = list(4, [6, 2], { brief: true, cause: { track_id: 7 } });
  assert.deepEqual(merged(next, held).rails, [rail("because", 5), rail("rediscover", 9)]);
  assert.deepEqual(merged({ ...next, brief: false }, held).rails, []);
  assert.deepEqual(merged({ ...next, model_id: "n" }, held).rails, []);
  assert.deepEqual(merged(next, null).rails, []);
});

test("a list made whole keeps the words about what it answers", () => {
  const brief = list(3, [1], { brief: true, latency_ms: 38, timings: { sent_ms: 5 } });
  const whole = merged(list(3, [1], { rails: [rail("because", 2)], latency_ms: null, timings: { sent_ms: null } }), brief);
  assert.equal(whole.latency_ms, 38);
  assert.equal(whole.timings.sent_ms, 5);
  assert.equal(whole.rails.length, 1);
});

test("new is what did not stand anywhere on the page", () => {
  const held = list(3, [1, 2], { rails: [rail("because", 5)] });
  const next = list(4, [5, 2, 8], { rails: [rail("because", 1, 9)] });
  assert.deepEqual(fresh(next, held), { ids: [8, 9], inList: 1 });
  assert.deepEqual(fresh(next, null), { ids: [], inList: 0 });
});

test("a track keeps the place that it was sent at", () => {
  const held = placed(list(3, [1, 2], { rails: [rail("because", 5, 6)] }));
  assert.deepEqual(held.items.map((one) => one.place), [0, 1]);
  const shown = merged(placed(list(4, [5], { brief: true })), held);
  assert.deepEqual(shown.rails[0].items, [{ track_id: 6, place: 1 }]);
  assert.deepEqual(placed({ items: [] }).rails, []);
});
