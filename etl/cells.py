"""One cell of FMA's tables to one typed value.

Every reader takes the text of a cell that is not empty and returns its value, None for FMA's own mark of "not
known", or raises ``ValueError`` with the kind of fault: a few words without the text itself, for faults are
counted by kind.
"""

import re
import time
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

from etl.literals import read_literal
from etl.text import plain_text
from schemas.events import MAX_ID

Reader = Callable[[str], object]
FIRST_YEAR = 1860
"""The oldest recording of sound that can be played is of that year."""
_UNKNOWN = frozenset({"-1", "-1.0"})
_DATE = re.compile(
    r"(?:(?P<y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)|(?P<am>\d\d?)/(?P<ad>\d\d?)/(?P<ay>\d{4})|(?P<only>\d{1,4})(?:\.0)?)"
    r"(?:[ T](?P<clock>\d\d?:\d\d:\d\d)(?P<half> [AP]M)?)?",
    re.ASCII,
)
_CLOCK = re.compile(r"(?:(\d{1,3}):)?(\d{1,3}):(\d\d)", re.ASCII)
_URL = re.compile(r"https?://[^\s/?#@<>\"'\\:]+(?::\d{1,5})?(?:[/?#][^\s<>\"\\]*)?", re.IGNORECASE)
_URL_LIMIT = 2_000
_NUMBERS = re.compile(r"\[\s*(?:\d{1,15}\s*(?:,\s*\d{1,15}\s*)*)?\]", re.ASCII)
_LANGUAGE = re.compile(r"[a-z]{2,3}")
_LONGEST_TAG = 100


def whole(cell: str) -> int | None:
    """Return a whole number, 0 to 2^53 - 1; FMA writes -1 for "not known", pandas 12.0 for 12."""
    if len(cell) < 16 and cell.isdecimal():
        return int(cell)
    if not (cell.isascii() and cell.isdigit()):
        cell = cell.strip()
        if cell in _UNKNOWN:
            return None
        cell = cell.removesuffix(".0")
        if not (cell.isascii() and cell.isdigit()):
            raise ValueError("not a whole number")
    # more digits than a number may have are not converted at all
    if len(cell) > 16 or int(cell) > MAX_ID:
        raise ValueError("number out of range")
    return int(cell)


def positive(cell: str) -> int | None:
    """Return a whole number above 0; -1 and 0 stand for "not known"."""
    return whole(cell) or None


def within(low: float, high: float) -> Reader:
    """Return a reader of decimal numbers between ``low`` and ``high``, both included."""

    def decimal(cell: str) -> float:
        try:
            value = float(cell)
        except ValueError:
            raise ValueError("not a number") from None
        if not low <= value <= high:  # also refuses NaN
            raise ValueError("number out of range")
        return value

    return decimal


def duration_ms(cell: str) -> int | None:
    """Return milliseconds from seconds (``168``, ``168.3``), ``MM:SS`` or ``HH:MM:SS``; 0: not known.

    Raises
    ------
    ValueError
        It is neither, or longer than 24 hours.
    """
    clock = _CLOCK.fullmatch(cell.strip())
    try:
        seconds = int(clock[1] or 0) * 3600 + int(clock[2]) * 60 + int(clock[3]) if clock else float(cell)
    except ValueError:
        raise ValueError(f"{cell[:40]!r} is not a number") from None
    if not 0 <= seconds <= 86_400:
        raise ValueError(f"{cell[:40]} s is not between 0 and 24 hours")
    return round(seconds * 1000) or None


def instant(cell: str) -> str:
    """Return a date with its time of day as ISO 8601 (``2008-11-26T01:44:45``), or as much as is there.

    Understood are ``2008-11-26 01:44:45``, ``2008-11-26``, ``2008`` and ``11/26/2008 01:44:45 AM``, the API's
    own. The year must lie between 1860 and the next one.
    """
    if len(cell) == 19 and cell[10] == " ":  # the common form, five times as fast
        try:
            common = datetime.fromisoformat(cell)
        except ValueError:
            raise ValueError("impossible date" if _DATE.fullmatch(cell) else "not a date") from None
        if common.tzinfo is None and FIRST_YEAR <= common.year <= _last_year():
            return common.isoformat()
    return _other_instant(cell)


