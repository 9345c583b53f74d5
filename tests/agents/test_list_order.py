"""Lists that several processes rank are sent in the order asked for, even when a model proves to be bad."""

import asyncio
import gc
import itertools
import weakref
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

from agents.lists import Lists, Owed
from agents.ranking.frames import Asked, Ranked
from agents.wanted import Wanted
from recommender.model import Model
from recommender.partition import PartitionState
from schemas.errors import InvalidModel
from tests.agents.ranking.test_ranker import model_of
from tests.builders import NOW_MS, play, user_id


@dataclass
class Ranker:
    """Two processes that answer when they are told to: what they rank is the reader's business."""

    processes: int = 2
    batches: list[tuple[str | None, list[Asked], "asyncio.Future[Ranked | None]"]] = field(
        default_factory=list
    )

    async def rank(self, model_id: str | None, asked: list[Asked], *, brief: bool) -> Ranked:
        answer: asyncio.Future[Ranked | None] = asyncio.get_running_loop().create_future()
        self.batches.append((model_id, asked, answer))
        ranked = await answer
        if ranked is None:
            raise InvalidModel("no solution")
        return ranked

    async def asked(self, batch: int) -> tuple[str | None, list[int]]:
        """Return the model and the offsets of a batch, once it was asked for."""
        while len(self.batches) <= batch:
            await asyncio.sleep(0)
        model_id, asked, _ = self.batches[batch]
        return model_id, [one.offset for one in asked]

    def answer(self, batch: int) -> None:
        model_id, asked, answer = self.batches[batch]
        answer.set_result(Ranked(batch, 1.0, [f"{model_id} {one.offset}".encode() for one in asked]))

    async def answer_all(self, since: int) -> None:
        """Rank without a model, refuse what a model is to rank."""
        for batch in itertools.count(since):
            model_id, _ = await self.asked(batch)
            (self.answer if model_id is None else self.refuse)(batch)

    def refuse(self, batch: int) -> None:
        self.batches[batch][2].set_result(None)


@dataclass
class Serving:
    """A model until it is refused, then none."""

    held: Model | None

    def model(self, state: PartitionState) -> Model | None:
        return self.held

    def refuse(self, model_id: str, error: InvalidModel) -> None:
        self.held = None


@dataclass
class Writer:
    sent: list[str] = field(default_factory=list)

    async def append(self, topic: object, records: Sequence[tuple[bytes, bytes]]) -> None:
        self.sent += [value.decode() for _, value in records]


@dataclass
class World:
    ranker: Ranker
    writer: Writer
    serving: Serving
    lists: Lists

    async def want(self, offset: int, user: int = 1, *, event: bool = False) -> "asyncio.Future[None]":
        """Have the list of a user made for one more event (or because the model changed)."""
        played = play(1, seq=offset, server_time_ms=NOW_MS) if event else None
        made = await self.lists.make(PartitionState(0), [Wanted(user_id(user), offset, played)])
        await self.turns()  # it is asked for, if a process is free
        return made

    async def turns(self) -> None:
        """Let everything go on that can."""
        for _ in range(10):
            await asyncio.sleep(0)


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    failures: list[Exception] = []
    ranker, writer, serving = Ranker(), Writer(), Serving(model_of(1))
    lists = Lists(writer, serving, ranker, failures.append)  # type: ignore[arg-type]
    running = [asyncio.create_task(lists.run()), asyncio.create_task(lists.outbox.run())]
    try:
        yield World(ranker, writer, serving, lists)
    finally:
        for task in running:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    assert failures == []


async def test_a_list_waits_for_the_one_before_it() -> None:
    async with world() as here:
        first, second = await here.want(10), await here.want(11)
        await here.ranker.asked(1)
        here.ranker.answer(1)
        done, _ = await asyncio.wait({second}, timeout=0.2)
        assert not done
        assert here.writer.sent == []

        here.ranker.answer(0)
        await asyncio.wait_for(asyncio.gather(first, second), 5)

    assert here.writer.sent[-1] == "model-1 11"
    assert "model-1 10" not in here.writer.sent[1:]


@pytest.mark.parametrize("refused_first", [True, False])
async def test_what_was_refused_is_ranked_again_in_its_place(refused_first: bool) -> None:
    """Else the list of the older event, ranked again, would come after that of the newer one."""
    async with world() as here:
        asked = [await here.want(10), await here.want(11), await here.want(12, user=2)]
        assert await here.ranker.asked(1) == ("model-1", [11])
        steps = [lambda: here.ranker.refuse(0), lambda: here.ranker.answer(1)]
        for step in steps if refused_first else reversed(steps):
            step()
            await here.turns()

        assert here.writer.sent == []
        answering = asyncio.create_task(here.ranker.answer_all(since=2))
        await asyncio.wait_for(asyncio.gather(*asked), 5)
        answering.cancel()

    assert {one for one in here.writer.sent if one.endswith("12")} == {"None 12"}
    of_first_user = [one for one in here.writer.sent if not one.endswith("12")]
    assert of_first_user in (["None 10", "model-1 11"], ["model-1 11"])


async def test_a_list_that_waits_while_an_older_one_is_ranked_again_comes_after_it() -> None:
    async with world() as here:
        asked = [await here.want(10, user=2), await here.want(11)]
        here.serving.held = model_of(2)  # a model becomes active
        asked.append(await here.want(12))
        here.ranker.refuse(0)
        await here.turns()
        here.ranker.refuse(1)
        answering = asyncio.create_task(here.ranker.answer_all(since=2))
        await asyncio.wait_for(asyncio.gather(*asked), 5)
        answering.cancel()

    offsets = [int(one.split()[1]) for one in here.writer.sent]
    assert [one for one in offsets if one > 10] in ([11, 12], [12])
    assert 10 in offsets


async def test_an_older_list_does_not_take_the_place_of_a_newer_one_that_waits() -> None:
    async with world() as here:
        asked = [await here.want(offset, user=user) for user, offset in enumerate((1, 2), start=2)]
        asked += [await here.want(offset, event=True) for offset in (11, 10)]
        for batch in (0, 1):
            here.ranker.answer(batch)
        assert await here.ranker.asked(2) == ("model-1", [11])
        here.ranker.answer(2)
        await asyncio.wait_for(asyncio.gather(*asked), 5)

    assert here.writer.sent[-1] == "model-1 11"


async def test_nothing_is_owed_in_a_partition_that_moved_away() -> None:
    async with world() as here:
        for n in range(9):
            here.lists.owed[user_id(n)] = Owed(n % 3, Wanted(user_id(n), 5, None), None)

        here.lists.release({0, 2})

        assert list(here.lists.owed) == [user_id(1), user_id(4), user_id(7)]


async def test_a_refused_model_is_let_go_of_at_once() -> None:
    """The next model waits until the refused one is gone: it must not wait for a collection of cycles."""
    gc.collect()
    gc.disable()
    try:
        async with world() as here:
            assert here.serving.held is not None
            gone = weakref.ref(here.serving.held)
            asked = await here.want(10)
            here.ranker.refuse(0)
            await here.ranker.asked(1)
            here.ranker.answer(1)
            await asyncio.wait_for(asked, 5)
            here.ranker.batches.clear()
            await here.turns()
            assert gone() is None
    finally:
        gc.enable()
