"""The embedded Kafka: one broker and controller in one process, on loopback."""

import asyncio
import base64
import subprocess
import uuid
from pathlib import Path

from aiokafka import AIOKafkaClient
from aiokafka.errors import KafkaError

from connections.jars import KAFKA
from schemas.errors import MissingRequirement
from schemas.settings import Settings
from stack.child import Program
from stack.jars import ensure_jars
from stack.java import find_java

# The second compiler took most of what a broker of this size used in its first minutes, for a gain of a tenth
_JAVA = ("-Xmx384m", "-XX:TieredStopAtLevel=1")
_LOGGING = Path(__file__).with_name("log4j2.properties")
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={log_dir}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
group.initial.rebalance.delay.ms=0
# after a kill the broker waits until its own old registration has expired
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
controlled.shutdown.max.retries=1
# what a loss of power can take from a single broker
log.flush.interval.ms=1000
"""


def prepare_kafka(settings: Settings) -> Program:
    """Write the configuration, format the folder when it is new, and return what to start.

    Raises
    ------
    MissingRequirement
        Java or a jar is missing, or the folder could not be formatted.
    """
    folder = settings.data_dir.resolve() / "kafka"
    folder.mkdir(parents=True, exist_ok=True)
    properties = folder / "server.properties"
    properties.write_text(
        _PROPERTIES.format(
            port=settings.kafka_port, controller_port=settings.kafka_controller_port, log_dir=folder / "log"
        ),
        encoding="utf-8",
    )
    java = [str(find_java().command), *_JAVA, f"-Dlog4j2.configurationFile={_LOGGING}", "-cp"]
    java.append(":".join(str(path) for path in ensure_jars((KAFKA,))))
    if not (folder / "log" / "meta.properties").exists():
        _format([*java, "kafka.tools.StorageTool", "format", "-t", _new_id(), "-c", str(properties)])
    return Program(
        name="kafka",
        command=(*java, "kafka.Kafka", str(properties)),
        log_file=settings.data_dir.resolve() / "logs" / "kafka.log",
        stop_within_s=6.0,
    )


async def kafka_answers(settings: Settings) -> bool:
    """Return whether the brokers in use answer with the cluster's metadata."""
    if not await _listens(settings.kafka_address):
        return False
    client = AIOKafkaClient(
        bootstrap_servers=settings.kafka_address, request_timeout_ms=3000, client_id="segue-stack"
    )
    try:
        await asyncio.wait_for(client.bootstrap(), 5.0)
        return bool(client.cluster.brokers())
    except (KafkaError, OSError, TimeoutError):
        return False
    finally:
        await client.close()


async def _listens(address: str) -> bool:
    host, _, port = address.split(",")[0].rpartition(":")
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), 3.0)
    except (OSError, TimeoutError, ValueError):
        return False
    writer.close()
    return True


def _format(command: list[str]) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if ran.returncode != 0:
        lines = (ran.stderr or ran.stdout).strip().splitlines() or ["no message"]
        raise MissingRequirement(f"Kafka's folder could not be formatted: {lines[-1]}")


def _new_id() -> str:
    # Kafka writes its ids in URL-safe base 64; one that begins with "-" would be read as an option
    while True:
        name = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        if not name.startswith("-"):
            return name
