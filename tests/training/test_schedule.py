"""When a snapshot is worth a training."""

from recommender.history import FOLD_VERSION
from schemas.snapshots import Manifest, PartHeader
from training.schedule import Drift, Tried, drift_counts, reason_by_drift, reason_to_train


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
    because = reason_to_train(
        one, served=served, tried=tried, now_s=1_000.0, interval_s=interval_s, min_users=5
    )
    return because is not None


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


def test_each_reason_names_itself() -> None:
    given = {"served": True, "now_s": 1_000.0, "min_users": 5}
    volume = reason_to_train(manifest(1_200), tried=Tried(1_000, 0.0), interval_s=None, **given)  # type: ignore[arg-type]
    age = reason_to_train(manifest(1_001), tried=Tried(1_000, 400.0), interval_s=600.0, **given)  # type: ignore[arg-type]
    assert volume == "volume: 200 events more than the 1000 tried last"
    assert age == "age: 600 s since the last training, and 1 events are new"


def test_drift_is_measured_only_after_200_events_and_counts_from_thirty_percent_on() -> None:
    tried = Tried(10_000, 0.0)
    assert not drift_counts(manifest(10_199), served=True, tried=tried)
    assert drift_counts(manifest(10_200), served=True, tried=tried)
    assert not drift_counts(manifest(10_200), served=False, tried=tried)
    assert reason_by_drift(Drift(100, 29)) is None
    assert reason_by_drift(Drift(19, 19)) is None
    assert "30 of 100 sampled users" in str(reason_by_drift(Drift(100, 30)))
