"""The JSON shapes of tracks and of the history."""

from __future__ import annotations

from collections.abc import Callable

import msgspec


class TrackView(msgspec.Struct, frozen=True, kw_only=True):
    """One track of the catalogue; ``playable`` is False without a sound that browsers play."""

    track_id: int
    title: str
    artist: str
    artist_id: int
    album: str | None
    genres: list[str]
    track_ms: int | None
    licence: str | None
    licence_url: str | None
    source: str
    source_url: str | None
    playable: bool


class TrackDetail(TrackView, frozen=True, kw_only=True):
    """One track with its waveform: about 200 values from 0 to 255, or none."""

    peaks: list[int]


class TrackPage(msgspec.Struct, frozen=True, kw_only=True):
    """Tracks in the order of ids; ``next_cursor`` is null on the last page."""

    tracks: list[TrackView]
    next_cursor: int | None = None


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One event of the user, as it was applied."""

    type: str
    time_ms: int
    partition: int
    offset: int
    listen: bool
    track_id: int | None
    title: str | None
    artist: str | None
    listened_ms: int | None
    end_reason: str | None
    playable: bool


class HistoryPage(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first; ``next_cursor`` is null on the last page.

    ``next_before_ms`` also leads on, but leaves out what else happened in the same millisecond.
    """

    events: list[HistoryEntry]
    next_cursor: str | None = None
    next_before_ms: int | None = None


Lookup = Callable[[int], TrackView | None]
"""Looks a track up by its id."""
