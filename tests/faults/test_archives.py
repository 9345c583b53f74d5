"""Row F24: an archive that is damaged, cut or hostile is never accepted, and resumes to the right hash.

The command runs as a process of its own and is killed by SIGKILL at random moments of download and
unpacking: 3 times in ``make test``, 20 times in ``make faults``.
"""

import hashlib
import os
import random
import stat
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from etl.get import Request, run
from schemas.errors import InvalidInput
from tests.etl.fma_archives import IMPATIENT, archive_of, clips, member, tree, with_list, zipped
from tests.etl.fma_commands import command, started
from tests.etl.fma_server import Served, changed_first, cut_after, ignoring_ranges, serving

ROUNDS = int(os.environ.get("SEGUE_FAULT_ROUNDS", "1"))
"""1 in ``make test``; ``make faults`` sets 5."""
KILLS = 3 if ROUNDS == 1 else 4 * ROUNDS
FILES = with_list(clips(60, 24_000, seed=24))
DATA = zipped(FILES)
ARCHIVE = archive_of(DATA)
EXPECTED = {f"fma_small/{name}": data for name, data in FILES.items()}


@pytest.fixture
def served() -> Iterator[Served]:
    with serving(DATA) as served:
        yield served


def members_in(folder: Path) -> dict[str, bytes]:
    return {name: data for name, data in tree(folder).items() if "/" in name}


def accepted(served: Served, folder: Path, sha1: str = ARCHIVE.sha1) -> None:
    """Get the official archive, whatever lies there; check that it is exactly that."""
    report, refusals = run(Request(ARCHIVE, served.url, folder, keep=True), IMPATIENT)
    assert refusals is None
    assert report.written + report.already_there == len(FILES)
    assert hashlib.sha1((folder / "fma_small.zip").read_bytes()).hexdigest() == sha1
    assert members_in(folder) == EXPECTED
    assert not list(folder.rglob("*.part*"))


@pytest.mark.parametrize("seed", range(2 * ROUNDS))
def test_a_flipped_byte_is_never_accepted_and_then_right(served: Served, tmp_path: Path, seed: int) -> None:
    wrong = bytearray(DATA)
    wrong[random.Random(seed).randrange(len(DATA))] ^= 1 << seed % 8
    served.content = bytes(wrong)
    with pytest.raises(InvalidInput, match="it was deleted"):
        run(Request(ARCHIVE, served.url, tmp_path / "fma"), IMPATIENT)
    assert members_in(tmp_path / "fma") == {}
    served.content = DATA
    accepted(served, tmp_path / "fma")


@pytest.mark.parametrize("seed", range(2 * ROUNDS))
def test_a_truncated_archive_is_never_accepted_and_then_right(
    served: Served, tmp_path: Path, seed: int
) -> None:
    short = DATA[: random.Random(seed).randrange(1, len(DATA))]
    own = tmp_path / "own.zip"
    own.write_bytes(short)
    with pytest.raises(InvalidInput, match="SHA-1"):
        run(Request(ARCHIVE, served.url, tmp_path / "fma", source=own), IMPATIENT)
    served.content = short
    with pytest.raises(InvalidInput, match="it is another file"):
        run(Request(ARCHIVE, served.url, tmp_path / "fma"), IMPATIENT)
    # and by someone who has the hash to it
    with pytest.raises(InvalidInput, match="is not a zip archive"):
        run(Request(archive_of(short), served.url, tmp_path / "forged"), IMPATIENT)
    assert members_in(tmp_path / "fma") == members_in(tmp_path / "forged") == {}
    served.content = DATA
    accepted(served, tmp_path / "fma")


def test_a_206_resumed_at_20_points_gives_the_right_hash(served: Served, tmp_path: Path) -> None:
    points = sorted(random.Random(24).sample(range(1, len(DATA)), 20))
    served.script = [cut_after(b - a) for a, b in zip([0, *points], points, strict=False)]
    accepted(served, tmp_path / "fma")
    assert served.ranges == [None, *(f"bytes={point}-" for point in points)]


