"""Register, log in, tokens, log out."""

import os
import stat
import uuid
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from frontend.login_limits import FREE_FAILURES, Bucket, LoginLimits
from frontend.secret_key import secret_key
from schemas.settings import Settings
from tests.frontend.servers import PASSWORD, Listener, Server


def fresh_name() -> str:
    return f"user-{uuid.uuid4().hex[:10]}"


async def test_an_account_is_made_once_whatever_the_case_of_its_name(
    web: Server, http: aiohttp.ClientSession
) -> None:
    user = Listener(http, web, fresh_name())
    first = await user.call("POST", "accounts", json={"username": user.name, "password": PASSWORD})
    second = await user.call(
        "POST", "accounts", json={"username": f" {user.name.upper()} ", "password": PASSWORD}
    )
    logged_in = await user.call("POST", "session", json={"username": user.name.upper(), "password": PASSWORD})

    assert first == (201, {"username": user.name, "logged_in": True})
    assert (second[0], second[1]["field"]) == (409, "username")
    assert logged_in[0] == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"username": "ab", "password": PASSWORD}, "username"),
        ({"username": "a" * 65, "password": PASSWORD}, "username"),
        ({"username": "a\u0000bc", "password": PASSWORD}, "username"),
        ({"username": "abc", "password": "short"}, "password"),
        ({"username": "abc", "password": "p" * 257}, "password"),
        ({"username": {"$gt": ""}, "password": PASSWORD}, None),
        ({"username": "abc"}, None),
        ([], None),
    ],
)
async def test_an_account_that_is_not_acceptable_is_refused(
    web: Server, http: aiohttp.ClientSession, body: Any, field: str | None
) -> None:
    status, problem = await Listener(http, web, "x").call("POST", "accounts", json=body)

    assert (status, problem.get("field")) == (400, field)


async def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(
    web: Server, http: aiohttp.ClientSession
) -> None:
    user = Listener(http, web, fresh_name())
    await user.call("POST", "accounts", json={"username": user.name, "password": PASSWORD})

    wrong = await user.call("POST", "session", json={"username": user.name, "password": "not this one"})
    unknown = await user.call("POST", "session", json={"username": fresh_name(), "password": PASSWORD})

    assert wrong == unknown
    assert wrong[0] == 401


async def test_a_session_cookie_is_out_of_reach_of_scripts_and_other_sites(
    web: Server, http: aiohttp.ClientSession
) -> None:
    body = {"username": fresh_name(), "password": PASSWORD}
    async with http.post(f"{web.url}/api/v1/accounts", json=body) as response:
        cookie = response.headers["Set-Cookie"]

    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie  # plain HTTP on loopback; SEGUE_SECURE_COOKIES sets it


async def test_ending_all_sessions_ends_a_copied_cookie(web: Server, http: aiohttp.ClientSession) -> None:
    user = Listener(http, web, fresh_name())
    body = {"username": user.name, "password": PASSWORD}
    async with http.post(f"{web.url}/api/v1/accounts", json=body) as response:
        cookie = {"Cookie": response.headers["Set-Cookie"].split(";")[0]}
    before = await user.call("GET", "session", headers=cookie)
    ended = await user.call(
        "DELETE", "session?everywhere=true", headers=cookie | {"Sec-Fetch-Site": "same-origin"}
    )
    after = await user.call("GET", "session", headers=cookie)

    assert before[1] == {"username": user.name, "logged_in": True}
    assert ended[0] == 204
    assert after[1] == {"username": None, "logged_in": False}


async def test_a_token_works_until_it_is_given_back(web: Server, listener: Any) -> None:
    user = await listener(web)
    before = await user.call("GET", "recommendations")
    ended = await user.call("DELETE", "session")
    after = await user.call("GET", "recommendations")

    assert (before[0], ended[0], after[0]) == (200, 204, 401)


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Bearer x", "Basic eDp5", "Bearer " + "x" * 500, "bearer é"]
)
async def test_a_token_that_is_none_is_refused(web: Server, http: aiohttp.ClientSession, header: str) -> None:
    status, _ = await Listener(http, web, "x").call("GET", "history", headers={"Authorization": header})

    assert status == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "recommendations"), ("GET", "feed"), ("GET", "tracks"), ("GET", "tracks/1"),
        ("GET", "tracks/1/audio"), ("GET", "search?q=a"), ("GET", "charts"), ("GET", "history"),
        ("GET", "likes"), ("POST", "events"), ("DELETE", "session"),
    ],
)  # fmt: skip
async def test_nothing_is_shown_to_a_stranger(
    web: Server, http: aiohttp.ClientSession, method: str, path: str
) -> None:
    status, problem = await Listener(http, web, "x").call(method, path)

    assert (status, problem["status"]) == (401, 401)


async def test_guessing_passwords_is_slowed_down(web: Server, http: aiohttp.ClientSession) -> None:
    user = Listener(http, web, fresh_name())
    body = {"username": user.name, "password": "wrong password"}

    answers = [(await user.call("POST", "session", json=body))[0] for _ in range(FREE_FAILURES + 1)]

    assert answers == [401] * FREE_FAILURES + [429]


def test_the_wait_after_failures_doubles_up_to_a_minute_and_ends_with_success() -> None:
    now = [0.0]
    limits = LoginLimits(now=lambda: now[0])
    waits = []
    for _ in range(FREE_FAILURES + 8):
        limits.failed("a")
        waits.append(limits.wait_s("a"))

    assert waits == [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    now[0] = 61
    assert limits.wait_s("a") == 0
    limits.failed("a")
    limits.succeeded("a")
    assert limits.wait_s("a") == 0


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    now = [0.0]
    bucket = Bucket(burst=2, per_s=0.5, now=lambda: now[0])

    assert [bucket.take("a"), bucket.take("a"), bucket.take("a"), bucket.take("b")] == [0, 0, 2, 0]
    now[0] = 2
    assert bucket.take("a") == 0


def test_the_secret_key_is_made_once_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "new")

    assert secret_key(settings) == secret_key(settings)
    assert stat.S_IMODE(os.stat(tmp_path / "new" / "secret-key").st_mode) == 0o600
    assert secret_key(Settings(data_dir=tmp_path, secret_key="given by hand")) == "given by hand"
