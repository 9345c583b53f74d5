"""The six clips of fma_small that are broken in the archive itself: its SHA-1 is right, they are not.

Source: mdeff/fma, issues 8 (all six are far shorter than 30 s), 44 and 70 (the last three hold no audio).
"""

from collections.abc import Iterable

_SHORT = "holds about 1 s of sound"
_EMPTY = "holds no sound"
DEFECTS = {98565: _SHORT, 98567: _SHORT, 98569: _SHORT, 99134: _EMPTY, 108925: _EMPTY, 133297: _EMPTY}
"""Defect by track id."""
_MARK = "known defect of FMA"


def defects_of(track_ids: Iterable[int]) -> dict[str, str]:
    """Return the defect of each of these tracks whose clip is known to be broken, by the clip's name."""
    return {f"{number:06d}": DEFECTS[number] for number in sorted(set(track_ids) & DEFECTS.keys())}


def explained(key: str, reason: str) -> str:
    """Return the reason against a clip; if FMA is known to have broken it, the reason says so.

    Parameters
    ----------
    key : track id as text; anything else is no track of FMA's
    reason : its kind, what stands before the colon, stays
    """
    defect = DEFECTS.get(int(key)) if key.isascii() and key.isdigit() else None
    if defect is None or _MARK in reason:
        return reason
    return f"{reason}{'; ' if ':' in reason else ': '}{_MARK}, the clip {defect}"


def is_known(reason: str) -> bool:
    """Return whether a reason names a known defect."""
    return _MARK in reason
