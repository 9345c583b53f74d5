"""Downloads from a real server that cuts, stalls, lies and changes its mind."""

import random
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from etl.download import download
from etl.part_file import PartFile, Version
from etl.patience import retry_after_s
from schemas.errors import InvalidInput, Unavailable
from tests.etl.fma_archives import IMPATIENT, archive_of
from tests.etl.fma_server import (
    Served,
    answering,
    changed_first,
    cut_after,
    ignoring_ranges,
    ranged,
    serving,
    stalling_after,
    without_length,
)

CONTENT = random.Random(4).randbytes(300_000)
OTHER = random.Random(5).randbytes(300_000)
ARCHIVE = archive_of(CONTENT)


@pytest.fixture
def served() -> Iterator[Served]:
    with serving(CONTENT) as served:
        yield served


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "fma_small.zip"


async def bring(served: Served, target: Path, archive=ARCHIVE, patience=IMPATIENT) -> int:
    return await download(archive, served.url, target, patience)


def names(target: Path) -> set[str]:
    return {path.name for path in target.parent.iterdir()}


async def test_a_whole_file_comes_in_one_request(served: Served, target: Path) -> None:
    assert await bring(served, target) == len(CONTENT)
    assert target.read_bytes() == CONTENT
    assert served.ranges == [None]
    assert names(target) == {"fma_small.zip"}


async def test_20_cuts_cost_no_byte_twice(served: Served, target: Path) -> None:
    points = sorted(random.Random(20).sample(range(1, len(CONTENT)), 20))
    served.script = [cut_after(b - a) for a, b in zip([0, *points], points, strict=False)]
    assert await bring(served, target) == len(CONTENT)
    assert target.read_bytes() == CONTENT
    assert served.ranges == [None, *(f"bytes={point}-" for point in points)]


async def test_a_later_run_goes_on_where_the_last_one_gave_up(served: Served, target: Path) -> None:
    served.script = [cut_after(100_000), *[cut_after(0)] * 8]
    with pytest.raises(Unavailable, match=r"100,000 bytes are kept in .*fma_small\.zip\.part"):
        await bring(served, target)
    served.script = []
    assert await bring(served, target) == 200_000
    assert target.read_bytes() == CONTENT
    assert served.ranges[-1] == "bytes=100000-"


async def test_a_server_that_gives_nothing_new_is_asked_so_often_and_not_more(
    served: Served, target: Path
) -> None:
    served.otherwise = ignoring_ranges(1_000)
    with pytest.raises(Unavailable, match="the same command goes on"):
        await bring(served, target)
    # the first brings something new, which begins the count again
    assert len(served.ranges) == 1 + IMPATIENT.attempts


async def test_a_server_without_ranges_is_taken_from_the_beginning(served: Served, target: Path) -> None:
    served.script = [cut_after(50_000)]
    served.otherwise = ignoring_ranges()
    assert await bring(served, target) == 350_000
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize(
    "content_range",
    [
        lambda first, total: f"bytes 0-{total - 1}/{total}",
        lambda first, total: f"bytes {first + 1}-{total - 1}/{total}",
        lambda first, total: f"bytes {first}-{total - 1}/{total + 1}",
        lambda first, total: f"bytes {first}-{total - 1}/*",
        lambda first, total: f"bytes {first}-{total + 5}/{total}",
        lambda first, total: "bytes",
        lambda first, total: f"bytes {'9' * 400}-{total - 1}/{total}",
    ],
    ids=["from 0", "one too far", "other total", "no total", "beyond the end", "nothing", "too large"],
)
async def test_a_206_of_another_range_begins_again(served: Served, target: Path, content_range) -> None:
    served.script = [cut_after(70_000), ranged(content_range)]
    await bring(served, target)
    assert target.read_bytes() == CONTENT
    assert served.ranges == [None, "bytes=70000-", None]


async def test_a_file_that_changes_between_requests_is_taken_anew(served: Served, target: Path) -> None:
    served.content = OTHER
    served.script = [
        cut_after(90_000),
        changed_first(lambda now: vars(now).update(content=CONTENT, etag='"two"')),
    ]
    await bring(served, target)
    assert target.read_bytes() == CONTENT
    assert served.ranges == [None, "bytes=90000-"]


