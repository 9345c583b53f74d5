"""A few users of a snapshot, read without Spark: for comparisons and for drift."""

import numpy as np

from connections.snapshot_store import SnapshotStore
from recommender.encoding import History
from schemas.snapshots import Manifest


def sampled_histories(store: SnapshotStore, manifest: Manifest, users: int, seed: int) -> list[History]:
    """Return the histories of at most ``users`` users, the same ones for the same seed and snapshot.

    User ids are random, so whole parts are a fair sample: no more parts are read than are needed.

    Raises
    ------
    InvalidSnapshot
        A part is missing or cannot be read.
    """
    random = np.random.default_rng(seed)
    found: list[History] = []
    for at in random.permutation(len(manifest.parts)):
        if len(found) >= users:
            break
        part = manifest.parts[at]
        if part.users == 0:
            continue
        _, rows = store.read_part(manifest.generation, manifest.snapshot_id, part.partition)
        ids = sorted(rows)
        drawn = random.permutation(len(ids))[: users - len(found)]
        found.extend(History.from_bytes(rows[ids[number]]) for number in sorted(drawn))
    return found
