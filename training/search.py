"""The search for parameters: what to try next, as a function of what was tried. No Spark, no clock.

Optuna's tree-structured Parzen estimator (Bergstra et al. 2011), with a sampler made anew for each trial and
seeded by its number: the next trial follows from the trials before it alone. So a search that was killed
goes on exactly as it would have gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a training without a search does not wait for it
    from optuna.distributions import BaseDistribution

Parameters = Mapping[str, float | int]
Space = Mapping[str, "BaseDistribution"]
_DRAWN = 5  # trials at random before the estimator has seen enough


@dataclass(frozen=True)
class Trial:
    """One set of parameters and what it reached.

    Attributes
    ----------
    parameters : those that were searched
    value : mean NDCG@10 on the validation split; 0 where nothing could be fitted
    low, high : its 95 % interval
    seconds : that fitting and ranking took
    failed : why nothing could be fitted
    """

    parameters: dict[str, float | int]
    value: float
    low: float
    high: float
    seconds: float
    failed: str | None = None


def als_space(users: int, items: int) -> dict[str, BaseDistribution]:
    """Return where Spark's parameters are searched, logarithmic but for the iterations.

    The rank ends at what the data bear, see ``TrainingConfig.rank_for``.
    """
    from optuna.distributions import FloatDistribution, IntDistribution

    highest = max(2, min(128, users // 2, items // 2))
    return {
        "rank": IntDistribution(min(8, highest), highest, log=True),
        "reg_param": FloatDistribution(0.01, 3.0, log=True),
        "alpha": FloatDistribution(0.1, 40.0, log=True),
        "max_iter": IntDistribution(5, 15),
    }


def suggest(space: Space, tried: Sequence[Trial], first: Parameters, seed: int) -> dict[str, float | int]:
    """Return the parameters of the next trial.

    Parameters
    ----------
    first : tried before all others, moved into the space: a search never ends below where it began
    seed : equal seeds and equal trials give equal suggestions
    """
    if not tried:
        return {name: _within(one, first[name]) for name, one in space.items()}
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed + len(tried), n_startup_trials=_DRAWN)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    known = dict(space)
    study.add_trials(
        [
            optuna.trial.create_trial(params=dict(one.parameters), distributions=known, value=one.value)
            for one in tried
        ]
    )
    found: dict[str, Any] = study.ask(known).params
    return found


def best_of(tried: Sequence[Trial]) -> Trial | None:
    """Return the trial of greatest value, the earliest of equals; None before the first that worked."""
    worked = [one for one in tried if one.failed is None]
    return max(worked, key=lambda one: one.value, default=None)


def _within(one: BaseDistribution, value: float | int) -> float | int:
    bounds: Any = one
    found: float | int = min(max(value, bounds.low), bounds.high)
    return found
