"""The records of the topics beside ``plays``: lists, impressions, snapshots and dead letters."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from schemas.errors import MalformedEvent

ReasonKind = Literal["interaction", "popular", "audio", "taste", "discovery", "similar", "heard"]
RailKind = Literal["made_for_you", "because", "rediscover", "discovery"]
"""The rails of a page, in the order in which they choose. ``made_for_you`` is the list itself."""


class Reason(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Why a track stands in a list.

    ``interaction``: the past interaction with ``track_id`` contributes ``share`` of the score.
    ``popular``: ``count`` listeners lately. ``audio``: sounds like ``track_id``. ``taste``: of a genre chosen
    at the start. ``discovery``: placed by the stated share for discovery, or a draw of the rail. ``similar``:
    heard by the same listeners as ``track_id``. ``heard``: listened to ``count`` times, last at ``last_ms``
    (milliseconds since 1970); liked where ``count`` is 0.
    """

    kind: ReasonKind
    track_id: int | None = None
    share: float | None = None
    count: int | None = None
    last_ms: int | None = None


class Item(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One track of a list; ``score`` is rounded to 1e-6.

    ``propensity`` stands on a track that was drawn: the probability with which just this one was chosen at
    its draw, given those that could be and what was chosen before (``recommender.exploration``). A track
    without one was placed by rule.
    """

    track_id: int
    score: float
    reasons: list[Reason] = []
    propensity: float | None = None


class Rail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A row of tracks beside the list; its words are the reader's business.

    ``because``: near ``track_id``, which the user heard lately; the score is the cosine. ``rediscover``: once
    liked or much listened to, not heard for long; the score is the strength that is left. ``discovery``: new
    tracks by artists not heard lately, drawn from the best; the score is the model's, as in the list.
    """

    kind: RailKind
    items: list[Item]
    track_id: int | None = None


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """The event that a list answers."""

    type: str
    session: str
    seq: int
    track_id: int | None = None


class Timings(msgspec.Struct, frozen=True, kw_only=True):
    """When each hop was done, in milliseconds since 1970 (UTC, fractions kept)."""

    accepted_ms: float
    folded_ms: float
    ranked_ms: float


class Recommendations(msgspec.Struct, frozen=True, kw_only=True):
    """One user's list. Newer means greater ``offset``; nothing else orders lists.

    It reflects exactly the records of ``partition`` up to and including ``offset``. No track stands twice in
    ``items`` and ``rails``. ``brief``: made under load, so the rails were not ranked; those of the list
    before are still as good.
    """

    v: Annotated[int, Meta(ge=1)] = 1
    generation: str
    partition: int
    offset: int
    model_id: str | None
    charts_id: str | None
    catalogue_version: str
    ranking_version: str
    cause: Cause | None
    items: list[Item]
    timings: Timings
    rails: list[Rail] = []
    brief: bool = False


class ShownRail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A rail that was sent to a browser; ``track_id`` as in ``Rail``."""

    kind: RailKind
    track_ids: list[int]
    track_id: int | None = None


class Impression(msgspec.Struct, frozen=True, kw_only=True):
    """A list was sent to a browser; ``propensities`` of the tracks that were drawn, in list and rails."""

    v: int = 1
    partition: int
    offset: int
    model_id: str | None
    track_ids: list[int]
    server_time_ms: int
    rails: list[ShownRail] = []
    propensities: dict[int, float] = {}


class SnapshotReady(msgspec.Struct, frozen=True, kw_only=True):
    """All parts of a snapshot and its manifest are written."""

    v: int = 1
    snapshot_id: str
    generation: str
    cut: dict[int, int]
    server_time_ms: int


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A record that could not be folded; ``key`` and ``value`` are base64 in JSON, cut at 64 KiB."""

    v: int = 1
    topic: str
    generation: str
    partition: int
    offset: int
    reason: str
    key: bytes | None
    value: bytes | None
    server_time_ms: int


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Recommendations)


def encode(
    message: Recommendations | Impression | SnapshotReady | DeadLetter,
) -> bytes:
    """Return the bytes that stand in the topic."""
    return _encoder.encode(message)


def decode_recommendations(value: bytes) -> Recommendations:
    """Return the list that ``value`` holds.

    Raises
    ------
    MalformedEvent
        The bytes are not a list of a known version.
    """
    try:
        return _decoder.decode(value)
    except msgspec.MsgspecError as error:
        raise MalformedEvent(f"not a list of recommendations: {error}") from None
