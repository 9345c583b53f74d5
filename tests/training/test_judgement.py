"""Ranking of judged users over the full catalogue."""

import numpy as np

from recommender.model import Model
from training.evaluation import Contest, user_metrics
from training.interactions import Ids
from training.judgement import Judged, model_scores, popularity_scores, ranked

TRACKS = np.array([10, 20, 30, 40], np.int64)


def judged() -> Judged:
    """Two users; user 0 trained on 10 and hides 30, user 1 trained on 20 and hides 40."""
    return Judged(
        track_ids=TRACKS,
        offsets=np.array([0, 2, 4]),
        items=np.array([0, 2, 1, 3]),
        tracks=np.array([10, 30, 20, 40]),
        values=np.ones(4),
        held_out=np.array([False, True, False, True]),
        first_s=np.array([100, 200, 100, 300]),
        timed=np.array([True, True]),
    )


def checkerboard() -> Model:
    """Odd and even tracks on two axes: the answer is known in advance."""
    rows = np.array([[1, 0], [0, 1], [1, 0], [0, 1]], np.float32)
    return Model.build("m", TRACKS, rows, np.ones(4, bool), np.ones(4, np.float32), 0.1, 1.0)


def ids(listeners: list[int]) -> Ids:
    users = np.array([b"u1", b"u2"])
    return Ids(users, TRACKS, np.array(listeners), np.array(listeners))


def test_a_catalogue_has_tracks_that_nobody_has_met() -> None:
    found = ids([5, 9, 1, 2]).with_tracks(np.array([5, 20, 35]))
    assert found.track_ids.tolist() == [5, 10, 20, 30, 35, 40]
    assert found.listeners.tolist() == found.training_listeners.tolist() == [0, 5, 9, 1, 0, 2]


def test_a_checkerboard_is_solved_and_training_items_are_left_out() -> None:
    lists = ranked(model_scores(checkerboard(), judged()), judged())
    assert lists[0, 0] == 2
    assert lists[1, 0] == 3
    assert 0 not in lists[0]
    assert 1 not in lists[1]
    assert (lists[:, 3:] == -1).all()


def test_popularity_ranks_by_listeners_and_ties_by_track() -> None:
    lists = ranked(popularity_scores(np.array([5, 9, 1, 1])), judged())
    assert lists[0, :3].tolist() == [1, 2, 3]
    assert lists[1, :3].tolist() == [0, 2, 3]


def test_the_contest_counts_the_hits_of_both() -> None:
    contest = Contest.between(checkerboard(), judged(), ids([5, 9, 1, 1]), seed=1)
    assert contest.model["ndcg_at_10"].tolist() == [1.0, 1.0]
    np.testing.assert_allclose(contest.popular["ndcg_at_10"], [1 / np.log2(3), 0.5])
    assert contest.as_dict()["split"] == {"kind": "time", "users": 2, "tracks": 4, "held_out": 2}


def test_a_model_that_knows_nothing_of_a_user_has_no_hit() -> None:
    rows = np.ones((2, 2), np.float32)
    stranger = Model.build("m", TRACKS[2:], rows, np.ones(2, bool), np.ones(2, np.float32), 0.1, 1.0)
    lists = ranked(model_scores(stranger, judged()), judged())
    assert (lists == -1).all()
    assert user_metrics(lists, judged().relevant)["ndcg_at_10"].tolist() == [0.0, 0.0]


def test_only_users_whose_held_out_events_are_newer_are_compared_with_the_served_model() -> None:
    contest = Contest.between(checkerboard(), judged(), ids([1, 1, 1, 1]), seed=1)
    found = contest.against(contest.lists, 200.0)
    assert found is not None
    assert found["users"] == 1
    assert found["difference"]["value"] == 0.0
    assert contest.against(contest.lists, 300.0) is None
