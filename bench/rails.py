"""What the rails add to a list: pages with rails beside lists alone, for the same users, in turn.

``ratio`` is the CPU time of a page over that of a list, one user at a time, where the neighbours of the track
that ``because`` names are kept; ``first`` is the same where they never are: each page pays for a product over
all factors. Both also for batches of 4 and 32. The time is that of one thread, which other work on the
machine moves less than the clock. ``equal`` says whether the lists are the same with and without rails, in
every batch.
"""

import argparse
import platform
import time
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from recommender.encoding import INTERACTION, History
from recommender.model import Model
from recommender.ranking import Catalogue, Charts, RankingConfig, Request, rank
from schemas.recommendations import Item

BATCHES = (1, 4, 32)
SIDES = ("list", "page", "first")
_NOW_S = 1_700_000_000
_DAYS_S = 120 * 86_400
_PER_REPEAT = 64


def run(arguments: list[str]) -> dict[str, Any]:
    """Measure and return ratio, spread, equality, and microseconds per user."""
    parser = argparse.ArgumentParser(prog="python -m bench rails", description=__doc__)
    parser.add_argument("--items", type=int, default=106_574, help="tracks in model and catalogue")
    parser.add_argument("--rank", type=int, default=64, help="factors")
    parser.add_argument("--history", type=int, default=50, help="interactions of each user")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1, help="seed of factors and histories")
    options = parser.parse_args(arguments)
    random = np.random.default_rng(options.seed)
    model, catalogue = _world(random, options.items, options.rank)
    users = _PER_REPEAT * (options.repeats * len(BATCHES) + 1)
    requests = [_request(random, user, options.items, options.history) for user in range(users)]
    with threadpool_limits(limits=1):
        return {"name": "rails", **_measured(model, catalogue, requests, options.repeats)}


def _measured(model: Model, catalogue: Catalogue, requests: list[Request], repeats: int) -> dict[str, Any]:
    pages = partial(rank, model=model, catalogue=catalogue, charts=Charts.empty(), config=RankingConfig())
    lists = partial(pages, rails=False)
    warm, fresh = requests[:_PER_REPEAT], requests[_PER_REPEAT:]
    expected = [page.items for page in lists(warm)]
    equal = [page.items for page in pages(warm)] == expected  # from now on their neighbours are kept
    spent: dict[str, dict[int, list[float]]] = {side: {batch: [] for batch in BATCHES} for side in SIDES}
    for _ in range(repeats):
        for batch in BATCHES:
            never, fresh = fresh[:_PER_REPEAT], fresh[_PER_REPEAT:]
            took, found = _in_turn(
                {"list": (lists, warm), "page": (pages, warm), "first": (pages, never)}, batch
            )
            equal = equal and found["list"] == found["page"] == expected
            for side in SIDES:
                spent[side][batch].append(took[side])
    ratios = {
        side: {
            batch: [one / other for one, other in zip(times, spent["list"][batch], strict=True)]
            for batch, times in by_batch.items()
        }
        for side, by_batch in spent.items()
    }
    alone = ratios["page"][1]
    return {
        "ratio": round(float(np.median(alone)), 3),
        "low": round(min(alone), 3),
        "high": round(max(alone), 3),
        "equal": equal,
        "page": {batch: round(float(np.median(each)), 3) for batch, each in ratios["page"].items()},
        "first": {batch: round(float(np.median(each)), 3) for batch, each in ratios["first"].items()},
        "microseconds_per_user": {
            side: {batch: round(float(np.median(each))) for batch, each in by_batch.items()}
            for side, by_batch in spent.items()
        },
        "items": len(model.track_ids),
        "rank": model.rank,
        "versions": {"python": platform.python_version(), "numpy": version("numpy")},
    }


def _in_turn(
    sides: dict[str, tuple[Any, list[Request]]], batch: int
) -> tuple[dict[str, float], dict[str, list[list[Item]]]]:
    """Return each side's CPU time per user in microseconds, and its lists; they take turns at each batch."""
    spent = dict.fromkeys(sides, 0.0)
    found: dict[str, list[list[Item]]] = {side: [] for side in sides}
    for at in range(0, _PER_REPEAT, batch):
        for side, (rank_all, requests) in sides.items():
            began = time.thread_time()
            pages = rank_all(requests[at : at + batch])
            spent[side] += 1e6 * (time.thread_time() - began) / _PER_REPEAT
            found[side].extend(page.items for page in pages)
    return spent, found


def _world(random: np.random.Generator, items: int, rank_: int) -> tuple[Model, Catalogue]:
    track_ids = np.arange(1, items + 1)
    rows = random.normal(scale=rank_**-0.5, size=(items, rank_)).astype(np.float32)
    ones = np.ones(items, np.float32)
    model = Model.build("bench", track_ids, rows, ones > 0, ones, reg_param=0.1, alpha=10.0)
    return model, Catalogue("bench", track_ids, random.integers(1, max(items // 7, 2), items))


def _request(random: np.random.Generator, user: int, items: int, size: int) -> Request:
    interactions = np.zeros(size, INTERACTION)
    interactions["track_id"] = random.choice(items, size, replace=False) + 1
    interactions["listens"] = random.integers(1, 20, size)
    interactions["last_s"] = _NOW_S - random.integers(0, _DAYS_S, size)
    return Request(f"{user:032x}", 0, user, History.of(interactions, last_event_ms=1000 * _NOW_S))
