"""Room on the disk: asked for before, and named when it ends all the same."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from etl.sizes import MIB, size_text
from schemas.errors import InvalidInput, MissingRequirement

_MARGIN = 256 * MIB
_FULL = (errno.ENOSPC, errno.EDQUOT)


def need_room(folder: Path, bytes_needed: int, what: str) -> None:
    """Return when the disk of ``folder`` has room for ``bytes_needed`` more and a margin of 256 MiB.

    Raises
    ------
    MissingRequirement
        It has not; the message says how much is free, how much is needed, and for what.
    """
    free = shutil.disk_usage(folder).free
    if free < bytes_needed + _MARGIN:
        raise MissingRequirement(
            f"The disk of {folder.resolve()} has {size_text(free)} free, but {what} "
            f"needs {size_text(bytes_needed + _MARGIN)}: free some, or set SEGUE_DATA_DIR to a larger disk."
        )


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Give errors of the file system in the block a sentence.

    Raises
    ------
    MissingRequirement
        The disk, or the quota, is full.
    InvalidInput
        It cannot be written for another reason.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise MissingRequirement(
                f"The disk is full ({error.strerror}) while writing {path}: free some and repeat the "
                "command, which goes on from there."
            ) from error
        raise InvalidInput(f"{path} cannot be written: {error.strerror or error}.") from error
