"""The embedded parts, started for real."""

from connections.documents import ensure_indexes, open_documents, wait_until_writable
from connections.event_log import ensure_topics
from schemas.settings import Settings


async def test_the_embedded_parts_take_topics_and_majority_writes(settings: Settings) -> None:
    generation = await ensure_topics(settings)
    assert await ensure_topics(settings) == generation
    async with open_documents(settings) as database:
        await wait_until_writable(database)
        await ensure_indexes(database)
