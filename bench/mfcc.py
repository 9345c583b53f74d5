"""MFCC: agreement with an outside reference, and clips per second against plain librosa.

Both sides read the same files in the same process, one after the other, in alternating order.
"""

import argparse
import csv
import os
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etl.features import COEFFICIENTS, extract, mfcc
from schemas.errors import InvalidInput

_REFERENCE = "reference_features_librosa_sr22050.csv"
_GOAL_DIFFERENCE = 1e-3


def run(arguments: list[str]) -> dict[str, Any]:
    """Return agreement and the ratio of speeds (above 1: Segue is faster).

    ``equal`` says that our MFCC and librosa's differ by at most 1e-3 anywhere.
    """
    options = _options(arguments)
    folder = options.audio or Path(os.environ.get("SEGUE_TEST_DATA", "../shared/data")) / "fma-audio"
    clips = sorted(folder.glob("*.mp3"))
    if not clips:
        raise InvalidInput(f"no clips in {folder}: give --audio, or set SEGUE_TEST_DATA")
    largest = max(_difference(clip) for clip in clips)  # also warms both sides
    ratios, ours_s, librosa_s = [], [], []
    for turn in range(options.rounds):
        sides = [_ours, _librosa] if turn % 2 else [_librosa, _ours]
        spent = {side: _timed(side, clips) for side in sides}
        ours_s.append(spent[_ours])
        librosa_s.append(spent[_librosa])
        ratios.append(spent[_librosa] / spent[_ours])
    return {
        "name": "mfcc",
        "ratio": round(float(np.median(ratios)), 3),
        "low": round(min(ratios), 3),
        "high": round(max(ratios), 3),
        "equal": largest <= _GOAL_DIFFERENCE,
        "largest_difference_to_librosa": largest,
        "reference_mean_differences": _against_reference(folder),
        "clips": len(clips),
        "clips_per_s": round(len(clips) / float(np.median(ours_s)), 2),
        "librosa_clips_per_s": round(len(clips) / float(np.median(librosa_s)), 2),
        "versions": {name: version(name) for name in ("librosa", "soundfile", "soxr", "numpy", "scipy")},
    }


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench mfcc", description=__doc__)
    parser.add_argument("--audio", type=Path, help="folder of MP3 clips")
    parser.add_argument("--rounds", type=int, default=5, help="repetitions of each side")
    return parser.parse_args([each for each in arguments if each != "--json"])


def _ours(clip: Path) -> None:
    """Decode, extract 60 features and 200 peaks: more than librosa is asked for."""
    extract(clip)


def _librosa(clip: Path) -> NDArray[np.float32]:
    import librosa

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from audioread
        samples, rate_hz = librosa.load(clip, sr=22_050)
    found: NDArray[np.float32] = librosa.feature.mfcc(y=samples, sr=rate_hz, n_mfcc=COEFFICIENTS)
    return found


def _timed(side: Any, clips: list[Path]) -> float:
    started = time.perf_counter()
    for clip in clips:
        side(clip)
    return time.perf_counter() - started


def _difference(clip: Path) -> float:
    from etl.audio import read_clip

    extract(clip)
    return float(np.abs(mfcc(read_clip(clip).samples) - _librosa(clip)).max())


def _against_reference(folder: Path) -> dict[str, float]:
    """Return the largest difference of the 13 means for each clip of the reference table."""
    path = folder / _REFERENCE
    if not path.is_file():
        return {}
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        row["filename"]: round(
            max(
                abs(float(row[f"mfcc_{n}"]) - extract(folder / row["filename"]).vector[n]) for n in range(13)
            ),
            6,
        )
        for row in rows
    }
