"""`segue etl status`: counts of real documents."""

import pytest

from connections.documents import open_documents
from etl.command import show
from etl.status import catalogue_status
from schemas.settings import Settings
from tests.etl.catalogues import VERSION, track, vectors, write_features, write_tracks


async def test_status_tells_what_the_documents_say(settings: Settings) -> None:
    async with open_documents(settings) as database:
        await write_tracks(
            database,
            [
                track(1, genres=["Rock", "Punk"]),
                track(2, removed_ms=5),
                track(3, audio=None, genres=["Jazz"]),
                track(4, audio=None, genres=[]),
            ],
        )
        await write_features(database, {1: vectors(2)[0], 2: vectors(2)[1]})
        await write_features(database, {3: vectors(1)[0]}, version="other", scaled=False)
        await database["rejected_tracks"].insert_many(
            {"_id": f"test:{n}", "reason": "silent: RMS 0" if n else "no title", "updated_ms": n}
            for n in range(3)
        )
        run = {
            "command": "etl run",
            "source": "test",
            "created_ms": 1_700_000_000_999,
            "seconds": 2.5,
            "report": {},
        }
        await database["etl_reports"].insert_many([{"_id": "2", **run}, {"_id": "1", **run, "created_ms": 9}])
        found = await catalogue_status(database)
    assert (found.tracks, found.audio, found.removed, found.genres) == (4, 2, 1, 3)
    assert (found.features, found.unscaled) == (3, 1)
    assert found.features_by_version == {VERSION: 2, "other": 1}
    assert (found.scaler_revision, found.scaler_count) == (3, 2)
    assert (found.rejected, found.rejected_by_kind) == (3, {"silent": 2, "no title": 1})
    assert (found.source, found.version, found.updated) == (
        "test",
        "0123456789abcdef",
        "2023-11-14T22:13:20Z",
    )
    assert found.newest_run == {"command": "etl run", "when": "2023-11-14T22:13:20Z", "seconds": 2.5}


async def test_the_status_of_an_empty_database_is_nought(settings: Settings) -> None:
    async with open_documents(settings) as database:
        found = await catalogue_status(database)
    assert (found.tracks, found.features, found.rejected, found.genres) == (0, 0, 0, 0)
    assert (found.version, found.newest_run, found.scaler_revision) == (None, None, None)


async def test_rare_kinds_of_rejections_are_counted_together(settings: Settings) -> None:
    async with open_documents(settings) as database:
        await database["rejected_tracks"].insert_many(
            {"_id": f"test:{n}", "reason": f"reason {n:02d}", "updated_ms": n} for n in range(45)
        )
        found = await catalogue_status(database)
    assert found.rejected == 45
    assert len(found.rejected_by_kind) == 41
    assert found.rejected_by_kind["other reasons"] == 5


def test_words_of_documents_are_no_markup_for_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    show({"kinds": {"[/red] \x1b[31m": 3}, "run": {"command": "[b]", "when": None}, "none": None}, "T", False)
    shown = capsys.readouterr().out
    assert "3  [/red] \ufffd[31m" in shown
    assert "command: [b]" in shown
    assert "when: none" in shown


def test_a_long_path_is_printed_to_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    path = "/".join(f"{n:x}" for n in range(200))
    show({"path": path}, "T", False)
    shown = "".join(
        line.split("│")[2].strip() for line in capsys.readouterr().out.splitlines() if "│" in line
    )
    assert shown == path
