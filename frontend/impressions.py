"""What was shown: written behind the answer, bounded, and never in its way."""

import asyncio
import time

import structlog

from connections.intake import Writer
from frontend.metrics import Metrics
from schemas import recommendations
from schemas.errors import LogUnavailable
from schemas.recommendations import Impression, Recommendations, ShownRail
from schemas.topics import IMPRESSIONS

_WAITING = 1_000
_AT_ONCE = 100
_GATHER_S = 0.25  # a list is worth more than its impression: these wait and go together
_log = structlog.get_logger()


class Impressions:
    """Records lists that were sent; above 1,000 waiting ones, or while Kafka is away, they are dropped."""

    def __init__(self, writer: Writer, metrics: Metrics) -> None:
        self._writer = writer
        self._metrics = metrics
        self._waiting: asyncio.Queue[tuple[bytes, bytes]] = asyncio.Queue(_WAITING)

    def sent(self, user_id: str, shown: Recommendations) -> None:
        """Note that a list was sent to a browser of the user."""
        impression = Impression(
            partition=shown.partition,
            offset=shown.offset,
            model_id=shown.model_id,
            track_ids=[item.track_id for item in shown.items],
            server_time_ms=time.time_ns() // 1_000_000,
            rails=[
                ShownRail(
                    kind=rail.kind, track_id=rail.track_id, track_ids=[item.track_id for item in rail.items]
                )
                for rail in shown.rails
            ],
            propensities={
                item.track_id: item.propensity
                for items in (shown.items, *(rail.items for rail in shown.rails))
                for item in items
                if item.propensity is not None
            },
        )
        try:
            self._waiting.put_nowait((user_id.encode(), recommendations.encode(impression)))
        except asyncio.QueueFull:
            self._metrics.impressions_dropped.inc()

    async def write(self) -> None:
        """Write what is noted until cancelled."""
        while True:
            batch: list[tuple[bytes | None, bytes | None]] = [await self._waiting.get()]
            await asyncio.sleep(_GATHER_S)
            while len(batch) < _AT_ONCE and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            try:
                await self._writer.append(IMPRESSIONS, batch)
            except LogUnavailable as error:
                self._metrics.impressions_dropped.inc(len(batch))
                _log.warning("impressions dropped", count=len(batch), reason=str(error))
