"""Kafka or MongoDB stands still; both are this test's own, so that they may be stopped."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from schemas.settings import Settings
from stack.child import Child
from stack.parts import running_parts
from stack.ports import free_ports
from tests.frontend.servers import Server, make_world, publish, serving

EVENT = {"events": [{"type": "like", "session": "s", "seq": 1, "track_id": 1}]}


@pytest.fixture(scope="module")
def own_parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, list[Child]]]:
    """Run a Kafka and a mongod of one's own."""
    kafka_port, controller_port, mongodb_port = free_ports(3)
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("parts"),
        kafka_port=kafka_port,
        kafka_controller_port=controller_port,
        mongodb_port=mongodb_port,
        topic_prefix="outages-",
        mongodb_database="outages",
    )
    with running_parts(settings) as children:
        yield settings, children


@pytest.fixture(scope="module")
def own_web(own_parts: tuple[Settings, list[Child]]) -> Iterator[Server]:
    """Serve on them."""
    settings, _ = own_parts
    asyncio.run(make_world(settings))
    with serving(settings) as server:
        server.wait_for("/readyz", 200)
        yield server


@contextmanager
def stopped(child: Child) -> Iterator[None]:
    os.kill(child.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(child.pid, signal.SIGCONT)


async def test_a_broker_that_stands_still_is_answered_by_503_in_time_and_comes_back(
    own_web: Server, own_parts: tuple[Settings, list[Child]], listener: Any
) -> None:
    _, (_, kafka) = own_parts
    user = await listener(own_web)
    before = await user.call("POST", "events", json=EVENT)

    with stopped(kafka):
        started = time.monotonic()
        during = await user.call("POST", "events", json=EVENT)
        waited = time.monotonic() - started
        ready = await asyncio.to_thread(own_web.status, "/readyz")
    for _ in range(30):
        after = await user.call("POST", "events", json=EVENT)
        if after[0] == 202:
            break

    assert (before[0], during[0], after[0]) == (202, 503, 202)
    assert waited <= 5
    assert ready == 503
    await asyncio.to_thread(own_web.wait_for, "/readyz", 200)


async def test_without_mongodb_plays_are_accepted_and_lists_flow_for_whom_is_known(
    own_web: Server, own_parts: tuple[Settings, list[Child]], listener: Any
) -> None:
    settings, (mongod, _) = own_parts
    user = await listener(own_web)
    user_id = await user.user_id()
    stream = user.messages()
    await anext(stream)

    with stopped(mongod):
        accepted = await user.call("POST", "events", json=EVENT)
        await publish(settings, user_id, {5: [2]})
        pushed = await anext(stream)
        shown = await user.call("GET", "recommendations")
        found = await user.call("GET", "search?q=tide")
        ready = await asyncio.to_thread(own_web.status, "/readyz")
        stranger = await user.call("GET", "recommendations", headers={"Authorization": "Bearer unknown"})
    await stream.aclose()

    assert (accepted[0], shown[1]["offset"], ready) == (202, 5, 200)
    assert pushed["items"][0]["title"] == "Tide"
    assert found[1]["tracks"][0]["title"] == "Tide"
    assert stranger[0] in (401, 503)
