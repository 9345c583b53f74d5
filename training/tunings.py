"""Searches for parameters in MongoDB: stored trial by trial, gone on with, reused until stale."""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

from connections.documents import Database, answered
from connections.model_chunks import majority, repeated
from recommender.history import FOLD_VERSION
from recommender.model import PARAMETERS
from schemas.documents import TUNINGS, Tuning
from schemas.settings import Settings
from schemas.snapshots import Manifest
from training.configuration import Split, TrainingConfig, versions
from training.search import Trial, best_of

GROWTH = 1.5
RUNNING, DONE = "running", "done"
_SEARCHES = 20  # the newest that are looked at
_OF_THE_SPLIT = (
    "seed", "held_out_share", "max_listens_per_day", "max_strength", "judged_users", "blocks", "split",
)  # fmt: skip


@dataclass(frozen=True)
class Tuned:
    """The result of a search.

    Attributes
    ----------
    parameters : all of Spark's, as the best trial had them
    fixed : names of those that were given to the search, which it did not find
    """

    tuning_id: str
    snapshot_id: str
    parameters: dict[str, float | int]
    value: float
    trials: int
    fixed: tuple[str, ...]

    def applied_to(self, config: TrainingConfig, explicit: frozenset[str]) -> TrainingConfig:
        """Return the configuration with what was found, but for what is given explicitly."""
        given = explicit.union(self.fixed)
        chosen: dict[str, Any] = {name: value for name, value in self.parameters.items() if name not in given}
        return replace(config, **chosen)

    def as_dict(self) -> dict[str, Any]:
        """Return it as it is kept with a model."""
        return asdict(self)


def explicit_parameters(settings: Settings, **flags: Any) -> frozenset[str]:
    """Return the parameters that somebody chose: by a flag, or by an environment variable."""
    given = {name for name, value in flags.items() if value is not None}
    return frozenset((given | settings.model_fields_set) & set(PARAMETERS))


def new_tuning(manifest: Manifest, config: TrainingConfig, fixed: frozenset[str], wanted: int) -> Tuning:
    """Return the document of a search on a snapshot before its first trial."""
    inputs = {
        "generation": manifest.generation,
        "parts": [[part.partition, part.digest] for part in manifest.parts],
        "split": {name: getattr(config, name) for name in _OF_THE_SPLIT},
        "first": {name: getattr(config, name) for name in PARAMETERS},
        "fixed": sorted(fixed),
        "versions": versions(),
    }
    now_ms = time.time_ns() // 1_000_000
    return Tuning(
        _id=hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest(),
        generation=manifest.generation,
        snapshot_id=manifest.snapshot_id,
        fold_version=manifest.fold_version,
        users=manifest.users,
        applied=manifest.counts.get("applied", 0),
        wanted=wanted,
        state=RUNNING,
        inputs=inputs,
        fixed={name: getattr(config, name) for name in sorted(fixed)},
        trials=[],
        best=None,
        created_ms=now_ms,
        updated_ms=now_ms,
    )


def is_stale(tuning: Mapping[str, Any], manifest: Manifest) -> bool:
    """Say whether a result is too old for a snapshot: of another log or fold, or outgrown by half."""
    if (tuning["generation"], tuning["fold_version"]) != (manifest.generation, FOLD_VERSION):
        return True
    grown = ((manifest.users, tuning["users"]), (manifest.counts.get("applied", 0), tuning["applied"]))
    return any(now > GROWTH * max(then, 1) for now, then in grown)


async def unfinished(database: Database, fresh: Tuning, manifest: Manifest) -> Tuning:
    """Return the search to go on with: the same one, else the newest that was broken off, else ``fresh``.

    One that was broken off on an older snapshot of this log goes on there as long as it is not stale, and
    was begun with the same settings, space and versions.

    Raises
    ------
    DocumentsUnavailable
        MongoDB did not answer.
    """
    tunings = majority(database, TUNINGS)
    same = await answered(tunings.find_one({"_id": fresh["_id"]}), "reading a search")
    if same is not None:
        return cast(Tuning, same)
    cursor = tunings.find({"generation": fresh["generation"], "state": RUNNING}).sort("updated_ms", -1)
    for one in await answered(cursor.to_list(_SEARCHES), "reading searches"):
        alike = all(
            one["inputs"][name] == fresh["inputs"][name] for name in fresh["inputs"] if name != "parts"
        )
        if alike and not is_stale(one, manifest):
            return cast(Tuning, one)
    return fresh


async def store(database: Database, tuning: Tuning, config: TrainingConfig) -> None:
    """Write a search as it stands, with its best trial so far. Can be repeated.

    Raises
    ------
    DocumentsUnavailable
        MongoDB did not answer.
    """
    document = dict(tuning) | {"best": _best(tuning, config), "updated_ms": time.time_ns() // 1_000_000}
    key = {"_id": tuning["_id"]}
    tunings = majority(database, TUNINGS)
    await repeated(lambda: tunings.replace_one(key, document, upsert=True), "storing a trial")


async def fresh_result(database: Database, manifest: Manifest, split: Split) -> Tuned | None:
    """Return a stored result that can be used for a snapshot, None without one.

    None that is stale, or was found on a split of another kind. Of several: one that searched all
    parameters before one to which some were given, then the one with the most trials, then the newest.
    Results of different snapshots are not compared by what they reached: that depends on the snapshot
    more than on the parameters.

    Raises
    ------
    DocumentsUnavailable
        MongoDB did not answer.
    """
    query = {"generation": manifest.generation, "state": DONE, "best": {"$ne": None}}
    cursor = majority(database, TUNINGS).find(query).sort("updated_ms", -1)
    usable = [
        cast(Tuning, one)
        for one in await answered(cursor.to_list(_SEARCHES), "reading searches")
        if not is_stale(one, manifest) and one["inputs"]["split"]["split"] == split
    ]
    found = max(usable, key=_worth, default=None)  # the first of equal ones is the newest
    return None if found is None or found["best"] is None else _tuned(found, found["best"])


def result_of(tuning: Tuning, config: TrainingConfig) -> Tuned | None:
    """Return what a search has found so far, None when none of its trials could be fitted."""
    best = _best(tuning, config)
    return None if best is None else _tuned(tuning, best)


def _worth(tuning: Tuning) -> tuple[bool, int]:
    return not tuning["fixed"], sum(not one.failed for one in trials_of(tuning))


def _best(tuning: Tuning, config: TrainingConfig) -> dict[str, Any] | None:
    """Return the best trial as it is stored, with all of Spark's parameters."""
    best = best_of(trials_of(tuning))
    if best is None:
        return None
    return asdict(best) | {
        "parameters": {name: getattr(config, name) for name in PARAMETERS} | best.parameters
    }


def _tuned(tuning: Tuning, best: Mapping[str, Any]) -> Tuned:
    return Tuned(
        tuning["_id"],
        tuning["snapshot_id"],
        best["parameters"],
        best["value"],
        len(tuning["trials"]),
        tuple(tuning["fixed"]),
    )


def trials_of(tuning: Tuning) -> list[Trial]:
    """Return the trials that were made, in order."""
    return [Trial(**one) for one in tuning["trials"]]
