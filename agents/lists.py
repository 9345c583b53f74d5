"""Lists: in which order they are ranked, how many at once, and which of them are brief."""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter

from agents.outbox import Outbox
from agents.ranking.frames import Asked, Ranked
from agents.ranking.ranker import Ranker
from agents.serving import Serving
from agents.wanted import Wanted, asked_now
from connections.log_writer import LogWriter
from recommender.model import Model
from recommender.partition import PartitionState
from schemas.errors import InvalidModel, ModelNotHeld

_RANKED_AT_ONCE = 32
_AHEAD = 2  # batches that are on their way beside those being ranked, so that no ranking process waits
_WORTH = 16  # lists that make a further batch worth while; fewer wait for more
_ROOM = 256  # lists that wait; beyond, whoever wants more waits
BRIEF_AFTER_MS = 200.0
"""A list whose event was accepted so long ago is made without rails, so that others wait less."""
_OWED = 20_000  # users whose rails are owed; beyond, those that wait longest get them with their next list


@dataclass(frozen=True, slots=True)
class Owed:
    """A list that was made without rails, and the model that ranked it."""

    partition: int
    wanted: Wanted
    model_id: str | None


@dataclass(slots=True)
class _Call:
    """One call of ``make``: how many of its lists are not ranked yet."""

    left: int
    acknowledged: asyncio.Future[None]


@dataclass(slots=True)
class _Due:
    """A list that is due: what it is made from, and who waits for it."""

    wanted: Wanted
    asked: Asked
    state: PartitionState
    model: Model | None
    whole: bool
    calls: list[_Call] = field(default_factory=list)


