"""Histories, models and catalogues to rank with."""

from typing import Any

import numpy as np

from recommender.encoding import INTERACTION, History
from recommender.history import genre_key
from recommender.model import Model
from recommender.ranking import Catalogue, Charts, RankingConfig, Request

NOW_S = 1_700_000_000
ALL_NEW = RankingConfig(
    artist_cap=1000, discovery_share=0.0, known_share=1.0, fair_score=-1e9, recent_tracks=0
)
"""Nothing but scores decides."""


def history(
    *rows: dict[str, Any], hidden_artists: tuple[int, ...] = (), genres: tuple[str, ...] = ()
) -> History:
    """Return a history of these interactions; a row is a listen unless it says otherwise."""
    interactions = np.zeros(len(rows), INTERACTION)
    for at, row in enumerate(sorted(rows, key=lambda row: row["track_id"])):
        for name, value in ({"listens": 1, "last_s": NOW_S - 1000 - row["track_id"]} | row).items():
            interactions[name][at] = value
    return History.of(
        interactions,
        hidden_artists=hidden_artists,
        genres=[genre_key(genre) for genre in genres],
        last_event_ms=NOW_S * 1000,
    )


def listened(*track_ids: int) -> History:
    return history(*({"track_id": track_id} for track_id in track_ids))


def request(of: History, user: int = 1, offset: int = 1, last: int | None = None) -> Request:
    return Request(f"{user:032x}", 0, offset, of, last)


def made(seed: int, items: int, rank: int = 8, scale: float = 0.3) -> Model:
    random = np.random.default_rng(seed)
    rows = random.normal(scale=scale, size=(items, rank)).astype(np.float32)
    fitted = np.arange(items) % 5 > 0
    return Model.build("m", np.arange(1, items + 1), rows, fitted, np.ones(items, np.float32), 0.1, 10.0)


def catalogue(tracks: int, artists: int | None = None, **genres: Any) -> Catalogue:
    track_ids = np.arange(1, tracks + 1)
    return Catalogue("c1", track_ids, track_ids if artists is None else 1 + track_ids % artists, **genres)


def charts(*counted: tuple[int, int]) -> Charts:
    tracks, counts = zip(*counted, strict=True)
    return Charts("charts", np.array(tracks), np.array(counts))
