"""`segue data get` as a user meets it, against a real server, as a process of its own and by its program."""

import fcntl
import json
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from etl.archives import ARCHIVES
from etl.get import Request, run
from etl.sizes import size_text
from schemas.errors import InvalidInput, MissingRequirement, Unavailable
from tests.conftest import ROOT
from tests.etl.fma_archives import IMPATIENT, archive_of, clips, tree, with_list, zipped
from tests.etl.fma_commands import command, started
from tests.etl.fma_server import Served, answering, cut_after, serving, stalling_after

FILES = with_list(clips(8, 30_000))
DATA = zipped(FILES)
ARCHIVE = archive_of(DATA)
EXPECTED = {f"fma_small/{name}": data for name, data in FILES.items()}


@pytest.fixture
def served() -> Iterator[Served]:
    with serving(DATA) as served:
        yield served


@pytest.fixture
def request_small(served: Served, tmp_path: Path) -> Request:
    return Request(ARCHIVE, served.url, tmp_path / "fma")


def unpacked(request: Request) -> dict[str, bytes]:
    return {name: data for name, data in tree(request.folder).items() if "/" in name}


def test_the_archive_comes_is_unpacked_and_is_removed(request_small: Request) -> None:
    report, refusals = run(request_small, IMPATIENT)
    assert refusals is None
    assert unpacked(request_small) == EXPECTED
    assert (report.archive, report.sha1, report.file) == ("small", ARCHIVE.sha1, None)
    assert (report.downloaded_bytes, report.members, report.written) == (len(DATA), 10, 10)
    beside = {path.name for path in request_small.folder.iterdir()}
    assert beside == {"fma_small", "fma_small.lock", "fma_small.unpacked"}


