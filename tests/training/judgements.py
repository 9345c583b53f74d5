"""A judgement with known lists, without Spark: what the report's tests draw."""

from typing import Any

import numpy as np

from training.artists import Artists
from training.contestants import Contestant, figures
from training.evaluation import user_metrics
from training.evaluation_tables import TITLES
from training.interactions import Ids
from training.judgement import Judged
from training.report_page import Subject

USERS, ITEMS = 30, 40


def judged() -> Judged:
    """Return 30 users: each trained on five or more tracks of 40, two held out."""
    random = np.random.default_rng(4)
    rows = [random.choice(ITEMS, 7 + user % 9, replace=False) for user in range(USERS)]
    flat = np.concatenate(rows)
    return Judged(
        track_ids=np.arange(1, ITEMS + 1),
        offsets=np.concatenate(([0], np.cumsum([len(row) for row in rows]))),
        items=flat,
        tracks=flat + 1,
        values=np.ones(len(flat)),
        held_out=np.concatenate([np.arange(len(row)) < 2 for row in rows]),
        first_s=np.full(len(flat), 100),
        timed=np.ones(USERS, bool),
    )


def evaluation() -> dict[str, Any]:
    """Return the figures of five contestants: the model finds all, the others ever less."""
    one = judged()
    random = np.random.default_rng(5)
    listeners = np.bincount(one.items[~one.held_out], minlength=ITEMS)
    ids = Ids(np.array([b"u"] * USERS), one.track_ids, listeners, listeners)
    found = []
    for number, name in enumerate(TITLES):
        lists = np.array([random.permutation(ITEMS)[:20] for _ in range(USERS)])
        for user, wanted in enumerate(one.relevant):
            if random.random() > number / 5:
                lists[user, : len(wanted)] = sorted(wanted)
        found.append(Contestant(name, lists, user_metrics(lists, one.relevant)))
    artists = Artists(one.track_ids, one.track_ids // 4)
    return {
        "split": {"kind": "time", "users": USERS, "tracks": ITEMS, "held_out": 2 * USERS},
        "absent": {},
        "rmse": 0.5,
        "outliers": {"kept": {"users": USERS, "interactions": 100, "clipped": 0}},
        **figures(found, one, ids, artists, seed=1),
    }


def subject(**changes: Any) -> Subject:
    """Return what a page is made of."""
    given: dict[str, Any] = {
        "model_id": "ab" * 32,
        "state": "published",
        "reason": None,
        "snapshot_id": "s-1",
        "parameters": {"rank": 8, "alpha": 1.0},
        "evaluation": evaluation(),
        "created_ms": 1_700_000_000_000,
    }
    return Subject(**(given | changes))
