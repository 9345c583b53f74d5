"""The processes of a stack, in the order in which they start."""

import asyncio
import sys
from dataclasses import replace
from functools import partial

import aiohttp

from schemas.settings import Settings
from stack.child import Program
from stack.environment import stack_environment
from stack.kafka import kafka_answers, prepare_kafka
from stack.mongod import mongod_is_primary, prepare_mongod
from stack.spare import Spare
from stack.supervisor import Service

_ANSWER_WITHIN = aiohttp.ClientTimeout(total=5.0)


def part_services(settings: Settings) -> list[Service]:
    """Return mongod and Kafka, as far as the settings do not name others."""
    services = []
    if settings.mongodb_url is None:
        services.append(
            Service("mongod", partial(prepare_mongod, settings), partial(mongod_is_primary, settings), 0)
        )
    if settings.kafka_bootstrap_servers is None:
        services.append(
            Service("kafka", partial(prepare_kafka, settings), partial(kafka_answers, settings), 1)
        )
    return services


def program_services(settings: Settings) -> list[Service]:
    """Return the workers, the trainer and the web server."""
    spare = Spare(partial(_spare_worker, settings)) if settings.spare_worker else None
    services = [_worker(settings, index, spare) for index in range(settings.workers)]
    services.append(
        Service("trainer", partial(_program, settings, "trainer", "training", "trainer"), _yes, 2)
    )
    web = partial(answers, f"{web_address(settings)}/readyz")
    services.append(Service("web", partial(_program, settings, "web", "frontend"), web, 3))
    return services


def web_address(settings: Settings) -> str:
    """Return the address of the web player as seen from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.web_host, settings.web_host)
    return f"http://{host}:{settings.web_port}"


async def answers(url: str) -> bool:
    """Return whether a GET is answered with 200."""
    try:
        async with (
            aiohttp.ClientSession(timeout=_ANSWER_WITHIN) as session,
            session.get(url) as response,
        ):
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False


def _worker(settings: Settings, index: int, spare: Spare | None) -> Service:
    name, port = f"worker-{index}", settings.worker_metrics_port + index
    slot = {"SEGUE_WORKER_ID": name, "SEGUE_WORKER_METRICS_PORT": str(port)}
    return Service(
        name,
        partial(_program, settings, name, "agents", "worker", environment=slot),
        partial(answers, f"http://127.0.0.1:{port}/metrics"),
        2,
        spare=spare,
    )


def _spare_worker(settings: Settings) -> Program:
    program = _program(settings, "worker-spare", "agents", "worker", "--spare")
    return replace(program, waits=True)


async def _yes() -> bool:
    # the trainer serves nobody: it is ready when it has not ended at once
    await asyncio.sleep(0.2)
    return True


def _program(
    settings: Settings, name: str, *arguments: str, environment: dict[str, str] | None = None
) -> Program:
    return Program(
        name=name,
        command=(sys.executable, "-m", *arguments),
        log_file=settings.data_dir.resolve() / "logs" / f"{name}.log",
        environment={**stack_environment(settings), "PYTHONUNBUFFERED": "1", **(environment or {})},
        stop_within_s=6.0,
    )
