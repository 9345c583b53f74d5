"""One block of users -> their lists in MongoDB. Runs inside Spark's Python workers, block after block.

A block is a row group of a snapshot part. Its lists are what a worker would make for the state below the
part's cut: ``recommender.ranking.rank`` is the one definition, with its blocked products and exact scores,
the artist cap and what is hidden.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import pyarrow as pa
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from connections.documents import open_documents
from connections.list_store import (
    Block,
    build_key,
    forgotten_since,
    mark_block,
    remove_lists,
    write_lists,
)
from connections.model_store import served
from connections.snapshot_store import SnapshotStore
from recommender.catalogue import Catalogue, Charts
from recommender.encoding import History
from recommender.model import Arrays, Model
from recommender.ranking import Page, RankingConfig, Request, rank
from schemas import recommendations
from schemas.documents import ListBlock, ListBuild, ListDocument
from schemas.errors import DocumentsUnavailable
from schemas.recommendations import Recommendations, Timings
from schemas.settings import Settings
from schemas.snapshots import Manifest

DONE, LATE, SUPERSEDED, UNAVAILABLE = "done", "late", "superseded", "unavailable"
OUTCOMES = "partition int, block int, state string, message string"
BLOCKS = pa.schema([("partition", pa.int32()), ("block", pa.int32())])
_OUTCOMES = pa.schema([*BLOCKS, ("state", pa.string()), ("message", pa.string())])
_RANKED_AT_ONCE = 64  # solved equations take up to 0.3 MB each


@dataclass(frozen=True, eq=False)
class Work:
    """What every block is made with; broadcast once.

    Attributes
    ----------
    arrays : of the model, as ``recommender.model.ARRAY_DTYPES`` names them
    until_s : seconds since 1970 after which no further block is begun
    """

    settings: Settings
    build: ListBuild
    manifest: Manifest
    arrays: Arrays
    reg_param: float
    alpha: float
    catalogue: Catalogue
    charts: Charts
    config: RankingConfig
    until_s: float


class Held(Protocol):
    """Where the work is: a broadcast of Spark, or an object of this process."""

    @property
    def value(self) -> Work:
        """Return the work."""
        ...

    def __hash__(self) -> int: ...


def make_blocks(batches: Iterator[pa.RecordBatch], work: Held) -> Iterator[pa.RecordBatch]:
    """Make the blocks of ``BLOCKS`` one after the other; yield what became of each (``_OUTCOMES``).

    After a block that was not made, the others are passed over: the next run makes them.
    """
    given, model = work.value, _model(work)
    with threadpool_limits(limits=1):  # Spark runs as many of these as there are cores
        for batch in batches:
            for block in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                state, message = _made(given, model, block)
                partition, number = block
                yield pa.RecordBatch.from_pylist(
                    [{"partition": partition, "block": number, "state": state, "message": message}], _OUTCOMES
                )
                if state != DONE:
                    return


@lru_cache(maxsize=1)
def _model(work: Held) -> Model:
    """Return the model of a broadcast: one object for each, so that indexes are kept for it."""
    given = work.value
    arrays = given.arrays
    return Model.build(
        given.build["_id"],
        arrays["track_ids"],
        arrays["item_factors"],
        arrays["fitted"],
        arrays["popularity"],
        given.reg_param,
        given.alpha,
    )


def _made(work: Work, model: Model, block: Block) -> tuple[str, str]:
    if time.time() >= work.until_s:
        return LATE, ""
    try:
        return asyncio.run(_make(work, model, block)), ""
    except DocumentsUnavailable as error:
        return UNAVAILABLE, str(error)


async def _make(work: Work, model: Model, block: Block) -> str:
    partition, number = block
    build, manifest = work.build, work.manifest
    header = next(part for part in manifest.parts if part.partition == partition)
    histories = {
        user_id: History.from_bytes(data)
        for user_id, data in SnapshotStore(work.settings.snapshot_location).read_block(header, number).items()
    }
    silent = [user_id for user_id, history in histories.items() if says_nothing(history)]
    async with open_documents(work.settings) as database:
        pointer = await served(database)
        if pointer is not None and pointer["seq"] > build["seq"]:
            return SUPERSEDED
        gone = await forgotten_since(database, partition, header.cut, list(histories))
        wanted = [user_id for user_id in histories if user_id not in gone and user_id not in silent]
        lists = _lists(work, model, partition, {user_id: histories[user_id] for user_id in wanted})
        await write_lists(database, lists)
        # a worker archives the event first and then removes the list: who asked meanwhile is found here
        gone |= await forgotten_since(database, partition, header.cut, wanted)
        left_out = sorted(gone.union(silent))
        await remove_lists(database, left_out, build["generation"], header.cut)
        await mark_block(
            database,
            ListBlock(
                _id=f"{build_key(build)}:{partition}/{number}",
                build=build_key(build),
                partition=partition,
                block=number,
                written=len(histories) - len(left_out),
                left_out=len(left_out),
            ),
        )
    return DONE


def says_nothing(history: History) -> bool:
    """Say whether a history holds nothing, as that of a user who was forgotten: the charts do for them."""
    return not (len(history.interactions) or len(history.hidden_artists) or len(history.genres))


def _lists(work: Work, model: Model, partition: int, histories: dict[str, History]) -> list[ListDocument]:
    offset = work.build["offsets"][str(partition)]
    requests = [Request(user_id, partition, offset, history) for user_id, history in histories.items()]
    found = []
    for start in range(0, len(requests), _RANKED_AT_ONCE):
        some = requests[start : start + _RANKED_AT_ONCE]
        pages = rank(some, model, work.catalogue, work.charts, work.config)
        found += [_document(work, request, page) for request, page in zip(some, pages, strict=True)]
    return found


def _document(work: Work, request: Request, page: Page) -> ListDocument:
    created_ms = float(work.manifest.created_ms)
    message = Recommendations(
        generation=work.build["generation"],
        partition=request.partition,
        offset=request.offset,
        model_id=work.build["_id"],
        charts_id=work.charts.charts_id,
        catalogue_version=work.catalogue.version,
        ranking_version=work.config.version,
        cause=None,
        items=page.items,
        timings=Timings(accepted_ms=created_ms, folded_ms=created_ms, ranked_ms=time.time() * 1000),
        rails=page.rails,
    )
    return ListDocument(
        _id=request.user_id,
        generation=message.generation,
        partition=message.partition,
        offset=message.offset,
        seq=work.build["seq"],
        value=recommendations.encode(message),
    )


def offsets(manifest: Manifest) -> dict[str, int]:
    """Return the offset that the lists of each partition name: the last one that the part reflects."""
    return {str(partition): cut - 1 for partition, cut in manifest.cut.items()}


def table_of(blocks: Sequence[Block]) -> pa.Table:
    """Return blocks as the table that Spark spreads."""
    rows: list[dict[str, Any]] = [{"partition": partition, "block": block} for partition, block in blocks]
    return pa.Table.from_pylist(rows, BLOCKS)
