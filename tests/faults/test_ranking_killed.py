"""A ranking process of a worker is killed: the worker ends, and the next one answers what is open."""

import asyncio

from connections.documents import open_documents
from connections.log_writer import LogWriter
from schemas.settings import Settings
from tests.programs import worker_process
from tests.worlds import begin_world, send, settled, stream, worked_off

EVENTS = 400


async def test_a_killed_ranking_process_ends_its_worker_and_the_next_one_answers_all(
    settings: Settings,
) -> None:
    async with open_documents(settings) as database:
        await begin_world(settings, database)
        with worker_process(settings) as worker:
            worker.start()
            await worker.until_alive()
            async with LogWriter(settings) as writer:
                await send(writer, stream(1, users=40, session="a"), EVENTS // 2, per_s=2_000)
                ranking = worker.ranking()[-1]
                ranking.kill()
                await send(writer, stream(2, users=40, session="b"), EVENTS // 2, per_s=2_000)
            assert worker.process is not None
            assert await asyncio.to_thread(worker.process.wait, 60) == 1
            assert f"segue: the ranking process {ranking.pid} has ended" in worker.log.read_text()

            worker.start()
            await worker.until_alive()
            found = await settled(settings, [worker.port], worked_off)

            assert (found["applied"], found["lost"], found["double"]) == (EVENTS, 0, 0)
            assert found["lists_behind"] == 0
            its = worker.ranking()
            worker.kill()
            for one in its:
                await asyncio.to_thread(one.wait, 20)  # it ends with its worker, however that ends
        await database.client.drop_database(settings.mongodb_database)
