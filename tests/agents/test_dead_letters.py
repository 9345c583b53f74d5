"""Dead letters on their way."""

import asyncio
from collections.abc import Sequence

from agents.dead_letters import DeadLetters
from recommender.partition import Folded
from recommender.windows import Outcome
from schemas.errors import LogUnavailable


class Writer:
    """Acknowledges what is appended, from the second time on."""

    def __init__(self) -> None:
        self.appended: list[list[bytes | None]] = []

    async def append(self, topic: object, records: Sequence[tuple[bytes | None, bytes | None]]) -> list[int]:
        self.appended.append([key for key, _ in records])
        if len(self.appended) == 1:
            raise LogUnavailable("away")
        return list(range(len(records)))


async def test_many_dead_letters_share_an_acknowledgement_and_all_are_sent_again_after_an_outage() -> None:
    writer = Writer()
    letters = DeadLetters(writer, "plays", "g")  # type: ignore[arg-type]
    sending = asyncio.create_task(letters.run())
    records = [(offset, b"u", b"{") for offset in range(250)]
    folded = [Folded(offset, Outcome.DEAD, None, None, "not JSON") for offset, _, _ in records]

    acknowledged = letters.submit(4, records, folded)
    async with asyncio.timeout(10.0):
        await asyncio.gather(*acknowledged)

    assert [len(keys) for keys in writer.appended] == [100, 100, 100, 50]
    assert writer.appended[0] == writer.appended[1]
    sent = [key for keys in writer.appended[1:] for key in keys]
    assert sent == [f"plays/4/{offset}".encode() for offset in range(250)]
    sending.cancel()
