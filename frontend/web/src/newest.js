// Which of two lists is shown, and what is new in it. Pure.

const ids = (items) => items.map((item) => item.track_id);
export const onPage = (list) => [...list.items, ...(list.rails ?? []).flatMap((rail) => rail.items)];

// A list that was brief is made whole at the same place in the log: the same answer, now with its rails.
export const completes = (next, held) => Boolean(held?.brief) && !next.brief && samePlace(next, held);

const samePlace = (next, held) => next.generation === held.generation && next.offset === held.offset;

// Newer means greater offset, within one log.
export function isNewer(next, held) {
  if (!held || held.offset == null) return true;
  if (next.offset == null) return false;
  if (next.generation !== held.generation) return true;
  return next.offset > held.offset || (samePlace(next, held) && (completes(next, held) || next.model_id !== held.model_id));
}

// What is shown when `next` comes: a brief list keeps the rails before it, one made whole the words about its cause.
export function merged(next, held) {
  if (completes(next, held)) return { ...next, latency_ms: held.latency_ms, timings: held.timings };
  if (!next.brief || !held?.rails?.length || next.model_id !== held.model_id) return next;
  const taken = new Set([...ids(next.items), next.cause?.track_id]);
  const rails = held.rails.map((rail) => ({ ...rail, items: rail.items.filter((item) => !taken.has(item.track_id)) }));
  return { ...next, rails: rails.filter((rail) => rail.items.length) };
}

// Each track with its place in the list or rail as it was sent: a play names it, whatever is hidden by then.
export function placed(list) {
  const numbered = (items) => items.map((item, place) => ({ ...item, place }));
  return { ...list, items: numbered(list.items), rails: (list.rails ?? []).map((rail) => ({ ...rail, items: numbered(rail.items) })) };
}

// Ids of the tracks that come new to the page, and how many of them stand in the list itself.
export function fresh(next, held) {
  const before = new Set(held ? ids(onPage(held)) : ids(onPage(next)));
  const isNew = (item) => !before.has(item.track_id);
  return { ids: ids(onPage(next).filter(isNew)), inList: next.items.filter(isNew).length };
}
