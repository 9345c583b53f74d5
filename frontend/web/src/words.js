// Reasons, causes and times in words.

const quoted = (title) => `“${title}”`;

export function reasonWords(item) {
  const [first] = item.reasons ?? [];
  if (!first) return null;
  switch (first.kind) {
    case "interaction": {
      const others = item.reasons.filter((reason) => reason.kind === "interaction" && reason.title);
      if (!others.length) return "because of what you played";
      return `because you played ${others.slice(0, 2).map((reason) => quoted(reason.title)).join(" and ")}`;
    }
    case "similar": return first.title ? `heard by listeners of ${quoted(first.title)}` : "heard by the same listeners";
    case "heard": return heardWords(first);
    case "audio": return first.title ? `sounds like ${quoted(first.title)}` : "sounds like what you play";
    case "taste": return "of a genre you chose";
    case "discovery": return "something new for you";
    case "popular": return first.count > 0 ? "popular here" : "from the catalogue";
    default: return null;
  }
}

export function shareWords(item) {
  return (item.reasons ?? [])
    .filter((reason) => reason.kind === "interaction" && reason.share != null)
    .map((reason) => `${reason.title ?? "a track"}: ${Math.round(reason.share * 100)} % of the score`);
}

const month = new Intl.DateTimeFormat(undefined, { month: "long", year: "numeric" });

function heardWords({ count, last_ms: lastMs }) {
  const done = count > 0 ? `played ${count === 1 ? "once" : `${count} times`}, last` : "liked, last met";
  return lastMs ? `${done} in ${month.format(lastMs)}` : done.replace(", last", "");
}

// What the heading of a rail does not say already.
export function railReasonWords(kind, item) {
  const reasons = item.reasons ?? [];
  if (kind === "because" || kind === "similar") return reasons[0]?.kind === "audio" ? "by its sound" : null;
  if (kind === "discovery") return reasonWords({ reasons: reasons.filter((reason) => reason.kind !== "discovery") });
  return reasonWords(item);
}

export function railTitle(rail) {
  switch (rail.kind) {
    case "because": return rail.title ? `Because you played ${quoted(rail.title)}` : "Because of what you played";
    case "rediscover": return "Rediscover";
    case "discovery": return "Discovery";
    default: return rail.kind;
  }
}

export function railWords(rail) {
  switch (rail.kind) {
    case "because": return rail.artist ? `Nearest to the track by ${rail.artist}` : "Nearest to that track";
    case "rediscover": return "You loved these, and have not heard them for long";
    case "discovery": return "New to you, by artists you have not heard lately";
    default: return null;
  }
}

const DONE = {
  play: "played", like: "liked", unlike: "took back the like of", hide: "hid", unhide: "showed again",
  less: "asked for fewer like", taste_start: "chose your taste", imported_listens: "imported",
};

export function causeWords(list) {
  if (!list?.cause) return null;
  const done = DONE[list.cause.type] ?? list.cause.type;
  const what = list.cause.title ? `you ${done} ${list.cause.title}` : `you ${done}${list.cause.type === "hide" ? " an artist" : ""}`;
  return `Updated after ${what}${list.latency_ms == null ? "" : `, ${milliseconds(list.latency_ms)}`}`;
}

export function milliseconds(value) {
  return value < 10_000 ? `${Math.max(0, value).toFixed(value < 10 ? 1 : 0)} ms` : `${(value / 1000).toFixed(0)} s`;
}

export function hops(timings) {
  if (!timings) return [];
  const steps = [
    ["accepted to folded into your history", timings.folded_ms - timings.accepted_ms],
    ["folded to ranked", timings.ranked_ms - timings.folded_ms],
  ];
  if (timings.sent_ms != null) steps.push(["ranked to sent to this page", timings.sent_ms - timings.ranked_ms]);
  return steps.map(([name, value]) => ({ name, value: milliseconds(value) }));
}

export function clock(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

export function when(ms, now = Date.now()) {
  const minutes = Math.round((now - ms) / 60_000);
  if (minutes < 1) return "just now";
  if (minutes < 60) return `${minutes} min ago`;
  return new Date(ms).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

export function listTitle(list) {
  return list?.model_id || !list ? "Made for you" : "Popular here while Segue learns";
}

// Genres along their tree: each behind the one above it, with its depth. One whose parent is missing is a root.
export function branches(genres) {
  const names = new Set(genres.map(({ genre }) => genre));
  const above = ({ parent }) => (names.has(parent) ? parent : null);
  const walk = (parent, depth) => genres.filter((one) => above(one) === parent)
    .flatMap(({ genre }) => [{ genre, depth }, ...walk(genre, depth + 1)]);
  return walk(null, 0);
}

const HEARD = { finished: "heard to the end", skipped: "skipped", stopped: "stopped" };
const EVENT = {
  like: "Liked", unlike: "Like taken back", hide: "Hidden", unhide: "Shown again", less: "Fewer like this",
  taste_start: "Taste chosen", imported_listens: "Imported", forget: "Forgotten",
};

export function historyWords(entry) {
  if (entry.type !== "play") return EVENT[entry.type] ?? entry.type;
  return `${HEARD[entry.end_reason] ?? "Played"} after ${clock(entry.listened_ms ?? 0)}`;
}
