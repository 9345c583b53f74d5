"""What was applied, for queries: the archive and the charts."""

from typing import Any, NotRequired, TypedDict

from schemas.documents.collection import Collection


class ArchivedEvent(TypedDict):
    """``archive``: each applied event. ``_id`` = generation/partition/offset."""

    _id: str
    user_id: str
    partition: int
    offset: int
    type: str
    track_id: int | None
    server_time_ms: int
    listen: bool
    event: bytes  # the record's value


class ArchivePosition(TypedDict):
    """``archive_positions``: ``_id`` = generation/partition; the archive is complete below ``offset``."""

    _id: str
    offset: int


class ChartPosition(TypedDict):
    """``chart_positions``: how far the archive is counted. ``_id`` is the generation.

    The three collections below hold exactly the listens below ``offsets`` and from ``from_hour`` on: what is
    counted and how far changes in one transaction.
    """

    _id: str
    offsets: dict[str, int]  # by partition
    from_hour: int  # hours since 1970; what is older counts no more, and is removed


class ChartListener(TypedDict):
    """``chart_listeners``: who listened to what. ``_id`` = user id/generation/track id."""

    _id: str
    track_id: int
    hour: int  # of the newest listen


class ChartHour(TypedDict):
    """``chart_hours``: the hourly buckets. ``_id`` = generation/hour/track id.

    A listener counts in one bucket of a track, the hour of the newest listen: so buckets add up to different
    listeners over any window that ends now.
    """

    _id: str
    generation: str
    hour: int
    track_id: int
    listeners: int


class ChartTrack(TypedDict):
    """``chart_tracks``: listeners of each track in the window. ``_id`` = generation/track id."""

    _id: str
    generation: str
    track_id: int
    listeners: int  # the sum of its buckets from ``from_hour`` on


class GenreChart(TypedDict):
    """Most listened tracks of a genre and all below it; both lists in the order of the chart."""

    genre: str
    parent: str | None  # the genre above
    track_ids: list[int]
    counts: list[int]  # listeners


class Charts(TypedDict):
    """``charts``: most listened tracks. ``_id`` is the charts id: the hash of all but ``created_ms``."""

    _id: str
    items: list[dict[str, Any]]  # {"track_id", "count"}, most listened first
    from_ms: NotRequired[int]  # where the window of all these charts begins
    genres: NotRequired[list[GenreChart]]
    created_ms: int


ARCHIVE = Collection(
    "archive",
    (
        ((("user_id", 1), ("server_time_ms", -1), ("offset", -1)), {}),  # a history, newest first
        ((("partition", 1), ("offset", 1)), {}),  # what was archived since
    ),
)
ARCHIVE_POSITIONS = Collection("archive_positions")
CHART_POSITIONS = Collection("chart_positions")
CHART_LISTENERS = Collection("chart_listeners", (((("hour", 1),), {}),))
CHART_HOURS = Collection("chart_hours", (((("hour", 1), ("generation", 1)), {}),))
CHART_TRACKS = Collection("chart_tracks", (((("generation", 1), ("listeners", -1)), {}),))
CHARTS = Collection("charts", (((("created_ms", -1),), {}),))
