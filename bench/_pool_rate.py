"""Clips per second of the real pool, in one process and in two, with everything that is extracted."""

import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from etl.pool import ClipFile, extract_all
from schemas.errors import UnreadableAudio

_WARM = 10
"""The clock starts after so many clips: starting the processes takes a second, once in a run of hours."""


def pool_rates(clips: Sequence[Path], rounds: int) -> dict[str, Any]:
    """Return clips per second and the ratio of two processes to one.

    Parameters
    ----------
    clips : the same file may stand in it several times
    """
    rates: dict[int, list[float]] = {1: [], 2: []}
    whole: dict[int, list[float]] = {1: [], 2: []}
    for turn in range(rounds):
        for processes in (1, 2) if turn % 2 else (2, 1):
            rate, with_start = _rate(clips, processes)
            rates[processes].append(rate)
            whole[processes].append(with_start)
        print(f"extractor: pool, round {turn + 1} of {rounds}", file=sys.stderr)
    scaling = [two / one for one, two in zip(rates[1], rates[2], strict=True)]
    return {
        "clips_read": len(clips),
        "two_over_one": [
            round(value, 3) for value in (statistics.median(scaling), min(scaling), max(scaling))
        ],
        "clips_per_s": _medians(rates),
        "clips_per_s_with_start": _medians(whole),
    }


def _medians(rates: dict[int, list[float]]) -> dict[str, float]:
    names = {1: "1 process", 2: "2 processes"}
    return {names[processes]: round(statistics.median(found), 2) for processes, found in rates.items()}


def _rate(clips: Sequence[Path], processes: int) -> tuple[float, float]:
    begun = started = time.perf_counter()
    files = [ClipFile(number, clip) for number, clip in enumerate(clips)]
    for count, (_, outcome) in enumerate(extract_all(files, processes=processes), start=1):
        if isinstance(outcome, UnreadableAudio):
            raise outcome
        ended = time.perf_counter()
        if count == _WARM:
            started = ended
    return (len(clips) - _WARM) / (ended - started), len(clips) / (ended - begun)
