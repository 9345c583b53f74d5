"""FMA's genres: `genres.csv` and the lists of genre numbers in `tracks.csv`."""

import csv
import re
from collections.abc import Mapping
from pathlib import Path

from etl.text import plain_text
from schemas.errors import InvalidInput

_NUMBERS = re.compile(r"\[\s*(?:\d+\s*(?:,\s*\d+\s*)*)?\]")
_COLUMNS = ("genre_id", "title")


def read_genres(path: Path) -> dict[int, str]:
    """Return the title of each genre by its number.

    Raises
    ------
    InvalidInput
        The file or a column is missing, or a number is none.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            for column in _COLUMNS:
                if column not in (rows.fieldnames or ()):
                    raise InvalidInput(f"column {column!r} is missing in {path}")
            return {int(row["genre_id"]): plain_text(row["title"]) for row in rows}
    except FileNotFoundError as error:
        raise InvalidInput(
            f"{path} is missing: it lies beside tracks.csv in FMA's metadata archive"
        ) from error
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise InvalidInput(f"{path} cannot be read: {error}") from error


def genre_names(top: str, numbers: str, titles: Mapping[int, str]) -> list[str]:
    """Return the genre titles of a track, its top genre first.

    Parameters
    ----------
    top : title of the top genre, or empty
    numbers : as in `tracks.csv`: ``"[21, 45]"``, or empty
    titles : as from ``read_genres``; unknown numbers are left out

    Raises
    ------
    ValueError
        ``numbers`` is no such list.
    """
    if numbers and _NUMBERS.fullmatch(numbers.strip()) is None:
        raise ValueError(f"genres {numbers[:40]!r} is not a list of numbers")
    found = [titles[int(each)] for each in re.findall(r"\d+", numbers) if int(each) in titles]
    return list(dict.fromkeys(([top] if top else []) + found))
