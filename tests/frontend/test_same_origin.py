"""What another web site makes a browser send has no effect."""

import uuid

import aiohttp
import pytest

from tests.frontend.servers import PASSWORD, Listener, Server

EVENT = {"events": [{"type": "like", "session": "s", "seq": 1, "track_id": 1}]}


async def cookie_of_a_new_user(web: Server, http: aiohttp.ClientSession) -> dict[str, str]:
    body = {"username": f"user-{uuid.uuid4().hex[:10]}", "password": PASSWORD}
    async with http.post(f"{web.url}/api/v1/accounts", json=body) as response:
        assert response.status == 201
        return {"Cookie": response.headers["Set-Cookie"].split(";")[0]}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 403),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://elsewhere.example"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 202),
        ({"Origin": "OWN"}, 202),
    ],
)
async def test_a_cookie_acts_only_for_our_own_page(
    web: Server, http: aiohttp.ClientSession, headers: dict[str, str], expected: int
) -> None:
    cookie = await cookie_of_a_new_user(web, http)
    own = {name: web.url if value == "OWN" else value for name, value in headers.items()}

    status, _ = await Listener(http, web, "x").call("POST", "events", json=EVENT, headers=cookie | own)

    assert status == expected


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_a_body_that_a_form_could_send_is_refused(
    web: Server, http: aiohttp.ClientSession, content_type: str
) -> None:
    cookie = await cookie_of_a_new_user(web, http)
    headers = cookie | {"Content-Type": content_type, "Sec-Fetch-Site": "same-origin"}

    status, _ = await Listener(http, web, "x").call("POST", "events", data=b"{}", headers=headers)

    assert status == 415


async def test_another_site_cannot_log_a_browser_in(web: Server, http: aiohttp.ClientSession) -> None:
    body = {"username": "somebody", "password": PASSWORD}
    headers = {"Origin": "https://elsewhere.example"}

    answers = [
        (await Listener(http, web, "x").call("POST", path, json=body, headers=headers))[0]
        for path in ("session", "accounts", "tokens")
    ]

    assert answers == [403, 403, 403]


async def test_every_answer_carries_the_security_headers(web: Server, http: aiohttp.ClientSession) -> None:
    for path in ("/", "/livez", "/nowhere", "/api/v1/charts", "/api/v1/openapi.json"):
        async with http.get(web.url + path) as response:
            headers = response.headers

        assert "script-src 'self'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert "Server" not in headers
