"""No archive with a hostile index gets as far as being unpacked."""

import io
import random
import re
import stat
import struct
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.archives import ARCHIVES, Archive
from etl.zip_index import read_index, why_not
from schemas.errors import InvalidInput
from tests.etl.fma_archives import archive_of, clips, member, with_list, zipped

SMALL = ARCHIVES["small"]
FILES = with_list(clips(4, 3_000))
HOSTILE = (
    "",
    "/etc/passwd",
    "//host/share",
    "../fma_small/000/000002.mp3",
    "fma_small/../../000/000002.mp3",
    "fma_small/000/../000/000002.mp3",
    "fma_small/000/./000002.mp3",
    "fma_small//000/000002.mp3",
    "fma_small\\000\\000002.mp3",
    "C:/fma_small/000/000002.mp3",
    "c:000002.mp3",
    "fma_small/000/000002.mp3\x00.sh",
    "fma_small/000/000002.mp3\n",
    "fma_small/000/000002.mp3 ",
    "fma_small/000/000002.MP3",
    "fma_small/000/000002.mp3.part",
    "fma_small/000/001002.mp3",
    "fma_small/000/0000٢2.mp3",
    "fma_small/000/",
    "fma_small",
    "fma_small/",
    "fma_small/checksums/x",
    "fma_small/readme.txt",
    "fma_smal/000/000002.mp3",
    "fma_large/000/000002.mp3",
    "000/000002.mp3",
    "fma_small/tracks.csv",
    ".",
    "..",
    "~/x",
    "fma_small/000/\u202e3pm.200000.mp3",
)


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def made(path: Path, entries: list[tuple[zipfile.ZipInfo, bytes]]) -> Path:
    """Write a zip with these entries, whatever they are called."""
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as archive:
        warnings.simplefilter("ignore")  # zipfile warns of a name that is there twice
        for info, data in entries:
            archive.writestr(info, data, info.compress_type)
    return path


def refused(path: Path, archive: Archive = SMALL) -> str:
    with pytest.raises(InvalidInput) as error:
        read_index(path, archive)
    assert str(path) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_the_index_says_where_packed_bytes_lie(tmp_path: Path, method: int) -> None:
    data = zipped(FILES, method=method)
    path = written(tmp_path / "a.zip", data)
    members = read_index(path, archive_of(data))
    assert [found.name for found in members] == [f"fma_small/{name}" for name in FILES]
    with zipfile.ZipFile(path) as archive:
        for found, info in zip(members, archive.infolist(), strict=True):
            assert (found.size, found.crc, found.packed) == (info.file_size, info.CRC, info.compress_size)
            if method == zipfile.ZIP_STORED:
                assert data[found.offset : found.offset + found.packed] == archive.read(info)


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_name_condemns_the_archive(tmp_path: Path, name: str) -> None:
    assert why_not(SMALL, name) is not None
    info = member("fma_small/000/000002.mp3")
    info.filename = name
    path = made(tmp_path / "a.zip", [(member("fma_small/README.txt"), b"x"), (info, b"y")])
    assert "Nothing was unpacked" in refused(path)


@given(st.text(max_size=40) | st.from_regex(r"fma_small/[^/]{0,4}/[^/]{0,12}", fullmatch=True))
def test_a_name_that_is_let_through_is_one_of_fma(name: str) -> None:
    if why_not(SMALL, name) is None:
        plain = r"fma_small/(README\.txt|checksums|[0-9]{3}/[0-9]{6}\.mp3)"
        assert re.fullmatch(plain, name) is not None
        assert name.isascii()
        folder = Path("/data/fma")
        assert (folder / name).resolve().is_relative_to(folder / "fma_small")


