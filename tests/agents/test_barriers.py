"""Parts of barriers that are met faster than parts are written."""

import asyncio
import threading
from typing import Any

import pytest

import agents.barriers
from agents.barriers import Barriers
from agents.beside import Beside
from recommender.partition import PartitionState
from schemas import events


class Written:
    """Writes when it may; notes what was written."""

    def __init__(self) -> None:
        self.parts: list[tuple[str, int]] = []
        self.may_write = threading.Event()

    def begun(self, snapshot_id: str) -> None:
        """A coordinator's."""

    def write(self, _: Any, snapshot_id: str, state: PartitionState) -> bool:
        self.may_write.wait(10.0)
        self.parts.append((snapshot_id, state.position))
        return True


async def test_of_barriers_met_by_a_rebuild_the_newest_are_written_and_few_states_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = Written()
    monkeypatch.setattr(agents.barriers, "write_part", written.write)
    barriers = Barriers(None, written, Beside())  # type: ignore[arg-type]
    state = PartitionState(3)
    for number in range(50):
        state.position = number
        barriers.met(state, events.Barrier(snapshot_id=f"s-{number}", server_time_ms=number))
        await asyncio.sleep(0.001)
    waiting = sum(map(len, barriers._waiting.values()))
    written.may_write.set()
    async with asyncio.timeout(10.0):
        while len(written.parts) < 5:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)

    assert waiting == 4
    assert written.parts == [(f"s-{number}", number) for number in (0, 46, 47, 48, 49)]
