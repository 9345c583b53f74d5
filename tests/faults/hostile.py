"""Records that are no events, each in one of the ways in which bytes go wrong."""

import json
import random
from collections.abc import Callable, Iterator

from schemas import events
from tests.builders import play, user_id

Record = tuple[bytes | None, bytes | None]
_PLAY = json.loads(events.encode(play(7, session="hostile", seq=1)))
_MILLION = 1_000_000


def _with(**changes: object) -> bytes:
    return json.dumps(_PLAY | changes).encode()


def _truncated(draw: random.Random) -> bytes:
    whole = events.encode(play(7, session="hostile", seq=draw.randrange(1_000)))
    return whole[: draw.randrange(len(whole))]


def _noise(draw: random.Random) -> bytes:
    return draw.randbytes(draw.randint(1, 400))


def _flipped(draw: random.Random) -> bytes:
    """Return an event with a byte that can stand nowhere in JSON, in a field that must be there."""
    whole = bytearray(events.encode(play(7, session="hostile", seq=1)))
    at = draw.randrange(whole.index(b'"server_time_ms"'), whole.index(b'"source"'))
    whole[at] = draw.choice((0x00, 0x01, 0x1F, 0xFF, 0xC0))
    return bytes(whole)


_VALUES: tuple[Callable[[random.Random], bytes | None], ...] = (
    _truncated,
    _noise,
    _flipped,
    lambda draw: None,
    lambda draw: b"\x00" * draw.randint(1, 100),
    lambda draw: b"null",
    lambda draw: b"[]",
    lambda draw: _with(track_id=draw.choice(["7", 7.5, None, [], {}, True, 0, -1, 2**53, 10**40])),
    lambda draw: _with(listened_ms=draw.choice([-1, 86_400_001, "all", 1e400])),
    lambda draw: events.encode(play(7)).replace(b"30000", draw.choice((b"NaN", b"Infinity", b"-Infinity"))),
    lambda draw: _with(server_time_ms=draw.choice([-1, 2**32 * 1000, 10**30])),
    lambda draw: _with(seq=draw.choice([-1, 2**53, 1.5, "1"])),
    lambda draw: _with(session=draw.choice(["", "x" * 65, "a b", "\ud800", "é", 7])),
    lambda draw: _with(source={"rail": "\ud800"}),
    lambda draw: events.encode(play(7)).replace(b'"s"', b'"\xed\xa0\x80"'),
    lambda draw: _with(type=draw.choice(["listen", "", 7, None, "Play"])),
    lambda draw: _with(v=draw.choice([0, -1, events.SCHEMA_VERSION + 1, "1", 1.5])),
    lambda draw: _with(end_reason=draw.choice(["", "ended", 1, None])),
    lambda draw: _with(deep=0).replace(b'"deep": 0', b'"deep": ' + b"[" * 7_000 + b"]" * 7_000),
    lambda draw: json.dumps({name: _PLAY[name] for name in draw.sample(sorted(_PLAY), 4)}).encode(),
    lambda draw: b'{"type":"forget","scope":"artist","artist_id":1,' + events.encode(play(7))[16:60] + b"}",
    lambda draw: json.dumps({"type": "barrier", "server_time_ms": 1, "snapshot_id": ""}).encode(),
    lambda draw: b" " * (events.MAX_EVENT_BYTES + 1),
)
_KEYS: tuple[bytes | None, ...] = (
    None, b"", b"\x00", b"\xff" * 16, b"0" * 31, b"A" * 32, b"0" * 33, user_id(1).encode() + b"\n",
)  # fmt: skip


def malformed(draw: random.Random, user: str) -> Record:
    """Return a record that is dead on arrival: a bad value, or a good one under a key that is no user id."""
    if draw.random() < 0.1:
        return draw.choice(_KEYS), events.encode(play(7, session="hostile", seq=draw.randrange(1_000)))
    return user.encode(), draw.choice(_VALUES)(draw)


def one_megabyte(draw: random.Random, user: str) -> Iterator[Record]:
    """Yield records as large as the broker takes: valid JSON, nothing, and one long string."""
    yield user.encode(), _with(session="x" * (_MILLION - 500))
    yield user.encode(), b"[" * _MILLION
    yield user.encode(), draw.randbytes(_MILLION)
