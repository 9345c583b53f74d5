import asyncio

import pytest

from agents.delivery import MAX_IN_FLIGHT, Delivery


def _future() -> asyncio.Future[None]:
    return asyncio.get_running_loop().create_future()


async def _turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def _never(error: Exception) -> None:
    raise AssertionError(error)


async def test_a_chunk_is_done_when_all_it_caused_is_acknowledged() -> None:
    delivery, done, first, second = Delivery(_never), [], _future(), _future()
    await delivery.begin(1)
    delivery.expect(first, second)
    delivery.end(0, lambda: done.append("chunk"))

    second.set_result(None)
    await _turns()
    assert done == []

    first.set_result(None)
    await _turns()
    assert done == ["chunk"]


async def test_a_later_chunk_is_not_done_before_an_earlier_one() -> None:
    delivery, done, slow = Delivery(_never), [], _future()
    await delivery.begin(1)
    delivery.expect(slow)
    delivery.end(0, lambda: done.append(1))
    await delivery.begin(1)
    delivery.end(0, lambda: done.append(2))
    await _turns()
    assert done == []

    slow.set_result(None)
    await _turns()
    assert done == [1, 2]


async def test_work_that_comes_later_holds_back_the_mark_but_takes_no_room() -> None:
    delivery, done, reranking = Delivery(_never), [], _future()
    await delivery.begin(MAX_IN_FLIGHT)
    delivery.expect_later(reranking)
    delivery.end(0, lambda: done.append(0))
    await _turns()
    for number in range(1, 3):
        await asyncio.wait_for(delivery.begin(MAX_IN_FLIGHT), 1)
        delivery.end(0, lambda number=number: done.append(number))  # type: ignore[misc]
        await _turns()
    assert done == []

    reranking.set_result(None)
    await asyncio.sleep(0.05)
    assert done == [0, 1, 2]


async def test_records_whose_effects_are_not_acknowledged_leave_room_for_so_many() -> None:
    delivery, first = Delivery(_never), _future()
    for number in range(4):
        await delivery.begin(MAX_IN_FLIGHT // 4)
        delivery.expect(_future() if number else first)
        delivery.end(number, lambda: None)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(delivery.begin(1), 0.05)

    first.set_result(None)
    await asyncio.wait_for(delivery.begin(MAX_IN_FLIGHT // 4), 1)


async def test_a_chunk_greater_than_the_room_goes_alone() -> None:
    delivery, first = Delivery(_never), _future()
    await asyncio.wait_for(delivery.begin(2 * MAX_IN_FLIGHT), 1)
    delivery.expect(first)
    delivery.end(0, lambda: None)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(delivery.begin(1), 0.05)


async def test_a_failure_is_told_and_the_chunk_is_never_done() -> None:
    failures: list[Exception] = []
    delivery, done, broken = Delivery(failures.append), [], _future()
    await delivery.begin(1)
    delivery.expect(broken)
    delivery.end(0, lambda: done.append(1))

    broken.set_exception(RuntimeError("broken"))
    await _turns()

    assert [str(error) for error in failures] == ["broken"]
    assert done == []
    await asyncio.gather(delivery._last[0], return_exceptions=True)
