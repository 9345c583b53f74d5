"""The same fit by other arithmetic: how far factors and lists of other platforms are from this one's.

The same plays are fitted by ``training.fit`` with OpenBLAS as it chooses its kernels here, with its kernels
for other processors (``OPENBLAS_CORETYPE``; the last knows no fused multiply-add), and without machine code,
by Java. ``difference`` is the largest of the item factors' differences over their largest absolute value;
``overlap_at_20`` the mean share of common items in the lists of 20 of all users, without what they played.
``equal`` says whether every difference is at most 1e-3, every overlap at least 0.99, and a second fit on the
platform at hand gives the same bytes. ``ratio`` is the largest difference over that bound (lower is better).
"""

import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench._als_side import Factors, fit_parser, side
from bench._plays import synthetic_plays
from bench._top_lists import top_lists
from connections.native_blas import native_blas
from schemas.errors import MissingRequirement
from schemas.settings import Settings
from training.configuration import TrainingConfig

LENGTH = 20
MOST_DIFFERENCE, LEAST_OVERLAP = 1e-3, 0.99
HERE = "here"
# the last word on its options has this variable of the virtual machine: the library is not found
_JAVA = {"_JAVA_OPTIONS": "-Ddev.ludovic.netlib.blas.nativeLibPath=/none"}
_KERNELS = {"x86_64": ("Haswell", "Nehalem"), "arm64": ("NEOVERSEN1", "ARMV8")}


def run(arguments: list[str]) -> dict[str, Any]:
    """Fit on each platform in turn; return differences and overlaps.

    Raises
    ------
    MissingRequirement
        There is no OpenBLAS here: nothing to compare.
    """
    options = fit_parser("als-platforms", __doc__).parse_args(arguments)
    platforms = _platforms()
    plays = _strengths(synthetic_plays(options.users, options.items, options.plays, options.seed))
    with tempfile.TemporaryDirectory(prefix="segue-bench-") as folder:
        settings = Settings(data_dir=Path(folder), spark_master=f"local[{options.cores}]", spark_memory="4g")
        config = TrainingConfig.from_settings(settings, rank=options.rank, max_iter=options.max_iter)
        pq.write_table(plays, settings.data_dir / "plays.parquet")
        found = {name: _fits(name, settings, config, environment) for name, environment in platforms.items()}
    here = found[HERE][0]
    compared = {name: _compared(here, fits[0], plays) for name, fits in found.items() if name != HERE}
    twice = {name: _same(*fits) for name, fits in found.items()}
    worst = max(one["difference"] for one in compared.values())
    least = min(one["overlap_at_20"] for one in compared.values())
    return {
        "ratio": round(worst / MOST_DIFFERENCE, 4),
        "low": round(min(one["difference"] for one in compared.values()) / MOST_DIFFERENCE, 4),
        "high": round(worst / MOST_DIFFERENCE, 4),
        "equal": twice[HERE] and worst <= MOST_DIFFERENCE and least >= LEAST_OVERLAP,
        "same_bytes_twice": twice,
        "platforms": compared,
        "plays": plays.num_rows,
        "rank": config.rank,
        "max_iter": config.max_iter,
        "versions": {name: version(name) for name in ("pyspark", "numpy")},
    }


def _strengths(plays: pa.Table) -> pa.Table:
    """Return the plays with strengths as a history has them: of whole numbers most products are exact."""
    ratings = pa.array(np.log1p(plays["rating"].to_numpy()).astype(np.float32))
    return plays.set_column(plays.column_names.index("rating"), "rating", ratings)


def _platforms() -> dict[str, dict[str, str]]:
    """Return the environment of each platform."""
    library = native_blas()
    if library is None:
        raise MissingRequirement(
            "there is no OpenBLAS for this machine: run `make setup`, or nothing can differ"
        )
    kernels = next(names for machine, names in _KERNELS.items() if library.parent.name.endswith(machine))
    return {HERE: {}, "java": _JAVA} | {name.lower(): {"OPENBLAS_CORETYPE": name} for name in kernels}


def _fits(
    name: str, settings: Settings, config: TrainingConfig, environment: dict[str, str]
) -> tuple[Factors, Factors]:
    """Return the factors of two fits in one virtual machine."""
    with side(name, settings, config, settings.data_dir / "plays.parquet", environment) as platform:
        platform.fit()
        first = platform.factors()
        platform.fit()
        return first, platform.factors()


def _same(first: Factors, second: Factors) -> bool:
    return all(one.tobytes() == other.tobytes() for one, other in zip(first, second, strict=True))


def _compared(here: Factors, there: Factors, plays: pa.Table) -> dict[str, Any]:
    difference = np.abs(here[1] - there[1]).max() / np.abs(here[1]).max()
    norm = np.linalg.norm(here[1] - there[1]) / np.linalg.norm(here[1])
    lists = (top_lists(factors, plays, LENGTH) for factors in (here, there))
    overlaps = np.array([len(np.intersect1d(*both)) / LENGTH for both in zip(*lists, strict=True)])
    return {
        "difference": float(f"{difference:.3g}"),
        "norm_of_difference": float(f"{norm:.3g}"),
        "overlap_at_20": round(float(overlaps.mean()), 5),
        "users_with_other_lists": int((overlaps < 1.0).sum()),
        "same_bytes": _same(here, there),
    }
