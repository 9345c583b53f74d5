"""The HetRec import on a real log and a real mongod."""

from collections import Counter
from pathlib import Path

import argon2
import pytest

from connections.documents import open_documents
from connections.event_log import LogReader
from connections.log_topics import ensure_topics
from etl import hetrec
from etl.ids import foreign_id, imported_user_id
from recommender.encoding import History
from recommender.partition import PartitionState
from recommender.windows import Outcome
from schemas.errors import InvalidInput, LogMismatch, LogUnavailable
from schemas.settings import Settings

PLAYS = {"7": [("2", 5), ("1", 9)], "8": [("2", 40)], "9": [(str(n), n) for n in range(1, 251)]}


@pytest.fixture
def data_set(tmp_path: Path) -> Path:
    """Write a data set of 250 artists and three users, one with more events than a request may hold."""
    folder = tmp_path / "hetrec"
    folder.mkdir()
    artists = "".join(f"{n}\tArtist {n}\thttp://a/{n}\tp\n" for n in range(1, 251))
    (folder / "artists.dat").write_text("id\tname\turl\tpictureURL\n" + artists)
    rows = "".join(
        f"{user}\t{artist}\t{count}\r\n" for user, plays in PLAYS.items() for artist, count in plays
    )
    (folder / "user_artists.dat").write_bytes(b"userID\tartistID\tweight\r\n" + rows.encode())
    (folder / "tags.dat").write_bytes(b"tagID\ttagValue\r\n1\tmetal\r\n2\trock fran\xe7ais\r\n")
    (folder / "user_taggedartists.dat").write_bytes(
        b"userID\tartistID\ttagID\tday\tmonth\tyear\r\n"
        b"7\t1\t2\t1\t4\t2009\r\n8\t1\t2\t1\t4\t2009\r\n8\t1\t1\t1\t4\t2009\r\n"
    )
    return folder


async def folded(settings: Settings) -> tuple[Counter[str], dict[str, bytes]]:
    """Fold the whole log; return the counts per class and the histories."""
    counts: Counter[str] = Counter()
    histories: dict[str, bytes] = {}
    async with LogReader(settings) as reader:
        for partition, end in (await reader.end_offsets()).items():
            state = PartitionState(partition)
            async for records in reader.read(partition, 0, end):
                state.fold((record.offset, record.key, record.value) for record in records)
            counts.update({str(name): count for name, count in state.counts.items()})
            histories |= state.histories
    return counts, histories


async def test_counts_become_imported_listens_and_twice_has_effect_once(
    settings: Settings, data_set: Path
) -> None:
    await ensure_topics(settings)
    async with open_documents(settings) as database:
        report = await hetrec.run(settings, database, data_set)
        once, histories = await folded(settings)
        again = await hetrec.run(settings, database, data_set)
        twice, same = await folded(settings)
        tracks = {track["source_key"]: track async for track in database["tracks"].find({})}
        job = await database["jobs"].find_one({"_id": "import-hetrec"})
    assert (report.tracks, report.users, report.events, again.events) == (250, 3, 253, 253)
    assert (report.changed, again.changed, report.accounts_created, again.accounts_created) == (250, 0, 3, 0)
    assert once[str(Outcome.APPLIED)] == twice[str(Outcome.APPLIED)] == 253
    # the window of a session is finite: what is older than it is late instead of duplicate
    assert twice[str(Outcome.DUPLICATE)] + twice[str(Outcome.LATE)] == 253
    assert same == histories
    assert histories.keys() == {imported_user_id("hetrec", user) for user in PLAYS}
    for user, plays in PLAYS.items():
        found = History.from_bytes(histories[imported_user_id("hetrec", user)]).interactions
        imported = dict(zip(found["track_id"].tolist(), found["imported"].tolist(), strict=True))
        assert imported == {foreign_id("hetrec", artist): count for artist, count in plays}
    assert tracks["1"]["title"] == tracks["1"]["artist"] == "Artist 1"
    assert tracks["1"]["genres"] == ["rock français"]
    assert tracks["1"]["audio"] is None
    assert (job["state"], job["done"], job["total"]) == ("done", 253, 253)


async def test_accounts_can_log_in_once_a_password_is_given(settings: Settings, data_set: Path) -> None:
    await ensure_topics(settings)
    async with open_documents(settings) as database:
        report = await hetrec.run(settings, database, data_set)
        assert "--password" in report.login
        account = await database["accounts"].find_one({"username": "hetrec-7"})
        assert account["_id"] == imported_user_id("hetrec", "7")
        with pytest.raises(argon2.exceptions.InvalidHash):
            argon2.PasswordHasher().verify(account["password_hash"], "")
        await hetrec.run(settings, database, data_set, password="a good one")
        again = await database["accounts"].find_one({"username": "hetrec-7"})
        assert argon2.PasswordHasher().verify(again["password_hash"], "a good one")
        assert again["created_ms"] == account["created_ms"]
        with pytest.raises(InvalidInput, match="8 to 256"):
            await hetrec.run(settings, database, data_set, password="short")


async def test_a_missing_log_is_named_before_anything_is_written(settings: Settings, data_set: Path) -> None:
    async with open_documents(settings) as database:
        with pytest.raises(LogMismatch, match="there is no topic"):
            await hetrec.run(settings, database, data_set)
        assert await database["tracks"].count_documents({}) == 0


async def test_a_broker_that_is_away_is_named_before_anything_is_written(
    settings: Settings, data_set: Path
) -> None:
    away = settings.model_copy(update={"kafka_port": 1})
    async with open_documents(settings) as database:
        with pytest.raises(LogUnavailable, match=r"127\.0\.0\.1:1"):
            await hetrec.run(away, database, data_set)
        assert await database["tracks"].count_documents({}) == 0


def test_collisions_of_ids_are_refused() -> None:
    one, two = ({"_id": 2**32, "source": "hetrec", "source_key": key} for key in ("1", "2"))
    hetrec.refuse_collisions([one, one])  # type: ignore[list-item]
    with pytest.raises(InvalidInput, match="'1' and '2' have the same track id"):
        hetrec.refuse_collisions([one, two])  # type: ignore[list-item]


def test_session_and_seq_follow_from_user_and_order() -> None:
    batches = list(hetrec.imported_events("9", PLAYS["9"]))
    assert [len(batch) for batch in batches] == [100, 100, 50]
    events = [event for batch in batches for event in batch]
    assert [event.seq for event in events] == list(range(1, 251))
    assert {event.session for event in events} == {"hetrec:9"}
    assert all(event.last_time_ms is None and event.source == "hetrec" for event in events)
