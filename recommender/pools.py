"""What a list is chosen from: the best new items of each user and all known ones, many users at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress, pairwise

import numpy as np
from numpy.typing import NDArray

from recommender.candidates import SLACK, RankingSpace, scores_of_all
from recommender.standing import Standing, Standings
from recommender.tiles import Pairs


@dataclass(frozen=True, eq=False, slots=True)
class Candidates:
    """Allowed items, greatest score first, ties by track id.

    Attributes
    ----------
    items : int64 [c], rows of the model
    rows, artists, scores, known, same_second : of each item, the row of the catalogue and so on
    new : how many are not known
    exhausted : no allowed item is missing
    excluded : int64, rows of the model that are no candidates for the new ones: not allowed, or known
    """

    items: NDArray[np.int64]
    rows: list[int]
    artists: list[int]
    scores: list[float]
    known: list[bool]
    same_second: list[bool]
    new: int
    exhausted: bool
    excluded: NDArray[np.int64]

    def with_new(self, count: int) -> "Candidates":
        """Return the same with only the best ``count`` of those that are not known."""
        if self.new <= count:
            return self
        new = ~np.array(self.known, bool)
        kept = (np.cumsum(new) <= count) | ~new
        at = np.flatnonzero(kept)
        each = kept.tolist()
        return Candidates(
            items=self.items[at],
            rows=list(compress(self.rows, each)),
            artists=list(compress(self.artists, each)),
            scores=list(compress(self.scores, each)),
            known=list(compress(self.known, each)),
            same_second=list(compress(self.same_second, each)),
            new=count,
            exhausted=False,
            excluded=self.excluded,
        )


def candidates_of_all(
    space: RankingSpace,
    user_factors: NDArray[np.float64],
    standings: Standings,
    users: Sequence[int],
    items: NDArray[np.int64],
    count: int,
) -> list[Candidates]:
    """Return for each user the best ``count`` new items and the known ones.

    Parameters
    ----------
    users : whose factors these are, as numbered in ``standings``
    items : int64 [t], row of the model of each track in ``standings``, -1 where there is none
    """
    span = len(space.model.track_ids)
    whose = np.where(items >= 0, _places(standings, users), -1)
    forbidden = _forbidden(space, standings, users, items, whose)
    known_users, known = _known(forbidden, standings, items, whose, span)
    # what is known is not among the new ones
    gone = np.concatenate((forbidden[0], known_users)), np.concatenate((forbidden[1], known))
    new = space.model.sieve.contenders(user_factors, count, SLACK, gone)
    # sorted as one number: by user, then by item, and whether it is known
    keys = np.concatenate((new << 1, (known_users * span + known) << 1 | 1))
    keys.sort()
    of_user, found = np.divmod(keys >> 1, span)
    is_known = (keys & 1).astype(bool)
    starts = np.searchsorted(of_user, np.arange(len(users) + 1))
    scores = scores_of_all(space.model, found, starts.tolist(), user_factors)
    order, ends, fresh = _best(scores, is_known, starts, count)
    newest = _same_second(keys[order] >> 1, standings, items, whose, span)
    found, scores, is_known = found[order], scores[order], is_known[order]
    rows, artists = space.catalogue_rows[found].tolist(), space.artists[found].tolist()
    of_each = zip(pairwise(ends), fresh, _by_user(gone, len(users)), strict=True)
    exact, knows, same = scores.tolist(), is_known.tolist(), newest.tolist()
    return [
        Candidates(
            items=found[start:end],
            rows=rows[start:end],
            artists=artists[start:end],
            scores=exact[start:end],
            known=knows[start:end],
            same_second=same[start:end],
            new=new_ones,
            exhausted=new_ones < count,
            excluded=excluded,
        )
        for (start, end), new_ones, excluded in of_each
    ]


def _best(
    scores: NDArray[np.float64],
    known: NDArray[np.bool_],
    starts: NDArray[np.int64],
    count: int,
) -> tuple[NDArray[np.int64], list[int], list[int]]:
    """Return the best of each user, greatest score first, only ``count`` of them new.

    Returns
    -------
    where they stand : int64, user after user; items ascend: ties by track id
    where those of each user begin, and where the last ones end
    how many of each are new
    """
    cuts = starts.tolist()
    # user by user: one whom everything suits must not widen a table of all
    parts = [start + np.argsort(-scores[start:end], kind="stable") for start, end in pairwise(cuts)]
    at = np.concatenate(parts)
    new = ~known[at]
    before = np.concatenate(([0], new.cumsum()))
    sizes = np.diff(starts)
    kept = (before[1:] - before[starts[:-1]].repeat(sizes) <= count) | ~new
    ends = np.concatenate(([0], kept.cumsum()))[starts]
    fresh = np.concatenate(([0], (new & kept).cumsum()))[starts]
    return at[kept], ends.tolist(), np.diff(fresh).tolist()


def _same_second(
    pairs: NDArray[np.int64],
    standings: Standings,
    items: NDArray[np.int64],
    whose: NDArray[np.int64],
    span: int,
) -> NDArray[np.bool_]:
    """Say of each pair, user * span + item, whether it was met in the user's newest second."""
    if not standings.same_second.any():
        return np.zeros(len(pairs), bool)
    at = np.flatnonzero((whose >= 0) & standings.same_second)
    same: NDArray[np.bool_] = np.isin(pairs, whose[at] * span + items[at])
    return same


