"""Synthetic plays: users with a taste, tracks of very different popularity; seeded."""

import numpy as np
import pyarrow as pa

_STYLES = 20
_OF_TASTE = 0.9  # share of plays that are of the user's styles


def synthetic_plays(users: int, items: int, plays: int, seed: int) -> pa.Table:
    """Return (user int, item int, rating float), each pair once, every user and item at least once.

    A track's style is its number modulo 20, its popularity falls as 1 / rank^0.8; a user has two styles.
    The rating is a count of listens, 1 and more.
    """
    random = np.random.default_rng(seed)
    user = np.concatenate([np.arange(users), np.arange(items) % users, random.integers(0, users, plays)])
    place = np.minimum(random.pareto(0.8, len(user)) * items / 200, items - 1).astype(np.int64)
    styles = random.integers(0, _STYLES, (users, 2))
    wanted = styles[user, random.integers(0, 2, len(user))]
    liked = np.minimum(place - place % _STYLES + wanted, items - 1)
    item = np.where(random.random(len(user)) < _OF_TASTE, liked, place)
    item[users : users + items] = np.arange(items)
    pairs, counts = np.unique(user * np.int64(items) + item, return_counts=True)
    return pa.table(
        {
            "user": pa.array((pairs // items).astype(np.int32)),
            "item": pa.array((pairs % items).astype(np.int32)),
            "rating": pa.array(counts.astype(np.float32)),
        }
    )
