"""Members get their names only when their bytes are what they declare."""

import bz2
import hashlib
import random
import stat
import struct
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.archives import ARCHIVES, Archive
from etl.sizes import GIB, MIB
from etl.unpack import Unpacked, unpack
from etl.unpack_journal import Journal
from etl.zip_contents import Refused, contents
from etl.zip_index import Member, read_index
from schemas.errors import InvalidInput, MissingRequirement
from tests.etl.fma_archives import README, archive_of, clips, tree, with_list, zipped

CLIPS = clips(6, 30_000)
FILES = with_list(CLIPS)
EXPECTED = {f"fma_small/{name}": data for name, data in FILES.items()}
METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2]


def put(folder: Path, data: bytes) -> Path:
    path = folder / "archive.zip"
    path.write_bytes(data)
    return path


def run(path: Path, archive: Archive, into: Path, workers: int = 2) -> Unpacked:
    into.mkdir(exist_ok=True)
    with Journal(into.parent / "journal", archive.sha1, into) as journal:
        return unpack(path, archive, into, journal, workers)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_of_fma_gives_the_files(tmp_path: Path, method: int) -> None:
    data = zipped(FILES, method=method)
    result = run(put(tmp_path, data), archive_of(data), tmp_path / "out")
    assert tree(tmp_path / "out") == EXPECTED
    assert (result.members, result.written, result.already_there, result.refused) == (8, 8, 0, {})


def test_a_second_run_writes_nothing(tmp_path: Path) -> None:
    data = zipped(FILES)
    run(put(tmp_path, data), archive_of(data), tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    result = run(put(tmp_path, data), archive_of(data), tmp_path / "out")
    assert (result.written, result.already_there) == (0, 8)
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}


def test_what_is_gone_or_of_another_size_is_unpacked_again(tmp_path: Path) -> None:
    data, out = zipped(FILES), tmp_path / "out"
    run(put(tmp_path, data), archive_of(data), out)
    first, second, third, *_ = sorted((out / "fma_small").glob("*/*.mp3"))
    first.unlink()
    second.write_bytes(b"short")
    kept = third.read_bytes()
    third.unlink()
    third.symlink_to(first)  # a link in the place of a member is replaced, not followed
    result = run(put(tmp_path, data), archive_of(data), out)
    assert (result.written, result.already_there) == (3, 5)
    assert tree(out) == EXPECTED
    assert stat.S_ISREG(third.lstat().st_mode)
    assert third.read_bytes() == kept


