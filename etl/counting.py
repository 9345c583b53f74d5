"""Counts of the catalogue's documents. MongoDB counts: memory here does not grow with the catalogue."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from connections.documents import Database, answered
from schemas.documents import (
    CATALOGUE,
    ETL_REPORTS,
    FEATURES,
    REJECTED_TRACKS,
    SCALERS,
    TRACKS,
    CatalogueState,
    EtlReport,
    Scaler,
)

_KINDS = 40
_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class TrackCounts:
    """Counts of ``tracks``; ``total_ms`` is the sum of the known lengths."""

    tracks: int = 0
    audio: int = 0
    removed: int = 0
    total_ms: int = 0
    without_length: int = 0
    without_genre: int = 0
    without_licence: int = 0


@dataclass(frozen=True, slots=True)
class FeatureGroup:
    """Features of one definition under one scaler; ``scaler_id`` is None for those not standardised."""

    version: str
    scaler_id: str | None
    count: int


@dataclass(frozen=True, slots=True)
class RejectedKind:
    """One kind of reason, how often, and the first (key, reason) in the order of keys."""

    kind: str
    count: int
    examples: list[tuple[str, str]]


async def aggregated(
    database: Database, name: str, stages: Sequence[dict[str, Any]], doing: str
) -> list[dict[str, Any]]:
    """Return what an aggregation gives; meant for few documents."""
    cursor = database[name].aggregate(list(stages), allowDiskUse=True)
    return await answered(cursor.to_list(None), doing)


def given(field: str) -> dict[str, Any]:
    """Return the expression that is 1 where a field is there and not null, else 0."""
    return {"$cond": [{"$gt": [f"${field}", None]}, 1, 0]}


async def catalogue_state(database: Database) -> CatalogueState | None:
    """Return the catalogue document; None before the first load is complete."""
    found = await answered(database[CATALOGUE.name].find_one({}), "reading the catalogue")
    return cast(CatalogueState, found) if found is not None else None


async def count_tracks(database: Database) -> TrackCounts:
    """Return the counts of ``tracks``."""
    lacks = {"length": "track_ms", "licence": "licence"}
    totals: dict[str, Any] = {name: {"$sum": given(name)} for name in ("audio", "removed_ms")}
    totals |= {f"no_{what}": {"$sum": {"$subtract": [1, given(field)]}} for what, field in lacks.items()}
    totals["no_genre"] = {"$sum": {"$cond": [{"$gt": [{"$size": {"$ifNull": ["$genres", []]}}, 0]}, 0, 1]}}
    totals |= {"tracks": {"$sum": 1}, "total_ms": {"$sum": "$track_ms"}}
    group = {"$group": {"_id": None, **totals}}
    found = await aggregated(database, TRACKS.name, [group], "counting tracks")
    if not found:
        return TrackCounts()
    counts = found[0]
    return TrackCounts(
        tracks=counts["tracks"],
        audio=counts["audio"],
        removed=counts["removed_ms"],
        total_ms=counts["total_ms"],
        without_length=counts["no_length"],
        without_genre=counts["no_genre"],
        without_licence=counts["no_licence"],
    )


async def feature_groups(database: Database) -> list[FeatureGroup]:
    """Return the features by definition and scaler, the largest group first."""
    stages: list[dict[str, Any]] = [
        {"$sort": {"version": 1, "scaler_id": 1}},  # lets the index answer alone
        {"$group": {"_id": {"version": "$version", "scaler": "$scaler_id"}, "count": {"$sum": 1}}},
    ]
    found = await aggregated(database, FEATURES.name, stages, "counting features")
    groups = [FeatureGroup(row["_id"]["version"], row["_id"].get("scaler"), row["count"]) for row in found]
    return sorted(groups, key=lambda each: (-each.count, each.version, each.scaler_id or ""))


async def rejected_kinds(database: Database) -> list[RejectedKind]:
    """Return the rejections by kind (what stands before the first colon), the most frequent first.

    At most 40 kinds; what is beyond them is counted together in a last one without examples.
    """
    kind = {"$arrayElemAt": [{"$split": ["$reason", ":"]}, 0]}
    example = {"key": "$_id", "reason": "$reason"}
    stages: list[dict[str, Any]] = [
        {
            "$group": {
                "_id": kind,
                "count": {"$sum": 1},
                "examples": {"$minN": {"input": example, "n": _EXAMPLES}},
            }
        },
        {"$sort": {"count": -1, "_id": 1}},
        {"$limit": _KINDS},
    ]
    found = await aggregated(database, REJECTED_TRACKS.name, stages, "counting rejections")
    kinds = [
        RejectedKind(row["_id"], row["count"], [(each["key"], each["reason"]) for each in row["examples"]])
        for row in found
    ]
    if len(kinds) == _KINDS:
        everything = await answered(database[REJECTED_TRACKS.name].count_documents({}), "counting rejections")
        rest = everything - sum(each.count for each in kinds)
        kinds += [RejectedKind("other reasons", rest, [])] if rest > 0 else []
    return kinds


async def scalers(database: Database) -> list[Scaler]:
    """Return the stored scalers without their numbers, the newest revision of each definition first."""
    cursor = database[SCALERS.name].find({}, {"mean": 0, "scale": 0})
    found = await answered(
        cursor.sort([("version", 1), ("revision", -1), ("_id", 1)]).to_list(1_000), "reading the scalers"
    )
    return cast(list[Scaler], found)


async def newest_run(database: Database) -> EtlReport | None:
    """Return the newest document of ``etl_reports``."""
    found = await answered(
        database[ETL_REPORTS.name].find_one({}, sort=[("created_ms", -1), ("_id", -1)]), "reading the reports"
    )
    return cast(EtlReport, found) if found is not None else None
