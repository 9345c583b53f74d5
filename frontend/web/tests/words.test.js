import assert from "node:assert/strict";
import { test } from "node:test";
import { branches, causeWords, clock, historyWords, hops, listTitle, railReasonWords, railTitle, railWords, reasonWords } from "../src/words.js";

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

test("a rail has a heading and a promise", () => {
  const because = { kind: "because", title: "Dawn", artist: "Ann", items: [] };
  assert.equal(railTitle(because), "Because you played “Dawn”");
  assert.equal(railWords(because), "Nearest to the track by Ann");
  assert.equal(railTitle({ kind: "because", title: null }), "Because of what you played");
  for (const kind of ["rediscover", "discovery"]) {
    assert.ok(railTitle({ kind }));
    assert.ok(railWords({ kind }));
  }
});

test("a row says what its rail's heading does not say", () => {
  const similar = { reasons: [{ kind: "similar", title: "Dawn" }] };
  assert.equal(railReasonWords("because", similar), null);
  assert.equal(reasonWords(similar), "heard by listeners of “Dawn”");
  assert.equal(railReasonWords("because", { reasons: [{ kind: "audio", title: "Dawn" }] }), "by its sound");
  const found = { reasons: [{ kind: "discovery" }, { kind: "interaction", title: "Tide", share: 0.5 }] };
  assert.equal(railReasonWords("discovery", found), "because you played “Tide”");
  const heard = { reasons: [{ kind: "heard", count: 12, last_ms: Date.UTC(2026, 2, 14) }] };
  assert.match(railReasonWords("rediscover", heard), /^played 12 times, last in .*2026/);
  assert.match(reasonWords({ reasons: [{ kind: "heard", count: 0, last_ms: Date.UTC(2026, 2, 14) }] }), /^liked, last met in/);
});

test("genres stand behind the one above them, with their depth", () => {
  const genres = [["Folk", null], ["Hardcore", "Punk"], ["Loud", "gone"], ["Punk", "Rock"], ["Rock", null]].map(([genre, parent]) => ({ genre, parent }));
  assert.deepEqual(branches(genres).map(({ genre, depth }) => `${depth} ${genre}`), ["0 Folk", "0 Loud", "0 Rock", "1 Punk", "2 Hardcore"]);
  assert.deepEqual(branches([]), []);
});
