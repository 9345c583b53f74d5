"""The outbox on a real broker."""

import asyncio

from agents.outbox import Outbox
from connections.event_log import LogReader
from connections.log_topics import ensure_topics
from connections.log_writer import LogWriter
from schemas.settings import Settings
from schemas.topics import RECOMMENDATIONS
from tests.builders import user_id


async def test_the_newest_list_of_a_user_is_sent_whatever_was_put_last(settings: Settings) -> None:
    await ensure_topics(settings)
    async with LogWriter(settings) as writer:
        outbox = Outbox(writer)
        for offset, message in ((5, b"older"), (9, b"newest"), (5, b"made whole late")):
            outbox.put(user_id(1), offset, message)
        outbox.put(user_id(2), 7, b"brief")
        outbox.put(user_id(2), 7, b"whole")
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        outbox.settle_when_sent(acknowledged)
        sending = asyncio.create_task(outbox.run())
        await asyncio.wait_for(acknowledged, 30)
        sending.cancel()

    found = {}
    async with LogReader(settings, RECOMMENDATIONS) as reader:
        for partition, end in (await reader.end_offsets()).items():
            async for records in reader.read(partition, 0, end):
                found |= {record.key: record.value for record in records}
    assert found == {user_id(1).encode(): b"newest", user_id(2).encode(): b"whole"}
    assert outbox.sent == 2
