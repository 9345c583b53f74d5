"""Lists: who gets a new one, how it is ranked, and how it is sent until the broker has it."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import structlog

from agents.serving import Serving
from connections.event_log import LogWriter
from recommender.catalogue import Catalogue, Charts
from recommender.encoding import History
from recommender.model import Model
from recommender.partition import Folded, PartitionState
from recommender.ranking import Page, RankingConfig, Request, rank
from recommender.windows import Outcome
from schemas import events, recommendations
from schemas.errors import InvalidModel, LogBroken, LogUnavailable
from schemas.recommendations import Cause, Recommendations, Timings
from schemas.topics import RECOMMENDATIONS

_log = structlog.get_logger()
_RANKED_AT_ONCE = 32
_UNDER_WAY = 2  # calls of ``make``: one is ranked, one waits
_RETRY_S = 0.5
RERANKED_USERS = 2_000
"""Users of a partition, seen last, whose lists are made anew when a model becomes active."""
BRIEF_AFTER_MS = 200.0
"""A list whose event was accepted so long ago is made without rails, so that others wait less."""
_OWED = 20_000  # users whose rails are owed; beyond, those that wait longest get them with their next list


@dataclass(frozen=True, slots=True)
class Wanted:
    """A user whose list is due: after ``event``, or (None) because the model changed."""

    user_id: str
    offset: int
    event: events.UserEvent | None


def wanted_after(folded: Sequence[Folded], reflecting: int | None = None) -> list[Wanted]:
    """Return each user with applied events once, with the newest of them.

    Parameters
    ----------
    reflecting : offset that the lists name, by default that of the user's event. Records that hold an
        activation need the last offset: a list that names one before it belongs to the model before it.
    """
    newest: dict[str, Wanted] = {}
    for result in folded:
        if result.outcome is Outcome.APPLIED and result.user_id is not None:
            assert isinstance(result.event, events.UserEvent)
            offset = result.offset if reflecting is None else reflecting
            newest[result.user_id] = Wanted(result.user_id, offset, result.event)
    return list(newest.values())


def users_seen_last(state: PartitionState) -> list[str]:
    """Return the users of a partition whose lists are made anew when a model becomes active."""
    seen = sorted(
        ((History.from_bytes(data).last_event_ms, user_id) for user_id, data in state.histories.items()),
        reverse=True,
    )
    return [user_id for _, user_id in seen[:RERANKED_USERS]]


@dataclass(frozen=True, slots=True)
class Owed:
    """A list that was made without rails, and the model that ranked it."""

    partition: int
    wanted: Wanted
    model_id: str | None


@dataclass(frozen=True, slots=True)
class _Work:
    """Lists to be ranked together: who wants them, and from what."""

    partition: int
    wanted: Sequence[Wanted]
    requests: Sequence[Request]
    folded_ms: float
    whole: bool

    def part(self, start: int, end: int) -> "_Work":
        return replace(self, wanted=self.wanted[start:end], requests=self.requests[start:end])


class Lists:
    """Ranks lists and sends them; the newest of a user replaces one that is not yet sent.

    Run ``run`` beside it. One batch is ranked at a time, in the order asked for, so lists of a user never
    overtake each other; while one is ranked, the next records are folded.
    Under load lists are brief: their rails are owed, and follow when it has passed (``Reranking``).

    Parameters
    ----------
    generation : the log's name, written into each list
    """

    def __init__(self, writer: LogWriter, serving: Serving, generation: str, config: RankingConfig) -> None:
        self._writer = writer
        self._serving = serving
        self._generation = generation
        self._config = config
        self._outbox: dict[str, bytes] = {}
        self._waiting: list[asyncio.Future[None]] = []
        self._room = asyncio.Semaphore(_UNDER_WAY)
        self._turn = asyncio.Lock()
        self._ranking: set[asyncio.Task[None]] = set()
        self._arrived = asyncio.Event()
        self.sent = 0
        self.waiting_for: str | None = None
        self.owed: OrderedDict[str, Owed] = OrderedDict()
        self.last_brief_ms = 0.0

    async def make(
        self, state: PartitionState, wanted: Sequence[Wanted], *, whole: bool = False
    ) -> asyncio.Future[None]:
        """Have the lists of ``wanted`` ranked from ``state``; the future ends when they are acknowledged.

        Returns when at most one other call waits to be ranked before this one. What is folded from then on
        changes none of these lists: histories and model are those of now.

        Parameters
        ----------
        whole : with rails, however long ago the events were accepted
        """
        work = _Work(
            partition=state.partition,
            wanted=wanted,
            requests=[_request(state, one) for one in wanted],
            folded_ms=time.time() * 1000,
            whole=whole,
        )
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        model = self._serving.model(state)
        await self._room.acquire()
        task = asyncio.create_task(self._rank_in_turn(state, model, work, acknowledged))
        self._ranking.add(task)
        task.add_done_callback(self._ranking.discard)
        return acknowledged

    async def _rank_in_turn(
        self, state: PartitionState, model: Model | None, work: _Work, acknowledged: asyncio.Future[None]
    ) -> None:
        """Rank when all that was asked for before is ranked; whatever fails, fails for who asked."""
        try:
            async with self._turn:
                count = max(1, len(work.wanted))
                # evenly: a small rest would cost nearly as much as a whole batch
                at_once = -(-count // -(-count // _RANKED_AT_ONCE))
                for start in range(0, len(work.wanted), at_once):
                    model = await self._make(state, model, work.part(start, start + at_once))
        except Exception as error:
            acknowledged.set_exception(error)
        else:
            self._waiting.append(acknowledged)
            self._arrived.set()
        finally:
            self._room.release()

    async def _make(self, state: PartitionState, model: Model | None, work: _Work) -> Model | None:
        now_ms = time.time() * 1000
        longest_ms = now_ms - min(_accepted_ms(one, now_ms) for one in work.wanted)
        brief = not work.whole and longest_ms > BRIEF_AFTER_MS
        catalogue, charts = self._serving.catalogue, self._serving.charts
        model, pages = await self._ranked(state, model, work.requests, catalogue, charts, rails=not brief)
        model_id = None if model is None else model.model_id
        ranked_ms = time.time() * 1000
        for one, page in zip(work.wanted, pages, strict=True):
            accepted_ms = _accepted_ms(one, work.folded_ms)
            message = Recommendations(
                generation=self._generation,
                partition=work.partition,
                offset=one.offset,
                model_id=model_id,
                charts_id=charts.charts_id,
                catalogue_version=catalogue.version,
                ranking_version=self._config.version,
                cause=_cause(one.event),
                items=page.items,
                timings=Timings(accepted_ms=accepted_ms, folded_ms=work.folded_ms, ranked_ms=ranked_ms),
                rails=page.rails,
                brief=brief,
            )
            self._outbox[one.user_id] = recommendations.encode(message)
            self.owed.pop(one.user_id, None)
            if brief:
                self.last_brief_ms = ranked_ms
                self.owed[one.user_id] = Owed(work.partition, one, model_id)
        while len(self.owed) > _OWED:
            self.owed.popitem(last=False)
        return model

    async def _ranked(
        self,
        state: PartitionState,
        model: Model | None,
        requests: Sequence[Request],
        catalogue: Catalogue,
        charts: Charts,
        *,
        rails: bool,
    ) -> tuple[Model | None, list[Page]]:
        """Rank with a model; one whose equations cannot be solved is refused as corrupt."""
        while True:
            if model is not None and self._serving.refused(model.model_id):
                model = self._serving.model(state)  # since it was asked for
            ranked = partial(rank, requests, model, catalogue, charts, self._config, rails=rails)
            try:
                return model, await asyncio.to_thread(ranked)
            except InvalidModel as error:
                assert model is not None
                self._serving.refuse(model.model_id, error)

    def owed_with(self, partition: int, most: int) -> list[Wanted]:
        """Take what is owed in a partition; a model that ranks since then brings lists of its own."""
        there = [user_id for user_id, one in self.owed.items() if one.partition == partition][:most]
        taken = [self.owed.pop(user_id) for user_id in there]
        return [one.wanted for one in taken if one.model_id == self._serving.served(partition)]

    async def run(self) -> None:
        """Send for as long as the worker lives; a broker that is away is waited for."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            waiting, self._waiting = self._waiting, []
            await self._send_all()
            for acknowledged in waiting:
                if not acknowledged.done():
                    acknowledged.set_result(None)

    async def _send_all(self) -> None:
        while self._outbox:
            batch, self._outbox = self._outbox, {}
            try:
                await self._writer.append(
                    RECOMMENDATIONS, [(user_id.encode(), value) for user_id, value in batch.items()]
                )
                self.sent += len(batch)
                self.waiting_for = None
            except LogBroken:
                raise  # the next worker has a new producer
            except LogUnavailable as error:
                self.waiting_for = "Kafka"
                _log.warning("lists wait for Kafka", lists=len(batch), error=str(error))
                self._outbox = batch | self._outbox  # what came meanwhile is newer
                await asyncio.sleep(_RETRY_S)


def _request(state: PartitionState, wanted: Wanted) -> Request:
    data = state.histories.get(wanted.user_id)
    played = wanted.event.track_id if isinstance(wanted.event, events.Play) else None
    return Request(
        user_id=wanted.user_id,
        partition=state.partition,
        offset=wanted.offset,
        history=History.empty() if data is None else History.from_bytes(data),
        last_track_id=played,
    )


def _accepted_ms(wanted: Wanted, otherwise_ms: float) -> float:
    """Return when the event was accepted; ``otherwise_ms`` where there is none."""
    return otherwise_ms if wanted.event is None else float(wanted.event.server_time_ms)


def _cause(event: events.UserEvent | None) -> Cause | None:
    if event is None:
        return None
    return Cause(
        type=str(type(event).__struct_config__.tag),
        session=event.session,
        seq=event.seq,
        track_id=getattr(event, "track_id", None),
    )