@given(st.integers(0, 999_999))
def test_the_name_of_every_track_is_let_through(track: int) -> None:
    assert why_not(SMALL, f"fma_small/{track // 1000:03d}/{track:06d}.mp3") is None


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        (stat.S_IFLNK | 0o777, "is a link"),
        (stat.S_IFDIR | 0o755, "is not an ordinary file"),
        (stat.S_IFIFO | 0o644, "is not an ordinary file"),
        (stat.S_IFCHR | 0o644, "is not an ordinary file"),
        (stat.S_IFBLK | 0o644, "is not an ordinary file"),
        (stat.S_IFSOCK | 0o644, "is not an ordinary file"),
    ],
)
def test_links_and_devices_are_refused(tmp_path: Path, mode: int, reason: str) -> None:
    path = made(tmp_path / "a.zip", [(member("fma_small/000/000002.mp3", mode=mode), b"/etc/passwd")])
    assert reason in refused(path)


def test_a_folder_by_its_dos_attribute_is_refused(tmp_path: Path) -> None:
    info = member("fma_small/000/000002.mp3")
    info.external_attr = 0x10
    assert "is not an ordinary file" in refused(made(tmp_path / "a.zip", [(info, b"")]))


def test_a_name_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    entries = [(member("fma_small/000/000002.mp3"), text) for text in (b"one", b"two")]
    assert "is there twice" in refused(made(tmp_path / "a.zip", entries))


def patched(data: bytes, index: int, central: Mapping[int, bytes], local: Mapping[int, bytes] = {}) -> bytes:
    """Change bytes of one entry: at offsets within its central record, and within its local header."""
    changed = bytearray(data)
    at = struct.unpack_from("<I", data, data.rindex(b"PK\x05\x06") + 16)[0]
    for _ in range(index):
        lengths = struct.unpack_from("<3H", data, at + 28)
        at += 46 + sum(lengths)
    for offset, value in central.items():
        changed[at + offset : at + offset + len(value)] = value
    begin = struct.unpack_from("<I", data, at + 42)[0]
    for offset, value in local.items():
        changed[begin + offset : begin + offset + len(value)] = value
    return bytes(changed)


PLAIN = zipped(FILES)


@pytest.mark.parametrize(
    ("central", "local", "reason"),
    [
        ({8: b"\x01\x00"}, {6: b"\x01\x00"}, "is encrypted"),
        ({8: b"\x40\x00"}, {6: b"\x40\x00"}, "is encrypted"),
        ({8: b"\x20\x00"}, {6: b"\x20\x00"}, "compressed patched data|is encrypted"),
        ({10: b"\x0e\x00"}, {8: b"\x0e\x00"}, "method 14"),
        ({10: b"\x5f\x00"}, {8: b"\x5f\x00"}, "method 95"),
        ({}, {6: b"\x02\x00"}, "another one in its own header"),
        ({}, {8: b"\x08\x00"}, "another one in its own header"),
        ({}, {30: b"F"}, "another one in its own header"),
        ({}, {26: b"\x05\x00"}, "another one in its own header"),
        ({}, {0: b"PK\x03\x05"}, "another one in its own header"),
        ({20: struct.pack("<I", 900_000)}, {}, "overlaps another one"),
        ({24: struct.pack("<I", 300 << 20)}, {}, "would have 300.0 MiB"),
        ({24: struct.pack("<I", 60 << 20)}, {}, "would grow from"),
        ({10: b"\x00\x00"}, {8: b"\x00\x00"}, "is stored, but its packed size is another one"),
    ],
)
def test_entries_that_lie_are_refused(
    tmp_path: Path, central: Mapping[int, bytes], local: Mapping[int, bytes], reason: str
) -> None:
    path = written(tmp_path / "a.zip", patched(PLAIN, 3, central, local))
    assert re.search(reason, refused(path))