async def test_a_change_that_the_server_hides_behind_206_is_seen(served: Served, target: Path) -> None:
    served.content = OTHER

    def change(now: Served) -> None:
        now.content, now.etag = CONTENT, '"two"'

    served.script = [cut_after(90_000), changed_first(change, ranged(lambda a, b: f"bytes {a}-{b - 1}/{b}"))]
    await bring(served, target)
    assert target.read_bytes() == CONTENT
    assert served.ranges == [None, "bytes=90000-", None]


@pytest.mark.parametrize("etag", [None, 'W/"one"'])
async def test_without_a_strong_tag_the_date_or_the_weak_tag_tells(
    served: Served, target: Path, etag
) -> None:
    served.content, served.etag, served.modified = OTHER, etag, "Sat, 01 Apr 2017 00:00:00 GMT"
    after = {"content": CONTENT, "modified": "Sun, 02 Apr 2017 00:00:00 GMT", "etag": etag and 'W/"two"'}
    served.script = [cut_after(90_000), changed_first(lambda now: vars(now).update(after))]
    await bring(served, target)
    assert target.read_bytes() == CONTENT
    assert served.ranges == [None, "bytes=90000-", None]


async def test_other_bytes_under_the_same_tag_are_deleted_and_the_next_run_succeeds(
    served: Served, target: Path
) -> None:
    served.content = OTHER
    served.script = [cut_after(90_000), changed_first(lambda now: vars(now).update(content=CONTENT))]
    with pytest.raises(InvalidInput, match=r"must have [0-9a-f]{40}: it was deleted"):
        await bring(served, target)
    assert names(target) == set()
    assert await bring(served, target) == len(CONTENT)
    assert target.read_bytes() == CONTENT


async def test_a_stalled_connection_is_dropped_and_resumed(served: Served, target: Path) -> None:
    served.script = [stalling_after(120_000)]
    await bring(served, target)
    assert target.read_bytes() == CONTENT
    assert served.ranges == [None, "bytes=120000-"]


@pytest.mark.parametrize("status", [429, 500, 502, 503])
async def test_a_server_that_is_busy_is_asked_again(served: Served, target: Path, status: int) -> None:
    served.script = [answering(status), answering(status, Retry_After="0"), cut_after(10), answering(status)]
    await bring(served, target)
    assert target.read_bytes() == CONTENT


async def test_a_server_that_stays_busy_is_given_up(
    served: Served, target: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    served.otherwise = answering(503, Retry_After="0")
    with pytest.raises(Unavailable, match="answered 503 Service Unavailable"):
        await bring(served, target)
    assert len(served.ranges) == IMPATIENT.attempts
    said = f"{served.url}/fma_small.zip answered 503 Service Unavailable; asking again in 0.0 s"
    assert capsys.readouterr().err.splitlines() == [said] * (IMPATIENT.attempts - 1)


def test_retry_after_is_seconds_or_a_date_and_bounded() -> None:
    now = 1_490_000_000.0
    assert retry_after_s("7", now) == 7
    assert retry_after_s("99999", now) == 300
    assert retry_after_s("Mon, 20 Mar 2017 08:53:30 GMT", now) == 10
    assert retry_after_s("Mon, 20 Mar 2000 08:53:30 GMT", now) == 0
    assert [retry_after_s(text, now) for text in (None, "", "soon", "-3", "1e9")] == [None] * 5


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 206, 304, 416])
async def test_other_answers_end_it_at_once(served: Served, target: Path, status: int) -> None:
    served.otherwise = answering(status)
    with pytest.raises(InvalidInput, match=f"answered {status} .*SEGUE_FMA_URL"):
        await bring(served, target)
    assert len(served.ranges) == 1


async def test_416_with_everything_there_is_the_end(served: Served, target: Path) -> None:
    with PartFile(target) as part:
        part.start_over(Version(f"{served.url}/fma_small.zip", '"one"', None, None))
        part.append(CONTENT)
    assert await bring(served, target) == 0
    assert target.read_bytes() == CONTENT
    assert served.ranges == ["bytes=300000-"]


