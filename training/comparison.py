"""Two models side by side: figures with intervals, parameters, snapshots, verdicts, agreement of lists."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from connections.documents import Database, open_documents
from connections.model_store import load_model, served
from connections.snapshot_store import SnapshotStore
from recommender.encoding import History
from recommender.foldin import fold_in
from recommender.metrics import bootstrap
from recommender.model import Model
from recommender.strength import strengths
from schemas.errors import InvalidModel, InvalidSnapshot
from schemas.settings import Settings
from training.decisions import PUBLISHED, decisions_about
from training.inputs import NEWEST, find_snapshot, log_generation
from training.models import iso, one_model
from training.sample import sampled_histories

LENGTH = 20
PARAMETERS = ("rank", "reg_param", "alpha", "max_iter", "items", "snapshot_id", "training_id")
FIGURES = ("ndcg_at_10", "recall_at_20", "map_at_10", "coverage", "novelty_bits")


async def compare_models(settings: Settings, first: str, second: str, users: int) -> dict[str, Any]:
    """Compare two models, each named by the beginning of its id.

    Returns
    -------
    ``a`` and ``b``: id, parameters, snapshot, split, figures, gate, decisions; ``differences``: names of
    parameters that differ; ``same_split``: whether the figures were measured on the same snapshot;
    ``overlap_at_20``: users, value, low, high, or ``not_compared`` with the reason.

    Raises
    ------
    InvalidInput
        No model, or more than one, begins so.
    """
    async with open_documents(settings) as database:
        pointer = await served(database)
        documents = [await one_model(database, beginning) for beginning in (first, second)]
        sides = [await _side(database, document, pointer) for document in documents]
        overlap = await _overlap(settings, database, [document["_id"] for document in documents], users)
    a, b = sides
    return {
        "a": a,
        "b": b,
        "differences": [name for name in PARAMETERS if a["parameters"][name] != b["parameters"][name]],
        "same_split": a["parameters"]["snapshot_id"] == b["parameters"]["snapshot_id"]
        and a["split"] == b["split"],
        "overlap_at_20": overlap,
    }


async def _side(
    database: Database, document: Mapping[str, Any], pointer: Mapping[str, Any] | None
) -> dict[str, Any]:
    metrics = document["metrics"]
    return {
        "model_id": document["_id"],
        "state": document["state"],
        "reason": document["reason"],
        "served": pointer is not None and pointer["model_id"] == document["_id"],
        "created": iso(document["created_ms"]),
        "parameters": {name: document.get(name) for name in PARAMETERS},
        "snapshot": metrics.get("snapshot", {}),
        "split": metrics.get("split", {}),
        "figures": {name: metrics.get("model", {}).get(name) for name in FIGURES},
        "gate": metrics.get("gate", {}),
        "decisions": await decisions_about(database, document["_id"], 100),
    }


async def _overlap(
    settings: Settings, database: Database, model_ids: Sequence[str], users: int
) -> dict[str, Any]:
    if users == 0:
        return {"not_compared": "no users were asked for"}
    try:
        first, second = [await load_model(database, model_id) for model_id in model_ids]
        store = SnapshotStore(settings.snapshot_location)
        manifest = await asyncio.to_thread(find_snapshot, store, await log_generation(settings), NEWEST)
        histories = await asyncio.to_thread(sampled_histories, store, manifest, users, settings.seed)
    except (InvalidModel, InvalidSnapshot) as error:
        return {"not_compared": str(error)}
    shares = await asyncio.to_thread(overlaps, first, second, histories)
    if len(shares) == 0:
        return {"not_compared": "no sampled user has a list from both models"}
    found = bootstrap(shares, seed=settings.seed)
    return {
        "users": len(shares),
        "snapshot_id": manifest.snapshot_id,
        "value": found.mean,
        "low": found.low,
        "high": found.high,
    }


def overlaps(first: Model, second: Model, histories: Sequence[History]) -> NDArray[np.float64]:
    """Return, for each user whom both models can fold in, the share of common tracks in the best 20.

    Lists are by score alone over the tracks that both models know, without those the user has interacted
    with: what differs is the models' opinion, not their catalogues. The share is of the shorter list where
    fewer than 20 can be ranked.
    """
    common = np.intersect1d(first.track_ids, second.track_ids)
    users = [strengths(history) for history in histories]
    sides = [(fold_in(model, users), model.factor_rows[model.rows(common)].T) for model in (first, second)]
    found = []
    for at, (track_ids, _) in enumerate(users):
        if any(np.isnan(factors[at]).any() for factors, _ in sides):
            continue
        open_to = np.flatnonzero(~np.isin(common, track_ids))
        if len(open_to) == 0:
            continue
        lists = [set(_best(factors[at] @ columns[:, open_to])) for factors, columns in sides]
        found.append(len(lists[0] & lists[1]) / len(lists[0]))
    return np.array(found)


def _best(scores: NDArray[np.float64]) -> list[int]:
    best: list[int] = np.argsort(-scores, kind="stable")[:LENGTH].tolist()
    return best


def comparison_table(found: Mapping[str, Any]) -> Table:
    """Return the table that ``models compare`` prints."""
    sides = (found["a"], found["b"])
    table = Table("", *(side["model_id"][:12] for side in sides), title_justify="left")
    table.add_row("state", *(side["state"] + (", in service" if side["served"] else "") for side in sides))
    table.add_row("created", *(side["created"] for side in sides))
    for name in PARAMETERS:
        label = name if name not in found["differences"] else f"{name} *"
        table.add_row(label, *(str(side["parameters"][name]) for side in sides))
    for name in ("applied", "users"):
        table.add_row(f"snapshot {name}", *(f"{side['snapshot'].get(name, 0):,}" for side in sides))
    table.add_row("split", *(str(side["split"].get("kind")) for side in sides))
    for name in FIGURES:
        table.add_row(name, *(_figure(side["figures"][name]) for side in sides))
    for rule in sorted({rule for side in sides for rule in side["gate"]}):
        table.add_row(f"gate: {rule}", *(side["gate"].get(rule, "not judged") for side in sides))
    table.add_row("decided", *("\n".join(_decided(one) for one in side["decisions"]) for side in sides))
    overlap = found["overlap_at_20"]
    says = overlap.get("not_compared") or f"{_figure(overlap)}, {overlap['users']} users"
    table.add_row("overlap@20", says, "")
    if not found["same_split"]:
        table.caption = "judged on different splits: the figures are not of the same users and tracks"
    return table


def _figure(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, Mapping):
        return f"{value['value']:.4f} ({value['low']:.4f}-{value['high']:.4f})"
    return f"{value:.4f}"


def _decided(one: Mapping[str, Any]) -> str:
    return f"{iso(one['at_ms'])} {one['kind']} by {one['actor']}" + (
        "" if one["kind"] == PUBLISHED else f": {one['reason']}"
    )
