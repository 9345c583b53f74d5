"""Readers that remember: most cells of a column have been met before, and a look-up is ten times as fast."""

from collections.abc import Callable
from typing import Any, TypeVar

Key = TypeVar("Key", bound=str | tuple[str, ...])
Value = TypeVar("Value")
_ENTRIES = 65_536
_LETTERS = 16_000_000  # in all keys together


class Fault:
    """Stands for the value of a cell that cannot be used; ``kind`` says why."""

    __slots__ = ("kind",)

    def __init__(self, kind: str) -> None:
        self.kind = kind


class Remembered(dict[Key, Value]):
    """The values of cells, or of several cells together, by their text; what is new is read.

    Use ``map(remembered.__getitem__, column)``. A reader's ``ValueError`` becomes a ``Fault``, an empty cell
    None. It begins anew after 65,536 entries or 16 million letters, whatever comes first.

    Parameters
    ----------
    read : returns the value, or raises ``ValueError`` with the kind of fault

    Attributes
    ----------
    faulty : whether a fault was ever met
    """

    def __init__(self, read: Callable[[Key], Any]) -> None:
        super().__init__()
        self._read: Callable[[Key], Any] = read
        self._letters = 0
        self.faulty = False

    def __missing__(self, key: Key) -> Any:
        value: Any = None
        if key:
            try:
                value = self._read(key)
            except ValueError as error:
                value = Fault(str(error))
                self.faulty = True
        letters = len(key) if isinstance(key, str) else sum(map(len, key))
        if len(self) >= _ENTRIES or self._letters + letters > _LETTERS:
            self.clear()
            self._letters = 0
        self._letters += letters
        self[key] = value
        return value
