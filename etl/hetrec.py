"""HetRec 2011 Last.fm 2K: artists become tracks without sound, play counts become imported listens.

The events go through the same intake as the web tier. Session and seq follow from user and file order,
so that importing twice has effect once.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import stamina

from connections.documents import Database, answered, ensure_indexes
from connections.event_log import LogReader
from connections.intake import MAX_EVENTS, Writer, accept, prepare
from connections.log_writer import LogWriter
from etl import load
from etl.accounts import ensure_accounts
from etl.hetrec_files import Artist, read_artists, read_listening, read_tags
from etl.ids import foreign_id, imported_user_id
from etl.progress import Meter, meter
from schemas.documents import JOBS, Job, Track
from schemas.errors import InvalidInput, LogUnavailable
from schemas.events import UserEvent
from schemas.settings import Settings

SOURCE = "hetrec"
IN_FLIGHT = 48
"""Users whose events are on their way at the same time; those of one user stay in order."""
_ATTEMPTS = 5


@dataclass
class HetrecReport:
    """Summary of an import."""

    tracks: int = 0
    changed: int = 0
    users: int = 0
    accounts_created: int = 0
    login: str = ""
    rows: int = 0
    rejected_rows: dict[str, int] = field(default_factory=dict)
    events: int = 0
    events_per_s: float = 0.0
    catalogue_version: str = ""
    seconds: float = 0.0


async def run(
    settings: Settings, database: Database, directory: Path, *, password: str | None = None
) -> HetrecReport:
    """Import the data set that lies in ``directory``.

    Parameters
    ----------
    password : of all accounts ``hetrec-<user>``; None: new accounts cannot log in

    Raises
    ------
    InvalidInput
        A file is missing or malformed, or the database holds another catalogue.
    LogUnavailable
        Kafka did not take the events; repeating the import completes it.
    """
    started = time.monotonic()
    artists, tags = read_artists(directory), read_tags(directory)
    listening = read_listening(directory, artists)
    await load.claim(database, SOURCE)
    async with LogReader(settings) as reader:
        await reader.generation()  # a log that is missing is named before anything is written
    await ensure_indexes(database)
    tracks = [_track(artist, tags.get(artist.key, [])) for artist in artists.values()]
    refuse_collisions(tracks)
    report = HetrecReport(rows=listening.rows, rejected_rows=dict(listening.refused))
    report.changed = await load.write_tracks(database, tracks, {})
    state = await load.publish_catalogue(database, SOURCE)
    report.tracks, report.catalogue_version = state["tracks"], state["version"]
    names = {imported_user_id(SOURCE, user): f"{SOURCE}-{user}" for user in listening.by_user}
    report.users = len(names)
    report.accounts_created = await ensure_accounts(database, names, password)
    report.login = _login(password)
    await _append_all(settings, database, listening.by_user, report)
    report.seconds = round(time.monotonic() - started, 2)
    return report


def _track(artist: Artist, genres: list[str]) -> Track:
    track_id = foreign_id(SOURCE, artist.key)
    return Track(
        _id=track_id,
        title=artist.name,
        artist=artist.name,
        artist_id=track_id,
        album=None,
        genres=genres,
        track_ms=None,
        licence=None,
        licence_url=None,
        source=SOURCE,
        source_key=artist.key,
        source_url=artist.url,
        audio=None,
    )


def refuse_collisions(tracks: Sequence[Track]) -> None:
    """Refuse two tracks with one id.

    Raises
    ------
    InvalidInput
        Two keys of the source have the same hash.
    """
    keys: dict[int, str] = {}
    for track in tracks:
        other = keys.setdefault(track["_id"], track["source_key"])
        if other != track["source_key"]:
            raise InvalidInput(
                f"{track['source']}: the keys {other!r} and {track['source_key']!r} have the same track id "
                f"{track['_id']}; leave one of them out"
            )


def _login(password: str | None) -> str:
    if password is not None:
        return f"{SOURCE}-USER with the password given"
    return f"new accounts cannot log in: repeat the import with --password to set one for {SOURCE}-USER"


def imported_events(user: str, plays: Sequence[tuple[str, int]]) -> Iterator[list[UserEvent]]:
    """Yield a user's listens in batches for the intake; the same events at every import but for the time."""
    incoming = [
        {
            "type": "imported_listens",
            "session": f"{SOURCE}:{user}",
            "seq": seq,
            "source": SOURCE,
            "track_id": foreign_id(SOURCE, artist),
            "count": count,
            "last_time_ms": None,
        }
        for seq, (artist, count) in enumerate(plays, start=1)
    ]
    for start in range(0, len(incoming), MAX_EVENTS):
        yield prepare(incoming[start : start + MAX_EVENTS])


async def append_listens(
    writer: Writer, by_user: Mapping[str, Sequence[tuple[str, int]]], progress: Meter
) -> int:
    """Append the listens of all users, many users at a time; return the number of events acknowledged.

    Raises
    ------
    LogUnavailable
        A batch was not acknowledged in several attempts.
    """
    users = iter(by_user.items())
    total = 0

    async def lane() -> None:
        nonlocal total
        for user, plays in users:
            for batch in imported_events(user, plays):
                accepted = await _accepted(writer, imported_user_id(SOURCE, user), batch)
                total += accepted
                progress.advance(accepted)

    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(lane())
    return total


async def _accepted(writer: Writer, user_id: str, batch: Sequence[UserEvent]) -> int:
    async for attempt in stamina.retry_context(on=LogUnavailable, attempts=_ATTEMPTS, wait_max=5.0):
        with attempt:
            return await accept(writer, user_id, batch)
    raise AssertionError("stamina raises what the last attempt raised")


async def _append_all(
    settings: Settings,
    database: Database,
    by_user: Mapping[str, Sequence[tuple[str, int]]],
    report: HetrecReport,
) -> None:
    total = sum(len(plays) for plays in by_user.values())
    await _note(database, "running", 0, total)
    started = time.monotonic()
    try:
        async with LogWriter(settings) as writer:
            with meter("listens", total) as progress:
                report.events = await append_listens(writer, by_user, progress)
    except* LogUnavailable as errors:
        await _note(database, "failed", progress.done, total)
        raise LogUnavailable(f"{errors.exceptions[0]}; repeat the import to complete it") from errors
    report.events_per_s = round(report.events / max(time.monotonic() - started, 1e-9), 1)
    await _note(database, "done", report.events, total)


async def _note(database: Database, state: str, done: int, total: int) -> None:
    job = Job(
        _id=f"import-{SOURCE}",
        kind="import",
        state=state,
        step="listens",
        done=done,
        total=total,
        message="",
        updated_ms=load.now_ms(),
    )
    await answered(
        database[JOBS.name].replace_one({"_id": job["_id"]}, dict(job), upsert=True), "writing the job"
    )
