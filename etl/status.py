"""Counts of what the catalogue holds."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from connections.documents import Database
from connections.feature_store import versions_stored
from etl import counting
from schemas.documents import TRACKS, EtlReport


@dataclass
class CatalogueStatus:
    """Counts of documents; ``version``, ``source`` and ``updated`` are None before the first load.

    Attributes
    ----------
    removed : tracks whose file is gone
    unscaled : features that no scaler has standardised yet
    scaler_revision, scaler_count : newest scaler of the definition in use, and on how many
        vectors it was fitted; None when there is none
    genres : different genres that the tracks name
    newest_run : command, time and seconds of the newest run that left a report
    """

    tracks: int
    audio: int
    removed: int
    features: int
    features_by_version: dict[str, int]
    unscaled: int
    scaler_revision: int | None
    scaler_count: int | None
    rejected: int
    rejected_by_kind: dict[str, int]
    genres: int
    version: str | None
    source: str | None
    updated: str | None
    newest_run: dict[str, Any] | None


async def catalogue_status(database: Database) -> CatalogueStatus:
    """Return the counts."""
    counts = await counting.count_tracks(database)
    groups = await counting.feature_groups(database)
    versions = await versions_stored(database)
    kinds = {each.kind: each.count for each in await counting.rejected_kinds(database)}
    main = next(iter(versions), None)
    scaler = next((each for each in await counting.scalers(database) if each["version"] == main), None)
    state = await counting.catalogue_state(database)
    return CatalogueStatus(
        tracks=counts.tracks,
        audio=counts.audio,
        removed=counts.removed,
        features=sum(versions.values()),
        features_by_version=versions,
        unscaled=sum(group.count for group in groups if group.scaler_id is None),
        scaler_revision=scaler.get("revision") if scaler else None,
        scaler_count=scaler["count"] if scaler else None,
        rejected=sum(kinds.values()),
        rejected_by_kind=kinds,
        genres=await count_genres(database),
        version=state["version"] if state else None,
        source=state["source"] if state else None,
        updated=moment(state["updated_ms"]) if state else None,
        newest_run=_run(await counting.newest_run(database)),
    )


async def count_genres(database: Database) -> int:
    """Return how many different genres the tracks name."""
    stages: list[dict[str, Any]] = [
        {"$unwind": "$genres"},
        {"$group": {"_id": "$genres"}},
        {"$count": "genres"},
    ]
    found = await counting.aggregated(database, TRACKS.name, stages, "counting genres")
    return int(found[0]["genres"]) if found else 0


def moment(time_ms: int) -> str:
    """Return a time as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _run(found: EtlReport | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "command": found["command"],
        "when": moment(found["created_ms"]),
        "seconds": found["seconds"],
    }
