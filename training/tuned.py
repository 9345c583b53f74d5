"""The parameters of a training: those that were given, else those of a search, else the settings'."""

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field

from rich.console import Console

from connections.documents import Database
from connections.snapshot_store import SnapshotStore
from schemas.documents import Tuning
from schemas.errors import InvalidSnapshot, SegueError
from schemas.settings import Settings
from schemas.snapshots import Manifest
from training.configuration import TrainingConfig
from training.inputs import part_uris, using_snapshot
from training.progress import Progress
from training.search import Trial, best_of
from training.session import in_spark
from training.trials import Budget, OnTrial, tune
from training.tunings import (
    DONE,
    RUNNING,
    Tuned,
    fresh_result,
    new_tuning,
    result_of,
    store,
    trials_of,
    unfinished,
)

KIND = "tuning"


@dataclass(frozen=True)
class Choice:
    """How the parameters of a training are chosen.

    Attributes
    ----------
    explicit : parameters that were given: never searched, never replaced
    budget : search first; None: use what is stored
    """

    explicit: frozenset[str] = field(default_factory=frozenset)
    budget: Budget | None = None


NO_CHOICE = Choice()


async def chosen_parameters(
    settings: Settings,
    database: Database,
    manifest: Manifest,
    config: TrainingConfig,
    choice: Choice,
    console: Console,
) -> tuple[TrainingConfig, Tuned | None]:
    """Search if that is asked for, else take what a fresh search found; return the configuration with it.

    Raises
    ------
    InvalidModel
        There is too little to tune on.
    Unavailable
        MongoDB did not answer, or the virtual machine died; the trials made so far are kept.
    """
    if choice.budget is not None:
        tuned = await _search(settings, database, manifest, config, choice.explicit, choice.budget, console)
    else:
        tuned = await fresh_result(database, manifest, config.split)
    if tuned is None:
        return config, None
    found = tuned.applied_to(config, choice.explicit)
    console.print(
        f"parameters of {tuned.trials} trials on snapshot {tuned.snapshot_id}: rank {found.rank}, "
        f"reg_param {found.reg_param:.4g}, alpha {found.alpha:.4g}, max_iter {found.max_iter}",
        markup=False,
        highlight=False,
    )
    return found, tuned


async def _search(
    settings: Settings,
    database: Database,
    manifest: Manifest,
    config: TrainingConfig,
    explicit: frozenset[str],
    budget: Budget,
    console: Console,
) -> Tuned | None:
    fresh = new_tuning(manifest, config, explicit, budget.trials)
    tuning = await unfinished(database, fresh, manifest)
    parts = SnapshotStore(settings.snapshot_location)
    async with AsyncExitStack() as kept:
        earlier = using_snapshot(database, parts, manifest.generation, tuning["snapshot_id"])
        try:
            source = await kept.enter_async_context(earlier)
        except InvalidSnapshot:  # no longer there: a search begins anew on what there is
            tuning, source = fresh, manifest
        await _go_on(settings, database, tuning, part_uris(parts, source), config, explicit, budget, console)
    return result_of(tuning, config)


async def _go_on(
    settings: Settings,
    database: Database,
    tuning: Tuning,
    uris: list[str],
    config: TrainingConfig,
    explicit: frozenset[str],
    budget: Budget,
    console: Console,
) -> None:
    tuning["wanted"] = budget.trials
    tuning["state"] = RUNNING
    progress = Progress(database, f"tuning-{tuning['_id'][:16]}", budget.trials, console, kind=KIND)
    progress.done = len(tuning["trials"])
    on_trial = _keeping(database, tuning, config, progress)
    earlier = trials_of(tuning)
    if earlier:
        console.print(f"going on after {len(earlier)} trials on snapshot {tuning['snapshot_id']}")
    try:
        await store(database, tuning, config)
        if len(earlier) < budget.trials:
            await in_spark(
                settings,
                "tune",
                lambda spark: tune(spark, uris, config, explicit, budget, earlier, on_trial),
                blocks=config.blocks,
            )
    except SegueError as error:
        await progress.end("failed", str(error))
        raise
    tuning["state"] = DONE
    await store(database, tuning, config)
    await progress.end("done", "")


def _keeping(database: Database, tuning: Tuning, config: TrainingConfig, progress: Progress) -> OnTrial:
    """Return a function that a thread calls after each trial: it is stored before the next one begins."""
    loop = asyncio.get_running_loop()
    began, already = time.monotonic(), len(tuning["trials"])

    async def keep(trial: Trial) -> None:
        tuning["trials"].append(asdict(trial))
        await store(database, tuning, config)
        made = len(tuning["trials"])
        left_s = (time.monotonic() - began) / (made - already) * (tuning["wanted"] - made)
        await progress.step(_told(trial, best_of(trials_of(tuning)), left_s))

    def on_trial(trial: Trial) -> None:
        asyncio.run_coroutine_threadsafe(keep(trial), loop).result()

    return on_trial


def _told(trial: Trial, best: Trial | None, left_s: float) -> str:
    parameters = ", ".join(f"{name} {value:.4g}" for name, value in trial.parameters.items())
    reached = trial.failed or f"NDCG@10 {trial.value:.4f}"
    so_far = "" if best is None else f"; best {best.value:.4f}"
    return f"{parameters}: {reached}{so_far}; {trial.seconds:.1f} s, about {left_s:.0f} s left"
