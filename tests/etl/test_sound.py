"""Whatever order, kill or number of runs: the documents are those of one undisturbed run."""

import asyncio
import contextlib
import os
import random
import threading
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, strategies
from hypothesis import settings as profile

from connections.documents import Database, open_documents
from connections.feature_store import scaled_features
from etl import batches, load, normalise, sound
from etl.features import NAMES, VERSION, Extracted
from etl.pool import ClipFile, Outcome
from etl.sound import SoundFile, SoundReport, heard_tracks, load_sound, sound_file
from schemas.documents import Track
from schemas.errors import DocumentsUnavailable, UnreadableAudio
from schemas.settings import Settings

Documents = dict[str, list[Any]]
CLIPS, FITTED, BROKEN = 14, 8, {3, 11}


def outcome(clip: ClipFile) -> Outcome:
    """Return what a file gives: the same for the same track, and a reason for the broken ones."""
    if clip.track_id in BROKEN:
        return clip, UnreadableAudio(f"cut: track {clip.track_id}")
    random_numbers = np.random.default_rng(clip.track_id)
    vector = random_numbers.normal(clip.track_id, 2.0, len(NAMES)) if getattr(clip, "analyse", True) else ()
    return clip, Extracted(vector=np.array(vector), peaks=[clip.track_id] * 200, length_ms=30_000)


class Engine:
    """Gives outcomes in an order of the test's, and breaks down after ``ends_after`` of them."""

    def __init__(self, order: Sequence[int] = range(CLIPS), ends_after: int | None = None) -> None:
        self.order, self.ends_after = order, ends_after
        self.read: list[int] = []
        self.closed = False

    def __call__(self, clips: Iterable[ClipFile]) -> Iterator[Outcome]:
        return self._run(list(clips))

    def _run(self, clips: list[ClipFile]) -> Iterator[Outcome]:
        try:
            for at in [at for at in self.order if at < len(clips)]:
                if self.ends_after == len(self.read):
                    raise DocumentsUnavailable("killed")
                self.read.append(clips[at].track_id)
                yield outcome(clips[at])
        finally:
            self.closed = True


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound, "FIT_CLIPS", FITTED)
    monkeypatch.setattr(batches, "LARGEST", 3)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[SoundFile]:
    folder = tmp_path_factory.mktemp("clips")
    made = []
    for track_id in range(1, CLIPS + 1):
        path = folder / f"{track_id}.mp3"
        path.write_bytes(b"x" * track_id)
        made.append(sound_file(track_id, path, str(track_id), stored_as=str(path), expected_s=(30.0,)))
    return made


@contextlib.asynccontextmanager
async def world(settings: Settings):
    """Yield a database of its own with tracks that have no sound yet."""
    own = settings.model_copy(update={"mongodb_database": f"test-{uuid.uuid4().hex[:12]}"})
    async with open_documents(own) as database:
        await database["scalers"].create_index([("version", 1), ("revision", 1)], unique=True)
        tracks = [
            Track(
                _id=n, title="T", artist="A", artist_id=1, album=None, genres=[], track_ms=None,
                licence=None, licence_url=None, source="own", source_key=str(n), source_url=None, audio=None,
            )
            for n in range(1, CLIPS + 1)
        ]  # fmt: skip
        await load.write_tracks(database, tracks, {})
        yield database
        await database.client.drop_database(database.name)


async def run(database: Database, files: Sequence[SoundFile], engine: Engine, **options: Any) -> SoundReport:
    """Do what every command does around ``load_sound``."""
    heard = await heard_tracks(database, analyse=options.get("analyse", True))
    report = await load_sound(database, files, heard, engine=engine, **options)
    await load.write_rejected(database, "own", report.rejected, complete=True)
    await load.publish_catalogue(database, "own")
    assert report.kept + report.extracted + len(report.rejected) == report.files == len(files)
    return report


async def everything(database: Database) -> Documents:
    """Return all documents without times of writing."""
    found = {}
    for name in ("tracks", "features", "scalers", "catalogue", "rejected_tracks"):
        documents = await database[name].find({}).sort("_id", 1).to_list(None)
        found[name] = [
            {k: v for k, v in each.items() if k not in ("updated_ms", "created_ms")} for each in documents
        ]
    return found


@pytest.fixture
async def undisturbed(settings: Settings, files: list[SoundFile]) -> Documents:
    """Return what one run leaves that nothing disturbs."""
    async with world(settings) as database:
        await run(database, files, Engine())
        return await everything(database)


