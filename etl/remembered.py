"""Readers that remember: most cells of a column have been met before, and a look-up is ten times as fast."""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
LARGEST = 65_536


class Fault:
    """Stands for the value of a cell that cannot be used; ``kind`` says why."""

    __slots__ = ("kind",)

    def __init__(self, kind: str) -> None:
        self.kind = kind


class Remembered(dict[Key, Value]):
    """The values of cells by their text; what is new is read.

    Use ``map(remembered.__getitem__, column)``. A reader's ``ValueError`` becomes a ``Fault``, an empty cell
    None.

    Parameters
    ----------
    read : returns the value, or raises ``ValueError`` with the kind of fault
    largest : with more entries it begins anew

    Attributes
    ----------
    faulty : whether a fault was ever met
    """

    def __init__(self, read: Callable[[Key], Any], largest: int = LARGEST) -> None:
        super().__init__()
        self._read = read
        self._largest = largest
        self.faulty = False

    def __missing__(self, key: Key) -> Any:
        if len(self) >= self._largest:
            self.clear()
        value: Any = None
        if key:
            try:
                value = self._read(key)
            except ValueError as error:
                value = Fault(str(error))
                self.faulty = True
        self[key] = value
        return value
