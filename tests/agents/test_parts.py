"""Parts from which a worker restores: what cannot be used is passed over, never used."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agents.parts import header_of, newest_state, write_part
from connections.snapshot_store import SnapshotStore
from recommender.encoding import EMPTY
from recommender.partition import PartitionState
from tests.builders import generation, play, records

LOG = records((None, generation()), *((number % 3, play(seq=number)) for number in range(40)))


def state(end: int) -> PartitionState:
    folded = PartitionState(3)
    folded.fold(LOG[:end])
    return folded


def _cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _other_history(path: Path) -> None:
    table = pq.read_table(path)
    histories = [EMPTY, *table["history"].to_pylist()[1:]]
    pq.write_table(table.set_column(1, "history", pa.array(histories, pa.binary())), path)


def _flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0xFF
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [_cut_off, _emptied, _other_history, _flipped])
def test_a_damaged_part_is_passed_over_for_an_older_one(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    store = SnapshotStore(tmp_path.as_uri())
    for name, end in (("20260101T000000000Z-aaaaaa", 20), ("20260102T000000000Z-aaaaaa", 30)):
        write_part(store, name, state(end))
    assert newest_state(store, "g1", 3, 41).position == 30
    [path] = tmp_path.rglob("20260102*/part-03.parquet")
    damage(path)

    found = newest_state(store, "g1", 3, 41)

    assert (found.position, found.digest()) == (20, state(20).digest())
    assert newest_state(store, "g1", 3, 19).position == 0


def test_a_part_of_another_fold_is_never_used(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path.as_uri())
    name = "20260101T000000000Z-aaaaaa"
    header = msgspec.structs.replace(header_of(name, state(20)), fold_version="another")
    store.write_part(header, sorted(state(20).histories.items()))

    assert newest_state(store, "g1", 3, 41).position == 0
