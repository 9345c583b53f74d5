"""Lists beside the live ones, while other things go on."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field

from agents.lists import Owed
from agents.reranking import Reranking
from agents.wanted import Wanted
from recommender.encoding import EMPTY
from recommender.partition import PartitionState
from tests.builders import user_id


@dataclass
class Partitions:
    """One partition with one user."""

    states: dict[int, PartitionState] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.states[0] = PartitionState(0)
        self.states[0].histories[user_id(1)] = EMPTY

    def lock(self, partition: int) -> asyncio.Lock:
        return asyncio.Lock()


@dataclass
class Lists:
    """Lists that are made when they may."""

    may_go_on: asyncio.Event = field(default_factory=asyncio.Event)
    owed: OrderedDict[str, Owed] = field(default_factory=OrderedDict)
    last_brief_ms: float = 0.0

    async def make(self, *_: object, **__: object) -> "asyncio.Future[None]":
        await self.may_go_on.wait()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


async def test_what_is_owed_may_be_answered_while_other_lists_are_made_anew() -> None:
    lists = Lists()
    reranking = Reranking(Partitions(), lists)  # type: ignore[arg-type]
    anew = asyncio.create_task(reranking.partition(0))
    await asyncio.sleep(0)
    lists.owed[user_id(1)] = Owed(0, Wanted(user_id(1), 5, None), None)
    following = asyncio.create_task(reranking.run())
    await asyncio.sleep(0.5)  # it waits for the lists that are made anew

    lists.owed.clear()
    lists.may_go_on.set()
    await anew
    done, _ = await asyncio.wait({following}, timeout=0.5)

    assert not done
    following.cancel()
