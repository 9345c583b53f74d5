"""Lists for everybody: after a model came into service, every user of a snapshot gets a list in MongoDB.

The work is cut into blocks of users. Spark spreads them; each writes its lists through Motor and then its
mark, so a run that was killed goes on where it was. Lists of a newer model replace those of an older one.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession
from rich.console import Console

from connections.catalogue_reader import catalogue_version, newest_charts, read_catalogue
from connections.documents import Database, open_documents
from connections.list_store import Block, begin_build, counted_blocks, end_build, newest_build
from connections.model_store import load_model, served
from connections.snapshot_store import SnapshotStore
from recommender.catalogue import Catalogue, Charts
from recommender.model import Arrays, Model
from recommender.ranking import RankingConfig
from schemas.documents import ListBuild, Pointer
from schemas.errors import DocumentsUnavailable, InvalidInput, InvalidSnapshot, SegueError
from schemas.settings import Settings
from schemas.snapshots import Manifest
from training.configuration import SMALL_USERS
from training.inputs import NEWEST, find_snapshot, log_generation, using_snapshot
from training.lease import lease
from training.list_blocks import (
    DONE,
    LATE,
    OUTCOMES,
    SUPERSEDED,
    UNAVAILABLE,
    Work,
    make_blocks,
    offsets,
    table_of,
)
from training.progress import LISTS, Progress, close_jobs
from training.session import in_spark

LEASE = "lists"
_LOOK_S = 1.0
_BLOCKS = 4  # of Spark's shuffles: what is shuffled here is a list of numbers
_REASONS = {
    DONE: None,
    LATE: "the budget (SEGUE_LISTS_BUDGET_S) is used up, the next run goes on",
    SUPERSEDED: "another model was put into service meanwhile",
}
_SLICES_PER_CORE = 4  # so that a core that is done early finds more


async def build_lists(settings: Settings, snapshot_id: str | None, console: Console) -> dict[str, Any]:
    """Make the lists of all users of a snapshot with the served model, or go on making them.

    Parameters
    ----------
    snapshot_id : None: the one of a build that was begun with this model, else the newest

    Returns
    -------
    ``model_id``, ``seq``, ``snapshot_id``, ``state`` (``done``, ``late`` or ``superseded``), ``reason``,
    ``written``, ``left_out``, ``blocks``, ``blocks_done``, ``blocks_found_done``, ``seconds``.

    Raises
    ------
    InvalidInput
        No model is in service, or there is no catalogue.
    InvalidModel, InvalidSnapshot, Unavailable, LogMismatch, MissingRequirement
    """
    began = time.monotonic()
    until_s = time.time() + settings.lists_budget_s
    generation = await log_generation(settings)

    def waiting() -> None:
        console.print("waiting for another run that makes lists")

    async with open_documents(settings) as database, lease(database, LEASE, waiting):
        pointer = await served(database)
        if pointer is None:
            raise InvalidInput("no model is in service: run `segue train`")
        model = await load_model(database, pointer["model_id"], generation=generation)
        catalogue, charts = await _shelves(database)
        store = SnapshotStore(settings.snapshot_location)
        await close_jobs(database, {"kind": LISTS}, "its process ended before it could say why")
        wanted = snapshot_id or await _begun_or_newest(database, store, pointer, generation)
        async with using_snapshot(database, store, generation, wanted) as manifest:
            blocks = blocks_of(store, manifest)
            build = _build(pointer, manifest, len(blocks))
            done = await begin_build(database, build)
            work = _work(settings, build, manifest, model, catalogue, charts, until_s)
            pending = [block for block in blocks if block not in done]
            state = await _go_through(database, work, pending, console)
            counts = await counted_blocks(database, build)
    return {
        "model_id": build["_id"],
        "seq": build["seq"],
        "snapshot_id": build["snapshot_id"],
        "state": state,
        "reason": _REASONS[state],
        "written": counts["written"],
        "left_out": counts["left_out"],
        "blocks": len(blocks),
        "blocks_done": counts["blocks"],
        "blocks_found_done": len(done),
        "seconds": round(time.monotonic() - began, 1),
    }


def blocks_of(store: SnapshotStore, manifest: Manifest) -> list[Block]:
    """Return the blocks of a snapshot's users.

    Raises
    ------
    InvalidSnapshot
        A part is missing or damaged, or is not the one that the manifest names.
    """
    return [
        (part.partition, block)
        for part in manifest.parts
        if part.users
        for block in range(store.part_blocks(part))
    ]


async def _shelves(database: Database) -> tuple[Catalogue, Charts]:
    version = await catalogue_version(database)
    catalogue = None if version is None else await read_catalogue(database, version)
    if catalogue is None or not len(catalogue.track_ids):
        raise InvalidInput("the catalogue holds no track: load one by `segue etl run`")
    return catalogue, await newest_charts(database, Charts.empty())


async def _begun_or_newest(
    database: Database, store: SnapshotStore, pointer: Pointer, generation: str
) -> str:
    """Return the snapshot of a build to go on with, else the newest."""
    build = await newest_build(database)
    if build is not None and build["state"] != DONE and build["seq"] == pointer["seq"]:
        try:
            return find_snapshot(store, generation, build["snapshot_id"]).snapshot_id
        except InvalidSnapshot:
            pass  # it is pruned: begin again with the newest
    return NEWEST


def _build(pointer: Pointer, manifest: Manifest, blocks: int) -> ListBuild:
    return ListBuild(
        _id=pointer["model_id"],
        seq=pointer["seq"],
        generation=manifest.generation,
        snapshot_id=manifest.snapshot_id,
        offsets=offsets(manifest),
        blocks=blocks,
        state="running",
        updated_ms=time.time_ns() // 1_000_000,
    )


def _work(
    settings: Settings,
    build: ListBuild,
    manifest: Manifest,
    model: Model,
    catalogue: Catalogue,
    charts: Charts,
    until_s: float,
) -> Work:
    arrays: Arrays = {
        "track_ids": model.track_ids,
        "item_factors": model.factor_rows,
        "fitted": model.fitted,
        "popularity": model.popularity,
    }
    return Work(
        settings=settings,
        build=build,
        manifest=manifest,
        arrays=arrays,
        reg_param=model.reg_param,
        alpha=model.alpha,
        catalogue=catalogue,
        charts=charts,
        config=RankingConfig(length=settings.list_length),
        until_s=until_s,
    )


async def _go_through(database: Database, work: Work, pending: Sequence[Block], console: Console) -> str:
    """Make the blocks, report how far it is; return ``DONE``, ``LATE`` or ``SUPERSEDED``.

    Raises
    ------
    DocumentsUnavailable
        MongoDB was away for too long; another run goes on.
    """
    build = work.build
    progress = Progress(
        database, f"lists-{build['_id'][:16]}-{build['seq']}", build["blocks"], console, kind=LISTS
    )
    making = asyncio.create_task(_made(work, pending))
    try:
        while not making.done():
            await progress.at((await counted_blocks(database, build))["blocks"], "making lists")
            await asyncio.wait({making}, timeout=_LOOK_S)
        outcomes = await making
    except SegueError as error:
        await progress.end("failed", str(error))
        raise
    finally:
        making.cancel()
    if UNAVAILABLE in outcomes:
        await progress.end("failed", outcomes[UNAVAILABLE])
        raise DocumentsUnavailable(outcomes[UNAVAILABLE])
    state = next((one for one in (SUPERSEDED, LATE) if one in outcomes), DONE)
    if state == DONE:
        await end_build(database, build)
    await progress.end("done" if state == DONE else "failed", _REASONS[state] or "")
    return state


async def _made(work: Work, pending: Sequence[Block]) -> dict[str, str]:
    """Make blocks; return each state that one of them came to, with a message."""
    if not pending:
        return {DONE: ""}
    if work.manifest.users < SMALL_USERS:
        # a virtual machine takes longer to start than so few lists to make
        outcomes = await asyncio.to_thread(_here, work, pending)
    else:
        outcomes = await in_spark(
            work.settings, "make lists", partial(_spread, work, pending), blocks=_BLOCKS
        )
    return dict(zip(outcomes["state"].to_pylist(), outcomes["message"].to_pylist(), strict=True))


@dataclass(frozen=True, eq=False)
class _Here:
    """Work in this process."""

    value: Work


def _here(work: Work, pending: Sequence[Block]) -> pa.Table:
    return pa.Table.from_batches(make_blocks(iter(table_of(pending).to_batches()), _Here(work)))


def _spread(work: Work, pending: Sequence[Block], spark: SparkSession) -> pa.Table:
    slices = min(len(pending), _SLICES_PER_CORE * spark.sparkContext.defaultParallelism)
    held = spark.sparkContext.broadcast(work)
    blocks = spark.createDataFrame(table_of(pending)).repartition(slices)
    return blocks.mapInArrow(partial(make_blocks, work=held), OUTCOMES).toArrow()
