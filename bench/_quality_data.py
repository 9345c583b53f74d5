"""Data of listeners and viewers as histories: HetRec Last.fm, and MovieLens-1M where its folder is given."""

import os
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recommender.encoding import EMPTY
from recommender.history import apply
from schemas import events
from schemas.errors import InvalidInput

_FIRST_ID = 2**32  # ids of other sources than FMA begin here
_PARTS = 4
_LIKED = 4  # stars from which a rating says that a film was liked
Rows = Iterable[tuple[int, int, int, int | None]]


def hetrec_folder() -> Path:
    """Return where HetRec Last.fm lies unless another folder is named."""
    samples = os.environ.get("SEGUE_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
    return Path(samples) / "hetrec2011-lastfm-2k"


def hetrec_histories(folder: Path) -> dict[str, bytes]:
    """Return the histories that importing ``user_artists.dat`` (userID, artistID, weight) makes.

    Raises
    ------
    InvalidInput
        The file is not there.
    """
    path = folder / "user_artists.dat"
    if not path.is_file():
        raise InvalidInput(f"{path} is missing: give the folder of hetrec2011-lastfm-2k by --data")
    rows = np.loadtxt(path, skiprows=1, dtype=np.int64).tolist()
    return _histories("hetrec", ((user, artist, count, None) for user, artist, count in rows))


def movielens_histories(folder: Path) -> dict[str, bytes]:
    """Return histories of films rated with four stars or more, one listen each, at the time of the rating.

    Reads ``ratings.dat`` as GroupLens publishes it (``::`` between fields), or the leave-one-out pair
    ``ml-1m.train.rating`` and ``ml-1m.test.rating`` that some packages carry (tabulators): together they
    hold the same million ratings, with users and films numbered from 0.

    Raises
    ------
    InvalidInput
        Neither is there.
    """
    whole = folder / "ratings.dat"
    pair = [folder / "ml-1m.train.rating", folder / "ml-1m.test.rating"]
    if whole.is_file():
        lines = [line.split("::") for line in whole.read_text(encoding="latin-1").splitlines()]
    elif all(path.is_file() for path in pair):
        lines = [line.split("\t") for path in pair for line in path.read_text().splitlines()]
    else:
        raise InvalidInput(
            f"{folder} holds neither ratings.dat nor ml-1m.train.rating and ml-1m.test.rating: MovieLens may "
            "not be redistributed, so give the folder of your own copy of ml-1m by --movielens"
        )
    rated = np.array(lines, np.int64)
    liked = rated[rated[:, 2] >= _LIKED]
    liked = liked[np.lexsort((liked[:, 1], liked[:, 3]))]
    rows = ((user, film, 1, at_s * 1000) for user, film, _, at_s in liked.tolist())
    return _histories("movielens", rows)


def write_parts(histories: dict[str, bytes], folder: Path) -> list[str]:
    """Write histories as the parts of a snapshot; return their addresses."""
    folder.mkdir(parents=True)
    users = sorted(histories)
    for part in range(_PARTS):
        chosen = users[part::_PARTS]
        data = pa.array([histories[user] for user in chosen], pa.binary())
        pq.write_table(pa.table({"user_id": chosen, "history": data}), folder / f"part-{part:02d}.parquet")
    return [path.as_uri() for path in sorted(folder.iterdir())]


def _histories(source: str, rows: Rows) -> dict[str, bytes]:
    """Fold one ``ImportedListens`` for each row (user, item, count, time), as an import does."""
    histories: dict[str, bytes] = {}
    for user, item, count, time_ms in rows:
        user_id = blake2b(f"{source}:{user}".encode(), digest_size=16).hexdigest()
        event = events.ImportedListens(
            session=source,
            seq=0,
            client_time_ms=0,
            server_time_ms=time_ms or 1,
            source=source,
            track_id=_FIRST_ID + item,
            count=count,
            last_time_ms=time_ms,
        )
        histories[user_id] = apply(histories.get(user_id, EMPTY), event)
    return histories
