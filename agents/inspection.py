"""What a worker holds, on a loopback port: metrics for Prometheus, states for the audit."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agents.app import Worker
from recommender.partition import PartitionState
from recommender.windows import Outcome


class WorkerCollector(Collector):
    """Reads the figures from the worker when they are asked for; nothing is counted twice."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of one worker."""
        worker = self._worker
        position = GaugeMetricFamily("segue_position", "Offset of the next record", labels=["partition"])
        users = GaugeMetricFamily("segue_users", "Histories held", labels=["partition"])
        offsets = GaugeMetricFamily(
            "segue_offsets", "Offsets below the position, by class", labels=["partition", "class"]
        )
        archived = GaugeMetricFamily(
            "segue_archive_position",
            "Offset below which the archive is complete, once it was written to",
            labels=["partition"],
        )
        for state in list(worker.partitions.states.values()):
            partition = str(state.partition)
            if state.partition in worker.archive.complete:
                archived.add_metric([partition], worker.archive.complete[state.partition])
            position.add_metric([partition], state.position)
            users.add_metric([partition], len(state.histories))
            for outcome in Outcome:
                offsets.add_metric([partition, outcome.value], state.counts[outcome])
        yield from (position, users, offsets, archived)
        for name, text, value in (
            ("segue_restores", "Partitions restored since the start", worker.partitions.restores),
            ("segue_lists_sent", "Lists acknowledged since the start", worker.lists.outbox.sent),
            ("segue_rails_owed", "Users whose newest list is without rails", len(worker.lists.owed)),
            ("segue_models_alive", "Models in memory", worker.serving.models_alive),
            ("segue_archive_behind", "Events that wait for MongoDB", worker.archive.behind),
        ):
            yield GaugeMetricFamily(name, text, value=value)
        steps = GaugeMetricFamily(
            "segue_start_time_seconds", "When a step of the start was done, since 1970", labels=["step"]
        )
        for step, at in worker.times.at.items():
            steps.add_metric([step], at)
        yield steps


def describe(state: PartitionState, *, users: bool) -> dict[str, Any]:
    """Return what the audit compares; ``users`` adds a hash per history."""
    described: dict[str, Any] = {
        "partition": state.partition,
        "position": state.position,
        "generation": state.generation,
        "counts": {outcome.value: state.counts[outcome] for outcome in Outcome},
        "model_id": state.model_id,
        "digest": state.digest(),
    }
    if users:
        described["users"] = user_hashes(state)
    return described


def user_hashes(state: PartitionState) -> dict[str, str]:
    """Return a hash of each user's history."""
    return {
        user_id: hashlib.blake2b(data, digest_size=8).hexdigest() for user_id, data in state.histories.items()
    }


@asynccontextmanager
async def serve_inspection(worker: Worker) -> AsyncIterator[None]:
    """Serve ``/metrics``, ``/livez`` and ``/state`` on 127.0.0.1 while the block runs."""
    registry = CollectorRegistry(auto_describe=True)
    registry.register(WorkerCollector(worker))

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), content_type="text/plain")

    async def livez(_: web.Request) -> web.Response:
        return web.json_response({"worker": worker.settings.worker_id})

    async def state(request: web.Request) -> web.Response:
        wanted = "users" in request.query
        held = [one.copy() for one in worker.partitions.states.values()]
        described = await asyncio.to_thread(lambda: [describe(one, users=wanted) for one in held])
        return web.json_response({"generation": worker.generation, "partitions": described})

    server = web.Application()
    server.add_routes([web.get("/metrics", metrics), web.get("/livez", livez), web.get("/state", state)])
    runner = web.AppRunner(server, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", worker.settings.worker_metrics_port).start()
        yield
    finally:
        await runner.cleanup()
