"""Every MongoDB collection: its fields and indexes. The one place where they stand.

Documents are plain dictionaries of these shapes; ``_id`` is always chosen by Segue, so that every write
can be repeated.
"""

from dataclasses import dataclass, field
from typing import Any, NotRequired, TypedDict


@dataclass(frozen=True)
class Collection:
    """One collection; ``indexes`` are lists of ``(field, direction)`` with options."""

    name: str
    indexes: tuple[tuple[tuple[tuple[str, Any], ...], dict[str, Any]], ...] = field(default=())


class Account(TypedDict):
    """``accounts``: the only place where a name meets a user id."""

    _id: str  # user id, 32 hexadecimal digits
    username: str
    username_folded: str  # unique, case folded
    password_hash: str  # argon2id
    created_ms: int
    session_epoch: int  # raised to end all sessions


class Token(TypedDict):
    """``tokens``: bearer tokens by their SHA-256; the token itself is not stored."""

    _id: str
    user_id: str
    created_ms: int


class Audio(TypedDict):
    """Where a track's sound lies."""

    path: str  # relative to the data folder, or absolute for files that stay where they are
    mime: str
    bytes: int
    sha256: NotRequired[str]  # of the file, hexadecimal; by it a moved file is known and damage is found
    modified_ns: NotRequired[int]  # the file's time stamp: with the size it tells whether to read again


class Track(TypedDict):
    """``tracks``: the catalogue. ``_id`` is the track id (1 to 2^53 - 1)."""

    _id: int
    title: str
    artist: str
    artist_id: int
    album: str | None
    genres: list[str]
    track_ms: int | None
    licence: str | None
    licence_url: str | None
    source: str  # "demo", "fma", "hetrec", ...
    source_key: str
    source_url: str | None
    audio: Audio | None  # None: no sound, no play button
    peaks: NotRequired[list[int]]  # about 200 values 0..255
    removed_ms: NotRequired[int]  # since when the file is gone; the track keeps its id and is not recommended


class TrackDetails(TypedDict, total=False):
    """``track_details``: what a source tells beyond ``tracks``, typed and cleaned. ``_id`` is the track id.

    Absent: not told. Dates are ISO 8601 without zone, as the source has them; texts are plain, one line.
    """

    _id: int
    subset: str
    split: str
    bit_rate: int  # bit/s of the whole track
    listens: int
    favorites: int
    interest: int
    comments: int
    number: int  # on the album
    disc: int
    explicit: str  # as the source words it
    instrumental: bool
    image_url: str
    language_code: str
    created: str
    recorded: str
    composer: str
    lyricist: str
    publisher: str
    information: str
    tags: list[str]
    genre_ids: list[int]
    licence_code: str  # of Creative Commons: "by-nc-sa", also when the version is not told
    # id, type, created, released, engineer, producer, comments, favorites, listens, tracks, information,
    # tags, url
    album: dict[str, Any]
    # active_from, active_until, labels, bio, comments, created, favorites, latitude, longitude, location,
    # members, projects, tags, url, website, wikipedia
    artist: dict[str, Any]


class Genre(TypedDict):
    """``genres``: a tree. ``_id`` is the genre's number."""

    _id: int
    title: str
    parent: int | None  # None: a root
    top_level: int
    path: list[str]  # titles from the root down to this genre
    tracks: int  # as the source counts


PRECOMPUTED = "precomputed-"
"""Definitions of vectors that came as a table, and were not made from files here, begin so."""


class Features(TypedDict):
    """``features``: audio features. ``_id`` is the track id."""

    _id: int
    version: str  # definition of the vector
    names: NotRequired[list[str]]
    raw: list[float]  # as extracted
    scaled: NotRequired[list[float]]  # standardised by the scaler; absent until one is fitted
    scaler_id: NotRequired[str]


class Scaler(TypedDict):
    """``scalers``: fitted standardisation. ``_id`` is its hash."""

    _id: str
    version: str  # definition of the vector
    revision: int  # 1, 2, ... within a definition: each refit is the next
    count: int  # vectors that it was fitted on
    mean: list[float]
    scale: list[float]
    created_ms: int