def test_two_entries_over_the_same_bytes_are_refused(tmp_path: Path) -> None:
    """The better zip bomb: many names, one body."""
    entry = struct.unpack_from("<I", patched(PLAIN, 0, {}), PLAIN.rindex(b"PK\x05\x06") + 16)[0]
    first = struct.unpack_from("<I", PLAIN, entry + 42)[0]
    assert first == 0
    names = list(FILES)
    twin = zipped({names[2]: FILES[names[2]], names[3]: FILES[names[2]]})
    both = patched(twin, 1, {42: struct.pack("<I", 0)}, {})
    assert re.search("overlaps|own header", refused(written(tmp_path / "a.zip", both)))


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"members": 3}, "members, more than 3"),
        ({"member_bytes": 1_000}, "more than 1000 B"),
        ({"total_bytes": 5_000}, "too much to be FMA's"),
        ({"ratio": 0.5, "ratio_from": 10}, "more than 0.5 to 1"),
    ],
)
def test_caps_hold(tmp_path: Path, limits: Mapping[str, float], reason: str) -> None:
    archive = archive_of(PLAIN)
    archive = replace(archive, limits=replace(archive.limits, **limits))
    assert reason in refused(written(tmp_path / "a.zip", PLAIN), archive)


def test_a_bomb_of_many_small_members_is_refused(tmp_path: Path) -> None:
    """Each is small enough to be digital silence; together they are not."""
    silence = bytes(2_000_000)
    names = [f"000/{number:06d}.mp3" for number in range(20)]
    path = written(tmp_path / "a.zip", zipped(dict.fromkeys(names, silence)))
    assert "too much to be FMA's" in refused(path)


def test_one_silent_clip_is_none(tmp_path: Path) -> None:
    files = clips(3, 900_000) | {"155/155000.mp3": bytes(1_200_000)}
    data = zipped(with_list(files), method=zipfile.ZIP_DEFLATED)
    assert len(read_index(written(tmp_path / "a.zip", data), archive_of(data))) == 6


def test_zip64_with_more_than_65535_members_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(66_000):
            archive.writestr(
                member(f"fma_large/{number // 1000:03d}/{number:06d}.mp3", zipfile.ZIP_STORED), b""
            )
    assert len(read_index(path, ARCHIVES["large"])) == 66_000
    assert "directory claims" in refused(path)


def test_a_directory_that_claims_to_be_huge_is_not_read(tmp_path: Path) -> None:
    data = bytearray(PLAIN + bytes(4_000_000))
    end = len(PLAIN) - 22
    data[end:] = bytes(4_000_000) + PLAIN[end:]
    data[-10:-6] = struct.pack("<I", 4_000_000)
    assert "directory claims 4,000,000 bytes" in refused(written(tmp_path / "a.zip", bytes(data)))


@pytest.mark.parametrize("data", [b"", b"PK", b"<html>gone</html>", PLAIN[:-30], PLAIN[: len(PLAIN) // 2]])
def test_what_is_no_zip_is_refused(tmp_path: Path, data: bytes) -> None:
    assert "is not a zip archive that can be read" in refused(written(tmp_path / "a.zip", data))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "cannot be read" in refused(tmp_path / "none.zip")


def _flip(data: bytes, seed: int) -> bytes:
    draw, changed = random.Random(seed), bytearray(data)
    end = data.rindex(b"PK\x01\x02")
    for _ in range(draw.randrange(1, 6)):
        # half of the changes hit the directory, where they tell most
        at = draw.randrange(len(data)) if draw.random() < 0.5 else draw.randrange(end, len(data))
        changed[at] = draw.randrange(256)
    return bytes(changed)


@settings(max_examples=150)
@given(st.integers(0, 2**32), st.integers(0, 400))
def test_whatever_is_changed_ends_in_an_index_or_a_refusal(tmp_path_factory, seed: int, cut: int) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.zip"
    path.write_bytes(_flip(PLAIN, seed)[cut if cut > 350 else 0 :])
    try:
        members = read_index(path, archive_of(PLAIN))
    except InvalidInput:
        return
    assert all(why_not(SMALL, found.name) is None for found in members)


def test_bytes_before_the_archive_do_not_confuse_places(tmp_path: Path) -> None:
    path = written(tmp_path / "a.zip", b"#!/bin/sh\n" + PLAIN)
    members = read_index(path, archive_of(PLAIN))
    with zipfile.ZipFile(io.BytesIO(PLAIN)) as archive:
        assert [found.crc for found in members] == [info.CRC for info in archive.infolist()]
