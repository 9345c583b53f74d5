"""`not_found.json`: the ids that FMA's own crawler did not find. A row that has one is worth a note.

The official archive has it as a pickle, which is never loaded: reading one runs whatever it holds.
"""

import json
from collections import Counter
from pathlib import Path

from etl.rows import Described
from schemas.errors import InvalidInput

FILE = "not_found.json"
_KINDS = ("tracks", "albums", "artists", "audio", "clips")


class NotFound:
    """The lists of ids, and how many rows have one of them.

    Attributes
    ----------
    rows : rows by list: their track ("tracks", "audio", "clips"), album or artist stands in it
    """

    def __init__(self, lists: dict[str, frozenset[int]]) -> None:
        self._lists = [(kind, lists[kind]) for kind in _KINDS if lists.get(kind)]
        self.rows: Counter[str] = Counter()

    def count(self, row: Described) -> None:
        """Count a row."""
        for kind, numbers in self._lists:
            if kind == "albums":
                number = row.details.get("album", {}).get("id")
            else:
                number = row.track["artist_id"] if kind == "artists" else row.track["_id"]
            if number in numbers:
                self.rows[kind] += 1


def read_not_found(metadata: Path) -> NotFound:
    """Return the lists of `not_found.json` in a folder; without the file they are empty.

    Raises
    ------
    InvalidInput
        The file cannot be read, or is no object of lists.
    """
    path = metadata / FILE
    if not path.is_file():
        return NotFound({})
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        # FMA's lists hold numbers, numbers as text, and None
        lists = {
            str(kind): frozenset(int(each) for each in numbers if each is not None and str(each).isdecimal())
            for kind, numbers in found.items()
        }
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}; repair or remove it") from error
    return NotFound(lists)
