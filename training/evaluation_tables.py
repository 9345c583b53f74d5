"""What a terminal shows of an evaluation: the contestants, and the segments."""

from typing import Any

from rich.console import Console
from rich.table import Table

TITLES = {
    "model": "model",
    "served": "served model",
    "item_knn": "item-kNN",
    "decayed_popularity": "decayed popularity",
    "popularity": "popularity",
}
"""The contestants, in the order in which they are shown."""
_OTHERS = {"Recall@20": "recall_at_20", "MAP@10": "map_at_10", "MRR": "mrr"}


def show_evaluation(evaluation: dict[str, Any], console: Console) -> None:
    """Print the tables of an evaluation; one of an older version has fewer figures."""
    console.print(_contestants(evaluation))
    if evaluation.get("segments"):
        console.print(_segments(evaluation))


def _contestants(evaluation: dict[str, Any]) -> Table:
    sides = evaluation.get("against") or {name: evaluation[name] for name in ("model", "popularity")}
    split = evaluation["split"]
    rmse = evaluation.get("rmse")
    table = Table(
        title=f"{split['users']:,} users judged on {split['tracks']:,} tracks, "
        f"{split['held_out']:,} interactions held out ({split['kind']})",
        caption=None if rmse is None else f"RMSE of the preference {rmse:.3f}",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("")
    table.add_column("NDCG@10 (95 %)", justify="right")
    table.add_column("the model less it (95 %)", justify="right")
    for label in (*_OTHERS, "coverage", "novelty", "Gini"):
        table.add_column(label, justify="right")
    for name, side in sides.items():
        difference = (side.get("difference") or {}).get("ndcg_at_10")
        table.add_row(
            TITLES[name],
            _with_interval(side["ndcg_at_10"]),
            _with_interval(difference, "+") if difference else "",
            *(f"{side[metric]['value']:.4f}" if metric in side else "" for metric in _OTHERS.values()),
            f"{side['coverage']:.1%}",
            f"{side['novelty_bits']:.2f}",
            f"{side['artist_gini']:.3f}" if "artist_gini" in side else "",
        )
    return table


def _segments(evaluation: dict[str, Any]) -> Table:
    parts = evaluation["segments"]
    table = Table(title="NDCG@10 by segment", title_justify="left")
    table.add_column("")
    table.add_column("users", justify="right")
    for name in evaluation["against"]:
        table.add_column(TITLES[name], justify="right")
    for part in parts:
        figures = (_with_interval(part["figures"][name]["ndcg_at_10"]) for name in evaluation["against"])
        table.add_row(part["name"], f"{part['users']:,}", *figures)
    return table


def _with_interval(figure: dict[str, float], sign: str = "") -> str:
    return f"{figure['value']:{sign}.4f} ({figure['low']:{sign}.4f} to {figure['high']:{sign}.4f})"
