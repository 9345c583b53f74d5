"""The public HTTP API as a program sees it: accounts, tokens, tracks, events."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp

from schemas.errors import InvalidInput, Unavailable

_TRIES = 12
_LONGEST_WAIT_S = 5.0
_LONGEST_TOLD_S = 60.0
_TIMEOUT = aiohttp.ClientTimeout(total=30.0)


class PlayerApi:
    """A client that repeats what was not answered, or answered by 429 or 503.

    Repeating is safe: an event is known by its session and seq.
    """

    def __init__(self, web: str, *, connections: int) -> None:
        self._web = web.rstrip("/")
        connector = aiohttp.TCPConnector(limit=connections)
        self._session = aiohttp.ClientSession(self._web + "/api/v1/", connector=connector, timeout=_TIMEOUT)

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def enter(self, username: str, password: str) -> str:
        """Return a token of the account, which is created when there is none.

        Raises
        ------
        InvalidInput
            The server refused.
        """
        credentials = {"username": username, "password": password}
        # creating comes first: a failed login would count against everybody behind this address
        status, answer = await self._request("POST", "accounts", credentials)
        if status in (201, 409):
            status, answer = await self._request("POST", "tokens", credentials)
        if status != 201:
            raise InvalidInput(f"{username} cannot log in: {reason(status, answer)}")
        return str(answer["token"])

    async def tracks(self, token: str) -> list[dict[str, Any]]:
        """Return the catalogue.

        Raises
        ------
        InvalidInput
            The server refused.
        """
        tracks: list[dict[str, Any]] = []
        cursor: int | None = 0
        while cursor is not None:
            path = f"tracks?limit=500&cursor={cursor}"
            status, answer = await self._request("GET", path, token=token)
            if status != 200:
                raise InvalidInput(f"the catalogue was refused: {reason(status, answer)}")
            tracks += answer["tracks"]
            cursor = answer.get("next_cursor")
        return tracks

    async def send(self, token: str, events: Sequence[Mapping[str, Any]]) -> tuple[int, dict[str, Any]]:
        """Post events; return status and answer."""
        return await self._request("POST", "events", {"events": list(events)}, token)

    async def _request(
        self, method: str, path: str, body: Any = None, token: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        for number in range(_TRIES):
            wait_s = min(_LONGEST_WAIT_S, 0.1 * 2**number)
            try:
                async with self._session.request(method, path, json=body, headers=headers) as response:
                    if response.status not in (429, 503):
                        return response.status, await _json(response)
                    told = response.headers.get("Retry-After", "")
                    wait_s = max(wait_s, min(float(told), _LONGEST_TOLD_S)) if told.isdigit() else wait_s
            except (aiohttp.ClientConnectionError, TimeoutError):
                pass
            await asyncio.sleep(wait_s)
        raise Unavailable(f"{self._web} did not answer {method} {path} after {_TRIES} tries.")


async def _json(response: aiohttp.ClientResponse) -> dict[str, Any]:
    try:
        found: Any = json.loads(await response.text())
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def reason(status: int, answer: Mapping[str, Any]) -> str:
    """Return a refusal in words."""
    return f"{status} {answer.get('detail') or answer.get('title') or ''}".strip()