class CatalogueState(TypedDict):
    """``catalogue``: one document, ``_id`` = "catalogue"; ``version`` changes with every change of tracks."""

    _id: str
    version: str
    tracks: int
    source: str
    updated_ms: int


class RefusedFile(TypedDict):
    """A file that was read and refused: as long as nothing of it changes, it is not read again."""

    reason: str
    bytes: int
    modified_ns: int
    expected_s: list[float]  # lengths that the file might have had
    checks: str  # definition of the vector, or what else the file was read for


class RejectedTrack(TypedDict):
    """``rejected_tracks``: ``_id`` = source:key, with the reason."""

    _id: str
    reason: str
    updated_ms: int
    file: NotRequired[RefusedFile]


class OwnFile(TypedDict):
    """``own_files``: the files of own music as they were last seen.

    ``_id`` is the track id in decimal, or the path of a file that is no track: refused, or a copy.
    """

    _id: str
    path: str  # absolute
    bytes: int
    modified_ns: int
    sha256: str
    track_id: int | None
    key: str | None  # SHA-256 of the file when the track was first added
    title: str
    artist: str | None  # None: neither tags nor folders name one
    album: str | None
    tagged: bool  # the title stands in the file, not only in its name
    gone: bool  # the file is gone; the track waits for it
    heard_sha256: str | None  # while the track has no sound: of the bytes that its features are of


class EtlReport(TypedDict):
    """``etl_reports``: the quality report of one run. ``_id`` is the run's id."""

    _id: str
    command: str
    source: str
    created_ms: int
    seconds: float
    report: dict[str, Any]


class ModelDocument(TypedDict):
    """``models``: one published (or refused) model. ``_id`` is the model id, a SHA-256."""

    _id: str
    seq: int
    training_id: str
    snapshot_id: str
    generation: str
    rank: int
    reg_param: float
    alpha: float
    max_iter: int
    items: int
    chunks: dict[str, list[str]]  # array name -> SHA-256 of each chunk, in order
    shapes: dict[str, list[int]]
    dtypes: dict[str, str]
    metrics: dict[str, Any]
    state: str  # "published" or "refused"
    reason: str | None
    created_ms: int


class ModelChunk(TypedDict):
    """``model_chunks``: ``_id`` = model id:array:number, binary, at most 4 MiB."""

    _id: str
    model_id: str
    data: bytes


class Decision(TypedDict):
    """``decisions``: what became of a model, written once and never changed.

    ``_id`` names what was decided ("served:7", "refused:8", "pruned:<model id>:3"), so that a decision noted
    again after a kill is the same one.
    """

    _id: str
    kind: str  # "published", "promoted", "rolled back", "refused" or "pruned"
    model_id: str | None  # None: refused before there was a model
    before: str | None  # model that was in service until then
    seq: int | None  # number of the activation; None where nothing was activated
    reason: str
    because: str  # why the training or the change was asked for
    actor: str  # "trainer", or who called which command
    snapshot_id: str | None
    training_id: str | None
    at_ms: int


class Tuning(TypedDict):
    """``tunings``: one search for parameters, written trial by trial.

    ``_id`` is the hash of what its trials depend on: parts of the snapshot, split, space, versions.
    """

    _id: str
    generation: str
    snapshot_id: str
    fold_version: str
    users: int  # of the snapshot, as ``applied``: by their growth a result becomes stale
    applied: int
    wanted: int  # trials
    state: str  # "running" or "done"
    inputs: dict[str, Any]
    fixed: dict[str, float]  # parameters that were given and not searched
    trials: list[dict[str, Any]]  # parameters, value, low, high, seconds, failed
    best: dict[str, Any] | None  # parameters (all of them), value, low, high, number
    created_ms: int
    updated_ms: int


class ModelReport(TypedDict):
    """``model_reports``: the page about a model's newest judgement. ``_id`` is the model id."""

    _id: str
    snapshot_id: str
    html: bytes  # zlib, below the 16 MB limit
    html_bytes: int  # of the page itself
    created_ms: int


class Pointer(TypedDict):
    """``pointers``: ``_id`` = "model"; moves only to a greater ``seq``."""

    _id: str
    seq: int
    model_id: str
    updated_ms: int
    decision: NotRequired[Decision | None]  # what moved it; noted in ``decisions`` right after


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


