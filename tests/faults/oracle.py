"""What should be: a plain fold of the acknowledged events, and what the workers' snapshot holds instead."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq

from agents.snapshots import ask_for_snapshot, wait_for_snapshot
from connections.event_log import LogReader
from connections.log_writer import LogWriter
from connections.snapshot_store import SnapshotStore
from recommender.encoding import History
from schemas.settings import Settings
from tests.worlds import newest_lists


def expected_listens(acknowledged: Iterable[tuple[str, object]]) -> Counter[str]:
    """Return the listens of each user: every (session, seq) once, half of the track or four minutes heard."""
    known: set[tuple[str, str, int]] = set()
    listens: Counter[str] = Counter()
    for user, event in acknowledged:
        identity = (user, event.session, event.seq)
        if identity in known:
            continue
        known.add(identity)
        heard, length = getattr(event, "listened_ms", 0), getattr(event, "track_ms", None)
        if length is not None and (heard * 2 >= length or heard >= 4 * 60_000):
            listens[user] += 1
    return listens


def differences(expected: Counter[str], held: Counter[str], users: Iterable[str]) -> tuple[int, int]:
    """Return (listens that are missing, listens that are too many)."""
    some = list(users)
    lost = sum(max(0, expected[user] - held[user]) for user in some)
    double = sum(max(0, held[user] - expected[user]) for user in some)
    return lost, double


def listens_of(history: bytes) -> int:
    """Return the listens that a history holds."""
    return int(History.from_bytes(history).interactions["listens"].sum())


async def snapshot_folder(settings: Settings) -> Path:
    """Ask for a snapshot, wait until it is complete, and return where it lies."""
    async with LogReader(settings) as reader:
        generation = await reader.generation()
    async with LogWriter(settings) as writer:
        snapshot_id = await ask_for_snapshot(writer)
    store = SnapshotStore(settings.snapshot_location)
    manifest = await wait_for_snapshot(store, generation, snapshot_id, timeout_s=120)
    assert sorted(manifest.cut) == list(range(12)), manifest
    return Path(store.uri.removeprefix("file://")) / generation / snapshot_id


async def held_histories(settings: Settings) -> dict[str, bytes]:
    """Return every user's history from the parts of a new snapshot, read as plain Parquet files."""
    return await asyncio.to_thread(_read, await snapshot_folder(settings))


def _read(folder: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for part in sorted(folder.glob("part-*.parquet")):
        table = pq.read_table(part)
        for user, history in zip(table["user_id"].to_pylist(), table["history"].to_pylist(), strict=True):
            assert user not in found, f"user {user} stands in two parts"
            found[user] = history
    return found


async def users_behind(settings: Settings, last: dict[str, tuple[str, int]]) -> list[str]:
    """Return the users whose newest list does not answer their last acknowledged (session, seq).

    A list that was made anew after an activation answers no event; the audit judges it by its offset.
    """
    lists = await newest_lists(settings)
    causes = {user: lists[user].cause for user in last if user in lists}
    anew = {user for user, cause in causes.items() if cause is None}
    answered = {user: (cause.session, cause.seq) for user, cause in causes.items() if cause is not None}
    return [user for user, identity in last.items() if user not in anew and answered.get(user) != identity]
