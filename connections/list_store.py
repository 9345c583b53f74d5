"""Everybody's lists in MongoDB, and how far the making of them has come.

Every write can be repeated. A list gives way only to one that reflects more of the log or, of the same part
of it, comes from a model that was put into service later; one of another log always gives way.
"""

import time
from collections.abc import Sequence
from typing import Any, cast

from pymongo import ReplaceOne
from pymongo.errors import BulkWriteError

from connections.documents import DUPLICATE_KEY, Database, answered
from connections.model_chunks import majority, repeated
from connections.model_store import served
from schemas.documents import ARCHIVE, LIST_BLOCKS, LIST_BUILDS, LISTS, ListBlock, ListBuild, ListDocument

Block = tuple[int, int]
"""(partition, number of the row group in its part)."""


def build_key(build: ListBuild) -> str:
    """Return what the blocks of a build are marked with."""
    return f"{build['_id']}:{build['seq']}:{build['snapshot_id']}"


async def write_lists(database: Database, documents: Sequence[ListDocument]) -> None:
    """Write lists; one that is newer stays.

    Raises
    ------
    DocumentsUnavailable
        MongoDB did not answer; some may be written.
    """
    if not documents:
        return
    writes = [ReplaceOne(_older_than(one), dict(one), upsert=True) for one in documents]

    async def write() -> None:
        try:
            await database[LISTS.name].bulk_write(writes, ordered=False)
        except BulkWriteError as error:
            # the user has a newer list, so the upsert met it
            others = [e for e in error.details["writeErrors"] if e["code"] != DUPLICATE_KEY]
            if others or error.details.get("writeConcernErrors"):
                raise

    await repeated(write, f"writing {len(documents)} lists")


async def remove_lists(database: Database, user_ids: Sequence[str], generation: str, below: int) -> None:
    """Remove the lists of users that reflect less than offset ``below`` of their partition.

    Raises
    ------
    DocumentsUnavailable
        MongoDB did not answer.
    """
    older = {"_id": {"$in": list(user_ids)}, "generation": generation, "offset": {"$lt": below}}
    await answered(database[LISTS.name].delete_many(older), "removing lists")


async def forgotten_since(
    database: Database, partition: int, offset: int, user_ids: Sequence[str]
) -> set[str]:
    """Return which of the users asked at ``offset`` or after it to be forgotten, as the archive knows.

    Raises
    ------
    DocumentsUnavailable
        MongoDB did not answer.
    """
    asked = {
        "user_id": {"$in": list(user_ids)},
        "type": "forget",
        "partition": partition,
        "offset": {"$gte": offset},
    }
    found = await answered(database[ARCHIVE.name].distinct("user_id", asked), "reading who is forgotten")
    return set(found)


async def newest_build(database: Database) -> ListBuild | None:
    """Return the build of the greatest ``seq``, None before the first.

    Raises
    ------
    DocumentsUnavailable
        MongoDB did not answer.
    """
    found = database[LIST_BUILDS.name].find_one({}, sort=[("seq", -1)])
    return cast(ListBuild | None, await answered(found, "reading the newest build of lists"))


async def lists_due(database: Database) -> bool:
    """Say whether a model is in service whose lists are not all made.

    Raises
    ------
    DocumentsUnavailable
        MongoDB did not answer.
    """
    pointer, build = await served(database), await newest_build(database)
    if pointer is None:
        return False
    return build is None or build["seq"] < pointer["seq"] or build["state"] != "done"


async def begin_build(database: Database, build: ListBuild) -> set[Block]:
    """Note that a build goes on; return its blocks that are done. Builds and marks of others go.

    Raises
    ------
    DocumentsUnavailable
        MongoDB did not answer; calling again goes on.
    """
    builds, blocks = majority(database, LIST_BUILDS), majority(database, LIST_BLOCKS)
    await repeated(
        lambda: builds.replace_one({"_id": build["_id"]}, build, upsert=True), "noting a build of lists"
    )
    older = {"_id": {"$ne": build["_id"]}, "seq": {"$lt": build["seq"]}}
    await answered(builds.delete_many(older), "removing old builds of lists")
    name = build_key(build)
    await answered(blocks.delete_many({"build": {"$ne": name}}), "removing old marks")
    marks = await answered(blocks.find({"build": name}).to_list(None), "reading what is done")
    return {(mark["partition"], mark["block"]) for mark in marks}


async def mark_block(database: Database, mark: ListBlock) -> None:
    """Note that the lists of a block are written.

    Raises
    ------
    DocumentsUnavailable
        MongoDB did not answer; the block may be made again.
    """
    blocks = majority(database, LIST_BLOCKS)
    await repeated(lambda: blocks.replace_one({"_id": mark["_id"]}, mark, upsert=True), "marking a block")


async def counted_blocks(database: Database, build: ListBuild) -> dict[str, int]:
    """Return the sums over the blocks that are done: ``blocks``, ``written`` and ``left_out``.

    Raises
    ------
    DocumentsUnavailable
        MongoDB did not answer.
    """
    sums: dict[str, Any] = {name: {"$sum": f"${name}"} for name in ("written", "left_out")}
    pipeline: list[dict[str, Any]] = [
        {"$match": {"build": build_key(build)}},
        {"$group": {"_id": None, "blocks": {"$sum": 1}, **sums}},
    ]
    found = await answered(database[LIST_BLOCKS.name].aggregate(pipeline).to_list(1), "counting what is done")
    counts = found[0] if found else {}
    return {name: int(counts.get(name, 0)) for name in ("blocks", "written", "left_out")}


async def end_build(database: Database, build: ListBuild) -> None:
    """Note that all lists of a build are written.

    Raises
    ------
    DocumentsUnavailable
        MongoDB did not answer.
    """
    same = {"_id": build["_id"], "seq": build["seq"], "snapshot_id": build["snapshot_id"]}
    done = {"$set": {"state": "done", "updated_ms": time.time_ns() // 1_000_000}}
    await answered(majority(database, LIST_BUILDS).update_one(same, done), "ending a build of lists")


def _older_than(one: ListDocument) -> dict[str, object]:
    return {
        "_id": one["_id"],
        "$or": [
            {"generation": {"$ne": one["generation"]}},
            {"offset": {"$lt": one["offset"]}},
            {"offset": one["offset"], "seq": {"$lte": one["seq"]}},
        ],
    }
