"""A replay from what was asked for to a complete snapshot."""

import asyncio
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from agents.parts import manifest_of
from agents.replay.cut import Cut, checked, cut_at_end, cut_until, parse_until, read_offsets
from agents.replay.display import Display, Meter
from agents.replay.folding import Job, Progress
from agents.replay.processes import Interrupted, Running, fold_all, started
from connections.documents import open_documents
from connections.event_log import LogReader
from connections.replay_store import ReplayStore
from connections.snapshot_pins import pinned_ids
from recommender.history import FOLD_VERSION
from schemas.errors import DocumentsUnavailable, InvalidInput, InvalidSnapshot
from schemas.settings import Settings
from schemas.snapshots import REPLAY_PREFIX, Manifest, PartHeader, ReplayPlan
from schemas.topics import PLAYS

CHECKPOINT_S = 30.0


@dataclass(frozen=True)
class Request:
    """What a replay is asked for. At most one of the first four says where to fold to; by default the end.

    Attributes
    ----------
    until : a date or time by ISO 8601
    offsets : a file of offsets
    like : a snapshot of whatever kind, for its cut
    resume : an unfinished replay
    from_beginning : begin from no part of another snapshot
    check : compare with the workers' snapshot of the same cut; implies ``from_beginning``
    processes : by default as many as cores
    """

    until: str | None = None
    offsets: Path | None = None
    like: str | None = None
    resume: str | None = None
    from_beginning: bool = False
    check: bool = False
    processes: int | None = None
    checkpoint_s: float = CHECKPOINT_S


def replay(
    settings: Settings, request: Request, console: Console, stopped: threading.Event
) -> dict[str, Any]:
    """Fold the log below a cut into a complete snapshot; return what was done.

    Raises
    ------
    InvalidInput, LogMismatch, HoleInLog, LogUnavailable, InvalidSnapshot
    Interrupted
        ``stopped`` was set; the message says how to go on.
    """
    processes = min(request.processes or _cores(), PLAYS.partitions)
    with started(processes) as running:  # first: what is open or runs beside would be forked too
        store = ReplayStore(settings.snapshot_location)
        plan = asyncio.run(_planned(settings, store, request))
        manifest = store.manifest(plan.generation, plan.snapshot_id)
        meter = Meter(plan.cut)
        if manifest is None:
            with Display.opened(console, meter) as display:
                _fold(Job(settings, plan, request.checkpoint_s), running, store, display, stopped)
    if manifest is None:
        manifest = asyncio.run(_complete(settings, store, plan))
    result = _result(plan, manifest, meter)
    if request.check:
        result["check"] = compared(manifest, store.manifests(plan.generation))
    return result


def replay_id(generation: str, cut: Cut, from_beginning: bool) -> str:
    """Return the id of a replay: asking for the same again is going on with it, or finding it done."""
    asked = json.dumps([generation, FOLD_VERSION, sorted(cut.items()), from_beginning])
    return REPLAY_PREFIX + hashlib.sha256(asked.encode()).hexdigest()[:16]


def compared(replayed: Manifest, others: list[Manifest]) -> dict[str, Any] | None:
    """Compare with the snapshot of the workers that has the same cut; None when there is none."""
    same = [m for m in others if m.cut == replayed.cut and m.fold_version == replayed.fold_version]
    if not same:
        return None
    pairs = zip(_by_partition(same[0]), _by_partition(replayed), strict=True)
    differing = [mine.partition for theirs, mine in pairs if theirs.digest != mine.digest]
    return {"snapshot_id": same[0].snapshot_id, "equal": not differing, "differing": differing}


async def _planned(settings: Settings, store: ReplayStore, request: Request) -> ReplayPlan:
    async with LogReader(settings) as reader:
        generation = await reader.generation()
        if request.resume is not None:
            return _resumed(store, generation, request)
        cut = checked(await _cut(reader, store, generation, request), await reader.end_offsets())
    from_beginning = request.from_beginning or request.check
    plan = ReplayPlan(
        snapshot_id=replay_id(generation, cut, from_beginning),
        generation=generation,
        fold_version=FOLD_VERSION,
        cut=cut,
        from_beginning=from_beginning,
        created_ms=time.time_ns() // 1_000_000,
    )
    known = store.plan(generation, plan.snapshot_id)
    if known is None:
        store.write_plan(plan)
    return known or plan


