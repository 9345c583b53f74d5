"""What is wrong with a source is counted, and the newest reports are kept."""

import asyncio
from collections import Counter

from connections.documents import open_documents
from etl import quality
from etl.quality import Quality, store_report
from etl.quality_table import print_report
from schemas.settings import Settings


def test_gaps_are_given_in_percent() -> None:
    found = Quality()
    names = ["track_id", "track_title", "track_composer"]
    found.count_columns(names, [("1", "2"), ("a", ""), ("", "")])
    found.count_columns(names, [("3",), ("c",), ("",)])
    assert found.report()["missing_percent"] == {"track_composer": 100.0, "track_title": 33.33}


def test_licences_are_counted_as_certain_without_version_and_unknown() -> None:
    found = Quality()
    found.licences.update({"Attribution 3.0": 5, "Attribution": 2, "Music Sharing": 1, "ideology.de": 3})
    assert found.report()["licences"] == {
        "texts": 4,
        "texts_with_deed": 1,
        "rows": 11,
        "rows_with_deed": 5,
        "without_version": [{"text": "Attribution", "rows": 2}, {"text": "Music Sharing", "rows": 1}],
        "unknown": [{"text": "ideology.de", "rows": 3}],
    }


async def test_the_newest_fifty_reports_are_kept(settings: Settings, monkeypatch) -> None:
    clock = iter(range(1000, 2000))
    monkeypatch.setattr(quality, "now_ms", lambda: next(clock))
    async with open_documents(settings) as database:
        ids = [await store_report(database, "etl run", "fma", 1.5, {"rows": n}) for n in range(53)]
        stored = await database["etl_reports"].find({}).sort("_id", 1).to_list(None)
    assert [each["_id"] for each in stored] == ids[-50:]
    assert stored[-1] == {
        "_id": ids[-1], "command": "etl run", "source": "fma", "created_ms": 1052, "seconds": 1.5,
        "report": {"rows": 52},
    }  # fmt: skip


async def test_reports_of_one_moment_do_not_meet(settings: Settings, monkeypatch) -> None:
    monkeypatch.setattr(quality, "now_ms", lambda: 7)
    async with open_documents(settings) as database:
        ids = await asyncio.gather(*(store_report(database, "etl run", "fma", 1, {}) for _ in range(10)))
        assert await database["etl_reports"].count_documents({}) == len(set(ids)) == 10


def test_the_table_shows_what_was_found_and_no_control_sequence(capsys) -> None:
    from etl.fma import FmaReport

    found = Quality(licences=Counter({"[red]x": 1}))
    found.fault("track_listens", "not a whole number", "track 2", "\x1b[31mmany")
    found.count_columns(["track_id", "track_title"], [("1",), ("",)])
    report = FmaReport(rows=1, rejected_rows={"no title": 1})
    report.quality = {
        **found.report(),
        "genres": {"genres": 2, "roots": 1, "depth": 2, "notes": {"wrong top level": 1}},
        "not_found_but_there": {"albums": 4},
        "known_bad_clips": {"098565": "holds about 1 s of sound"},
    }
    print_report(report, "FMA", as_json=False)
    shown = capsys.readouterr().out
    for word in ("no title", "track_listens", "wrong top level", "098565", "100 %", "albums", "[red]x"):
        assert word in shown
    assert "\x1b" not in shown
