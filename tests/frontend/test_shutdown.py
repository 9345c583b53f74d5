"""The end of a web process, and the beginning without the parts that it needs."""

import asyncio
import signal
import socket
import time
import urllib.request
from typing import Any

import aiohttp
import pytest

from schemas.settings import Settings
from stack.ports import free_ports
from tests.frontend.servers import make_world, serving


async def test_sigterm_closes_open_streams_and_ends_the_process(settings: Settings, listener: Any) -> None:
    await make_world(settings)
    with serving(settings) as server:
        await asyncio.to_thread(server.wait_for, "/readyz", 200)
        user = await listener(server)
        stream = user.messages()
        await anext(stream)
        server.process.send_signal(signal.SIGTERM)
        rest = [message async for message in stream]
        code = await asyncio.to_thread(server.process.wait, 5)

    assert (rest, code) == ([], 0)


async def test_a_log_that_segue_did_not_make_ends_the_process_with_one_sentence(settings: Settings) -> None:
    with serving(settings) as server:
        code = await asyncio.to_thread(server.process.wait, 30)

        assert code == 1
        assert "segue web: there is no topic" in server.log.read_text().splitlines()[-1]


async def test_without_kafka_and_mongodb_it_lives_is_not_ready_and_refuses_in_time(
    settings: Settings, http: aiohttp.ClientSession
) -> None:
    kafka_port, mongodb_port = free_ports(2)
    away = settings.model_copy(update={"kafka_port": kafka_port, "mongodb_port": mongodb_port})
    with serving(away) as server:
        await asyncio.to_thread(server.wait_for, "/livez", 200)
        started = time.monotonic()
        async with http.post(
            f"{server.url}/api/v1/tokens", json={"username": "someone", "password": "some password"}
        ) as response:
            status = response.status
            retry_after = response.headers["Retry-After"]
        waited = time.monotonic() - started

        assert await asyncio.to_thread(server.status, "/readyz") == 503
        assert (status, retry_after) == (503, "2")
        assert waited < 6


async def test_metrics_are_served_on_their_own_loopback_port(settings: Settings) -> None:
    await make_world(settings)
    [port] = free_ports(1)
    with serving(settings, SEGUE_WEB_METRICS_PORT=str(port)) as server:
        await asyncio.to_thread(server.wait_for, "/readyz", 200)
        url = f"http://127.0.0.1:{port}/metrics"
        text = (await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=5).read())).decode()

        assert "segue_web_events_accepted_total 0.0" in text
        assert server.status("/metrics") == 404


@pytest.mark.parametrize("port", ["SEGUE_WEB_PORT", "SEGUE_WEB_METRICS_PORT"])
async def test_a_taken_port_ends_the_process_with_one_sentence(settings: Settings, port: str) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        taken = str(listener.getsockname()[1])
        with serving(settings, **{port: taken}) as server:
            code = await asyncio.to_thread(server.process.wait, 30)

    said = server.log.read_text()
    assert code == 1
    assert [line for line in said.splitlines() if line.startswith("segue web:") and taken in line]
    assert "Traceback" not in said
