import assert from "node:assert/strict";
import { test } from "node:test";
import { causeWords, clock, historyWords, hops, listTitle, reasonWords } from "../src/words.js";

test("a reason names what was played", () => {
  const reasons = [{ kind: "interaction", title: "Dawn", share: 0.61 }, { kind: "interaction", title: "Tide", share: 0.2 }];
  assert.equal(reasonWords({ reasons }), "because you played “Dawn” and “Tide”");
  assert.equal(reasonWords({ reasons: [{ kind: "popular", count: 3 }] }), "popular here");
  assert.equal(reasonWords({ reasons: [] }), null);
});

test("the cause stands in words with its latency", () => {
  const list = { cause: { type: "like", title: "Dawn" }, latency_ms: 38.2 };
  assert.equal(causeWords(list), "Updated after you liked Dawn, 38 ms");
  assert.equal(causeWords({ ...list, latency_ms: null }), "Updated after you liked Dawn");
  assert.equal(causeWords({ cause: null }), null);
});

test("hops are the differences of the times", () => {
  const found = hops({ accepted_ms: 1000, folded_ms: 1012, ranked_ms: 1020.5, sent_ms: 1038 });
  assert.deepEqual(found.map((hop) => hop.value), ["12 ms", "8.5 ms", "18 ms"]);
});

test("without a model the page says that Segue learns", () => {
  assert.equal(listTitle({ model_id: null }), "Popular here while Segue learns");
  assert.equal(listTitle({ model_id: "m" }), "Made for you");
});

test("times and entries read as words", () => {
  assert.equal(clock(65_400), "1:05");
  assert.equal(historyWords({ type: "play", end_reason: "skipped", listened_ms: 4000 }), "skipped after 0:04");
  assert.equal(historyWords({ type: "like" }), "Liked");
});