@pytest.mark.parametrize("ends_after", [0, 1, 4, 8, 10, 13])
async def test_a_run_that_was_interrupted_and_resumed_leaves_what_an_undisturbed_one_leaves(
    settings: Settings, files: list[SoundFile], ends_after: int, undisturbed: Documents
) -> None:
    async with world(settings) as database:
        broken = Engine(ends_after=ends_after)
        with pytest.raises(DocumentsUnavailable):
            await run(database, files, broken)
        assert broken.closed
        resumed = Engine()
        report = await run(database, files, resumed)
        written = ends_after - ends_after % 3  # whole batches; the rest was in flight
        assert len(resumed.read) == CLIPS - written
        assert report.kept + report.known == written
        assert await everything(database) == undisturbed


async def test_a_run_that_is_interrupted_every_time_comes_to_its_end(
    settings: Settings, files: list[SoundFile], undisturbed: Documents
) -> None:
    async with world(settings) as database:
        for turn in range(20):
            try:
                await run(
                    database,
                    files,
                    Engine(order=random.Random(turn).sample(range(CLIPS), CLIPS), ends_after=3),
                )
                break
            except DocumentsUnavailable:
                continue
        assert await everything(database) == undisturbed


@profile(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=strategies.permutations(range(CLIPS)), ends_after=strategies.integers(0, CLIPS))
async def test_any_order_of_outcomes_gives_the_same_documents(
    settings: Settings, files: list[SoundFile], order: list[int], ends_after: int, undisturbed: Documents
) -> None:
    async with world(settings) as database:
        with contextlib.suppress(DocumentsUnavailable):
            await run(database, files, Engine(order, ends_after))
        await run(database, files, Engine(order[::-1]))
        assert await everything(database) == undisturbed