class Lease(TypedDict):
    """``leases``: ``_id`` = what is leased."""

    _id: str
    holder: str
    until_ms: int


class ListDocument(TypedDict):
    """``lists``: a list of each user, made for everybody after a training. ``_id`` is the user id.

    It reflects a snapshot: ``offset`` is the last one below the cut of its partition. So it is compared
    with a list of topic ``recommendations`` like any other: the greater offset is newer. In here, of two at
    one offset the one of the greater ``seq`` stays.
    """

    _id: str
    generation: str
    partition: int
    offset: int
    seq: int  # of the pointer when its model was put into service
    value: bytes  # schemas.recommendations.Recommendations as JSON


class ListBuild(TypedDict):
    """``list_builds``: the making of everybody's lists with one model. ``_id`` is the model id."""

    _id: str
    seq: int  # of the pointer: a model that is put into service again is built again
    generation: str
    snapshot_id: str
    offsets: dict[str, int]  # partition -> offset that its lists name
    blocks: int
    state: str  # "running" or "done"; a newer build takes the place of one that is running
    updated_ms: int


class ListBlock(TypedDict):
    """``list_blocks``: the lists of one block of users are written. ``_id`` = build:partition/block.

    A block is a row group of a part.
    """

    _id: str
    build: str  # model id:seq:snapshot id
    partition: int
    block: int
    written: int
    left_out: int  # users who have no history any more, or never had one


class Job(TypedDict):
    """``jobs``: progress of trainings and imports."""

    _id: str
    kind: str
    state: str  # "running", "done", "refused", "failed"
    step: str
    done: int
    total: int
    message: str
    pid: NotRequired[int]  # of the process that does it
    size: NotRequired[int]  # applied events of the snapshot
    step_s: NotRequired[list[float]]  # seconds of each step that is over
    left_s: NotRequired[float | None]  # seconds that are expected to be left; None: nothing is known
    updated_ms: int


_UNIQUE = {"unique": True}
ACCOUNTS = Collection("accounts", (((("username_folded", 1),), _UNIQUE),))
TOKENS = Collection("tokens", (((("user_id", 1),), {}),))
# no text index: the web tier searches in memory, and keeping one takes most of the time of a load
TRACKS = Collection("tracks", (((("artist_id", 1),), {}),))
FEATURES = Collection("features", (((("version", 1), ("scaler_id", 1)), {}),))
SCALERS = Collection("scalers", (((("version", 1), ("revision", 1)), _UNIQUE),))
CATALOGUE = Collection("catalogue")
REJECTED_TRACKS = Collection("rejected_tracks")
TRACK_DETAILS = Collection("track_details")
GENRES = Collection("genres")
OWN_FILES = Collection("own_files")
ETL_REPORTS = Collection("etl_reports", (((("created_ms", -1),), {}),))
MODELS = Collection("models", (((("seq", -1),), {}),))
MODEL_CHUNKS = Collection("model_chunks", (((("model_id", 1),), {}),))
MODEL_REPORTS = Collection("model_reports")
TUNINGS = Collection("tunings", (((("generation", 1), ("updated_ms", -1)), {}),))
POINTERS = Collection("pointers")
DECISIONS = Collection("decisions", (((("at_ms", -1),), {}), ((("model_id", 1),), {})))
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
LEASES = Collection("leases")
LISTS = Collection("lists")
LIST_BUILDS = Collection("list_builds", (((("seq", -1),), {}),))
LIST_BLOCKS = Collection("list_blocks", (((("build", 1),), {}),))
JOBS = Collection("jobs", (((("updated_ms", -1),), {}),))
COLLECTIONS = (
    ACCOUNTS, TOKENS, TRACKS, TRACK_DETAILS, GENRES, FEATURES, SCALERS, CATALOGUE, REJECTED_TRACKS,
    OWN_FILES, ETL_REPORTS, MODELS, MODEL_CHUNKS, MODEL_REPORTS, TUNINGS, POINTERS, DECISIONS, ARCHIVE,
    ARCHIVE_POSITIONS, CHART_POSITIONS, CHART_LISTENERS, CHART_HOURS, CHART_TRACKS, CHARTS, LEASES, LISTS,
    LIST_BUILDS, LIST_BLOCKS, JOBS,
)  # fmt: skip
