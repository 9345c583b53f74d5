"""A world of a benchmark's own: real Kafka and mongod, an empty folder, no snapshots made unasked."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.settings import Settings
from stack.parts import running_parts
from stack.ports import free_ports


@contextmanager
def own_world() -> Iterator[Settings]:
    """Yield the settings of a world that is there while the block runs."""
    with tempfile.TemporaryDirectory(prefix="segue-bench-") as folder:
        kafka, controller, mongodb, metrics = free_ports(4)
        settings = Settings(
            data_dir=Path(folder),
            kafka_port=kafka,
            kafka_controller_port=controller,
            mongodb_port=mongodb,
            worker_metrics_port=metrics,
            snapshot_events=10**9,
            snapshot_interval_s=1e9,
        )
        with running_parts(settings):
            yield settings
