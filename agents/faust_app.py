"""The settings of Faust, each with its reason where it is not plain."""

from agents.chunks import ChunkApp, NoTables
from schemas.settings import Settings

GROUP = "segue-worker"


def group_name(group: str, generation: str) -> str:
    """Return the consumer group of a log: what is committed means nothing in another one."""
    return f"{group}-{generation[:12]}"


def create_faust_app(settings: Settings, group: str) -> ChunkApp:
    """Return the Faust app: one group, static membership, no web server, no tables of Faust's own."""
    folder = settings.data_dir / "faust" / settings.worker_id
    folder.mkdir(parents=True, exist_ok=True)
    return ChunkApp(
        settings.topic_prefix + group,
        broker=f"kafka://{settings.kafka_address}",
        datadir=str(folder),
        store="memory://",
        TableManager=NoTables,
        processing_guarantee="at_least_once",
        consumer_group_instance_id=settings.worker_id,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=1_048_576,
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.session_timeout_s / 5,
        broker_request_timeout=rebalance_timeout_s(settings),
        broker_rebalance_timeout=rebalance_timeout_s(settings),
        broker_commit_interval=1.0,
        stream_buffer_maxsize=16,
        stream_wait_empty=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
        cython_optimizations=False,
        logging_config=None,
    )


def rebalance_timeout_s(settings: Settings) -> float:
    """Return how long a rebalance waits for a member, and so a request for its answer, in seconds."""
    return max(20.0, settings.session_timeout_s + 5.0)