def test_cuts_changes_and_a_server_that_forgets_ranges_in_any_order(served: Served, tmp_path: Path) -> None:
    draw, other = random.Random(42), random.Random(43).randbytes(len(DATA))

    def swap(now: Served) -> None:
        now.content = other if now.content == DATA else DATA
        now.etag = f'"{hashlib.sha1(now.content).hexdigest()}"'

    kinds: list[Callable[[], Callable]] = [
        lambda: cut_after(draw.randrange(len(DATA))),
        lambda: ignoring_ranges(draw.randrange(len(DATA))),
        lambda: changed_first(swap, cut_after(draw.randrange(len(DATA) // 2))),
    ]
    served.script = [draw.choice(kinds)() for _ in range(20)]
    for _ in range(40):
        try:
            run(Request(ARCHIVE, served.url, tmp_path / "fma", keep=True), IMPATIENT)
            break
        except InvalidInput as error:
            said = str(error)
        assert "it was deleted" in said
        served.content, served.etag = DATA, '"one"'
    accepted(served, tmp_path / "fma")


HOSTILE = {
    "climbs out": [(member("fma_small/../../../evil.mp3"), b"x")],
    "absolute": [(member("/tmp/segue-evil.mp3"), b"x")],
    "backslash": [(member("fma_small\\..\\evil.mp3"), b"x")],
    "drive letter": [(member("C:/evil.mp3"), b"x")],
    "is a link": [(member("fma_small/000/000005.mp3", mode=stat.S_IFLNK | 0o777), b"/etc/passwd")],
    "not an ordinary": [(member("fma_small/000/000005.mp3", mode=stat.S_IFIFO | 0o644), b"")],
    "is none that": [(member("fma_small/000/000005.mp3.sh"), b"x")],
    "would grow from": [(member("fma_small/000/000005.mp3"), bytes(4_000_000))],
    "too much": [(member(f"fma_small/000/{number:06d}.mp3"), bytes(2_000_000)) for number in range(9)],
}


@pytest.mark.parametrize("reason", HOSTILE)
def test_a_hostile_archive_with_the_right_hash_leaves_nothing(
    served: Served, tmp_path: Path, reason: str
) -> None:
    path = tmp_path / "hostile.zip"
    path.write_bytes(zipped({"README.txt": b"x"}))
    with zipfile.ZipFile(path, "a") as archive:
        for info, data in HOSTILE[reason]:
            archive.writestr(info, data, info.compress_type)
    served.content = path.read_bytes()
    with pytest.raises(InvalidInput, match=reason):
        run(Request(archive_of(served.content), served.url, tmp_path / "fma"), IMPATIENT)
    assert members_in(tmp_path / "fma") == {}
    assert not Path("/tmp/segue-evil.mp3").exists()
    assert set(tree(tmp_path)) == {"hostile.zip", "fma/fma_small.zip", "fma/fma_small.zip.verified"} | {
        f"fma/fma_small.{kind}" for kind in ("lock", "unpacked")
    }


def _until(happened: Callable[[], bool], alive: Callable[[], bool]) -> None:
    while not happened() and alive():
        time.sleep(0.002)


@pytest.mark.slow
@pytest.mark.timeout(60 + 15 * KILLS)
def test_a_killed_command_goes_on_to_the_right_files(served: Served, tmp_path: Path) -> None:
    draw, folder = random.Random(KILLS), tmp_path / "data" / "fma"
    # a moment is so many bytes sent, or so many members unpacked; the next one is always later
    moments = sorted(draw.random() for _ in range(KILLS))
    kills = 0
    served.on_piece = lambda sent: time.sleep(0.001)
    for moment in moments:
        at_bytes, at_members = int(2 * moment * len(DATA)), int((2 * moment - 1) * len(FILES))

        def reached(at_bytes: int = at_bytes, at_members: int = at_members) -> bool:
            if at_members < 0:
                return served.bytes_sent >= at_bytes
            return len(list((folder / "fma_small").rglob("*.mp3"))) >= at_members

        with started(tmp_path, ARCHIVE, served.url, "--json") as process:
            _until(reached, lambda: process.poll() is None)
            kills += process.poll() is None
    served.on_piece = lambda sent: None

    ran = command(tmp_path, ARCHIVE, served.url, "--json", "--keep-archive")

    assert ran.returncode == 0, ran.stderr
    print(f"SIGKILL of `data get` {kills} of {KILLS} times; {served.bytes_sent:,} bytes for {len(DATA):,}")
    assert kills > 0
    assert members_in(folder) == EXPECTED
    assert not list(folder.rglob("*.part*"))
    # each run went on where the last had been killed
    begins = [int(asked.strip("bytes=-")) if asked else 0 for asked in served.ranges]
    assert begins == sorted(begins)
    assert begins[-1] > 0
