"""Which of two lists of a user stays in MongoDB."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from connections.documents import Database, open_documents
from connections.list_store import remove_lists, write_lists
from schemas.documents import LISTS, ListDocument
from schemas.settings import Settings


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    async with open_documents(settings) as opened:
        yield opened


def a_list(user: str, offset: int, seq: int, value: bytes, generation: str = "g") -> ListDocument:
    return ListDocument(_id=user, generation=generation, partition=3, offset=offset, seq=seq, value=value)


async def values(database: Database) -> dict[str, bytes]:
    return {one["_id"]: bytes(one["value"]) async for one in database[LISTS.name].find({})}


@pytest.mark.parametrize(
    ("held", "given", "stays"),
    [
        ((10, 1), (11, 1), b"given"),
        ((10, 2), (11, 1), b"given"),  # newer is the greater offset, whatever the model
        ((11, 1), (10, 2), b"held"),
        ((10, 1), (10, 2), b"given"),  # at one offset the model that came into service later
        ((10, 2), (10, 1), b"held"),
        ((10, 1), (10, 1), b"given"),  # a block that is made again
    ],
)
async def test_the_newer_list_stays(
    database: Database, held: tuple[int, int], given: tuple[int, int], stays: bytes
) -> None:
    await write_lists(database, [a_list("u", *held, b"held")])
    await write_lists(database, [a_list("u", *given, b"given"), a_list("v", 1, 1, b"beside")])
    assert await values(database) == {"u": stays, "v": b"beside"}


async def test_a_list_of_another_log_gives_way(database: Database) -> None:
    await write_lists(database, [a_list("u", 99, 9, b"held", "before")])
    await write_lists(database, [a_list("u", 1, 1, b"given")])
    assert await values(database) == {"u": b"given"}


async def test_only_lists_below_the_offset_and_of_that_log_are_removed(database: Database) -> None:
    some: list[Any] = [a_list("u", 4, 1, b"u"), a_list("v", 5, 1, b"v"), a_list("w", 4, 1, b"w", "other")]
    await write_lists(database, some)
    await remove_lists(database, ["u", "v", "w"], "g", 5)
    assert (await values(database)).keys() == {"v", "w"}
