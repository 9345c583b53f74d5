"""A table in the layout of FMA's `features.csv`: four header rows, 518 columns, numbers with ten digits."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DESCRIPTORS = {
    "chroma_cens": 12, "chroma_cqt": 12, "chroma_stft": 12, "mfcc": 20, "rmse": 1, "spectral_bandwidth": 1,
    "spectral_centroid": 1, "spectral_contrast": 7, "spectral_rolloff": 1, "tonnetz": 6, "zcr": 1,
}  # fmt: skip
STATISTICS = ("kurtosis", "max", "mean", "median", "min", "skew", "std")
COLUMNS = [
    (descriptor, statistic, f"{number:02d}")
    for descriptor, size in DESCRIPTORS.items()
    for statistic in STATISTICS
    for number in range(1, size + 1)
]
_TYPICAL = {  # mean and spread of a descriptor over the frames of a track
    "chroma_cens": (0.25, 0.08), "chroma_cqt": (0.5, 0.2), "chroma_stft": (0.5, 0.2), "mfcc": (10.0, 30.0),
    "rmse": (4.0, 2.0), "spectral_bandwidth": (1_500.0, 400.0), "spectral_centroid": (1_300.0, 500.0),
    "spectral_contrast": (20.0, 5.0), "spectral_rolloff": (2_800.0, 1_200.0), "tonnetz": (0.0, 0.07),
    "zcr": (0.05, 0.03),
}  # fmt: skip
_BLOCK = 1_000


def table_rows(track_ids: Sequence[int], seed: int = 1) -> Iterable[tuple[int, NDArray[np.float32]]]:
    """Yield each track with its 518 numbers, in the order of ``COLUMNS``."""
    numbers = np.random.default_rng(seed)
    columns = [_column(descriptor, statistic) for descriptor, statistic, _ in COLUMNS]
    for start in range(0, len(track_ids), _BLOCK):
        part = track_ids[start : start + _BLOCK]
        block = np.stack([column(numbers, len(part)) for column in columns], axis=1).astype(np.float32)
        yield from zip(part, block, strict=True)


def _column(descriptor: str, statistic: str) -> Callable[[np.random.Generator, int], NDArray[np.float64]]:
    centre, spread = _TYPICAL[descriptor]
    shift = {"max": 3.0, "min": -3.0}.get(statistic, 0.0)
    if statistic in ("kurtosis", "skew"):
        return lambda numbers, n: numbers.standard_t(3, n)
    if statistic == "std" or descriptor == "rmse":
        return lambda numbers, n: spread * numbers.gamma(4.0, 0.25, n)
    return lambda numbers, n: centre + spread * (shift + numbers.normal(0.0, 1.0, n))


def write_table(path: Path, rows: Iterable[tuple[int, NDArray[np.float32]]]) -> Path:
    """Write the table as FMA's own program does."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for place, name in enumerate(("feature", "statistics", "number")):
            file.write(",".join([name, *(column[place] for column in COLUMNS)]) + "\n")
        file.write("track_id" + "," * len(COLUMNS) + "\n")
        for track_id, row in rows:
            cells = ("" if np.isnan(cell) else f"{cell:.10e}" for cell in row.tolist())
            file.write(f"{track_id},{','.join(cells)}\n")
    return path
