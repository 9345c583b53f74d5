"""One process of a replay: folds the partitions that it is given, one by one, and writes their parts."""

import asyncio
import gc
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

import msgspec
import structlog

from agents.logs import configure_logs
from agents.parts import header_of, newest_state, read_part, state_of
from connections.event_log import LogReader
from connections.replay_store import ReplayStore
from recommender.encoding import History
from recommender.history import FOLD_VERSION
from recommender.open_partition import OpenPartition
from recommender.partition import Folded, PartitionState
from schemas import events
from schemas.errors import HoleInLog, InvalidSnapshot, LogMismatch, SegueError
from schemas.settings import Settings
from schemas.snapshots import PartHeader, ReplayPlan

_log = structlog.get_logger()
_CHECKPOINT_SHARE = 0.1
"""Share of the time that checkpoints may take at most."""


@dataclass(frozen=True)
class Job:
    """What every process of a replay is told at its start.

    Attributes
    ----------
    checkpoint_s : seconds of folding one partition after which a checkpoint is written, again and again
    """

    settings: Settings
    plan: ReplayPlan
    checkpoint_s: float


@dataclass(frozen=True)
class Progress:
    """A partition is folded below ``position``; ``begun`` when it was not folded there but found so."""

    partition: int
    position: int
    begun: bool = False


@dataclass(frozen=True)
class Finished:
    """A partition's part stands."""

    partition: int


class StopAsked(Exception):
    """Whoever started the process wants it to end, or is gone."""


def work(pipe: Connection, foreign: Sequence[Connection]) -> None:
    """Fold each partition that comes through the pipe after the job, until None does; errors go back.

    Parameters
    ----------
    foreign : ends of pipes that a forked process has and must not keep: they would never be closed
    """
    for other in foreign:
        other.close()
    for number in (signal.SIGINT, signal.SIGTERM):  # both reach the whole group: who started us decides
        signal.signal(number, signal.SIG_IGN)
    gc.freeze()  # what is loaded by now lives as long as the process
    try:
        job: Job = pipe.recv()
        configure_logs(job.settings)
        asyncio.run(_work(job, pipe))
    except SegueError as error:
        pipe.send(error)
    except (StopAsked, BrokenPipeError, EOFError):
        pass


async def _work(job: Job, pipe: Connection) -> None:
    def tell(progress: Progress) -> None:
        pipe.send(progress)
        if pipe.poll():  # nothing is sent while a partition is folded but the wish to stop
            raise StopAsked

    await fold_each(job, iter(pipe.recv, None), tell, lambda partition: pipe.send(Finished(partition)))


async def fold_each(
    job: Job,
    partitions: Iterable[int],
    tell: Callable[[Progress], None],
    finished: Callable[[int], None] = lambda _: None,
) -> None:
    """Fold partitions one by one in this process; raises what ``fold_partition`` raises."""
    store = ReplayStore(job.settings.snapshot_location)
    async with LogReader(job.settings) as reader:
        for partition in partitions:
            await fold_partition(job, store, reader, partition, tell)
            finished(partition)


async def fold_partition(
    job: Job, store: ReplayStore, reader: LogReader, partition: int, tell: Callable[[Progress], None]
) -> None:
    """Write the part of one partition, unless it stands already.

    ``tell`` may raise: what is folded then stays as a checkpoint.

    Raises
    ------
    LogMismatch, HoleInLog
        The log is not the one of the plan, or not whole.
    LogUnavailable
        Kafka did not answer.
    InvalidSnapshot
        Another part stands there.
    """
    plan, cut = job.plan, job.plan.cut[partition]
    if _stands(store, plan, partition):
        tell(Progress(partition, cut, begun=True))
        return
    named = await reader.first_name(partition)
    if named != plan.generation:
        raise LogMismatch(
            f"partition {partition} names log {named} at offset 0, this replay is of {plan.generation}"
        )
    opened = OpenPartition(_begin(store, plan, partition))
    tell(Progress(partition, opened.position, begun=True))
    checkpoints = _Checkpoints(job, store)
    try:
        async for records in reader.read_tuples(partition, opened.position, cut):
            _check_names(plan, partition, opened.fold(records))
            tell(Progress(partition, opened.position))
            checkpoints.look(opened)
    except StopAsked:
        checkpoints.write(opened.closed())
        raise
    except HoleInLog as error:
        raise HoleInLog(f"{error}: the log is not whole, so it cannot be folded") from error
    state = opened.closed()
    store.replace_part(_header(plan, state), sorted(state.histories.items()))
    store.remove_checkpoint(plan.generation, plan.snapshot_id, partition)


def _stands(store: ReplayStore, plan: ReplayPlan, partition: int) -> bool:
    """Say whether the part stands and holds what its header names.

    Raises
    ------
    InvalidSnapshot
        Another part stands there.
    """
    try:
        header = store.part_header(plan.generation, plan.snapshot_id, partition)
        if header is None:
            return False
        read_part(store, header)
    except InvalidSnapshot as error:
        _log.warning("a part that cannot be used is folded again", partition=partition, error=str(error))
        return False
    if header.cut != plan.cut[partition]:
        raise InvalidSnapshot(
            f"part {partition} of {plan.snapshot_id} is cut at {header.cut}, not at {plan.cut[partition]}"
        )
    return True


def _begin(store: ReplayStore, plan: ReplayPlan, partition: int) -> PartitionState:
    """Return the furthest state to begin from: this replay's checkpoint, another's part, or none."""
    own = _checkpoint(store, plan, partition) or PartitionState(partition)
    if plan.from_beginning:
        return own
    other = newest_state(store, plan.generation, partition, plan.cut[partition])
    return own if own.position >= other.position else other


def _checkpoint(store: ReplayStore, plan: ReplayPlan, partition: int) -> PartitionState | None:
    try:
        header = store.checkpoint_header(plan.generation, plan.snapshot_id, partition)
        if header is None or header.fold_version != FOLD_VERSION:
            return None
        return state_of(*store.read_checkpoint(plan.generation, plan.snapshot_id, partition))
    except InvalidSnapshot as error:
        _log.warning("a checkpoint cannot be used", partition=partition, error=str(error))
        return None


def _check_names(plan: ReplayPlan, partition: int, folded: list[Folded]) -> None:
    """Make sure that no record names another log: two logs were copied into one."""
    for result in folded:
        if type(result.event) is events.Generation and result.event.generation != plan.generation:
            raise LogMismatch(
                f"partition {partition} names log {result.event.generation} at offset {result.offset}, "
                f"this replay is of {plan.generation}"
            )


def _header(plan: ReplayPlan, state: PartitionState) -> PartHeader:
    newest_ms = max((History(data).last_event_ms for data in state.histories.values()), default=0)
    return msgspec.structs.replace(header_of(plan.snapshot_id, state), newest_event_ms=newest_ms)


class _Checkpoints:
    """Says when a long partition is written to go on from, and writes it."""

    def __init__(self, job: Job, store: ReplayStore) -> None:
        self._job = job
        self._store = store
        self._due = time.monotonic() + job.checkpoint_s

    def look(self, opened: OpenPartition) -> None:
        """Write a checkpoint if one is due."""
        if time.monotonic() >= self._due:
            self.write(opened.closed())

    def write(self, state: PartitionState) -> None:
        """Write a checkpoint now."""
        if state.position == 0:
            return
        began = time.monotonic()
        self._store.write_checkpoint(_header(self._job.plan, state), sorted(state.histories.items()))
        now = time.monotonic()
        self._due = now + max(self._job.checkpoint_s, (now - began) / _CHECKPOINT_SHARE)
