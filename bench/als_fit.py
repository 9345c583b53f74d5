"""Fit time of our ALS: ``training.fit`` over Spark's defaults, same data; implicit's ALS stated beside.

``ratio`` is our time over that of ``pyspark.ml`` ALS with its own defaults (lower is better), the median of
the repeats, in which the sides take turns, each in a warm virtual machine of its own; ``cpu_ratio`` is the
same of the processor time of the virtual machines, which other work moves less. ``equal`` says whether our
NDCG@10, on a fifth of each user's tracks that a seeded draw held out, is at most 1e-3 below theirs: the two
begin from other random numbers, one per block. Ours has the session of a training (OpenBLAS, another
collector, no adaptive plans, as many shuffle partitions as blocks), theirs Spark's own. ``implicit``: seconds
of implicit's conjugate gradients and Cholesky on as many threads, with its own weighting of the
regularisation, so its NDCG@10 says only that it learned too.
"""

import tempfile
import time
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench._als_side import Factors, fit_parser, side
from bench._plays import synthetic_plays
from bench._top_lists import by_user, top_lists
from connections.native_blas import native_blas
from recommender.metrics import ndcg_at_k
from schemas.errors import MissingRequirement
from schemas.settings import Settings
from training.configuration import TrainingConfig

K = 10
TOLERANCE = 1e-3


def run(arguments: list[str]) -> dict[str, Any]:
    """Fit by turns; return ratios, spread, seconds and NDCG@10 of each side.

    Raises
    ------
    MissingRequirement
        implicit is not installed.
    """
    parser = fit_parser("als-fit", __doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--blocks", type=int, help="of ours instead of the training's own number")
    options = parser.parse_args(arguments)
    plays = synthetic_plays(options.users, options.items, options.plays, options.seed)
    held_out = np.random.default_rng(options.seed).random(plays.num_rows) < 0.2
    training, hidden = plays.filter(pa.array(~held_out)), plays.filter(pa.array(held_out))
    with tempfile.TemporaryDirectory(prefix="segue-bench-") as folder:
        settings = Settings(data_dir=Path(folder), spark_master=f"local[{options.cores}]", spark_memory="4g")
        config = TrainingConfig.from_settings(
            settings, rank=options.rank, max_iter=options.max_iter, blocks=options.blocks
        )
        found = _measured(settings, config, training, hidden, options.repeats)
    return found | {"implicit": _implicit(config, training, hidden, options.cores), "plays": plays.num_rows}


def _measured(
    settings: Settings, config: TrainingConfig, training: pa.Table, hidden: pa.Table, repeats: int
) -> dict[str, Any]:
    plays = settings.data_dir / "training.parquet"
    pq.write_table(training, plays)
    with ExitStack() as stack:
        sides = {name: stack.enter_context(side(name, settings, config, plays)) for name in ("ours", "spark")}
        spent: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
        for side_ in sides.values():  # the compiler of the virtual machine warms up on both
            side_.fit()
        for turn in range(repeats):
            for name in sorted(sides, reverse=turn % 2 == 1):
                spent[name].append(sides[name].fit())
        quality = {name: _ndcg(side_.factors(), training, hidden) for name, side_ in sides.items()}
    pairs = list(zip(spent["ours"], spent["spark"], strict=True))
    ratios = [ours[0] / theirs[0] for ours, theirs in pairs]
    return {
        "ratio": round(float(np.median(ratios)), 3),
        "low": round(min(ratios), 3),
        "high": round(max(ratios), 3),
        "equal": quality["ours"] >= quality["spark"] - TOLERANCE,
        "cpu_ratio": round(float(np.median([ours[1] / theirs[1] for ours, theirs in pairs])), 3),
        "ndcg_at_10": {name: round(value, 5) for name, value in quality.items()},
        "seconds": {name: [round(one[0], 2) for one in times] for name, times in spent.items()},
        "cpu_seconds": {name: [round(one[1], 2) for one in times] for name, times in spent.items()},
        "blocks": config.blocks,
        "native_blas": native_blas() is not None,
        "rank": config.rank,
        "max_iter": config.max_iter,
        "versions": {name: version(name) for name in ("pyspark", "implicit", "numpy")},
    }


def _ndcg(factors: Factors, training: pa.Table, hidden: pa.Table) -> float:
    """Return the mean NDCG@10 over users with something held out, ranked over all items not trained on."""
    relevant, values = by_user(hidden, len(factors[0]), len(factors[1])), []
    for user, ranked in enumerate(top_lists(factors, training, K)):
        wanted = relevant.indices[relevant.indptr[user] : relevant.indptr[user + 1]].tolist()
        if wanted:
            values.append(ndcg_at_k(ranked.tolist(), wanted, K))
    return float(np.mean(values))


def _implicit(config: TrainingConfig, training: pa.Table, hidden: pa.Table, threads: int) -> dict[str, Any]:
    try:
        from implicit.cpu.als import AlternatingLeastSquares
    except ImportError as error:
        raise MissingRequirement("implicit is not installed: run `make bench` first") from error
    users, items = (int(training[name].to_numpy().max()) + 1 for name in ("user", "item"))
    plays = by_user(training, users, items)
    found = {}
    for name, use_cg in (("conjugate_gradients", True), ("cholesky", False)):
        als = AlternatingLeastSquares(
            factors=config.rank,
            regularization=0.05,
            alpha=config.alpha,
            iterations=config.max_iter,
            use_cg=use_cg,
            num_threads=threads,
            random_state=config.seed,
        )
        began = time.perf_counter()
        als.fit(plays, show_progress=False)
        seconds = time.perf_counter() - began
        quality = _ndcg((als.user_factors, als.item_factors), training, hidden)
        found[name] = {"seconds": round(seconds, 2), "ndcg_at_10": round(quality, 5)}
    return found
