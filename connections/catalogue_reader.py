"""Catalogue and charts from MongoDB, as lists are ranked with them."""

from typing import cast

import numpy as np

from connections.documents import Database, answered
from recommender.catalogue import Catalogue, Chart, Charts
from recommender.history import genre_key
from schemas import documents
from schemas.documents import CATALOGUE, CHARTS, TRACKS


async def catalogue_version(database: Database) -> str | None:
    """Return the version of the catalogue that stands in MongoDB, None before the first.

    Raises
    ------
    DocumentsUnavailable
        MongoDB did not answer.
    """
    state = await answered(database[CATALOGUE.name].find_one({"_id": "catalogue"}), "reading the catalogue")
    return None if state is None else str(state["version"])


async def read_catalogue(database: Database, version: str) -> Catalogue:
    """Return the tracks that can be recommended, under the version that was read before.

    Raises
    ------
    DocumentsUnavailable
        MongoDB did not answer.
    """
    # a track whose file is gone is in no list; it comes back with its file
    there = {"removed_ms": {"$exists": False}}
    cursor = database[TRACKS.name].find(there, {"artist_id": 1, "genres": 1}).sort("_id", 1)
    tracks = await answered(cursor.to_list(None), "reading the tracks")
    genres = [
        (genre_key(genre), row) for row, track in enumerate(tracks) for genre in track.get("genres") or ()
    ]
    keys, rows = zip(*genres, strict=True) if genres else ((), ())
    return Catalogue(
        version,
        np.array([track["_id"] for track in tracks], np.int64),
        np.array([track["artist_id"] for track in tracks], np.int64),
        np.array(keys, np.uint32),
        np.array(rows, np.int64),
    )


async def newest_charts(database: Database, held: Charts) -> Charts:
    """Return the newest charts; ``held`` itself while there are no others.

    Raises
    ------
    DocumentsUnavailable
        MongoDB did not answer.
    """
    newest = await newer_charts(database, held.charts_id)
    if newest is None:
        return held
    return Charts(
        newest["_id"],
        np.array([item["track_id"] for item in newest["items"]], np.int64),
        np.array([item["count"] for item in newest["items"]], np.int64),
        {
            genre_key(one["genre"]): Chart(
                np.array(one["track_ids"], np.int64), np.array(one["counts"], np.int64)
            )
            for one in newest.get("genres", ())
        },
    )


async def newer_charts(database: Database, held: str | None) -> documents.Charts | None:
    """Return the newest charts; None when their id is ``held``, or none were published.

    Raises
    ------
    DocumentsUnavailable
        MongoDB did not answer.
    """
    charts = database[CHARTS.name]
    newest = await answered(
        charts.find_one({}, {"_id": 1}, sort=[("created_ms", -1)]), "looking for newer charts"
    )
    if newest is None or newest["_id"] == held:
        return None
    found = await answered(charts.find_one({"_id": newest["_id"]}), "reading the charts")
    return cast(documents.Charts | None, found)
