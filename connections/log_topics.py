"""Topics on the broker: create what is missing, and name a new log."""

import time
import uuid
from collections.abc import Mapping

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from connections.event_log import LogReader, topic_name
from connections.log_writer import LogWriter
from schemas import events
from schemas.errors import LogUnavailable
from schemas.settings import Settings
from schemas.topics import PLAYS, TOPICS, Topic

_TOPIC_EXISTS = 36


async def ensure_topics(settings: Settings) -> str:
    """Create the topics that are missing and name a new log; return the log's generation.

    Idempotent, also after being killed half way: a partition that is still empty gets its name.

    Raises
    ------
    LogUnavailable
        Kafka did not answer, or refused a topic.
    LogMismatch
        The topic of plays is there already and was not made by Segue.
    """
    await create_topics(settings)
    async with LogReader(settings) as reader:
        ends = await reader.end_offsets()
        if any(end == 0 for end in ends.values()):
            await _name_log(settings, reader, ends)
        return await reader.generation()


async def create_topics(settings: Settings) -> None:
    """Create the topics that are missing."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_address)
    try:
        await admin.start()
        response = await admin.create_topics([_new_topic(settings, topic) for topic in TOPICS])
        for name, code, *message in response.topic_errors:
            if code not in (0, _TOPIC_EXISTS):
                raise LogUnavailable(f"topic {name} could not be created: error {code} {message}")
    except KafkaError as error:
        raise LogUnavailable(f"Kafka at {settings.kafka_address}: {error}") from error
    finally:
        await admin.close()


def _new_topic(settings: Settings, topic: Topic) -> NewTopic:
    return NewTopic(
        name=topic_name(settings, topic),
        num_partitions=topic.partitions,
        replication_factor=settings.kafka_replication,
        topic_configs=topic.config,
    )


async def _name_log(settings: Settings, reader: LogReader, ends: Mapping[int, int]) -> None:
    named = [partition for partition, end in ends.items() if end > 0]
    generation = await reader.first_name(named[0]) if named else uuid.uuid4().hex
    record = events.encode(
        events.Generation(
            generation=generation,
            partitions=PLAYS.partitions,
            server_time_ms=time.time_ns() // 1_000_000,
        )
    )
    async with LogWriter(settings) as writer:
        for partition, end in ends.items():
            if end == 0:
                await writer.append(PLAYS, [(None, record)], partition=partition)