def test_what_comes_is_said_before_it_comes(
    request_small: Request, served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    served.otherwise = answering(404)
    with pytest.raises(InvalidInput):
        run(request_small, IMPATIENT)
    said = capsys.readouterr().err
    for text in (
        "fma_small.zip of FMA, 8,000 clips",
        f"{served.url}/fma_small.zip",
        size_text(len(DATA)),
        ARCHIVE.sha1,
        ARCHIVE.licence,
        str(request_small.folder / "fma_small"),
    ):
        assert text in said


def test_a_second_run_asks_for_nothing(request_small: Request, served: Served) -> None:
    run(request_small, IMPATIENT)
    asked = len(served.ranges)
    report, _ = run(request_small, IMPATIENT)
    assert len(served.ranges) == asked
    assert (report.downloaded_bytes, report.written, report.already_there) == (0, 0, 10)


def test_a_kept_archive_makes_good_what_is_lost_without_the_network(
    request_small: Request, served: Served
) -> None:
    kept = replace(request_small, keep=True)
    report, _ = run(kept, IMPATIENT)
    assert report.file == str(kept.folder / "fma_small.zip")
    next((kept.folder / "fma_small").glob("*/*.mp3")).unlink()
    report, _ = run(kept, IMPATIENT)
    assert (report.written, report.already_there, report.downloaded_bytes) == (1, 9, 0)
    assert unpacked(kept) == EXPECTED
    assert len(served.ranges) == 1


def test_without_the_archive_what_is_lost_comes_again(request_small: Request) -> None:
    run(request_small, IMPATIENT)
    next((request_small.folder / "fma_small").glob("*/*.mp3")).unlink()
    report, _ = run(request_small, IMPATIENT)
    assert (report.written, report.downloaded_bytes) == (1, len(DATA))
    assert unpacked(request_small) == EXPECTED


def test_a_kept_archive_is_hashed_again_when_it_has_changed(request_small: Request, served: Served) -> None:
    kept = replace(request_small, keep=True)
    run(kept, IMPATIENT)
    archive, lost = kept.folder / "fma_small.zip", next((kept.folder / "fma_small").glob("*/*.mp3"))
    lost.unlink()
    archive.write_bytes(DATA[:-1] + b"x")
    with pytest.raises(InvalidInput, match=r"has SHA-1 .* It was deleted: repeat the command\."):
        run(kept, IMPATIENT)
    assert not archive.exists()
    assert not lost.exists()
    run(kept, IMPATIENT)
    assert unpacked(kept) == EXPECTED
    assert len(served.ranges) == 2


def test_an_archive_that_lies_there_is_verified_and_used(request_small: Request, served: Served) -> None:
    request_small.folder.mkdir()
    (request_small.folder / "fma_small.zip").write_bytes(DATA)
    report, _ = run(request_small, IMPATIENT)
    assert (report.downloaded_bytes, report.written) == (0, 10)
    assert served.ranges == []


def test_an_archive_of_ones_own_is_neither_copied_nor_deleted(
    request_small: Request, served: Served, tmp_path: Path
) -> None:
    own = tmp_path / "mine.zip"
    own.write_bytes(DATA)
    report, _ = run(replace(request_small, source=own), IMPATIENT)
    assert unpacked(request_small) == EXPECTED
    assert (report.file, served.ranges, own.read_bytes()) == (None, [], DATA)


@pytest.mark.parametrize("spoil", [lambda data: data[:-1], lambda data: data[:50] + b"~" + data[51:]])
def test_a_wrong_archive_of_ones_own_stays_and_is_not_unpacked(
    request_small: Request, tmp_path: Path, spoil
) -> None:
    own = tmp_path / "mine.zip"
    own.write_bytes(spoil(DATA))
    with pytest.raises(InvalidInput, match=r"mine\.zip has SHA-1 [0-9a-f]{40}, but fma_small\.zip"):
        run(replace(request_small, source=own), IMPATIENT)
    assert own.read_bytes() == spoil(DATA)
    assert unpacked(request_small) == {}


def test_a_missing_archive_of_ones_own_is_named(request_small: Request, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"none\.zip cannot be read: No such file"):
        run(replace(request_small, source=tmp_path / "none.zip"), IMPATIENT)


def test_a_disk_without_room_is_named_before_anything_comes(request_small: Request, served: Served) -> None:
    huge = replace(request_small, archive=replace(ARCHIVE, unpacked=1 << 60))
    with pytest.raises(MissingRequirement, match=r"free, but fma_small\.zip .* needs 1048576\.\d TiB: "):
        run(huge, IMPATIENT)
    assert served.ranges == []


def test_a_folder_that_cannot_be_made_is_named(request_small: Request, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidInput, match="file/fma cannot be written: Not a directory"):
        run(replace(request_small, folder=tmp_path / "file" / "fma"), IMPATIENT)


def test_two_at_once_do_not_work_on_one_archive(request_small: Request, served: Served) -> None:
    request_small.folder.mkdir()
    with (request_small.folder / "fma_small.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        other.write("4711")
        other.flush()
        with pytest.raises(InvalidInput, match=r"Another `segue data get small` .*process 4711"):
            run(request_small, IMPATIENT)
    assert served.ranges == []
    run(request_small, IMPATIENT)
    assert unpacked(request_small) == EXPECTED


def test_a_damaged_member_is_named_and_the_archive_stays(served: Served, tmp_path: Path) -> None:
    damaged = bytearray(DATA)
    damaged[len(DATA) // 2] ^= 1
    served.content = bytes(damaged)
    request = Request(archive_of(served.content), served.url, tmp_path / "fma")
    for _ in range(2):
        report, refusals = run(request, IMPATIENT)
        assert report.refused == {"damaged": 1}
        assert report.file is not None
        assert re.search(r"fma_small\.zip: 1 of 10 members were refused, .*/\d{6}\.mp3 \(damaged: ", refusals)
    assert len(unpacked(request)) == 9
    assert len(served.ranges) == 1


def test_an_interrupted_download_goes_on(request_small: Request, served: Served) -> None:
    served.script = [cut_after(50_000), *[cut_after(0)] * 8]
    with pytest.raises(Unavailable, match="50,000 bytes are kept"):
        run(request_small, IMPATIENT)
    served.script = []
    report, _ = run(request_small, IMPATIENT)
    assert report.downloaded_bytes == len(DATA) - 50_000
    assert unpacked(request_small) == EXPECTED


def test_the_command_prints_one_json_object_and_needs_no_stack(served: Served, tmp_path: Path) -> None:
    ran = command(tmp_path, ARCHIVE, served.url, "--json")
    assert ran.returncode == 0, ran.stderr
    report = json.loads(ran.stdout)
    assert (report["written"], report["folder"]) == (10, str(tmp_path / "data" / "fma" / "fma_small"))
    assert ran.stderr.startswith("fma_small.zip of FMA")


def test_refused_members_are_exit_1_after_the_report(served: Served, tmp_path: Path) -> None:
    damaged = bytearray(DATA)
    damaged[len(DATA) // 2] ^= 1
    served.content = bytes(damaged)
    ran = command(tmp_path, archive_of(served.content), served.url, "--json")
    assert ran.returncode == 1
    assert json.loads(ran.stdout)["refused"] == {"damaged": 1}
    assert "error: " in ran.stderr
    assert "members were refused" in ran.stderr


def test_ctrl_c_ends_it_and_what_came_is_kept(served: Served, tmp_path: Path) -> None:
    served.script = [stalling_after(100_000)]
    part = tmp_path / "data" / "fma" / "fma_small.zip.part"
    with started(tmp_path, ARCHIVE, served.url) as process:
        while not part.exists() or part.stat().st_size < 100_000:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.endswith("stopped: what came is kept, and the same command goes on from there\n")
    assert "Traceback" not in said
    ran = command(tmp_path, ARCHIVE, served.url, "--json")
    assert json.loads(ran.stdout)["downloaded_bytes"] == len(DATA) - 100_000


def test_an_unknown_archive_is_wrong_usage(tmp_path: Path) -> None:
    ran = command(tmp_path, ARCHIVE, "http://127.0.0.1:9", archive_name="tiny")
    assert ran.returncode == 2
    assert "'medium'" in ran.stderr


def test_the_registry_is_that_of_fma(sample_data: Path) -> None:
    known = (sample_data / "README.md").read_text("utf-8")
    docs = (ROOT / "docs" / "etl.md").read_text("utf-8")
    assert list(ARCHIVES) == ["metadata", "small", "medium", "large", "full"]
    for name, archive in ARCHIVES.items():
        assert archive.name == name
        assert archive.sha1 in known or name == "full"
        assert archive.sha1 in docs
        assert archive.limits.total_bytes >= archive.unpacked
        assert archive.limits.members >= archive.clips + 2
        assert archive.most_bytes >= archive.size
        assert not archive.allows(f"{archive.folder}/x.sh")
    assert ARCHIVES["metadata"].allows("fma_metadata/raw_echonest.csv")
    assert not ARCHIVES["metadata"].allows("fma_metadata/000/000002.mp3")
    assert ARCHIVES["large"].allows("fma_large/155/155320.mp3")


def test_sizes_are_readable() -> None:
    sizes = [0, 1023, 1024, 358_412_441, 7_679_594_875, 879 * 1024**3, 1 << 50]
    assert [size_text(size) for size in sizes] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "341.8 MiB",
        "7.2 GiB",
        "879.0 GiB",
        "1024.0 TiB",
    ]
