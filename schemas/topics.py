"""Every topic: name, key, partitions and retention. The one place where they stand."""

from dataclasses import dataclass

PLAYS_PARTITIONS = 12
_FOR_EVER = "-1"
_WEEK_MS = str(7 * 24 * 3_600_000)


@dataclass(frozen=True)
class Topic:
    """One Kafka topic.

    Attributes
    ----------
    name : without the prefix of ``SEGUE_TOPIC_PREFIX``
    key : what a record's key is
    partitions : fixed; never changed in place
    config : topic configuration
    """

    name: str
    key: str
    partitions: int
    config: dict[str, str]


PLAYS = Topic(
    name="plays",
    key="user id; none for control records",
    partitions=PLAYS_PARTITIONS,
    config={
        "cleanup.policy": "delete",
        "retention.ms": _FOR_EVER,
        "retention.bytes": _FOR_EVER,
        "message.timestamp.type": "CreateTime",
    },
)
RECOMMENDATIONS = Topic(
    name="recommendations",
    key="user id",
    partitions=PLAYS_PARTITIONS,
    config={
        "cleanup.policy": "compact",
        "min.cleanable.dirty.ratio": "0.2",
        "segment.ms": "600000",
    },
)
IMPRESSIONS = Topic(
    name="impressions",
    key="user id",
    partitions=PLAYS_PARTITIONS,
    config={"cleanup.policy": "delete", "retention.ms": str(90 * 24 * 3_600_000)},
)
SNAPSHOTS = Topic(
    name="snapshots",
    key="snapshot id",
    partitions=1,
    config={"cleanup.policy": "delete", "retention.ms": _WEEK_MS},
)
DEAD_LETTERS = Topic(
    name="dead-letters",
    key="topic/partition/offset",
    partitions=1,
    config={"cleanup.policy": "delete", "retention.ms": _FOR_EVER},
)
TOPICS = (PLAYS, RECOMMENDATIONS, IMPRESSIONS, SNAPSHOTS, DEAD_LETTERS)
