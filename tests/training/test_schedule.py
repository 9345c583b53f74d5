"""When a snapshot is worth a training."""

from recommender.history import FOLD_VERSION
from schemas.snapshots import Manifest, PartHeader
from training.schedule import Tried, is_due


def manifest(applied: int, users: int = 40, fold_version: str = FOLD_VERSION) -> Manifest:
    part = PartHeader(
        generation="g", snapshot_id="s", partition=0, cut=applied, fold_version=fold_version, digest="d",
        model_id=None, model_seq=0, counts={"applied": applied}, users=users,
    )  # fmt: skip
    return Manifest(
        snapshot_id="s", generation="g", fold_version=fold_version, schema_version=1, code_version="c",
        created_ms=0, parts=[part],
    )  # fmt: skip


def due(
    one: Manifest, *, served: bool = True, tried: Tried | None = None, interval_s: float | None = None
) -> bool:
    return is_due(one, served=served, tried=tried, now_s=1_000.0, interval_s=interval_s, min_users=5)


def test_the_first_snapshot_with_enough_users_is_due() -> None:
    assert due(manifest(300), served=False)
    assert not due(manifest(300, users=4), served=False)


def test_a_snapshot_of_another_fold_is_never_due() -> None:
    assert not due(manifest(300, fold_version="other"), served=False)


def test_after_a_refusal_the_same_snapshot_is_not_tried_again() -> None:
    assert not due(manifest(300), served=False, tried=Tried(300, 0.0))
    assert due(manifest(301), served=False, tried=Tried(300, 0.0))


def test_growth_by_a_tenth_and_by_200_events_is_needed_once_a_model_is_served() -> None:
    assert not due(manifest(1_199), tried=Tried(1_000, 0.0))
    assert due(manifest(1_200), tried=Tried(1_000, 0.0))
    assert not due(manifest(10_500), tried=Tried(10_000, 0.0))


def test_the_interval_makes_any_new_event_enough() -> None:
    assert due(manifest(1_001), tried=Tried(1_000, 400.0), interval_s=600.0)
    assert not due(manifest(1_001), tried=Tried(1_000, 401.0), interval_s=600.0)
    assert not due(manifest(1_000), tried=Tried(1_000, 0.0), interval_s=600.0)
