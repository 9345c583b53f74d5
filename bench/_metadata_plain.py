"""The plain way from FMA's `tracks.csv` to MongoDB: pandas, as FMA's own code has it, and an upsert each."""

import ast
import csv
import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas

from connections.documents import Database
from schemas.documents import TRACK_DETAILS, TRACKS

_LISTS = (("track", "tags"), ("track", "genres"))
_COUNTS = ("bit_rate", "comments", "favorites", "interest", "listens", "number")


async def load(database: Database, folder: Path) -> int:
    """Load a table; return the number of rows."""
    table = pandas.read_csv(folder / "tracks.csv", index_col=0, header=[0, 1])
    for column in _LISTS:
        table[column] = table[column].map(ast.literal_eval)
    table["track", "date_created"] = pandas.to_datetime(table["track", "date_created"])
    with (folder / "genres.csv").open(encoding="utf-8", newline="") as file:
        titles = {int(row["genre_id"]): row["title"] for row in csv.DictReader(file)}
    for number, row in table["track"].iterrows():
        track, details = _documents(int(number), row, titles)
        for name, document in ((TRACKS.name, track), (TRACK_DETAILS.name, details)):
            await database[name].update_one({"_id": int(number)}, {"$set": document}, upsert=True)
    return len(table)


def _documents(
    number: int, row: "pandas.Series[Any]", titles: Mapping[int, str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    genres = [titles[each] for each in row["genres"] if each in titles]
    track = {
        "title": " ".join(html.unescape(str(row["title"])).split()),
        "genres": list(dict.fromkeys([str(row["genre_top"]), *genres])),
        "track_ms": int(row["duration"]) * 1000,
        "licence": None if pandas.isna(row["license"]) else " ".join(str(row["license"]).split()),
        "source": "fma",
        "source_key": str(number),
    }
    details: dict[str, Any] = {name: int(row[name]) for name in _COUNTS if int(row[name]) >= 0}
    details["created"] = row["date_created"].isoformat()
    details["genre_ids"] = list(row["genres"])
    if row["tags"]:
        details["tags"] = list(row["tags"])
    return track, details


async def differences(plain: Database, ours: Database) -> int:
    """Return how many documents of the plain side are missing on ours, or say something else there."""
    found = 0
    for name in (TRACKS.name, TRACK_DETAILS.name):
        documents = {each["_id"]: each async for each in ours[name].find({})}
        async for document in plain[name].find({}):
            mine = documents.get(document["_id"], {})
            found += any(mine.get(field) != value for field, value in document.items())
    return found
