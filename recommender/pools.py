"""What a list is chosen from: the best new items of each user and all known ones, many users at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from recommender.candidates import SLACK, RankingSpace, score_exactly
from recommender.sieve import Sifted
from recommender.standing import Standing, Standings


@dataclass(frozen=True, eq=False, slots=True)
class Candidates:
    """Allowed items, greatest score first, ties by track id.

    Attributes
    ----------
    items : int64 [c], rows of the model
    rows, artists, scores, known, same_second : of each item, the row of the catalogue and so on
    exhausted : no allowed item is missing
    """

    items: NDArray[np.int64]
    rows: list[int]
    artists: list[int]
    scores: list[float]
    known: list[bool]
    same_second: list[bool]
    exhausted: bool

    def with_new(self, count: int) -> "Candidates":
        """Return the same with only the best ``count`` of those that are not known."""
        new = ~np.array(self.known, bool)
        if int(new.sum()) <= count:
            return self
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
            exhausted=False,
        )


def candidates_of_all(
    space: RankingSpace,
    sifted: Sifted,
    user_factors: NDArray[np.float64],
    standings: Standings,
    users: Sequence[int],
    items: NDArray[np.int64],
    count: int,
) -> list[Candidates]:
    """Return for each user the best ``count`` new items and the known ones.

    Whatever is not among the new ones is excluded from ``sifted``.

    Parameters
    ----------
    sifted : products of the users' factors with all items; also what is known is excluded from it
    users : whose factors these are, as numbered in ``standings``
    items : int64 [t], row of the model of each track in ``standings``, -1 where there is none
    """
    known_users, known = _exclude(space, sifted, standings, users, items)
    span = len(space.model.track_ids)
    # sorted as one number: by user, then by item, and whether it is known
    keys = np.concatenate((sifted.contenders(count, SLACK) << 1, (known_users * span + known) << 1 | 1))
    keys.sort()
    of_user, found = np.divmod(keys >> 1, span)
    is_known = (keys & 1).astype(bool)
    starts = np.searchsorted(of_user, np.arange(len(users) + 1)).tolist()
    exact = [
        score_exactly(space.model, found[start:end], factors)
        for start, end, factors in zip(starts, starts[1:], user_factors, strict=False)
    ]
    chosen = [_best(one, is_known[start:], count) for one, start in zip(exact, starts, strict=False)]
    order = np.concatenate([at + start for at, start in zip(chosen, starts, strict=False)])
    found, is_known = found[order], is_known[order]
    rows, artists = space.catalogue_rows[found].tolist(), space.artists[found].tolist()
    result, begin = [], 0
    for user, at, one in zip(users, chosen, exact, strict=True):
        its = slice(begin, begin + len(at))
        begin = its.stop
        knows = is_known[its].tolist()
        result.append(
            Candidates(
                items=found[its],
                rows=rows[its],
                artists=artists[its],
                scores=one[at].tolist(),
                known=knows,
                same_second=_same_second(standings, user, items, found[its]),
                exhausted=len(at) - sum(knows) < count,
            )
        )
    return result


def _best(scores: NDArray[np.float64], known: NDArray[np.bool_], count: int) -> NDArray[np.int64]:
    """Return the order of the best, only ``count`` of them new; items ascend: ties by track id."""
    order = np.argsort(-scores, kind="stable")
    new = ~known[order]
    kept: NDArray[np.int64] = order[(np.cumsum(new) <= count) | ~new]
    return kept


def _same_second(
    standings: Standings, user: int, items: NDArray[np.int64], found: NDArray[np.int64]
) -> list[bool]:
    newest = standings[user].same_second
    if not newest.any():
        return [False] * len(found)
    same: list[bool] = np.isin(found, items[standings.its(user)][newest]).tolist()
    return same


def _exclude(
    space: RankingSpace,
    sifted: Sifted,
    standings: Standings,
    users: Sequence[int],
    items: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Take out what is not allowed, and what is known; return the allowed known items and whose they are."""
    of_user = standings.users
    if len(users) < len(standings):
        place = np.full(len(standings), -1)
        place[list(users)] = np.arange(len(users))
        of_user = place[of_user]
    there = (items >= 0) & (of_user >= 0)
    at = np.flatnonzero(there & standings.forbidden)
    out = [(of_user[at], items[at])] if len(at) else []
    last = space.model.rows(standings.last_track_ids[list(users)])
    if last.max(initial=-1) >= 0:
        played = np.flatnonzero(last >= 0)
        out.append((played, last[played]))
    for number, user in enumerate(users):
        more = _never(space, standings[user])
        if len(more):
            out.append((np.full(len(more), number), more))
    if out:
        gone_users, gone = (np.concatenate(parts) for parts in zip(*out, strict=True))
        sifted.exclude(gone_users, gone)
    at = np.flatnonzero(there & (standings.known | standings.same_second))
    known_users, known = of_user[at], items[at]
    allowed = sifted.allowed(known_users, known)
    known_users, known = known_users[allowed], known[allowed]
    sifted.exclude(known_users, known)
    return known_users, known


def _never(space: RankingSpace, stands: Standing) -> NDArray[np.int64]:
    """Return the items outside of the catalogue, and those of hidden artists."""
    if not len(stands.hidden_artists):
        return space.outside
    return np.concatenate([space.outside, space.of_artists(stands.hidden_artists)])
