"""Fixtures of the web tier: one server for all tests that do not end it, and its users."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import pytest

from tests.conftest import fresh_world
from tests.frontend.servers import PASSWORD, Listener, Server, make_world, serving


@pytest.fixture(scope="package")
def web(embedded: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve one world on the real Kafka and mongod."""
    settings = fresh_world(embedded, tmp_path_factory.mktemp("web"))
    asyncio.run(make_world(settings))
    with serving(settings) as server:
        server.wait_for("/readyz", 200)
        yield server


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """Return an HTTP client without cookies."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session


@pytest.fixture(scope="package")
def visitor_token(web: Server) -> str:
    """Return the token of a user who changes nothing."""

    async def make() -> str:
        credentials = {"username": "visitor", "password": PASSWORD}
        async with aiohttp.ClientSession() as session:
            user = Listener(session, web, "visitor")
            await user.call("POST", "accounts", json=credentials)
            _, answer = await user.call("POST", "tokens", json=credentials)
            return str(answer["token"])

    return asyncio.run(make())


@pytest.fixture
def visitor(http: aiohttp.ClientSession, web: Server, visitor_token: str) -> Listener:
    """Return a user who reads what is the same for everybody."""
    user = Listener(http, web, "visitor")
    user.headers = {"Authorization": f"Bearer {visitor_token}"}
    return user


@pytest.fixture
def listener(http: aiohttp.ClientSession) -> Callable[[Server], Awaitable[Listener]]:
    """Return what registers a new user at a server."""

    async def make(server: Server) -> Listener:
        user = Listener(http, server, f"user-{uuid.uuid4().hex[:10]}")
        credentials = {"username": user.name, "password": PASSWORD}
        status, _ = await user.call("POST", "accounts", json=credentials)
        assert status == 201
        status, answer = await user.call("POST", "tokens", json=credentials)
        assert status == 201
        user.headers = {"Authorization": f"Bearer {answer['token']}"}
        return user

    return make
