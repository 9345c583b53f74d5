"""Holes, repetitions and moves in delivery, against a log in memory read by a real fold."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from agents.partitions import Partitions
from recommender.partition import Folded, PartitionState, Record
from schemas import events
from tests.builders import NOW_MS, generation, play, records

_LOG = records(
    (None, generation()),
    *((number % 3, play(number % 7 + 1, seq=number)) for number in range(60)),
    (None, events.Barrier(snapshot_id="s", server_time_ms=NOW_MS)),
    *((number % 3, play(number % 7 + 1, seq=number)) for number in range(60, 90)),
)


class _LogInMemory:
    """Makes states and reads records as ``Restorer`` does, from a list."""

    def __init__(self) -> None:
        self.restored: list[int] = []

    async def state_below(self, partition: int, offset: int) -> PartitionState:
        self.restored.append(offset)
        state = PartitionState(partition)
        state.fold(_LOG[:offset])
        return state

    async def records(self, partition: int, start: int, end: int) -> AsyncIterator[list[Record]]:
        if start < end:
            yield _LOG[start:end]


class _World:
    """Partitions over the log in memory, with what was folded live."""

    def __init__(self) -> None:
        self.log = _LogInMemory()
        self.live: list[int] = []
        restorer: Any = self.log
        self.partitions = Partitions(restorer, lambda state, barrier: None, self._on_folded)

    async def _on_folded(
        self, state: PartitionState, given: Sequence[Record], folded: Sequence[Folded]
    ) -> None:
        self.live += [one.offset for one in folded]

    async def deliver(self, start: int, end: int, committed: int = 0) -> None:
        await self.partitions.fold(0, _LOG[start:end], committed)

    def digest(self) -> str:
        return self.partitions.states[0].digest()


def _expected(end: int) -> str:
    state = PartitionState(0)
    state.fold(_LOG[:end])
    return state.digest()


@pytest.fixture
def world() -> _World:
    return _World()


async def test_chunks_in_order_are_folded_as_they_come(world: _World) -> None:
    await world.deliver(0, 10)
    await world.deliver(10, 40)

    assert world.digest() == _expected(40)
    assert world.live == list(range(40))
    assert world.log.restored == [0]


async def test_a_hole_in_delivery_is_read_from_the_log_and_worked_off_live(world: _World) -> None:
    await world.deliver(0, 10)
    await world.deliver(25, 40)

    assert world.digest() == _expected(40)
    assert world.live == list(range(40))


async def test_a_repetition_is_restored_and_what_it_causes_is_sent_again(world: _World) -> None:
    await world.deliver(0, 40)
    await world.deliver(20, 50)

    assert world.digest() == _expected(50)
    assert world.live == [*range(40), *range(20, 50)]
    assert world.log.restored == [0, 20]


async def test_a_partition_that_comes_begins_where_all_before_is_acknowledged(world: _World) -> None:
    await world.deliver(50, 60, committed=45)

    assert world.digest() == _expected(60)
    assert world.live == list(range(45, 60))
    assert world.log.restored == [45]


async def test_a_commit_beyond_the_first_record_never_skips_it(world: _World) -> None:
    await world.deliver(50, 60, committed=80)

    assert world.digest() == _expected(60)
    assert world.live == list(range(50, 60))


async def test_a_partition_that_went_and_came_back_is_exact(world: _World) -> None:
    await world.deliver(0, 30)
    world.partitions.release([0])
    await world.partitions.hold(0, 20)
    await world.deliver(20, len(_LOG))

    assert world.digest() == _expected(len(_LOG))
    assert world.live == [*range(30), *range(20, len(_LOG))]


async def test_a_state_left_over_from_an_earlier_assignment_cannot_hide_records(world: _World) -> None:
    await world.deliver(0, 30)
    await world.deliver(70, len(_LOG), committed=70)

    assert world.digest() == _expected(len(_LOG))
    assert set(range(len(_LOG))) == set(world.live)
