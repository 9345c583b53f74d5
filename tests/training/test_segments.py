"""Segments of a judgement, worked by hand."""

import numpy as np

from training.judgement import Judged
from training.segments import segments, track_classes


def judged() -> Judged:
    """Six users; user u has u + 1 training items and hides item 9, user 5 hides item 8 as well."""
    rows = [[*range(user + 1), 9] for user in range(6)]
    rows[5].append(8)
    held = [[item >= 8 for item in row] for row in rows]
    flat = np.array([item for row in rows for item in row])
    return Judged(
        track_ids=np.arange(10),
        offsets=np.concatenate(([0], np.cumsum([len(row) for row in rows]))),
        items=flat,
        tracks=flat,
        values=np.ones(len(flat)),
        held_out=np.array([one for row in held for one in row]),
        first_s=np.zeros(len(flat), np.int64),
        timed=np.zeros(6, bool),
    )


LISTENERS = np.array([6, 5, 4, 3, 2, 1, 0, 0, 0, 1])


def test_half_of_the_interactions_are_the_head_and_tracks_without_listeners_are_cold() -> None:
    assert track_classes(LISTENERS).tolist() == [0, 0, 1, 1, 1, 1, 2, 2, 2, 1]


def test_listeners_are_light_and_heavy_by_thirds_of_their_training_interactions() -> None:
    found = {part.name: part for part in segments(judged(), LISTENERS)}
    assert found["light listeners"].users.tolist() == [0, 1]
    assert found["heavy listeners"].users.tolist() == [4, 5]
    assert found["heavy listeners"].relevant == [{9}, {8, 9}]
    assert found["light listeners"].rule == "at most 2 tracks in training"


def test_in_a_segment_of_tracks_only_its_own_count_and_empty_segments_are_left_out() -> None:
    found = {part.name: part for part in segments(judged(), LISTENERS)}
    assert "head tracks" not in found
    assert found["cold tracks"].users.tolist() == [5]
    assert found["cold tracks"].relevant == [{8}]
    assert found["tail tracks"].users.tolist() == [0, 1, 2, 3, 4, 5]
    assert found["tail tracks"].held_out == 6