def _by_user(pairs: Pairs, users: int) -> list[NDArray[np.int64]]:
    """Return the items of each user."""
    order = np.argsort(pairs[0], kind="stable")
    items = pairs[1][order]
    starts = np.searchsorted(pairs[0][order], np.arange(users + 1)).tolist()
    return [items[start:end] for start, end in pairwise(starts)]


def _forbidden(
    space: RankingSpace,
    standings: Standings,
    users: Sequence[int],
    items: NDArray[np.int64],
    whose: NDArray[np.int64],
) -> Pairs:
    """Return what is not allowed: whose, and the item.

    Parameters
    ----------
    whose : int64 [t], place in ``users`` of the user of each item, -1 where one of both is not there
    """
    at = np.flatnonzero((whose >= 0) & standings.forbidden)
    out = [(whose[at], items[at])]
    last = space.model.rows(standings.last_track_ids[list(users)])
    played = np.flatnonzero(last >= 0)
    out.append((played, last[played]))
    for number, user in enumerate(users):
        more = _never(space, standings[user])
        if len(more):
            out.append((np.full(len(more), number), more))
    of, gone = (np.concatenate(parts) for parts in zip(*out, strict=True))
    return of, gone


def _known(
    forbidden: Pairs, standings: Standings, items: NDArray[np.int64], whose: NDArray[np.int64], span: int
) -> Pairs:
    """Return what is known and allowed: whose, and the item, of ``span`` items."""
    at = np.flatnonzero((whose >= 0) & (standings.known | standings.same_second))
    of, known = whose[at], items[at]
    allowed = ~np.isin(of * span + known, forbidden[0] * span + forbidden[1])
    return of[allowed], known[allowed]


def _places(standings: Standings, users: Sequence[int]) -> NDArray[np.int64]:
    """Return of each track in ``standings`` the place of its user in ``users``, -1 where there is none."""
    if len(users) == len(standings):
        return standings.users
    place = np.full(len(standings), -1)
    place[list(users)] = np.arange(len(users))
    return place[standings.users]


def _never(space: RankingSpace, stands: Standing) -> NDArray[np.int64]:
    """Return the items outside of the catalogue, and those of hidden artists."""
    if not len(stands.hidden_artists):
        return space.outside
    return np.concatenate([space.outside, space.of_artists(stands.hidden_artists)])
