"""The catalogue: tracks, their sound, where they came from, and what was refused."""

from typing import Any, NotRequired, TypedDict

from schemas.documents.collection import UNIQUE, Collection


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


# no text index: the web tier searches in memory, and keeping one takes most of the time of a load
TRACKS = Collection("tracks", (((("artist_id", 1),), {}),))
FEATURES = Collection("features", (((("version", 1), ("scaler_id", 1)), {}),))
SCALERS = Collection("scalers", (((("version", 1), ("revision", 1)), UNIQUE),))
CATALOGUE = Collection("catalogue")
REJECTED_TRACKS = Collection("rejected_tracks")
TRACK_DETAILS = Collection("track_details")
GENRES = Collection("genres")
OWN_FILES = Collection("own_files")
ETL_REPORTS = Collection("etl_reports", (((("created_ms", -1),), {}),))
