"""The JSON shapes of lists, and how a list from the log becomes one of them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from frontend.views import Lookup, TrackView
from schemas.recommendations import Cause, Item, Rail, Recommendations


class ReasonView(msgspec.Struct, frozen=True, kw_only=True):
    """Why a track stands in a list; ``title`` is that of ``track_id``."""

    kind: str
    track_id: int | None = None
    title: str | None = None
    share: float | None = None
    count: int | None = None
    last_ms: int | None = None


class ItemView(msgspec.Struct, frozen=True, kw_only=True):
    """One track of a list; ``propensity``: the probability with which it was drawn, null where it was not."""

    track_id: int
    title: str
    artist: str
    artist_id: int | None
    genres: list[str]
    track_ms: int | None
    playable: bool
    licence: str | None
    licence_url: str | None
    source_url: str | None
    score: float
    reasons: list[ReasonView]
    propensity: float | None = None


class RailView(msgspec.Struct, frozen=True, kw_only=True):
    """A row of tracks beside the list: ``because`` (near ``track_id``), ``rediscover`` or ``discovery``."""

    kind: str
    track_id: int | None
    title: str | None
    artist: str | None
    items: list[ItemView]


class CauseView(msgspec.Struct, frozen=True, kw_only=True):
    """The event that a list answers; ``title`` is that of ``track_id``."""

    type: str
    session: str
    seq: int
    track_id: int | None
    title: str | None


class TimingsView(msgspec.Struct, frozen=True, kw_only=True):
    """When each hop was done, milliseconds since 1970; ``sent_ms`` is null in a list that was not pushed."""

    accepted_ms: float
    folded_ms: float
    ranked_ms: float
    sent_ms: float | None


class RecommendationsView(msgspec.Struct, frozen=True, kw_only=True):
    """One user's list. ``partition`` and ``offset`` are null while the log holds no list of the user.

    ``latency_ms`` (accepted to sent) stands in lists that were pushed because of ``cause``. ``brief``: the
    rails were not made, for there was too much to do; those of the list before are still good.
    """

    model_id: str | None
    charts_id: str | None
    catalogue_version: str | None
    ranking_version: str | None
    generation: str | None
    partition: int | None
    offset: int | None
    cause: CauseView | None
    items: list[ItemView]
    timings: TimingsView | None
    latency_ms: float | None = None
    rails: list[RailView] = []
    brief: bool = False


class ChartItem(ItemView, frozen=True, kw_only=True):
    """One track of the charts with its number of different listeners."""

    count: int


class ChartedGenre(msgspec.Struct, frozen=True, kw_only=True):
    """A genre that has a chart; ``parent`` is the genre above it."""

    genre: str
    parent: str | None


class ChartsView(msgspec.Struct, frozen=True, kw_only=True):
    """The newest charts, most listeners first: overall, or of ``genre`` with all genres below it.

    ``from_ms``: listeners since then count. ``genres``: all that were published under the same id.
    """

    charts_id: str | None
    created_ms: int | None
    items: list[ChartItem]
    from_ms: int | None = None
    genre: str | None = None
    genres: list[ChartedGenre] = []


class SimilarView(msgspec.Struct, frozen=True, kw_only=True):
    """Tracks near ``track_id``, nearest first; the score is the cosine, -1 to 1.

    ``model_id`` is null where they were compared by how they sound alone.
    """

    track_id: int
    model_id: str | None
    items: list[ItemView]


def listed(recommendations: Recommendations, track: Lookup, *, sent_ms: float | None) -> RecommendationsView:
    """Return the list with titles; ``sent_ms`` is given when it is pushed right now."""
    cause = recommendations.cause
    times = recommendations.timings
    return RecommendationsView(
        model_id=recommendations.model_id,
        charts_id=recommendations.charts_id,
        catalogue_version=recommendations.catalogue_version,
        ranking_version=recommendations.ranking_version,
        generation=recommendations.generation,
        partition=recommendations.partition,
        offset=recommendations.offset,
        cause=None if cause is None else _cause_view(cause, track),
        items=[item_view(item, track) for item in recommendations.items],
        timings=TimingsView(
            accepted_ms=times.accepted_ms,
            folded_ms=times.folded_ms,
            ranked_ms=times.ranked_ms,
            sent_ms=sent_ms,
        ),
        latency_ms=round(sent_ms - times.accepted_ms, 2) if sent_ms is not None and cause else None,
        rails=[_rail_view(rail, track) for rail in recommendations.rails],
        brief=recommendations.brief,
    )


def popular(
    charts_id: str | None,
    charts: Sequence[tuple[int, int]],
    filler: Sequence[TrackView],
    track: Lookup,
    catalogue_version: str | None,
    length: int,
) -> RecommendationsView:
    """Return the list of a user of whom the log holds none: the charts, topped up from the catalogue."""
    most = max((count for _, count in charts), default=0)
    items = [
        Item(track_id=track_id, score=round(count / most, 6), reasons=[])
        for track_id, count in charts[:length]
        if track(track_id) is not None and most > 0
    ]
    there = {item.track_id for item in items}
    counts = dict(charts)
    for candidate in filler:
        if len(items) < length and candidate.track_id not in there:
            items.append(Item(track_id=candidate.track_id, score=0.0))
    views = [
        msgspec.structs.replace(
            item_view(item, track),
            reasons=[ReasonView(kind="popular", count=counts.get(item.track_id, 0))],
        )
        for item in items
    ]
    return RecommendationsView(
        model_id=None,
        charts_id=charts_id,
        catalogue_version=catalogue_version,
        ranking_version=None,
        generation=None,
        partition=None,
        offset=None,
        cause=None,
        items=views,
        timings=None,
    )


def item_view(item: Item, track: Lookup) -> ItemView:
    """Return an item with what the catalogue knows of its track."""
    found = track(item.track_id)
    return ItemView(
        track_id=item.track_id,
        title=found.title if found else f"Track {item.track_id}",
        artist=found.artist if found else "",
        artist_id=found.artist_id if found else None,
        genres=found.genres if found else [],
        track_ms=found.track_ms if found else None,
        playable=found.playable if found else False,
        licence=found.licence if found else None,
        licence_url=found.licence_url if found else None,
        source_url=found.source_url if found else None,
        score=item.score,
        reasons=[
            ReasonView(
                kind=reason.kind,
                track_id=reason.track_id,
                title=_title(reason.track_id, track),
                share=reason.share,
                count=reason.count,
                last_ms=reason.last_ms,
            )
            for reason in item.reasons
        ],
        propensity=item.propensity,
    )


def _rail_view(rail: Rail, track: Lookup) -> RailView:
    found = track(rail.track_id) if rail.track_id is not None else None
    return RailView(
        kind=rail.kind,
        track_id=rail.track_id,
        title=found.title if found else None,
        artist=found.artist if found else None,
        items=[item_view(item, track) for item in rail.items],
    )


def _cause_view(cause: Cause, track: Lookup) -> CauseView:
    return CauseView(
        type=cause.type,
        session=cause.session,
        seq=cause.seq,
        track_id=cause.track_id,
        title=_title(cause.track_id, track),
    )


def _title(track_id: int | None, track: Lookup) -> str | None:
    found = track(track_id) if track_id is not None else None
    return found.title if found else None
