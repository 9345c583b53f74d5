import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from connections.snapshot_store import SnapshotStore
from schemas.errors import InvalidSnapshot
from schemas.snapshots import Manifest, PartHeader

_HEADER = PartHeader(
    generation="g",
    snapshot_id="20260101T000000000Z-aaaaaa",
    partition=3,
    cut=17,
    fold_version="1",
    digest="d1",
    model_id=None,
    model_seq=0,
    counts={"applied": 16, "control": 1},
    users=2,
)
_ROWS = [("a" * 32, b"one"), ("b" * 32, b"two")]


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore((tmp_path / "snapshots").as_uri())


def _manifest(snapshot_id: str) -> Manifest:
    return Manifest(
        snapshot_id=snapshot_id,
        generation="g",
        fold_version="1",
        schema_version=1,
        code_version="0",
        created_ms=1,
        parts=[msgspec.structs.replace(_HEADER, snapshot_id=snapshot_id)],
    )


def test_a_part_comes_back_with_its_header_and_rows(store: SnapshotStore) -> None:
    assert store.write_part(_HEADER, _ROWS) is True

    header, rows = store.read_part("g", _HEADER.snapshot_id, 3)

    assert header == _HEADER
    assert rows == dict(_ROWS)
    assert list(store.part_headers("g", 3)) == [_HEADER]


def test_an_empty_part_can_be_read(store: SnapshotStore) -> None:
    store.write_part(_HEADER, [])

    assert store.read_part("g", _HEADER.snapshot_id, 3)[1] == {}


def test_the_first_part_wins_and_an_equal_one_is_not_written_again(store: SnapshotStore) -> None:
    store.write_part(_HEADER, _ROWS)

    assert store.write_part(_HEADER, []) is False
    assert store.read_part("g", _HEADER.snapshot_id, 3)[1] == dict(_ROWS)


def test_a_differing_part_is_an_alarm(store: SnapshotStore) -> None:
    store.write_part(_HEADER, _ROWS)

    with pytest.raises(InvalidSnapshot, match="differ"):
        store.write_part(msgspec.structs.replace(_HEADER, digest="d2"), _ROWS)


def test_a_failed_write_leaves_nothing_behind(store: SnapshotStore, tmp_path: Path) -> None:
    def rows() -> object:
        yield _ROWS[0]
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        store.write_part(_HEADER, rows())  # type: ignore[arg-type]

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_corrupt_part_is_refused(store: SnapshotStore, tmp_path: Path) -> None:
    store.write_part(_HEADER, _ROWS)
    [path] = tmp_path.rglob("*.parquet")
    path.write_bytes(path.read_bytes()[:-40])

    with pytest.raises(InvalidSnapshot):
        store.read_part("g", _HEADER.snapshot_id, 3)


def test_only_snapshots_with_a_manifest_are_complete(store: SnapshotStore) -> None:
    names = [f"2026010{day}T000000000Z-aaaaaa" for day in range(1, 5)]
    for name in names:
        store.write_part(msgspec.structs.replace(_HEADER, snapshot_id=name), _ROWS)
    for name in names[:2]:
        store.write_manifest(_manifest(name))

    assert [one.snapshot_id for one in store.manifests("g")] == [names[1], names[0]]
    assert store.incomplete("g") == [names[3], names[2]]
    assert store.parts("g", names[0], 12) is None


def test_an_unreadable_manifest_spoils_no_other_snapshot(store: SnapshotStore, tmp_path: Path) -> None:
    names = [f"2026010{day}T000000000Z-aaaaaa" for day in range(1, 4)]
    for name in names:
        store.write_part(msgspec.structs.replace(_HEADER, snapshot_id=name), _ROWS)
        store.write_manifest(_manifest(name))
    [damaged] = tmp_path.rglob(f"{names[1]}/manifest.json")
    damaged.write_bytes(b"")

    assert [one.snapshot_id for one in store.manifests("g")] == [names[2], names[0]]
    with pytest.raises(InvalidSnapshot, match=f"{names[1]}/manifest.json: not a manifest"):
        store.manifest("g", names[1])


def test_pruning_keeps_the_newest_complete_ones_and_what_is_newer(store: SnapshotStore) -> None:
    names = [f"2026010{day}T000000000Z-aaaaaa" for day in range(1, 6)]
    for name in names:
        store.write_part(msgspec.structs.replace(_HEADER, snapshot_id=name), _ROWS)
    for name in names[:4]:
        store.write_manifest(_manifest(name))

    gone = store.prune("g", keep=2)

    assert sorted(gone) == names[:2]
    assert store.incomplete("g") == [names[4]]


def test_writing_a_part_loads_no_pandas(tmp_path: Path) -> None:
    code = (
        "import sys, tests.connections.test_snapshot_store as here\n"
        "here.SnapshotStore(sys.argv[1]).write_part(here._HEADER, here._ROWS)\n"
        "print('pandas' in sys.modules)"
    )
    command = [sys.executable, "-c", code, tmp_path.as_uri()]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "False\n"
