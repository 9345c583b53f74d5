"""Feature extraction: clips per second against plain librosa, and against decoding alone.

Sides: ``librosa`` is ``librosa.load`` and ``librosa.feature.mfcc``, summarised; ``ours`` the same MFCC and
summary; ``decode`` libsndfile's samples and nothing else; ``whole`` everything that ``etl`` extracts. All
run in the same processes on the same files, in an order that changes with every round. Beside the wall
clock stands the processor time, and of that the least of each clip, which other programs disturb least.
"""

import argparse
import csv
import multiprocessing
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from bench._clips import sample_clips
from bench._pool_rate import pool_rates
from bench._projection import projections
from etl.audio import SAMPLE_RATE_HZ, read_clip
from etl.features import extract
from etl.mfcc import COEFFICIENTS, mfcc, summarise

_REFERENCE = "reference_features_librosa_sr22050.csv"
_GOAL_DIFFERENCE = 1e-3


def run(arguments: list[str]) -> dict[str, Any]:
    """Return ratios of speeds (above 1: Segue is faster than librosa), differences and projections.

    ``equal`` says that our MFCC and librosa's differ by at most 1e-3 in any frame of any clip.
    """
    parser = argparse.ArgumentParser(prog="python -m bench extractor", description=__doc__)
    parser.add_argument("--audio", type=Path, help="folder of MP3 clips")
    parser.add_argument("--rounds", type=int, default=5, help="repetitions of each side")
    parser.add_argument("--copies", type=int, default=4, help="how often the pool reads the list of clips")
    options = parser.parse_args([each for each in arguments if each != "--json"])
    clips = sample_clips(options.audio)
    one = _Sides(clips, 1, options.rounds)
    two = _Sides(clips, 2, options.rounds)
    largest = max(one.differences)
    rates = pool_rates(clips * options.copies, options.rounds)
    ratio = one.ratios("librosa", "ours")
    return {
        "name": "extractor",
        "ratio": ratio["wall"][0],
        "low": ratio["wall"][1],
        "high": ratio["wall"][2],
        "equal": largest <= _GOAL_DIFFERENCE,
        "largest_difference_to_librosa": largest,
        "reference_mean_differences": _against_reference(clips),
        "clips": len(clips),
        "librosa_over_ours": {"1 process": ratio, "2 processes": two.ratios("librosa", "ours")},
        "decode_over_ours": {
            "1 process": one.ratios("decode", "ours"),
            "2 processes": two.ratios("decode", "ours"),
        },
        "whole_vector_over_mfcc_alone": one.ratios("whole", "ours"),
        "least_processor_ms_per_clip": {name: one.least_ms(name) for name in _SIDES},
        "pool": rates,
        "projections": projections(rates["clips_per_s"]["2 processes"]),
        "versions": {name: version(name) for name in ("librosa", "soundfile", "soxr", "numpy", "scipy")},
    }


def _librosa(clip: Path) -> NDArray[np.float32]:
    import librosa

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from audioread
        samples, rate_hz = librosa.load(clip, sr=SAMPLE_RATE_HZ)
    found: NDArray[np.float32] = librosa.feature.mfcc(y=samples, sr=rate_hz, n_mfcc=COEFFICIENTS)
    found.mean(axis=1), found.std(axis=1)
    return found


def _ours(clip: Path) -> NDArray[np.float32]:
    found = mfcc(read_clip(clip).samples)
    found.mean(axis=1), found.std(axis=1)
    return found


def _decode(clip: Path) -> None:
    soundfile.read(clip, dtype="float32")


def _whole(clip: Path) -> None:
    extract(clip)


_SIDES: dict[str, Callable[[Path], object]] = {
    "librosa": _librosa,
    "ours": _ours,
    "decode": _decode,
    "whole": _whole,
}


class _Sides:
    """Seconds of each side in each round, in that many processes."""

    def __init__(self, clips: Sequence[Path], processes: int, rounds: int) -> None:
        self.wall: dict[str, list[float]] = {name: [] for name in _SIDES}
        self.processor: dict[str, list[list[float]]] = {name: [] for name in _SIDES}
        names = list(_SIDES)
        with multiprocessing.get_context("spawn").Pool(processes) as pool:
            self.differences = pool.map(_difference, clips, chunksize=1)
            for name in names:  # every process has done everything once
                pool.map(partial(_timed, name), clips, chunksize=1)
            for turn in range(rounds):
                for name in names[turn % 4 :] + names[: turn % 4]:
                    started = time.perf_counter()
                    spent = pool.map(partial(_timed, name), clips, chunksize=1)
                    self.wall[name].append(time.perf_counter() - started)
                    self.processor[name].append(spent)
                print(f"extractor: {processes} processes, round {turn + 1} of {rounds}", file=sys.stderr)

    def ratios(self, slow: str, fast: str) -> dict[str, Any]:
        """Return median, lowest and highest of ``slow`` over ``fast``; of the least times one number."""
        processor = {name: [sum(spent) for spent in self.processor[name]] for name in (slow, fast)}
        found: dict[str, Any] = {}
        for name, spent in (("wall", self.wall), ("processor", processor)):
            each = [a / b for a, b in zip(spent[slow], spent[fast], strict=True)]
            found[name] = [round(value, 3) for value in (statistics.median(each), min(each), max(each))]
        found["least processor"] = round(self.least_ms(slow) / self.least_ms(fast), 3)
        return found

    def least_ms(self, side: str) -> float:
        """Return the mean over the clips of the least processor time in milliseconds."""
        return round(float(np.min(self.processor[side], axis=0).mean()) * 1e3, 2)


def _timed(side: str, clip: Path) -> float:
    started = time.process_time()
    _SIDES[side](clip)
    return time.process_time() - started


def _difference(clip: Path) -> float:
    return float(np.abs(_ours(clip) - _librosa(clip)).max())


def _against_reference(clips: Sequence[Path]) -> dict[str, float]:
    """Return the largest difference of the 13 means for each clip of the reference table beside it."""
    found = {}
    for table in {clip.with_name(_REFERENCE) for clip in clips}:
        if not table.is_file():
            continue
        with table.open(newline="") as file:
            for row in csv.DictReader(file):
                means = summarise(mfcc(read_clip(table.with_name(row["filename"])).samples))
                far = max(abs(float(row[f"mfcc_{n}"]) - means[n]) for n in range(13))
                found[row["filename"]] = round(float(far), 6)
    return found
