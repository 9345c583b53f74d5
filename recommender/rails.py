"""The rails of a page: ``because``, ``rediscover`` and ``discovery``, beside the list.

They keep the rules of the list: hidden tracks and artists never, what was just played not, at most
``artist_cap`` tracks of one artist in twenty. No track stands twice on a page: the list chooses first, then
the rails in this order. A rail of fewer than ``rail_least`` tracks is left out.

``because``
    Of the tracks heard last, the one with the greatest strength now; equally strong: the one heard last.
    Imported listens without a time count only where there are no others.
    The rail holds those nearest to it (``similar``), known ones up to ``known_share`` while there are others.
``rediscover``
    Tracks that were liked or listened to often, and not met for long in event time; by what is left of their
    strength after its decay.
``discovery``
    Seeded draws from the best new tracks, in no way met before, by artists not met lately; with propensities.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from recommender.candidates import RankingSpace, best
from recommender.catalogue import Catalogue
from recommender.exploration import draw, falling_weights
from recommender.personal import Choice, Known
from recommender.ranking_config import RankingConfig
from recommender.selection import Selection
from recommender.similar import Near
from recommender.standing import Standing
from schemas.recommendations import Item, Rail, RailKind, Reason


class Board:
    """What stands on a page so far, and what may never stand there: rows of the catalogue.

    Parameters
    ----------
    rows : int64 [t], of the tracks of the history, -1 where there is none
    taken : rows that stand in the list

    Attributes
    ----------
    taken : rows that stand on the page
    rails : in the order in which they chose
    """

    def __init__(
        self,
        catalogue: Catalogue,
        stands: Standing,
        rows: NDArray[np.int64],
        taken: set[int],
        config: RankingConfig,
    ) -> None:
        self._barred = {-1, *rows[stands.forbidden | stands.same_second].tolist()}
        if stands.last_track_id is not None:
            self._barred.update(catalogue.rows(np.array([stands.last_track_id], np.int64)).tolist())
        self._artists = set(stands.hidden_artists.tolist())
        self._config = config
        self.taken = taken
        self.rails: list[Rail] = []

    def selection(self) -> Selection:
        """Return an empty rail that takes nothing that stands on the page."""
        return Selection(self._config.rail_length, self._config.artist_cap, self.taken)

    def may_stand(self, row: int, artist: int) -> bool:
        """Say whether the rules allow a track; row -1, outside of the catalogue, is not allowed."""
        return row not in self._barred and artist not in self._artists

    def add(
        self, kind: RailKind, items: list[Item], rows: Sequence[int], track_id: int | None = None
    ) -> None:
        """Add a rail, its items in ``rows`` of the catalogue, unless it is too short."""
        if items and len(items) >= self._config.rail_least:
            self.taken.update(rows)
            self.rails.append(Rail(kind=kind, items=items, track_id=track_id))


def seed_of(
    stands: Standing, items: NDArray[np.int64], rows: NDArray[np.int64], config: RankingConfig
) -> int | None:
    """Return the row of the model of the track of ``because``, None where there is none.

    Parameters
    ----------
    items, rows : int64 [t], rows of the model and of the catalogue of the tracks of the history
    """
    fit = (stands.heard > 0) & ~stands.unwanted & (stands.strength > 0) & (items >= 0) & (rows >= 0)
    timed = fit & (stands.last_s > 0)
    at = np.flatnonzero(timed if timed.any() else fit)
    if not len(at):
        return None
    strength = stands.strength[at]
    # the tracks ascend by id, and so do their rows of the model: the order of those that are alike otherwise
    order = np.lexsort((-strength, -stands.last_s[at]))[: config.heard_last]
    return int(items[at[order[np.argmax(strength[order])]]])


def add_because(
    board: Board, space: RankingSpace, seed: int, near: Near, user: Known, config: RankingConfig
) -> None:
    """Add the tracks nearest to the one in row ``seed`` of the model."""
    known = set(user.rows[user.stands.known].tolist())
    rows, by_sound = space.catalogue_rows[near.rows].tolist(), (~space.model.fitted[near.rows]).tolist()
    artists = space.artists[near.rows].tolist()
    fitted = bool(space.model.fitted[seed])
    sounds_left = int(config.sound_share * config.rail_length) if fitted else config.rail_length
    known_left = int(config.known_share * config.rail_length)
    selection, put_off = board.selection(), []
    for row, artist, sound in zip(rows, artists, by_sound, strict=True):
        if selection.missing <= 0:
            break
        if (sound and not sounds_left) or not board.may_stand(row, artist):
            continue
        if row in known and not known_left:
            put_off.append((row, artist))
        elif selection.take(row, artist):
            sounds_left -= sound
            known_left -= row in known
    selection.take_until(put_off)
    track_id = int(space.model.track_ids[seed])
    alike, audio = Reason(kind="similar", track_id=track_id), Reason(kind="audio", track_id=track_id)
    chosen = [at for at, row in enumerate(rows) if row in selection.taken]
    ids, cosines = space.model.track_ids[near.rows[chosen]].tolist(), near.cosines[chosen].tolist()
    items = [
        Item(track_id=one, score=cosine, reasons=[audio if by_sound[at] or not fitted else alike])
        for at, one, cosine in zip(chosen, ids, cosines, strict=True)
    ]
    board.add("because", items, [rows[at] for at in chosen], track_id)


def add_rediscover(
    board: Board, catalogue: Catalogue, stands: Standing, rows: NDArray[np.int64], config: RankingConfig
) -> None:
    """Add what the user liked or listened to often, and has not met for long."""
    loved = (stands.liked | (stands.heard >= config.rediscover_listens)) & ~stands.unwanted
    at = np.flatnonzero(loved & (stands.strength > 0) & ~stands.lately(config.rediscover_days) & (rows >= 0))
    if len(at) < config.rail_least:
        return
    scores = np.round(stands.strength[at], 6)
    order = np.argsort(-scores, kind="stable")  # ties by track id
    at, scores = at[order], scores[order]
    rows = rows[at]
    artists = catalogue.artist_ids[rows].tolist()
    selection, chosen = board.selection(), []
    for place, (row, artist) in enumerate(zip(rows.tolist(), artists, strict=True)):
        if selection.missing <= 0:
            break
        if board.may_stand(row, artist) and selection.take(row, artist):
            chosen.append(place)
    at = at[chosen]
    those = zip(
        stands.track_ids[at].tolist(),
        scores[chosen].tolist(),
        stands.heard[at].tolist(),
        (1000 * stands.last_s[at]).tolist(),
        strict=True,
    )
    items = [
        Item(track_id=one, score=score, reasons=[Reason(kind="heard", count=count, last_ms=last_ms)])
        for one, score, count, last_ms in those
    ]
    board.add("rediscover", items, list(selection.taken))


@dataclass(frozen=True, eq=False, slots=True)
class Drawn:
    """Items that were drawn: rows of the model and of the catalogue, scores, propensities, as drawn."""

    items: NDArray[np.int64]
    rows: list[int]
    scores: list[float]
    propensities: list[float]


def drawn_for_discovery(
    board: Board, space: RankingSpace, choice: Choice, user: Known, config: RankingConfig
) -> Drawn:
    """Draw from the best new tracks by artists not met lately."""
    items, rows, artists, scores = _pool(space, choice, user, board.taken, config)
    weights = falling_weights(len(items))
    selection = Selection(config.rail_length, config.artist_cap)  # nothing of the page is among them
    drawn = draw(selection, rows, artists, weights, user.numbers, config.rail_length)
    place_of = {row: at for at, row in enumerate(rows)}
    places = [place_of[row] for row in drawn]
    return Drawn(items[places], list(drawn), [scores[at] for at in places], list(drawn.values()))


def _pool(
    space: RankingSpace, choice: Choice, user: Known, taken: set[int], config: RankingConfig
) -> tuple[NDArray[np.int64], list[int], list[int], list[float]]:
    """Return what can be drawn, best first: rows of the model, rows of the catalogue, artists, scores."""
    candidates, stands = max(choice.candidates, user.candidates, key=lambda one: len(one.rows)), user.stands
    lately = user.rows[stands.lately(config.lately_days)]
    artists = set(space.catalogue.artist_ids[lately[lately >= 0]].tolist())
    gone = taken.union(user.rows.tolist())
    those = zip(candidates.known, candidates.rows, candidates.artists, strict=True)
    free = (
        at
        for at, (known, row, artist) in enumerate(those)
        if not known and row not in gone and artist not in artists
    )
    found = list(islice(free, config.discovery_pool))
    if len(found) == config.discovery_pool or candidates.exhausted:
        rows, of_artists = ([of[at] for at in found] for of in (candidates.rows, candidates.artists))
        return candidates.items[found], rows, of_artists, [candidates.scores[at] for at in found]
    there = space.model.rows(space.catalogue.track_ids[list(taken)])
    out = [candidates.excluded, there[there >= 0], user.items[user.items >= 0]]
    out.append(space.of_artists(np.array(list(artists), np.uint64)))
    items, scores = best(space.model, user.solution.user_factors, config.discovery_pool, np.concatenate(out))
    return items, space.catalogue_rows[items].tolist(), space.artists[items].tolist(), scores.tolist()