@lru_cache(maxsize=1)
def _last_year() -> int:
    return time.gmtime().tm_year + 1


def _other_instant(cell: str) -> str:
    found = _DATE.fullmatch(cell.strip())
    if found is None or (found["only"] and found["clock"]):
        raise ValueError("not a date")
    year = int(found["y"] or found["ay"] or found["only"])
    if not FIRST_YEAR <= year <= _last_year():
        raise ValueError("impossible date")
    if found["only"]:
        return f"{year:04d}"
    try:
        # FMA's dates have no zone
        day = datetime(year, int(found["m"] or found["am"]), int(found["d"] or found["ad"]))  # noqa: DTZ001
        if found["clock"] is None:
            return day.date().isoformat()
        hour, minute, second = map(int, found["clock"].split(":"))
        if found["half"]:
            if not 1 <= hour <= 12:
                raise ValueError("impossible date")
            hour = hour % 12 + (12 if found["half"] == " PM" else 0)
        return day.replace(hour=hour, minute=minute, second=second).isoformat()
    except ValueError:
        raise ValueError("impossible date") from None


@lru_cache(maxsize=4096)
def date(cell: str) -> str:
    """Return a date as ISO 8601 (``2008-11-26``, ``2005``); a midnight, which pandas adds, goes."""
    return instant(cell).removesuffix("T00:00:00")


def year(cell: str) -> int | None:
    """Return the year of a date; 0 stands for "not known"."""
    return None if cell in ("0", "0.0") else int(instant(cell)[:4])


def web_address(cell: str) -> str:
    """Return an http or https address, without a user name, as it stands."""
    address = cell.strip()
    if len(address) > _URL_LIMIT or _URL.fullmatch(address) is None or not address.isprintable():
        raise ValueError("not an http or https address")
    return address


def language(cell: str) -> str:
    """Return a language code of two or three letters."""
    code = cell.strip().lower()
    if _LANGUAGE.fullmatch(code) is None:
        raise ValueError("not a language code")
    return code


def one_of(*names: str) -> Reader:
    """Return a reader that takes these names alone."""

    def name(cell: str) -> str:
        if cell not in names:
            raise ValueError(f"none of {', '.join(names)}")
        return cell

    return name


def flag(cell: str) -> bool:
    """Return whether a cell says 1; 0 is no."""
    if cell not in ("0", "1", "0.0", "1.0"):
        raise ValueError("neither 0 nor 1")
    return cell[0] == "1"


def tags(cell: str) -> list[str] | None:
    """Return the texts of a list as Python writes it, cleaned, in its order, none twice; None: empty."""
    if cell == "[]":
        return None
    found = read_literal(cell)
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise ValueError("not a list of texts")
    texts = (plain_text(str(each), _LONGEST_TAG) for each in found)
    return list(dict.fromkeys(text for text in texts if text)) or None


def genre_numbers(cell: str) -> list[int]:
    """Return the numbers of ``[21, 45]``, or of the API's ``[{'genre_id': '21', ...}]``, none twice.

    Raises
    ------
    ValueError
        It is neither.
    """
    if _NUMBERS.fullmatch(cell.strip()):
        return list(dict.fromkeys(int(each) for each in cell.strip()[1:-1].split(",") if each.strip()))
    try:
        found = read_literal(cell)
        numbers = [str(each["genre_id"]) for each in found if isinstance(each, dict)]  # type: ignore[union-attr]
        if len(numbers) == len(found) and all(_NUMBERS.fullmatch(f"[{each}]") for each in numbers):  # type: ignore[arg-type]
            return list(dict.fromkeys(int(each) for each in numbers))
    except (ValueError, KeyError, TypeError):
        pass
    raise ValueError(f"{cell[:40]!r} is not a list of numbers")
