"""Where clips are decoded: Spark on this machine against processes on this machine, the same step.

Spark's own start is timed apart: it is paid once a run. On a cluster the comparison is of its machines.
"""

import argparse
import os
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from etl.features import Extracted
from etl.pool import ClipFile, Outcome, extract_all
from etl.progress import meter
from etl.spark_engine import spark_engine
from schemas.errors import InvalidInput
from schemas.settings import Settings

_FOLDERS = ("fma-audio", "cc-music-clips")


def run(arguments: list[str]) -> dict[str, Any]:
    """Return clips per second of both engines and their ratio (1: Spark costs nothing).

    ``equal`` says that both give the same bits for every clip.

    Raises
    ------
    InvalidInput
        There are no clips.
    """
    parser = argparse.ArgumentParser(prog="python -m bench engines", description=__doc__)
    parser.add_argument("--clips", type=int, default=180, help="clips a round; the 30 of the samples repeat")
    parser.add_argument("--rounds", type=int, default=5, help="repetitions of each side")
    options = parser.parse_args([each for each in arguments if each != "--json"])
    files = _files(options.clips)
    processes = os.cpu_count() or 1
    ratios, here_s, spark_s, equal = [], [], [], True
    with (
        tempfile.TemporaryDirectory(prefix="segue-bench-") as folder,
        meter("rounds", options.rounds) as progress,
    ):
        settings = Settings().model_copy(
            update={"data_dir": Path(folder), "spark_master": f"local[{processes}]"}
        )
        with spark_engine(settings) as engine:
            start_s, _ = _timed(lambda: engine(files[: 2 * processes]))
            for turn in range(options.rounds):
                sides = [lambda: engine(iter(files)), lambda: extract_all(files, processes=processes)]
                timed = [_timed(side) for side in (sides if turn % 2 else sides[::-1])]
                spark, here = timed if turn % 2 else timed[::-1]
                equal = equal and _equal(spark[1], here[1])
                ratios.append(here[0] / spark[0])
                spark_s.append(spark[0])
                here_s.append(here[0])
                progress.advance()
    return {
        "ratio": round(float(np.median(ratios)), 3),
        "low": round(min(ratios), 3),
        "high": round(max(ratios), 3),
        "equal": equal,
        "clips": len(files),
        "spark_clips_per_s": round(len(files) / float(np.median(spark_s)), 1),
        "local_clips_per_s": round(len(files) / float(np.median(here_s)), 1),
        "spark_start_s": round(start_s, 1),
        "processes": processes,
        "versions": {name: version(name) for name in ("pyspark", "soundfile", "numpy")},
    }


def _files(count: int) -> list[ClipFile]:
    folder = Path(os.environ.get("SEGUE_TEST_DATA", "../shared/data"))
    clips = [clip.resolve() for name in _FOLDERS for clip in sorted((folder / name).glob("*.mp3"))]
    if not clips:
        raise InvalidInput(f"no clips in {folder}: set SEGUE_TEST_DATA")
    return [ClipFile(number, clips[number % len(clips)]) for number in range(count)]


def _timed(side: Any) -> tuple[float, dict[int, Extracted | str]]:
    started = time.perf_counter()
    found = dict(map(_plain, side()))
    return time.perf_counter() - started, found


def _plain(outcome: Outcome) -> tuple[int, Extracted | str]:
    file, found = outcome
    return file.track_id, found if isinstance(found, Extracted) else str(found)


def _equal(one: dict[int, Extracted | str], other: dict[int, Extracted | str]) -> bool:
    return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)


def _same(one: Extracted | str, other: Extracted | str) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    same = (one.peaks, one.length_ms) == (other.peaks, other.length_ms)
    return same and one.vector.tobytes() == other.vector.tobytes()
