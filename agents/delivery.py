"""When a chunk is done: all that it caused is acknowledged, and so is everything before it."""

import asyncio
from collections.abc import Callable, Sequence

MAX_IN_FLIGHT = 8_000
"""Records that wait for acknowledgements at most. Of records, not of chunks: under a steady load a chunk is
one or two records, and the archive gathers for a tenth of a second, so that 64 chunks were 700 plays/s."""


class Delivery:
    """Marks chunks done, in order per partition.

    At most ``MAX_IN_FLIGHT`` records wait for acknowledgements, or one chunk if it is greater; then ``begin``
    waits, so an outage of MongoDB or Kafka pauses the worker and loses nothing.

    Parameters
    ----------
    on_failure : called when something that a chunk waits for failed; then neither it nor a later chunk of its
        partition is ever done, so the worker has to end
    """

    def __init__(self, on_failure: Callable[[Exception], None]) -> None:
        self._on_failure = on_failure
        self._in_flight = 0
        self._begun = 0
        self._less = asyncio.Event()
        self._last: dict[int, asyncio.Task[None]] = {}
        self._acknowledgements: list[asyncio.Future[None]] = []
        self._later: list[asyncio.Future[None]] = []

    async def begin(self, records: int) -> None:
        """Wait until there is room for a chunk of so many records."""
        while self._in_flight and self._in_flight + records > MAX_IN_FLIGHT:
            self._less.clear()
            await self._less.wait()
        self._in_flight += records
        self._begun = records
        self._acknowledgements, self._later = [], []

    def expect(self, *acknowledgements: asyncio.Future[None]) -> None:
        """Add what the chunk begun last has to wait for."""
        self._acknowledgements.extend(acknowledgements)

    def expect_later(self, work: asyncio.Future[None]) -> None:
        """Add work without which the chunk is not done, but that keeps nobody from folding on."""
        self._later.append(work)

    def end(self, partition: int, mark_done: Callable[[], object]) -> None:
        """Call ``mark_done`` when all of the chunk's acknowledgements and earlier chunks are there."""
        earlier = [self._last[partition]] if partition in self._last else []
        later = [*earlier, *self._later]
        task = asyncio.create_task(self._finish(self._begun, self._acknowledgements, later, mark_done))
        self._acknowledgements, self._later = [], []
        self._last[partition] = task

    async def _finish(
        self,
        records: int,
        acknowledgements: Sequence[asyncio.Future[None]],
        later: Sequence[asyncio.Future[None]],
        mark_done: Callable[[], object],
    ) -> None:
        try:
            try:
                for acknowledgement in acknowledgements:
                    await acknowledgement
            finally:
                self._in_flight -= records
                self._less.set()
            for work in later:
                await work
            mark_done()
        except Exception as error:
            self._on_failure(error)
            raise
