"""The program that waits for snapshots and trains, each time in a child process."""

import asyncio
import logging
import signal
import sys
import time
from collections.abc import Sequence

import structlog

from connections.documents import Database, answered, open_documents
from connections.feed_reader import TopicTail
from connections.model_store import served
from connections.snapshot_store import SnapshotStore
from schemas.documents import MODELS
from schemas.errors import InvalidSnapshot, LogMismatch, Unavailable
from schemas.settings import Settings
from schemas.snapshots import Manifest
from schemas.topics import SNAPSHOTS
from training.child import REFUSED_EXIT, LimitExceeded, memory_limit_bytes, run_child
from training.drift import SAMPLE, drift
from training.inputs import log_generation, read_served
from training.lists_beside import ListsBeside
from training.progress import note_ended
from training.publication import finish_activation
from training.sample import sampled_histories
from training.schedule import Tried, drift_counts, reason_by_drift, reason_to_train

_log = structlog.get_logger()
_LOOK_S = 30.0  # a snapshot whose announcement was missed is found after this
_BACK_OFF_S = (1.0, 30.0)
_AFTER_FAILURE_S = (15.0, 600.0)


class Trainer:
    """Waits for snapshots; trains when one is due.

    Parameters
    ----------
    interval_s : seconds after which any new event is reason enough; None: as the settings say
    """

    def __init__(self, settings: Settings, interval_s: float | None = None) -> None:
        self._settings = settings
        self._interval_s = settings.train_interval_s if interval_s is None else interval_s
        self._announced = asyncio.Event()
        self._failures = 0
        self._measured: str | None = None  # snapshot whose drift is known
        self._tried: dict[str, Tried] = {}  # by generation: trainings that left no model document
        self._lists = ListsBeside(settings)

    async def run(self) -> None:
        """Run until cancelled; outages of MongoDB and Kafka are waited for.

        Raises
        ------
        LogMismatch
            The log is not the one that this trainer started with.
        """
        tail = asyncio.create_task(TopicTail(self._settings, SNAPSHOTS, self._on_records).run())
        wait_s = _BACK_OFF_S[0]
        try:
            while True:
                try:
                    await self._turn()
                    wait_s = _BACK_OFF_S[0]
                except Unavailable as error:
                    _log.warning("waiting for the log or the documents", reason=str(error), wait_s=wait_s)
                    await asyncio.sleep(wait_s)
                    wait_s = min(2 * wait_s, _BACK_OFF_S[1])
                    continue
                await self._next_snapshot(tail)
        finally:
            tail.cancel()
            await asyncio.gather(tail, self._lists.stop(), return_exceptions=True)

    def _on_records(self, _: str, records: Sequence[tuple[bytes | None, bytes | None]]) -> None:
        if records:
            self._announced.set()

    async def _next_snapshot(self, tail: "asyncio.Task[None]") -> None:
        announced = asyncio.create_task(self._announced.wait())
        await asyncio.wait({announced, tail}, timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
        announced.cancel()
        self._announced.clear()
        if tail.done():
            tail.result()  # raises what ended it
            raise LogMismatch("the topic of snapshots ended")

    async def _turn(self) -> None:
        """Look once: finish a publication that was interrupted, train if the newest snapshot is due."""
        settings = self._settings
        generation = await log_generation(settings)
        async with open_documents(settings) as database:
            if await finish_activation(settings, database):
                _log.info("repeated an interrupted activation")
            manifest = await self._newest(generation)
            because = None if manifest is None else await self.reason(database, manifest)
            if manifest is None or because is None:
                await self._lists.begin(database)
                return
        await self._lists.stop()  # a new model makes them anew
        await self._train(manifest, because)
        self._announced.set()  # look again at once

    async def _newest(self, generation: str) -> Manifest | None:
        store = SnapshotStore(self._settings.snapshot_location)
        try:
            found = await asyncio.to_thread(store.manifests, generation)
        except (InvalidSnapshot, OSError) as error:
            _log.warning("the snapshots cannot be read", reason=str(error))
            return None
        return found[0] if found else None

    async def reason(self, database: Database, manifest: Manifest) -> str | None:
        """Return why to train on this snapshot, None to wait."""
        in_service = await served(database) is not None
        of_this_log = {"generation": manifest.generation}
        cursor = database[MODELS.name].find(of_this_log, {"metrics": 1, "created_ms": 1})
        newest = await answered(cursor.sort("created_ms", -1).limit(1).to_list(1), "reading models")
        tried = [self._tried[manifest.generation]] if manifest.generation in self._tried else []
        tried += [
            Tried(document["metrics"]["snapshot"]["applied"], document["created_ms"] / 1000.0)
            for document in newest
        ]
        last = max(tried, key=lambda one: one.at_s, default=None)
        because = reason_to_train(
            manifest,
            served=in_service,
            tried=last,
            now_s=time.time(),
            interval_s=self._interval_s,
            min_users=self._settings.train_min_users,
        )
        if because is not None or not drift_counts(manifest, served=in_service, tried=last):
            return because
        return await self._drifted(database, manifest)

    async def _drifted(self, database: Database, manifest: Manifest) -> str | None:
        """Measure the drift of a snapshot once; return the reason to train that it may be."""
        if manifest.snapshot_id == self._measured:
            return None
        current = await read_served(database, manifest.generation)
        if current is None:
            return None
        store, seed = SnapshotStore(self._settings.snapshot_location), self._settings.seed
        try:
            histories = await asyncio.to_thread(sampled_histories, store, manifest, SAMPLE, seed)
        except InvalidSnapshot as error:
            _log.warning("drift cannot be measured", reason=str(error))
            return None
        found = await asyncio.to_thread(drift, current.model, histories, current.snapshot_s)
        self._measured = manifest.snapshot_id
        _log.info("drift", snapshot_id=manifest.snapshot_id, users=found.users, moved=found.moved)
        return reason_by_drift(found)

    async def _train(self, manifest: Manifest, because: str) -> None:
        """Run one training; a refusal is settled, a failure is tried again after a growing pause."""
        _log.info("training", snapshot_id=manifest.snapshot_id, users=manifest.users, because=because)
        began = time.monotonic()
        arguments = ["train", "--in-process", "--snapshot", manifest.snapshot_id]
        arguments += ["--actor", "trainer", "--because", because]
        try:
            limits = (self._settings.train_deadline_s, memory_limit_bytes(self._settings))
            code = await run_child(arguments, *limits)
        except LimitExceeded as error:
            _log.error("training ended", reason=str(error))
            await note_ended(self._settings, error.pid, str(error))
            code = -1
        seconds = round(time.monotonic() - began, 1)
        if code in (0, REFUSED_EXIT):
            self._failures = 0
            self._tried[manifest.generation] = Tried(manifest.counts.get("applied", 0), time.time())
            _log.info("training ended", exit_code=code, seconds=seconds)
            return
        pause_s = min(_AFTER_FAILURE_S[0] * 2**self._failures, _AFTER_FAILURE_S[1])
        self._failures += 1
        _log.error("training failed", exit_code=code, seconds=seconds, next_try_s=pause_s)
        await asyncio.sleep(pause_s)
        self._announced.set()


async def run_until_signalled(settings: Settings, interval_s: float | None) -> None:
    """Run a trainer until SIGTERM or SIGINT; its child ends with it."""
    loop = asyncio.get_running_loop()
    running = asyncio.create_task(Trainer(settings, interval_s).run())
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        _log.info("trainer stopped")


def configure_logs(settings: Settings) -> None:
    """Send log lines to stderr: JSON outside a terminal."""
    as_json = not sys.stderr.isatty() if settings.log_json is None else settings.log_json
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    logging.basicConfig(level=max(level, logging.WARNING), stream=sys.stderr)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