@pytest.mark.parametrize("method", METHODS)
def test_a_flipped_byte_costs_its_member_alone(tmp_path: Path, method: int) -> None:
    name = f"fma_small/{list(CLIPS)[2]}"
    whole = zipped(FILES, method=method)
    index = read_index(put(tmp_path, whole), archive_of(whole))
    found = next(one for one in index if one.name == name)
    changed = bytearray(whole)
    changed[found.offset + found.packed // 2] ^= 0x10
    data = bytes(changed)
    result = run(put(tmp_path, data), archive_of(data), tmp_path / "out")
    assert list(result.refused) == [name]
    assert result.refused[name].startswith("damaged: ")
    assert tree(tmp_path / "out") == {key: value for key, value in EXPECTED.items() if key != name}


def declare(data: bytes, name: str, size: int | None = None, crc: int | None = None) -> bytes:
    """Let one member declare another size or CRC-32, in the directory and in its own header."""
    changed, wanted = bytearray(data), name.encode()
    for magic, crc_at, size_at, name_at in ((b"PK\x01\x02", 16, 24, 46), (b"PK\x03\x04", 14, 22, 30)):
        at = -1
        while (at := data.find(magic, at + 1)) >= 0:
            if data[at + name_at : at + name_at + len(wanted)] == wanted:
                if size is not None:
                    changed[at + size_at : at + size_at + 4] = struct.pack("<I", size)
                if crc is not None:
                    changed[at + crc_at : at + crc_at + 4] = struct.pack("<I", crc)
    return bytes(changed)


@pytest.mark.parametrize(
    ("size_change", "crc", "reason"),
    [(-1, None, "larger than declared"), (1, None, "smaller than declared"), (0, 1, "damaged: CRC-32")],
)
def test_what_is_declared_must_be_so(tmp_path: Path, size_change: int, crc: int | None, reason: str) -> None:
    short, length = next(iter(CLIPS)), len(next(iter(CLIPS.values())))
    data = declare(zipped(FILES), f"fma_small/{short}", length + size_change, crc)
    result = run(put(tmp_path, data), archive_of(data), tmp_path / "out")
    assert result.refused[f"fma_small/{short}"].startswith(reason)
    assert result.written == 7
    assert not list((tmp_path / "out").rglob("*.part"))


def test_a_member_is_held_against_the_list_in_the_archive(tmp_path: Path) -> None:
    first, second, *_ = CLIPS
    files = with_list(CLIPS)
    files[first], files["155/155999.mp3"] = b"not what the list says", b"not in the list"
    del files[second]
    data = zipped(files)
    result = run(put(tmp_path, data), archive_of(data), tmp_path / "out")
    assert set(result.refused) == {f"fma_small/{first}", f"fma_small/{second}"}
    assert result.refused[f"fma_small/{first}"].startswith("not the listed file: SHA-1 ")
    assert result.refused[f"fma_small/{second}"].startswith("missing: ")
    # only its archive vouches for it, as for README.txt
    assert (tmp_path / "out" / "fma_small" / "155" / "155999.mp3").read_bytes() == b"not in the list"


def test_an_archive_without_list_is_unpacked(tmp_path: Path) -> None:
    data = zipped(CLIPS)
    assert run(put(tmp_path, data), archive_of(data), tmp_path / "out").written == len(CLIPS)


def test_a_list_that_is_none_is_refused(tmp_path: Path) -> None:
    data = zipped({"checksums": b"0" * 40 + b"\n" * 3_000_000} | CLIPS)
    archive = archive_of(data)
    archive = replace(archive, limits=replace(archive.limits, ratio=1e6))
    with pytest.raises(InvalidInput, match="is no list of checksums"):
        run(put(tmp_path, data), archive, tmp_path / "out")


def test_the_pickle_of_the_metadata_is_never_written(tmp_path: Path) -> None:
    files = with_list({"not_found.pickle": b"cos\nsystem\n", "genres.csv": b"genre_id\n1\n"})
    data = zipped(files, "fma_metadata")
    result = run(put(tmp_path, data), archive_of(data, "metadata"), tmp_path / "out")
    assert (result.members, result.written, result.left_out, result.refused) == (4, 3, 1, {})
    assert set(tree(tmp_path / "out")) == {
        "fma_metadata/README.txt",
        "fma_metadata/checksums",
        "fma_metadata/genres.csv",
    }


def test_nothing_is_written_of_an_archive_with_one_hostile_member(tmp_path: Path) -> None:
    data = zipped({**FILES, "../../../../tmp/evil.mp3": b"x"})
    with pytest.raises(InvalidInput, match="climbs out"):
        run(put(tmp_path, data), archive_of(data), tmp_path / "out")
    assert tree(tmp_path / "out") == {}


def test_a_disk_without_room_is_named_before(tmp_path: Path) -> None:
    names = [f"{number // 1000:03d}/{number:06d}.mp3" for number in range(3_000)]
    # 11.7 TiB that the directory alone declares, within caps that let it pass
    data = bytearray(zipped(dict.fromkeys(names, b"x"), method=zipfile.ZIP_DEFLATED))
    at = -1
    while (at := data.find(b"PK\x01\x02", at + 1)) >= 0:
        data[at + 24 : at + 28] = struct.pack("<I", 2**32 - 2)
    archive = archive_of(bytes(data))
    caps = replace(archive.limits, member_bytes=4 * GIB, total_bytes=1 << 60, ratio=1e12)
    with pytest.raises(MissingRequirement, match=r"free, but unpacking fma_small\.zip needs 11\.7 TiB"):
        run(put(tmp_path, data), replace(archive, limits=caps), tmp_path / "out")
    assert tree(tmp_path / "out") == {}


def test_a_journal_of_another_archive_says_nothing(tmp_path: Path) -> None:
    data, out = zipped(FILES), tmp_path / "out"
    run(put(tmp_path, data), archive_of(data), out)
    other = zipped(FILES, method=zipfile.ZIP_STORED)
    assert run(put(tmp_path, other), archive_of(other), out).written == 8


@settings(max_examples=30, deadline=None)
@given(
    cut=st.integers(0, 400),
    junk=st.sampled_from([b"", b"\x00\xff\n", b"12 zz x\n", b"complet", b"7 00000000"]),
)
def test_a_journal_cut_anywhere_only_costs_work(tmp_path_factory, cut: int, junk: bytes) -> None:
    folder = tmp_path_factory.mktemp("cut")
    data = zipped({name: CLIPS[name][:100] for name in list(CLIPS)[:3]})
    path, archive = put(folder, data), archive_of(data)
    expected = run(path, archive, folder / "out").members
    journal = folder / "journal"
    journal.write_bytes(journal.read_bytes()[:cut] + junk)
    (folder / "out" / "fma_small" / next(iter(CLIPS))).unlink()
    result = run(path, archive, folder / "out")
    assert result.written + result.already_there == expected
    assert result.refused == {}
    assert len(tree(folder / "out")) == expected


def _member(method: int, packed: bytes, size: int = 0) -> Member:
    return Member("x", method, 0, len(packed), size, 0)


@pytest.mark.parametrize("method", METHODS[1:])
def test_a_bomb_comes_in_pieces(tmp_path: Path, method: int) -> None:
    """`zipfile` would hand out these 40 MB of zeros from 45 bytes of bzip2 at once."""
    zeros = bytes(40 * MIB)
    raw = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = bz2.compress(zeros) if method == zipfile.ZIP_BZIP2 else raw.compress(zeros) + raw.flush()
    path = put(tmp_path, packed)
    with path.open("rb") as file:
        pieces = [len(piece) for piece in contents(file.fileno(), _member(method, packed))]
    assert max(pieces) <= MIB
    assert sum(pieces) == 40 * MIB


@settings(max_examples=120, deadline=None)
@given(
    method=st.sampled_from(METHODS[1:]),
    seed=st.integers(0, 2**32),
    cut=st.integers(0, 3_000),
    more=st.binary(max_size=4),
)
def test_packed_bytes_of_any_kind_end_in_bytes_or_a_reason(
    tmp_path_factory, method: int, seed: int, cut: int, more: bytes
) -> None:
    draw = random.Random(seed)
    plain = draw.randbytes(1_000) + bytes(draw.randrange(5_000))
    raw = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = bz2.compress(plain) if method == zipfile.ZIP_BZIP2 else raw.compress(plain) + raw.flush()
    changed = bytearray(packed[: len(packed) - cut % len(packed)] + more)
    if changed and draw.random() < 0.7:
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    path = tmp_path_factory.getbasetemp() / "packed"
    path.write_bytes(changed)
    with path.open("rb") as file:
        try:
            found = b"".join(contents(file.fileno(), _member(method, bytes(changed))))
        except Refused as refused:
            reason = str(refused)
        else:
            reason = ""
    if reason:
        assert reason.startswith("damaged: ")
        return
    # deflate has no check of its own; the CRC-32 of the zip is there for that
    if method == zipfile.ZIP_BZIP2 or bytes(changed) == packed:
        assert found == plain


def test_an_archive_that_shrinks_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    path = put(tmp_path, b"abc")
    with path.open("rb") as file, pytest.raises(Refused, match="the archive ends within it"):
        list(contents(file.fileno(), Member("x", zipfile.ZIP_STORED, 0, 10, 10, 0)))


def test_readme_and_list_are_those_of_fma(tmp_path: Path) -> None:
    data = zipped(FILES)
    run(put(tmp_path, data), archive_of(data), tmp_path / "out")
    folder = tmp_path / "out" / ARCHIVES["small"].folder
    assert (folder / "README.txt").read_bytes() == README
    for line in (folder / "checksums").read_text().splitlines():
        sha1, name = line.split("  ")
        assert hashlib.sha1((folder / name).read_bytes()).hexdigest() == sha1
