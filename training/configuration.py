"""The numbers of one training, and the hash that names it."""

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from importlib.metadata import version
from typing import Any

from connections.native_blas import native_blas
from recommender.history import FOLD_VERSION
from schemas.settings import Settings

SMALL_USERS = 1_000
"""Below it a fit is over before a second block, or the optimising compiler, has paid for itself."""


class Split(StrEnum):
    """What a judgement hides."""

    LATEST = "latest"
    GLOBAL = "global"


_VERSIONED = ("numpy", "scipy", "pyarrow", "pyspark")


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that a training depends on beside its inputs.

    Attributes
    ----------
    rank, reg_param, alpha, max_iter, seed : as in Spark's ALS; ``rank`` before ``rank_for``
    held_out_share : share of a user's positive interactions that the judgement hides, 0 to 1
    max_listens_per_day : a user above it is left out; 2,880 is one listen every 30 s, day and night
    max_strength : |strength| is clipped to it
    min_users : users with a positive interaction that a training needs
    judged_users : most users that the judgement ranks
    blocks : ALS blocks of users and of items. Spark adds up the blocks' Gramians as their tasks end
        (``RDD.aggregate``): the sum of two is the same in either order, that of three is not, and now and
        then a factor's last bit shows it
    checkpoint_interval : ALS iterations between two checkpoints
    split : ``latest`` of each user (drawn where times are not known), or ``global``: after one moment
    """

    rank: int
    reg_param: float
    alpha: float
    max_iter: int
    seed: int
    min_users: int = 5
    held_out_share: float = 0.2
    max_listens_per_day: int = 2_880
    max_strength: float = 20.0
    judged_users: int = 20_000
    blocks: int = 2
    checkpoint_interval: int = 5
    split: Split = Split.LATEST

    @classmethod
    def from_settings(cls, settings: Settings, **overrides: Any) -> "TrainingConfig":
        """Return the settings' numbers; an override that is None changes nothing."""
        config = cls(
            rank=settings.rank,
            reg_param=settings.reg_param,
            alpha=settings.alpha,
            max_iter=settings.max_iter,
            blocks=settings.als_blocks,
            seed=settings.seed,
            min_users=settings.train_min_users,
        )
        return replace(config, **{name: value for name, value in overrides.items() if value is not None})

    def sized_for(self, users: int) -> "TrainingConfig":
        """Return the configuration for a snapshot of so many users: one block where they are few."""
        return replace(self, blocks=1) if users < SMALL_USERS else self

    def rank_for(self, users: int, items: int) -> int:
        """Return the rank that the data bear: at most half of the tracks and half of the users, at least 2.

        With more factors than that, a factor has fewer than two rows to be estimated from and the Gramian
        of the smaller side comes close to singular.
        """
        return max(2, min(self.rank, items // 2, users // 2))


def versions() -> dict[str, str]:
    """Return the versions and the platform that a fit depends on.

    Another kind of processor may add up in another order: ``bench.als_platforms`` says how little that moves.
    """
    found, library = {name: version(name) for name in _VERSIONED}, native_blas()
    return found | {
        "fold": FOLD_VERSION,
        "blas": "java" if library is None else library.parent.name,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
    }


def training_id(config: TrainingConfig, inputs: Mapping[str, Any]) -> str:
    """Return the hash of all inputs, the configuration and the versions: 64 hexadecimal digits."""
    everything = {"config": asdict(config), "inputs": dict(inputs), "versions": versions()}
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()
