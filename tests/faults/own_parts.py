"""A Kafka and a mongod of a test's own: they may be paused and killed, those of the session may not."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.settings import Settings
from stack.child import Child
from stack.kafka import kafka_answers, prepare_kafka
from stack.parts import running_parts, wait_until_ready
from stack.ports import free_ports


class OwnParts:
    """The two processes, and what may befall them."""

    def __init__(self, settings: Settings, mongod: Child, kafka: Child) -> None:
        self.settings = settings
        self.mongod = mongod
        self.kafka = kafka

    @property
    def ports(self) -> dict[str, int]:
        """Return the settings by which they are found."""
        return {"kafka_port": self.settings.kafka_port, "mongodb_port": self.settings.mongodb_port}

    def pause(self, child: Child) -> None:
        """SIGSTOP."""
        os.kill(child.pid, signal.SIGSTOP)

    def go_on(self, child: Child) -> None:
        """SIGCONT."""
        os.kill(child.pid, signal.SIGCONT)

    def kill_kafka(self) -> None:
        """SIGKILL the broker."""
        self.kafka.kill()

    async def start_kafka(self) -> None:
        """Start the broker on the same folder; return when it answers."""
        self.kafka = Child(prepare_kafka(self.settings))
        await wait_until_ready(self.kafka, lambda: kafka_answers(self.settings))


@contextmanager
def own_parts(folder: Path) -> Iterator[OwnParts]:
    """Run both while the block runs."""
    kafka, controller, mongodb = free_ports(3)
    settings = Settings(
        data_dir=folder, kafka_port=kafka, kafka_controller_port=controller, mongodb_port=mongodb
    )
    with running_parts(settings) as (mongod_child, kafka_child):
        parts = OwnParts(settings, mongod_child, kafka_child)
        try:
            yield parts
        finally:
            for child in (parts.mongod, parts.kafka):
                if child.exit_code() is None:
                    parts.go_on(child)
            parts.kafka.stop()
