"""Holes, repetitions and moves in delivery, against a log in memory read by a real fold."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
        self.on_read: Callable[[], None] = lambda: None
        self.on_restore: Callable[[], None] = lambda: None

    async def state_below(self, partition: int, offset: int) -> PartitionState:
        self.restored.append(offset)
        self.on_restore()
        state = PartitionState(partition)
        state.fold(_LOG[:offset])
        return state

    async def records(self, partition: int, start: int, end: int) -> AsyncIterator[list[Record]]:
        for at in range(start, end, 7):
            await asyncio.sleep(0)
            self.on_read()
            yield _LOG[at : min(end, at + 7)]


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

    async def deliver_chunk(self, offsets: Sequence[int], committed: int = 0) -> None:
        await self.partitions.fold(0, [_LOG[at] for at in offsets], committed)

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


async def test_a_hole_inside_a_chunk_is_read_from_the_log(world: _World) -> None:
    await world.deliver_chunk([*range(10), *range(25, 40)])

    assert world.digest() == _expected(40)
    assert world.live == list(range(40))
    assert world.log.restored == [0]


async def test_a_repetition_inside_a_chunk_is_restored(world: _World) -> None:
    await world.deliver_chunk([*range(10), *range(5, 12), 12, 12, 13])

    assert world.digest() == _expected(14)
    assert world.live == [*range(10), *range(5, 13), 12, 13]
    assert world.log.restored == [0, 5, 12]


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


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_whatever_is_delivered_the_state_is_the_fold_and_nothing_is_left_out(data: st.DataObject) -> None:
    """Holes, repetitions, moves and commits in any order; a commit is never beyond what was worked off."""

    async def deliver_anything() -> None:
        world, committed = _World(), 0
        for _ in range(data.draw(st.integers(1, 8), "deliveries")):
            if data.draw(st.booleans(), "moves away"):
                world.partitions.release([0])
                if data.draw(st.booleans(), "held before its first record"):
                    await world.partitions.hold(0, committed)
            start = data.draw(st.integers(0, len(_LOG) - 1), "first")
            end = data.draw(st.integers(start + 1, len(_LOG)), "end")
            left_out = data.draw(st.sets(st.integers(start, end - 1), max_size=3), "left out in between")
            kept = [at for at in range(start, end) if at not in left_out or at == end - 1]
            await world.deliver_chunk(kept, committed)
            assert world.digest() == _expected(end)
            worked_off = next(at for at in range(len(_LOG) + 1) if at not in set(world.live))
            committed = data.draw(st.integers(committed, worked_off), "committed")
        if committed < len(_LOG):
            await world.deliver(committed, len(_LOG), committed)
        assert set(world.live) == set(range(len(_LOG)))

    asyncio.run(deliver_anything())


@pytest.mark.parametrize("held", [True, False])
async def test_a_partition_revoked_while_it_is_restored_leaves_nothing_behind(
    world: _World, held: bool
) -> None:
    world.log.on_restore = lambda: world.partitions.release([0])

    await (world.partitions.hold(0, 20) if held else world.deliver(20, 30, committed=20))

    assert world.partitions.states == {}
    assert world.live == []


async def test_a_partition_revoked_while_it_catches_up_leaves_nothing_behind(world: _World) -> None:
    await world.deliver(0, 10)
    world.log.on_read = lambda: world.partitions.release([0])

    await world.deliver(30, 40)
    assert world.partitions.states == {}
    assert world.live == list(range(10))

    world.log.on_read = lambda: None
    await world.deliver(10, 50, committed=10)
    assert world.digest() == _expected(50)
    assert set(world.live) == set(range(50))


async def test_every_partition_has_a_state_of_its_own(world: _World) -> None:
    for partition in range(12):
        await world.partitions.fold(partition, _LOG[: 10 + partition], 0)

    positions = {partition: state.position for partition, state in world.partitions.states.items()}
    assert positions == {partition: 10 + partition for partition in range(12)}
