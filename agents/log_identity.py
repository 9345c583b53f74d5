"""Is this still the log that the worker was started on? Offsets mean nothing in another one.

A topic can be deleted and made again under its name while workers run, or are paused; Kafka's protocol would
let them read on as if nothing had happened. So the first record of the log is looked at again and again, and
no chunk is folded unless that was done lately.
"""

import asyncio
import time

import structlog

from connections.event_log import LogReader
from schemas.errors import LogUnavailable
from schemas.settings import Settings

_log = structlog.get_logger()
_LOOK_S = 1.0
_RETRY_S = 0.2
_LATELY_S = 5.0
_POLL_S = 0.02


class LogIdentity:
    """Looks at the log's name. Run ``run`` beside the worker's agent.

    Parameters
    ----------
    generation : the log's name when the worker began
    """

    def __init__(self, settings: Settings, generation: str) -> None:
        self._settings = settings
        self._generation = generation
        self._looked = time.monotonic()

    async def run(self) -> None:
        """Look for as long as the worker lives.

        Raises
        ------
        LogMismatch
            The log was made anew, or has another number of partitions.
        """
        async with LogReader(self._settings) as reader:
            while True:
                began = time.monotonic()
                try:
                    await reader.check(self._generation)
                except LogUnavailable as error:
                    _log.warning("the log cannot be looked at", error=str(error))
                    await asyncio.sleep(_RETRY_S)
                    continue
                self._looked = began
                await asyncio.sleep(_LOOK_S)

    async def confirmed(self) -> None:
        """Return at once if the log was looked at lately; after a pause or an outage wait until it is."""
        while time.monotonic() - self._looked > _LATELY_S:
            await asyncio.sleep(_POLL_S)