async def test_the_standardisation_is_fitted_on_the_first_readable_files_by_hash(
    settings: Settings, files: list[SoundFile], undisturbed: Documents
) -> None:
    found = undisturbed
    order = [file.clip.track_id for file in sorted(files, key=sound.position)]
    sample = sorted([track_id for track_id in order if track_id not in BROKEN][:FITTED])
    raw = np.array([each["raw"] for each in found["features"] if each["_id"] in sample])
    [scaler] = found["scalers"]
    assert (scaler["count"], scaler["revision"], scaler["version"]) == (FITTED, 1, VERSION)
    np.testing.assert_allclose(scaler["mean"], raw.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(scaler["scale"], raw.std(axis=0), rtol=1e-12)
    assert {each["scaler_id"] for each in found["features"]} == {scaler["_id"]}
    assert len(found["features"]) == CLIPS - len(BROKEN)


async def test_no_track_has_sound_before_its_features_are_stored(
    settings: Settings, files: list[SoundFile], monkeypatch: pytest.MonkeyPatch, undisturbed: Documents
) -> None:
    async def fail(*_: object) -> int:
        raise DocumentsUnavailable("killed between the two")

    async with world(settings) as database:
        with monkeypatch.context() as patched:
            patched.setattr(load, "write_features", fail)
            with pytest.raises(DocumentsUnavailable):
                await run(database, files, Engine())
        assert await database["tracks"].count_documents({"audio": {"$ne": None}}) == 0
        await run(database, files, Engine())
        assert await everything(database) == undisturbed


async def test_what_is_finished_is_written_while_another_file_is_still_being_read(
    settings: Settings, files: list[SoundFile], monkeypatch: pytest.MonkeyPatch, undisturbed: Documents
) -> None:
    monkeypatch.setattr(batches, "LONGEST_S", 0.01)
    seen = threading.Event()

    def engine(clips: Iterable[ClipFile]) -> Iterator[Outcome]:
        first, *others = clips
        yield outcome(first)
        assert seen.wait(120.0), "the first outcome was held back"
        yield from map(outcome, others)

    async with world(settings) as database:
        running = asyncio.create_task(run(database, files, engine))  # type: ignore[arg-type]
        while not await database["features"].count_documents({}) and not running.done():
            await asyncio.sleep(0)
        seen.set()
        await running
        assert await everything(database) == undisturbed


async def test_a_cancelled_run_ends_the_engine(settings: Settings, files: list[SoundFile]) -> None:
    started, go_on, closed = threading.Event(), threading.Event(), threading.Event()

    def engine(clips: Iterable[ClipFile]) -> Iterator[Outcome]:
        try:
            started.set()
            for clip in clips:
                go_on.wait(120.0)
                yield outcome(clip)
        finally:
            closed.set()

    async with world(settings) as database:
        running = asyncio.create_task(run(database, files, engine))  # type: ignore[arg-type]
        await asyncio.to_thread(started.wait, 120.0)
        running.cancel()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert closed.is_set()


async def test_a_refused_file_is_read_again_only_when_something_has_changed(
    settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "3.mp3"
    path.write_bytes(b"broken")

    def described(expected_s: tuple[float, ...] = (30.0,)) -> list[SoundFile]:
        return [sound_file(3, path, "3", stored_as=str(path), expected_s=expected_s)]

    async def reads(files: list[SoundFile], **options: Any) -> int:
        engine = Engine()
        report = await run(database, files, engine, **options)
        assert report.reasons == {"cut": 1}
        assert report.known == 1 - len(engine.read)
        return len(engine.read)

    async with world(settings) as database:
        assert await reads(described()) == 1
        assert await reads(described()) == 0
        assert await reads(described(), retry_rejected=True) == 1
        assert await reads(described((30.0, 168.0))) == 1
        os.utime(path, ns=(5, 5))
        assert await reads(described()) == 1
        path.write_bytes(b"broken still")
        os.utime(path, ns=(5, 5))
        assert await reads(described()) == 1
        await database["rejected_tracks"].update_one({}, {"$set": {"file.checks": "an older definition"}})
        assert await reads(described()) == 1
        await database["rejected_tracks"].update_one({}, {"$set": {"reason": "no title: in its row"}})
        assert await reads(described()) == 0
        assert (await database["rejected_tracks"].find_one({}))["reason"] == "cut: track 3"


async def test_a_file_that_only_moved_is_not_read_again(settings: Settings, files: list[SoundFile]) -> None:
    async with world(settings) as database:
        await run(database, files, Engine())
        moved = [
            SoundFile(file.clip, file.key, {**file.audio, "path": f"/elsewhere/{file.key}.mp3"})
            for file in files
        ]
        engine = Engine()
        report = await run(database, moved, engine)
        assert (engine.read, report.kept, report.known) == ([], CLIPS - len(BROKEN), len(BROKEN))
        paths = {track["audio"]["path"] async for track in database["tracks"].find({"audio": {"$ne": None}})}
        assert all(path.startswith("/elsewhere/") for path in paths)


async def test_decoding_alone_gives_sound_and_no_features(
    settings: Settings, files: list[SoundFile], undisturbed: Documents
) -> None:
    async with world(settings) as database:
        report = await run(database, files, Engine(), analyse=False)
        assert (report.extracted, report.scaler_id) == (CLIPS - len(BROKEN), None)
        assert await database["features"].count_documents({}) == 0
        assert await database["tracks"].count_documents({"audio": {"$ne": None}}) == CLIPS - len(BROKEN)
        again = Engine()
        await run(database, files, again, analyse=False)
        assert again.read == []
        await run(database, files, Engine())
        assert await everything(database) == undisturbed


async def test_a_broken_file_takes_what_was_made_from_it_and_leaves_what_came_as_a_table(
    settings: Settings, files: list[SoundFile]
) -> None:
    made_here, table = sorted(BROKEN)
    async with world(settings) as database:
        await database["features"].insert_many(
            [
                {"_id": made_here, "version": "older", "raw": [1.0]},
                {"_id": table, "version": "precomputed-x", "raw": [1.0]},
            ]
        )
        await run(database, files, Engine(), analyse=False)
        assert [each["_id"] async for each in database["features"].find({})] == [table]


async def test_a_refit_that_was_interrupted_is_completed_by_the_next_run(
    settings: Settings, files: list[SoundFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(*_: object) -> int:
        raise DocumentsUnavailable("killed")

    async with world(settings) as database:
        await run(database, files, Engine())
        with monkeypatch.context() as patched:
            patched.setattr(normalise, "carry_over", killed)
            with pytest.raises(DocumentsUnavailable):
                await normalise.refit(database)
        _, seen = await scaled_features(database)
        np.testing.assert_allclose(seen.mean(axis=0), 0, atol=1e-9)
        assert len(await database["features"].distinct("scaler_id")) == 1
        report = await run(database, files, Engine())
        newest = await database["scalers"].find_one({"revision": 2})
        assert await database["features"].distinct("scaler_id") == [report.scaler_id] == [newest["_id"]]
        stored = await database["features"].find({}).sort("_id", 1).to_list(None)
        np.testing.assert_array_equal([each["scaled"] for each in stored], seen)
