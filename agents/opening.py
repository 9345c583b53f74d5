"""Opens a worker: what ranks for it, and its clients."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from agents.app import Worker
from agents.ranking.program import RankingPrograms
from agents.ranking.ranker import Ranker
from agents.start import StartTimes
from connections.documents import open_documents
from connections.event_log import LogReader
from connections.log_writer import LogWriter
from recommender.ranking_config import RankingConfig
from schemas.settings import Settings


@asynccontextmanager
async def open_worker(
    settings: Settings,
    *,
    times: StartTimes | None = None,
    ranking: RankingPrograms | None = None,
    **switches: Any,
) -> AsyncIterator[Worker]:
    """Yield a worker with its clients open.

    Parameters
    ----------
    ranking : the running programs that rank for it; by default they are started

    Raises
    ------
    LogUnavailable
        Kafka does not answer.
    LogMismatch
        The log has another number of partitions, or was not made by Segue.
    """
    # Faust's consumer lives in a thread of its own: let it have the interpreter sooner than after 5 ms
    sys.setswitchinterval(0.001)
    times = times or StartTimes()
    with ranking or RankingPrograms(settings.ranking_processes) as programs:
        async with LogReader(settings) as reader:
            generation = await reader.generation()
        times.note("log found")
        config = RankingConfig(length=settings.list_length)
        async with (
            open_documents(settings) as database,
            LogWriter(settings) as writer,
            Ranker(programs, config, generation) as ranker,
        ):
            times.note("connected")
            yield Worker(settings, database, writer, ranker, generation, times=times, **switches)
