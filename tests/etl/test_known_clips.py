"""The six clips that FMA itself has broken, and the ids that its crawler did not find."""

import json
from pathlib import Path

import pytest

from etl.known_clips import DEFECTS, defects_of, explained, is_known
from etl.not_found import read_not_found
from etl.rows import Described
from schemas.errors import InvalidInput

KNOWN = "known defect of FMA, the clip holds about 1 s of sound"


def test_they_are_six_clips_of_fma_small(sample_data: Path) -> None:
    names = {
        line.split(",")[0]
        for line in (sample_data / "fma-metadata" / "fma_small.csv").read_text().splitlines()
    }
    assert {f"{number // 1000:03d}/{number:06d}.mp3" for number in DEFECTS} <= names
    assert defects_of([2, 98565, 133297]) == {
        "098565": "holds about 1 s of sound", "133297": "holds no sound",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("too short: decodes to 1.6 s", f"too short: decodes to 1.6 s; {KNOWN}"),
        ("empty file (0 bytes)", f"empty file (0 bytes): {KNOWN}"),
    ],
)
def test_the_reason_says_that_the_defect_is_known_and_keeps_its_kind(reason: str, told: str) -> None:
    assert explained("98565", reason) == told
    assert explained("98565", told) == told
    assert told.split(":")[0] == reason.split(":")[0]
    assert is_known(told)
    assert explained("2", reason) == explained("cover.mp3", reason) == reason
    assert not is_known(reason)


def row(track_id: int, artist_id: int, album_id: int | None) -> Described:
    details = {"_id": track_id} | ({"album": {"id": album_id}} if album_id else {})
    return Described({"_id": track_id, "artist_id": artist_id}, details)  # type: ignore[arg-type]


def test_rows_that_the_crawler_did_not_find_are_counted(tmp_path: Path) -> None:
    lists = {"tracks": [2], "albums": [None, "7"], "artists": [5], "audio": [], "other": [1]}
    (tmp_path / "not_found.json").write_text(json.dumps(lists))
    found = read_not_found(tmp_path)
    for each in (row(2, 5, 7), row(3, 5, None), row(4, 1, 8)):
        found.count(each)
    assert found.rows == {"tracks": 1, "albums": 1, "artists": 2}


def test_the_official_lists_are_read(sample_data: Path, tmp_path: Path) -> None:
    found = read_not_found(sample_data / "fma-metadata")
    found.count(row(0, 236, 21))
    assert found.rows == {"tracks": 1, "albums": 1, "artists": 1}
    assert not read_not_found(tmp_path).rows


@pytest.mark.parametrize("content", ["", "[1]", '{"tracks": 5}', "nonsense", "[" * 100_000])
def test_a_broken_list_is_one_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / "not_found.json").write_text(content)
    with pytest.raises(InvalidInput, match=r"not_found\.json cannot be read: .*; repair or remove it"):
        read_not_found(tmp_path)


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    (tmp_path / "not_found.pickle").write_bytes(
        b"cos\nsystem\n(S'touch " + bytes(tmp_path / "hit") + b"'\ntR."
    )
    assert not read_not_found(tmp_path).rows
    assert not (tmp_path / "hit").exists()