async def test_where_no_length_is_told_the_hash_decides(served: Served, target: Path) -> None:
    archive = replace(ARCHIVE, size_is_exact=False)
    served.script = [without_length(CONTENT[:200_000])]
    with pytest.raises(InvalidInput, match=r"200,000 bytes of SHA-1 .* must have"):
        await bring(served, target, archive)
    served.script = [without_length(CONTENT)]
    assert await bring(served, target, archive) == len(CONTENT)


async def test_416_of_a_file_that_has_become_shorter_begins_again(served: Served, target: Path) -> None:
    served.script = [cut_after(90_000), answering(416, Content_Range="bytes */50")]
    await bring(served, target)
    assert target.read_bytes() == CONTENT
    assert served.ranges == [None, "bytes=90000-", None]


async def test_redirects_are_followed_with_their_ranges(served: Served, target: Path) -> None:
    away = answering(302, Location="/elsewhere/fma_small.zip")
    served.script = [away, cut_after(80_000), away]
    await bring(served, target)
    assert target.read_bytes() == CONTENT
    assert served.ranges == [None, None, "bytes=80000-", "bytes=80000-"]


async def test_redirects_without_end_are_not_followed(served: Served, target: Path) -> None:
    served.otherwise = answering(302, Location="/round/fma_small.zip")
    with pytest.raises(InvalidInput, match="without end: set SEGUE_FMA_URL"):
        await bring(served, target)


async def test_a_body_of_another_length_is_refused_before_it_comes(served: Served, target: Path) -> None:
    served.content = CONTENT + b"more"
    with pytest.raises(InvalidInput, match=r"offers 300,004 bytes, but fma_small.zip has 300,000"):
        await bring(served, target)
    assert target.with_name("fma_small.zip.part").stat().st_size == 0


@pytest.mark.parametrize("exact", [True, False])
async def test_a_body_without_length_is_counted(served: Served, target: Path, exact: bool) -> None:
    served.otherwise = without_length(CONTENT + bytes(200_000))
    with pytest.raises(InvalidInput, match=r"offers more than 3[03]0,000 bytes"):
        await bring(served, target, replace(ARCHIVE, size_is_exact=exact))
    assert names(target) == set()


async def test_a_compressed_answer_is_refused(served: Served, target: Path) -> None:
    served.otherwise = answering(200, Content_Encoding="gzip")
    with pytest.raises(InvalidInput, match="compressed"):
        await bring(served, target)


async def test_a_part_of_another_address_or_without_note_is_dropped(served: Served, target: Path) -> None:
    served.script = [cut_after(90_000), *[cut_after(0)] * 8]
    with pytest.raises(Unavailable):
        await bring(served, target)
    note = target.with_name("fma_small.zip.part.json")
    for spoil in (note.unlink, partial(note.write_text, "{"), partial(note.write_text, '{"url": 1}')):
        saved, held = note.read_bytes(), target.with_name("fma_small.zip.part").read_bytes()
        spoil()
        served.script, served.ranges = [cut_after(0)] * 8, []
        with pytest.raises(Unavailable):
            await bring(served, target)
        assert served.ranges[0] is None
        target.with_name("fma_small.zip.part").write_bytes(held)
        note.write_bytes(saved)
    served.script, served.ranges, served.url = [], [], served.url.replace("/fma", "/moved")
    assert await bring(served, target) == len(CONTENT)


async def test_a_server_that_is_not_there_is_named(target: Path, unused_port) -> None:
    url = f"http://127.0.0.1:{unused_port()}"
    with pytest.raises(Unavailable, match=f"{url}/fma_small.zip cannot be reached"):
        await download(ARCHIVE, url, target, IMPATIENT)


async def test_what_is_no_address_is_named(target: Path) -> None:
    with pytest.raises(InvalidInput, match="SEGUE_FMA_URL"):
        await download(ARCHIVE, "not an address", target, IMPATIENT)


async def test_everything_there_but_the_name_needs_no_server(served: Served, target: Path) -> None:
    await bring(served, target)
    with PartFile(target) as part:
        part.start_over(Version(f"{served.url}/fma_small.zip", '"one"', None, len(CONTENT)))
        part.append(CONTENT)
    target.unlink()
    served.ranges = []
    assert await bring(served, target) == 0
    assert target.read_bytes() == CONTENT
    assert served.ranges == []
