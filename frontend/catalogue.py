"""The catalogue and the charts in memory, so that lists have titles also while MongoDB is away."""

import asyncio
import sys
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import structlog

from connections.catalogue_reader import newer_charts
from connections.documents import Database, answered
from frontend.views import TrackView
from schemas.documents import CATALOGUE, GENRES, TRACKS, GenreChart
from schemas.errors import DocumentsUnavailable

POLL_S = 5.0
_BATCH = 1_000
_SCAN = 5_000
_log = structlog.get_logger()
_PLAYED_BY_BROWSERS = frozenset(
    {"audio/mpeg", "audio/flac", "audio/ogg", "audio/wav", "audio/mp4", "audio/webm"}
)


class Catalogue:
    """All tracks by id, and the newest charts; ``keep_fresh`` loads what has changed.

    A track whose file is gone can be looked up, for a history names it, but is neither listed nor found.

    Attributes
    ----------
    version : of the catalogue in memory; None before the first one is loaded
    charts_id, charts_created_ms, charts_from_ms : of the newest charts, and where their window begins
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tracks: Mapping[int, TrackView] = {}
        self._sounds: Mapping[int, tuple[str, str]] = {}
        self._ids: list[int] = []
        self._texts: list[tuple[str, int]] = []
        self.version: str | None = None
        self.charts_id: str | None = None
        self.charts_created_ms: int | None = None
        self.charts_from_ms: int | None = None
        self._charted: list[tuple[int, int]] = []
        self._genre_charts: Mapping[str, GenreChart] = {}
        self._genres: Mapping[str, str] = {}
        self._gone: frozenset[int] = frozenset()

    def get(self, track_id: int) -> TrackView | None:
        """Return a track, or None."""
        return self._tracks.get(track_id)

    def listed(self, track_id: int) -> bool:
        """Say whether a track is there and not gone."""
        return track_id in self._tracks and track_id not in self._gone

    def sound(self, track_id: int) -> tuple[Path, str] | None:
        """Return path (as stored) and MIME type of a track's sound, or None."""
        found = self._sounds.get(track_id)
        return (Path(found[0]), found[1]) if found else None

    @property
    def charts(self) -> list[tuple[int, int]]:
        """``(track id, count)`` of the newest charts, most listened first, without tracks that are gone."""
        return self._there(self._charted)

    @property
    def charted_genres(self) -> list[tuple[str, str | None]]:
        """Every genre that has a chart, with the genre above it, in the order of names."""
        return [(one["genre"], one["parent"]) for one in self._genre_charts.values()]

    def genre_chart(self, name: str) -> tuple[str, list[tuple[int, int]]] | None:
        """Return a genre as it is spelled, and its chart as in ``charts``; None for an unknown genre.

        A genre that nobody listened to has an empty chart. Case does not matter.
        """
        found = self._genre_charts.get(name.casefold())
        if found is not None:
            return found["genre"], self._there(zip(found["track_ids"], found["counts"], strict=True))
        spelled = self._genres.get(name.casefold())
        return None if spelled is None else (spelled, [])

    def _there(self, charted: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        return [(int(track_id), int(count)) for track_id, count in charted if track_id not in self._gone]

    def page(self, after: int, limit: int) -> list[TrackView]:
        """Return up to ``limit`` tracks with ids above ``after``, in the order of ids; none that is gone."""
        start = bisect_right(self._ids, after)
        return [self._tracks[track_id] for track_id in self._ids[start : start + limit]]

    async def search(self, words: str, limit: int) -> list[TrackView]:
        """Return tracks whose title or artist holds every word; beginnings of words come first."""
        wanted = folded(words).split()
        if not wanted:
            return []
        found: list[tuple[int, int]] = []
        texts = self._texts
        for start in range(0, len(texts), _SCAN):
            for text, track_id in texts[start : start + _SCAN]:
                if all(word in text for word in wanted):
                    found.append((sum(f" {word}" not in text for word in wanted), track_id))
            await asyncio.sleep(0)  # live lists go between two slices of a large catalogue
        found.sort()
        tracks = (self._tracks.get(track_id) for _, track_id in found[:limit])
        return [track for track in tracks if track is not None]

    async def keep_fresh(self) -> None:
        """Refresh every ``POLL_S`` seconds until cancelled; an outage of MongoDB keeps what is in memory."""
        while True:
            try:
                await self.refresh()
            except DocumentsUnavailable as error:
                _log.warning("catalogue not refreshed", reason=str(error))
            await asyncio.sleep(POLL_S)

    async def refresh(self) -> None:
        """Load the catalogue if its version has changed, and the newest charts.

        Raises
        ------
        DocumentsUnavailable
        """
        state = await answered(
            self._database[CATALOGUE.name].find_one({"_id": "catalogue"}), "reading the catalogue's version"
        )
        if state is not None and state["version"] != self.version:
            await self._load(state["version"])
        newest = await newer_charts(self._database, self.charts_id)
        if newest is not None:
            self.charts_id = newest["_id"]
            self.charts_created_ms = int(newest["created_ms"])
            self.charts_from_ms = int(newest["from_ms"]) if "from_ms" in newest else None
            self._charted = [(item["track_id"], item["count"]) for item in newest["items"]]
            self._genre_charts = {one["genre"].casefold(): one for one in newest.get("genres", ())}

    async def _load(self, version: str) -> None:
        tracks: dict[int, TrackView] = {}
        gone: set[int] = set()
        sounds: dict[int, tuple[str, str]] = {}
        texts: list[tuple[str, int]] = []
        cursor = self._database[TRACKS.name].find({}, {"peaks": 0}).batch_size(_BATCH)
        while documents := await answered(cursor.to_list(_BATCH), "reading the catalogue"):
            for document in documents:
                track = _track(document)
                tracks[track.track_id] = track
                if "removed_ms" in document:
                    gone.add(track.track_id)
                    continue
                texts.append((f" {folded(track.title)} {folded(track.artist)}", track.track_id))
                if document.get("audio"):
                    sounds[track.track_id] = (document["audio"]["path"], document["audio"]["mime"])
        tree = self._database[GENRES.name].find({}, {"title": 1})
        titles = {row["title"] for row in await answered(tree.to_list(None), "reading the genres")}
        titles.update(genre for track in tracks.values() for genre in track.genres)
        self._genres = {title.casefold(): title for title in sorted(titles, reverse=True)}
        texts.sort(key=lambda entry: entry[1])
        self._tracks, self._sounds, self._texts = tracks, sounds, texts
        self._ids, self._gone = sorted(tracks.keys() - gone), frozenset(gone)
        self.version = version
        _log.info("catalogue loaded", tracks=len(tracks), version=version)


def folded(text: str) -> str:
    """Return ``text`` for comparison: without case, accents and punctuation, words parted by one space."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(c if c.isalnum() else " " for c in plain if not unicodedata.combining(c)).split())


def _track(document: Mapping[str, Any]) -> TrackView:
    # BSON's 64-bit integers are a class of their own, which JSON encoders refuse.
    return TrackView(
        track_id=int(document["_id"]),
        title=document["title"],
        artist=sys.intern(document["artist"]),
        artist_id=int(document["artist_id"]),
        album=document.get("album"),
        genres=[sys.intern(genre) for genre in document.get("genres", ())],
        track_ms=int(track_ms) if (track_ms := document.get("track_ms")) is not None else None,
        licence=document.get("licence"),
        licence_url=document.get("licence_url"),
        source=document["source"],
        source_url=document.get("source_url"),
        playable=_playable(document),
    )


def _playable(document: Mapping[str, Any]) -> bool:
    audio: Mapping[str, Any] | None = document.get("audio")
    return audio is not None and "removed_ms" not in document and audio["mime"] in _PLAYED_BY_BROWSERS
