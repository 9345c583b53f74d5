"""Which members of an archive are unpacked and verified: one line each, appended after the file has its name.

The first line is the SHA-1 of the archive; a journal of another archive says nothing. A last line
``complete`` says that nothing is missing. A line that was cut off by a kill is not there.
"""

import re
from pathlib import Path
from types import TracebackType

from etl.disk import writing
from etl.zip_index import Member

_COMPLETE = "complete"
_LINE = re.compile(r"(\d{1,15}) ([0-9a-f]{8}) (\S+)", re.ASCII)


class Journal:
    """Members that need not be unpacked again. Open it with ``with``.

    Attributes
    ----------
    complete : whether all of the archive has been unpacked and verified
    """

    def __init__(self, path: Path, sha1: str, folder: Path) -> None:
        self.path = path
        self.complete = False
        self._sha1 = sha1
        self._folder = folder
        self._known: dict[str, tuple[int, int]] = {}

    def __enter__(self) -> "Journal":
        with writing(self.path):
            found = self.path.read_text("ascii", "replace") if self.path.exists() else ""
            lines = found.split("\n")[:-1]
            if not lines or lines[0] != self._sha1:
                lines = [self._sha1]
            whole = "".join(f"{line}\n" for line in lines)
            if found != whole:
                new = self.path.with_name(f"{self.path.name}.new")
                new.write_text(whole, "ascii")
                new.replace(self.path)
            self._file = self.path.open("a", encoding="ascii", buffering=1)
        self.complete = _COMPLETE in lines
        for match in filter(None, map(_LINE.fullmatch, lines)):
            self._known[match[3]] = (int(match[1]), int(match[2], 16))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def bytes_there(self) -> int:
        """Bytes of the members that are there."""
        return sum(size for name, (size, _) in self._known.items() if self._stands(name, size))

    def all_there(self) -> bool:
        """Return whether everything was unpacked, and each file is still there with its size."""
        return self.complete and all(self._stands(name, size) for name, (size, _) in self._known.items())

    def has(self, member: Member) -> bool:
        """Return whether this member was unpacked and verified, and is still there with its size."""
        return self._known.get(member.name) == (member.size, member.crc) and self._stands(
            member.name, member.size
        )

    def add(self, member: Member) -> None:
        """Note a member that is unpacked and verified."""
        self._known[member.name] = (member.size, member.crc)
        with writing(self.path):
            self._file.write(f"{member.size} {member.crc:08x} {member.name}\n")

    def finish(self) -> None:
        """Note that nothing is missing."""
        if not self.complete:
            self.complete = True
            with writing(self.path):
                self._file.write(f"{_COMPLETE}\n")

    def __len__(self) -> int:
        return len(self._known)

    def _stands(self, name: str, size: int) -> bool:
        path = self._folder / name
        return path.is_file() and not path.is_symlink() and path.stat().st_size == size