async def _cut(reader: LogReader, store: ReplayStore, generation: str, request: Request) -> Cut:
    if request.until is not None:
        return await cut_until(reader, parse_until(request.until, time.time_ns() // 1_000_000))
    if request.offsets is not None:
        return read_offsets(request.offsets, generation)
    if request.like is not None:
        manifest = store.manifest(generation, request.like)
        if manifest is None:
            raise InvalidSnapshot(f"there is no complete snapshot {request.like} of this log in {store.uri}")
        return manifest.cut
    return await cut_at_end(reader)


def _resumed(store: ReplayStore, generation: str, request: Request) -> ReplayPlan:
    assert request.resume is not None
    plan = store.plan(generation, request.resume)
    if plan is None:
        known = ", ".join(one.snapshot_id for one in store.plans(generation)) or "none"
        raise InvalidInput(
            f"there is no replay {request.resume} of this log in {store.uri}; there are: {known}"
        )
    if plan.fold_version != FOLD_VERSION:
        raise InvalidInput(
            f"{request.resume} was begun by fold version {plan.fold_version}, this is {FOLD_VERSION}: "
            "start a new one by `segue replay`"
        )
    if (request.check or request.from_beginning) and not plan.from_beginning:
        raise InvalidInput(
            f"{request.resume} was begun from parts: start a new one by `segue replay --from-beginning`"
        )
    return plan


def _fold(
    job: Job,
    running: Sequence[Running],
    store: ReplayStore,
    display: Display,
    stopped: threading.Event,
) -> None:
    meter, plan = display.meter, job.plan
    for partition, position in _expected(store, plan).items():
        meter.expect(partition, position)
    left = meter.left()
    longest_first = sorted(left, key=lambda partition: left[partition], reverse=True)

    def tell(progress: Progress) -> None:
        note = meter.found if progress.begun else meter.moved
        note(progress.partition, progress.position)
        display.show()

    try:
        fold_all(job, longest_first, running, tell, stopped)
    except Interrupted:
        raise Interrupted(
            f"the replay was stopped at {meter.done / meter.total:.0%}; what it folded is kept: "
            f"go on by `segue replay --resume {plan.snapshot_id}`"
        ) from None


def _expected(store: ReplayStore, plan: ReplayPlan) -> dict[int, int]:
    """Return from where each partition will be folded, if nothing that stands is corrupt."""

    def furthest(partition: int) -> int:
        names = (plan.generation, plan.snapshot_id, partition)
        if _header(store.part_header, names) is not None:
            return plan.cut[partition]
        checkpoint = _header(store.checkpoint_header, names)
        others = () if plan.from_beginning else store.part_headers(plan.generation, partition)
        usable = (
            one for one in others if one.cut <= plan.cut[partition] and one.fold_version == FOLD_VERSION
        )
        other: PartHeader | None = next(usable, None)
        return max(0 if one is None else one.cut for one in (checkpoint, other))

    return {partition: furthest(partition) for partition in plan.cut}


def _header(
    read: Callable[[str, str, int], PartHeader | None], names: tuple[str, str, int]
) -> PartHeader | None:
    try:
        return read(*names)
    except InvalidSnapshot:
        return None  # who folds the partition says so


async def _complete(settings: Settings, store: ReplayStore, plan: ReplayPlan) -> Manifest:
    """Write the manifest, if the log is still the one that was folded; announce nothing.

    The topic of snapshots tells of the workers' own: nobody shall take a replay for the newest.
    """
    async with LogReader(settings) as reader:
        await reader.check(plan.generation)
    parts = store.parts(plan.generation, plan.snapshot_id, PLAYS.partitions)
    if parts is None:
        raise InvalidSnapshot(f"a part of {plan.snapshot_id} is gone: was it removed by hand?")
    manifest = manifest_of(parts)
    store.write_manifest(manifest)
    store.tidy(plan.generation, plan.snapshot_id)
    try:
        async with open_documents(settings) as database:
            in_use = await pinned_ids(database, plan.generation)
        store.prune_replays(plan.generation, settings.snapshots_kept, plan.snapshot_id, in_use)
    except DocumentsUnavailable:
        pass  # without MongoDB nobody knows which are being read: the next replay prunes
    return manifest


def _result(plan: ReplayPlan, manifest: Manifest, meter: Meter) -> dict[str, Any]:
    return {
        "snapshot_id": manifest.snapshot_id,
        "generation": manifest.generation,
        "users": manifest.users,
        "cut": manifest.cut,
        "counts": manifest.counts,
        "from_beginning": plan.from_beginning,
        "begun_at": meter.started,
        "folded": meter.folded,
        "seconds": round(meter.seconds, 3),
        "records_per_s": round(meter.per_s),
    }


def _by_partition(manifest: Manifest) -> list[PartHeader]:
    return sorted(manifest.parts, key=lambda part: part.partition)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
