"""What the report counts besides the status: genres, lengths, licences, and what is missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from connections.documents import Database, answered
from etl.counting import FeatureGroup, TrackCounts, aggregated, given
from schemas.documents import FEATURES, GENRES, TRACKS

GENRES_SHOWN = 25
LICENCES_SHOWN = 40
_TREE_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class GenreCount:
    """One genre; ``above`` are the genres that it belongs to, from the root, as far as a tree is stored."""

    title: str
    tracks: int
    above: list[str]


@dataclass(frozen=True, slots=True)
class LicenceCount:
    """One licence; ``link`` is the address of its deed, when that is one of the web."""

    licence: str | None
    link: str | None
    tracks: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that is missing: what, how often, of how many."""

    what: str
    count: int
    of: int


@dataclass(frozen=True, slots=True)
class Pairing:
    """Tracks and features side by side, by id."""

    audio_without_features: int = 0
    tracks_without_features: int = 0
    features_without_track: int = 0


async def genre_tree(database: Database) -> dict[str, list[str]]:
    """Return the path from the root down to each genre, by its title; empty when no tree is stored."""
    cursor = database[GENRES.name].find({}, {"title": 1, "path": 1}).sort("_id", -1)
    found = await answered(cursor.to_list(_TREE_LIMIT), "reading the genres")
    # of two with one title the smaller number counts
    return {genre["title"]: genre["path"] for genre in found if genre["path"]}


async def genre_counts(database: Database, tree: dict[str, list[str]]) -> list[GenreCount]:
    """Return the genres of most tracks, at most 25; a track counts for each genre that it names."""
    stages: list[dict[str, Any]] = [
        {"$project": {"genres": {"$setUnion": [{"$ifNull": ["$genres", []]}, []]}}},
        {"$unwind": "$genres"},
        {"$group": {"_id": "$genres", "tracks": {"$sum": 1}}},
        {"$sort": {"tracks": -1, "_id": 1}},
        {"$limit": GENRES_SHOWN},
    ]
    found = await aggregated(database, TRACKS.name, stages, "counting genres")
    return [GenreCount(row["_id"], row["tracks"], tree.get(row["_id"], [])[:-1]) for row in found]


async def lengths(database: Database) -> dict[int, int]:
    """Return the number of tracks by length in whole seconds, ascending; at most some ten thousand."""
    stages: list[dict[str, Any]] = [
        {"$match": {"track_ms": {"$ne": None}}},
        {"$group": {"_id": {"$floor": {"$divide": ["$track_ms", 1000]}}, "tracks": {"$sum": 1}}},
        {"$sort": {"_id": 1}},
    ]
    found = await aggregated(database, TRACKS.name, stages, "counting lengths")
    return {int(row["_id"]): row["tracks"] for row in found}


async def licence_counts(database: Database) -> list[LicenceCount]:
    """Return the licences of most tracks, at most 40."""
    stages: list[dict[str, Any]] = [
        {"$group": {"_id": {"licence": "$licence", "url": "$licence_url"}, "tracks": {"$sum": 1}}},
        {"$sort": {"tracks": -1, "_id": 1}},
        {"$limit": LICENCES_SHOWN},
    ]
    found = await aggregated(database, TRACKS.name, stages, "counting licences")
    return [
        LicenceCount(row["_id"].get("licence"), _web(row["_id"].get("url")), row["tracks"]) for row in found
    ]


def _web(url: str | None) -> str | None:
    """Return an address only if it is one of the web: nothing else may become a link."""
    return url if url is not None and url.startswith(("https://", "http://")) else None


async def pairing(database: Database) -> Pairing:
    """Return how tracks and features match, by id."""
    ids: list[dict[str, Any]] = [{"$sort": {"_id": 1}}, {"$project": {"feature": {"$literal": 1}}}]
    stages: list[dict[str, Any]] = [
        {"$project": {"track": {"$literal": 1}, "audio": given("audio")}},
        {"$unionWith": {"coll": FEATURES.name, "pipeline": ids}},
        {"$group": {"_id": "$_id", **{name: {"$max": f"${name}"} for name in ("track", "audio", "feature")}}},
        {
            "$group": {
                "_id": {name: {"$ifNull": [f"${name}", 0]} for name in ("track", "audio", "feature")},
                "count": {"$sum": 1},
            }
        },
    ]
    found = await aggregated(database, TRACKS.name, stages, "matching tracks and features")
    counts = {
        (row["_id"]["track"], row["_id"]["audio"], row["_id"]["feature"]): row["count"] for row in found
    }
    return Pairing(
        audio_without_features=counts.get((1, 1, 0), 0),
        tracks_without_features=counts.get((1, 1, 0), 0) + counts.get((1, 0, 0), 0),
        features_without_track=counts.get((0, 0, 1), 0),
    )


def gaps(
    tracks: TrackCounts, pairs: Pairing, groups: Sequence[FeatureGroup], version: str | None
) -> list[Gap]:
    """Return what is missing; ``version`` is the definition of features that the page shows, or None."""
    total, features = tracks.tracks, sum(group.count for group in groups)
    others = sum(group.count for group in groups if version is not None and group.version != version)
    unscaled = sum(group.count for group in groups if group.scaler_id is None)
    return [
        Gap("tracks without audio", total - tracks.audio, total),
        Gap("tracks without features", pairs.tracks_without_features, total),
        Gap("tracks with audio, but without features", pairs.audio_without_features, tracks.audio),
        Gap("tracks whose file is gone", tracks.removed, total),
        Gap("tracks without a genre", tracks.without_genre, total),
        Gap("tracks of unknown length", tracks.without_length, total),
        Gap("tracks without a licence", tracks.without_licence, total),
        Gap("features that are not standardised", unscaled, features),
        Gap("features of another definition than the one shown", others, features),
        Gap("features without a track", pairs.features_without_track, features),
    ]
