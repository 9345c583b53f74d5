"""Whose place a spare process takes: one line of JSON on its standard input."""

import msgspec


class Place(msgspec.Struct, frozen=True):
    """What a process needs to go on as another one.

    Attributes
    ----------
    environment : variables set beside those that it was started with
    log_file : where its standard output and error go from now on
    """

    environment: dict[str, str]
    log_file: str


def encode(place: Place) -> bytes:
    """Return the line."""
    return msgspec.json.encode(place) + b"\n"


_decoder = msgspec.json.Decoder(Place)


def decode(line: bytes) -> Place:
    """Return what a line says.

    Raises
    ------
    msgspec.MsgspecError
        It is no such line: the supervisor is of another version.
    """
    return _decoder.decode(line)