class Lists:
    """Has lists ranked, and sent. Run ``run`` beside it, and that of the ``outbox``.

    Lists of all partitions are ranked together, as many as wait, while the next records are folded. They are
    sent in the order asked for, so lists of a user never overtake each other. A newer event of a user whose
    list still waits takes its place.
    Under load lists are brief: their rails are owed, and follow when it has passed (``Reranking``).

    Parameters
    ----------
    on_failure : called when lists cannot be ranked, which only a defect can cause
    """

    def __init__(
        self, writer: LogWriter, serving: Serving, ranker: Ranker, on_failure: Callable[[Exception], None]
    ) -> None:
        self._serving = serving
        self._ranker = ranker
        self._on_failure = on_failure
        self._ranking: set[asyncio.Task[None]] = set()
        self.outbox = Outbox(writer)
        self._due: deque[_Due] = deque()
        self._newest: dict[str, _Due] = {}
        self._under_way = 0
        self._before: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._roomy = asyncio.Event()
        self._roomy.set()
        self.owed: OrderedDict[str, Owed] = OrderedDict()
        self.last_brief_ms = 0.0

    async def make(
        self, state: PartitionState, wanted: Sequence[Wanted], *, whole: bool = False
    ) -> asyncio.Future[None]:
        """Have the lists of ``wanted`` ranked from ``state``; the future ends when they are acknowledged.

        Returns when few lists wait to be ranked. What is folded from then on changes none of these: histories
        and model are those of now.

        Parameters
        ----------
        whole : with rails, however long ago the events were accepted
        """
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        call = _Call(len(wanted), acknowledged)
        model = self._serving.model(state)
        for one in wanted:
            self._add(_Due(one, asked_now(state, one), state, model, whole, [call]))
        self._changed.set()
        if len(self._due) >= _ROOM:
            self._roomy.clear()
        await self._roomy.wait()
        return acknowledged

    def _add(self, due: _Due) -> None:
        self.owed.pop(due.asked.user_id, None)  # this list is newer
        waiting = self._newest.get(due.asked.user_id)
        if waiting is None or due.wanted.event is None or waiting.wanted.event is None:
            self._due.append(due)
            self._newest[due.asked.user_id] = due
            return
        waiting.calls += due.calls
        if waiting.asked.offset <= due.asked.offset:
            waiting.wanted, waiting.asked, waiting.state = due.wanted, due.asked, due.state
            waiting.model, waiting.whole = due.model, due.whole

    async def run(self) -> None:
        """Have lists ranked for as long as the worker lives."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._due and (self._under_way < self._ranker.processes or self._worth_while()):
                self._under_way += 1
                self._before = asyncio.create_task(self._make(self._next(), self._before))
                self._ranking.add(self._before)
                self._before.add_done_callback(self._ranked_or_failed)

    def _ranked_or_failed(self, task: asyncio.Task[None]) -> None:
        self._ranking.discard(task)
        self._under_way -= 1
        self._changed.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            assert isinstance(error, Exception)
            self._on_failure(error)

    def _worth_while(self) -> bool:
        most = self._ranker.processes + _AHEAD
        return self._under_way < most and len(self._due) >= _WORTH

    def _next(self) -> list[_Due]:
        """Take the lists that are ranked together: by one model, and all whole or all live."""
        first = self._due[0]
        batch: list[_Due] = []
        while self._due and len(batch) < _RANKED_AT_ONCE:
            due = self._due[0]
            if due.model is not first.model or due.whole is not first.whole:
                break
            batch.append(self._due.popleft())
            if self._newest.get(due.asked.user_id) is due:
                del self._newest[due.asked.user_id]
        if len(self._due) < _ROOM:
            self._roomy.set()
        return batch

    async def _make(self, batch: list[_Due], before: asyncio.Task[None] | None) -> None:
        """Have a batch ranked, and send it after the one before."""
        made = await self._rank(batch)
        if before is not None:
            await asyncio.wait({before})
        if made is not None:
            self._put(batch, *made)
        else:
            await self._make_again(batch)

    async def _make_again(self, batch: list[_Due]) -> None:
        """Have lists ranked by the model that serves now; the batches after them wait."""
        while batch:
            for due in batch:
                due.model = self._serving.model(due.state)
            _, by_one_model = next(groupby(batch, key=attrgetter("model")))
            some = list(by_one_model)
            if (made := await self._rank(some)) is not None:
                self._put(some, *made)
                batch = batch[len(some) :]

    async def _rank(self, batch: list[_Due]) -> tuple[Ranked, bool] | None:
        """Return what was ranked and whether it is brief; None where the model cannot rank."""
        model = batch[0].model
        longest_ms = time.time() * 1000 - min(due.asked.accepted_ms for due in batch)
        brief = not batch[0].whole and longest_ms > BRIEF_AFTER_MS
        model_id = None if model is None else model.model_id
        try:
            return await self._ranker.rank(model_id, [due.asked for due in batch], brief=brief), brief
        except InvalidModel as error:
            assert model is not None
            self._serving.refuse(model.model_id, error)
        except ModelNotHeld:
            pass  # a newer one serves
        return None

    def _put(self, batch: list[_Due], ranked: Ranked, brief: bool) -> None:
        for due, message in zip(batch, ranked.messages, strict=True):
            self.outbox.put(due.asked.user_id, due.asked.offset, message)
            self._note_owed(due, brief, ranked.ranked_ms)
            self._ranked(due)

    def _ranked(self, due: _Due) -> None:
        for call in due.calls:
            call.left -= 1
            if not call.left:
                self.outbox.settle_when_sent(call.acknowledged)

    def _note_owed(self, due: _Due, brief: bool, ranked_ms: float) -> None:
        user_id = due.asked.user_id
        self.owed.pop(user_id, None)
        if brief:
            self.last_brief_ms = max(self.last_brief_ms, ranked_ms)
            if user_id not in self._newest:  # else a newer list of the user is on its way
                model_id = None if due.model is None else due.model.model_id
                self.owed[user_id] = Owed(due.asked.partition, due.wanted, model_id)
            if len(self.owed) > _OWED:
                self.owed.popitem(last=False)

    def release(self, partitions: Container[int]) -> None:
        """Owe nothing in partitions that were revoked: their next state may be another."""
        for user_id in [user_id for user_id, one in self.owed.items() if one.partition in partitions]:
            del self.owed[user_id]

    def owed_with(self, partition: int, most: int) -> list[Wanted]:
        """Take what is owed in a partition; a model that ranks since then brings lists of its own."""
        there = [user_id for user_id, one in self.owed.items() if one.partition == partition][:most]
        taken = [self.owed.pop(user_id) for user_id in there]
        return [one.wanted for one in taken if one.model_id == self._serving.served(partition)]
