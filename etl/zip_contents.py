"""The unpacked bytes of one member, piece by piece: whatever the packed bytes say, memory stays flat."""

import bz2
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator

from etl.sizes import MIB
from etl.zip_index import Member
from schemas.errors import InvalidInput

_BLOCK = MIB


class Refused(InvalidInput):
    """One member that is not what it declares; the message is ``kind: details``."""


def contents(file: int, member: Member) -> Iterator[bytes]:
    """Yield a member's unpacked bytes in pieces of at most 1 MiB, of an open archive.

    Raises
    ------
    Refused
        The packed bytes are damaged, end early, or go on after their end.
    """
    packed = _packed(file, member)
    if member.method == zipfile.ZIP_DEFLATED:
        yield from _inflated(packed)
    elif member.method == zipfile.ZIP_BZIP2:
        yield from _bunzipped(packed)
    else:
        yield from packed


def _packed(file: int, member: Member) -> Iterator[bytes]:
    offset, left = member.offset, member.packed
    while left > 0:
        try:
            data = os.pread(file, min(left, _BLOCK), offset)
        except OSError as error:
            raise Refused(f"unreadable: {error.strerror}") from error
        if not data:
            raise Refused("damaged: the archive ends within it")
        offset, left = offset + len(data), left - len(data)
        yield data


def _inflated(packed: Iterable[bytes]) -> Iterator[bytes]:
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    for data in packed:
        if inflate.eof:
            raise Refused("damaged: packed bytes after its end")
        while data:
            try:
                yield inflate.decompress(data, _BLOCK)
            except zlib.error as error:
                raise Refused(f"damaged: {error}") from error
            data = inflate.unconsumed_tail
    _check_end(inflate.eof, inflate.unused_data)


def _bunzipped(packed: Iterable[bytes]) -> Iterator[bytes]:
    bunzip = bz2.BZ2Decompressor()
    for data in packed:
        if bunzip.eof:
            raise Refused("damaged: packed bytes after its end")
        while data or not (bunzip.needs_input or bunzip.eof):
            try:
                yield bunzip.decompress(data, _BLOCK)
            except OSError as error:  # so it says that bytes are damaged
                raise Refused(f"damaged: bzip2: {error}") from error
            data = b""
    _check_end(bunzip.eof, bunzip.unused_data)


def _check_end(reached: bool, unused: bytes) -> None:
    if not reached:
        raise Refused("damaged: its packed bytes end too early")
    if unused:
        raise Refused("damaged: packed bytes after its end")
