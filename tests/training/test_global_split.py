"""The global time split of one batch, without Spark."""

from recommender.encoding import EMPTY
from recommender.history import apply
from schemas.events import ImportedListens, Play
from tests.training.listeners import imported, play, user
from tests.training.test_validation import prepared
from training.global_split import split_batches_at

MOMENT_S = 1_700_000_000


def history(*events: Play | ImportedListens) -> bytes:
    found = EMPTY
    for event in events:
        found = apply(found, event)
    return found


def heard(track_id: int, after_s: int, share: float = 1.0) -> Play:
    return play(track_id, 1_000 * (MOMENT_S + after_s), heard=share)


def test_nothing_of_a_later_time_is_learned_from() -> None:
    """What was liked later is held out; what was skipped later says nothing; without a time it is old."""
    old = (heard(1, -9), heard(2, 0), heard(3, -5, 0.1), imported(6, 3))
    both = history(*old, heard(4, 7), heard(5, 8, 0.1))
    late = history(heard(1, 5), heard(2, 6))
    outer = prepared({user(1): both, user(2): late})
    [inner] = split_batches_at(iter([outer]), MOMENT_S)
    assert inner.schema == outer.schema
    first, second = inner.to_pylist()
    held_out = dict(zip(first["track_ids"], first["held_out"], strict=True))
    assert [track for track, held in held_out.items() if held] == [4]
    told = outer.to_pylist()[0]
    before = dict(zip(told["track_ids"], told["strengths"], strict=True))
    assert before[5] < 0
    assert dict(zip(first["track_ids"], first["strengths"], strict=True)) == before | {5: 0.0}
    assert second["held_out"] == [True, True]
