"""What a worker and a ranking process say to each other, over a pair of sockets between just these two.

A frame is its length and a pickle: both ends are the same program, and nobody else has the sockets.
"""

import pickle
import struct
from collections.abc import Iterator
from typing import NamedTuple

from agents.ranking.shared_model import SharedModel
from recommender.catalogue import Catalogue, Charts
from recommender.ranking_config import RankingConfig

_LENGTH = struct.Struct("<Q")


class Begin(NamedTuple):
    """To the process: how lists are made, and the log's name that stands in each."""

    config: RankingConfig
    generation: str


class Hold(NamedTuple):
    """To the process, with a file descriptor: hold this model; answered by ``Held``."""

    shared: SharedModel


class Keep(NamedTuple):
    """To the process: let go of all other models; answered by ``Kept``."""

    model_ids: frozenset[str]


class Surround(NamedTuple):
    """To the process: rank with these from now on; None where it has it already."""

    catalogue: Catalogue | None
    charts: Charts | None


class Asked(NamedTuple):
    """One list that is wanted: of whom, from what, and why."""

    user_id: str
    partition: int
    offset: int
    history: bytes
    played: int | None
    cause: tuple[str, str, int, int | None] | None
    accepted_ms: float
    folded_ms: float


class Rank(NamedTuple):
    """To the process: rank these; answered by ``Ranked`` or ``Unranked`` with the same number."""

    number: int
    model_id: str | None
    brief: bool
    asked: list[Asked]


class Held(NamedTuple):
    """A model is there and ready; as many are in memory now."""

    model_id: str
    alive: int


class Kept(NamedTuple):
    """As many models are left in memory."""

    alive: int


class Ranked(NamedTuple):
    """The messages asked for, in order, as they stand in the topic."""

    number: int
    ranked_ms: float
    messages: list[bytes]


class Unranked(NamedTuple):
    """The model is not there, or (``corrupt``) its equations cannot be solved."""

    number: int
    corrupt: bool
    text: str


class Failed(NamedTuple):
    """The process ends, for a defect."""

    text: str


Order = Begin | Hold | Keep | Surround | Rank
Answer = Held | Kept | Ranked | Unranked | Failed


def encode(frame: Order | Answer) -> bytes:
    """Return the bytes of a frame."""
    data = pickle.dumps(frame, pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(data)) + data


class Decoder:
    """Makes frames of bytes, however they were cut."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def frames(self, data: bytes) -> Iterator[Order | Answer]:
        """Yield the frames that are complete with ``data``."""
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            [length] = _LENGTH.unpack_from(self._buffer)
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            with memoryview(self._buffer) as view:
                frame = pickle.loads(view[_LENGTH.size : end])
            del self._buffer[:end]
            yield frame
