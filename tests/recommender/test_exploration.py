"""Draws: what they say of their own probability is how often they come."""

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from recommender.encoding import History
from recommender.exploration import Numbers, Weights, draw, falling_weights, picked, uniform_weights
from recommender.ranking import Catalogue, Charts, RankingConfig, rank
from recommender.selection import Selection
from schemas.recommendations import Item
from tests.recommender.ranked import catalogue, charts, listened, made, request

LEAST_P = 1e-3
Outcome = tuple[int, ...]


def fits(counts: Counter[Outcome], probability: dict[Outcome, float], tries: int) -> bool:
    """Say whether a chi-square test finds nothing against these probabilities; rare ones are put together."""
    rare = [outcome for outcome, p in probability.items() if p * tries < 5]
    cells = [(counts[outcome], p * tries) for outcome, p in probability.items() if p * tries >= 5]
    if rare:
        cells.append((sum(counts[o] for o in rare), tries * sum(probability[o] for o in rare)))
    statistic = sum((seen - expected) ** 2 / expected for seen, expected in cells)
    return bool(chi2.sf(statistic, max(1, len(cells) - 1)) > LEAST_P)


def drawn_often(
    make: Callable[[int], tuple[Sequence[int], Sequence[float]]], tries: int
) -> tuple[Counter[Outcome], dict[Outcome, float]]:
    """Return how often each outcome came, and its probability: the product of its propensities."""
    counts: Counter[Outcome] = Counter()
    probability: dict[Outcome, float] = {}
    for seed in range(tries):
        outcome, propensities = make(seed)
        counts[tuple(outcome)] += 1
        said = probability.setdefault(tuple(outcome), float(np.prod(propensities)))
        assert said == pytest.approx(float(np.prod(propensities)), rel=1e-12)
    return counts, probability


@pytest.mark.parametrize(
    ("weights", "cap"),
    [(uniform_weights(7), 9), (uniform_weights(7), 1), (falling_weights(7), 9), (falling_weights(7), 1)],
    ids=["uniform", "uniform, one per artist", "falling", "falling, one per artist"],
)
def test_what_is_drawn_comes_as_often_as_its_propensity_says(weights: Weights, cap: int) -> None:
    rows, artists = list(range(10, 17)), [1, 1, 2, 3, 3, 3, 4]

    def make(seed: int) -> tuple[Sequence[int], Sequence[float]]:
        selection = Selection(20, cap, {16})
        found = draw(selection, rows, artists, weights, Numbers("u", seed, None), 3)
        return list(found), list(found.values())

    counts, probability = drawn_often(make, 6000)

    assert all(16 not in outcome for outcome in counts)
    assert fits(counts, probability, 6000)
    assert sum(probability.values()) == pytest.approx(1.0)  # every outcome was seen


def test_the_propensities_of_all_candidates_of_a_draw_add_up_to_one() -> None:
    rows, artists, weights = list(range(30)), [at % 4 for at in range(30)], falling_weights(30)
    said: dict[int, float] = {}
    for seed in range(3000):
        [(row, propensity)] = draw(
            Selection(9, 2, {3, 4, 5}), rows, artists, weights, Numbers("u", seed, "m"), 1
        ).items()
        assert said.setdefault(row, propensity) == propensity

    assert sorted(said) == [row for row in range(30) if row not in (3, 4, 5)]
    assert sum(said.values()) == pytest.approx(1.0)
    assert said[0] / said[20] == pytest.approx(2.0, rel=1e-4)


@given(st.integers(0, 2**32), st.integers(1, 200), st.data())
def test_one_candidate_among_many_that_are_barred_is_found_with_certainty(
    seed: int, count: int, data: st.DataObject
) -> None:
    only = data.draw(st.integers(0, count - 1))
    barred = set(range(count)) - {only}

    found = draw(
        Selection(5, 5, barred),
        range(count),
        range(count),
        uniform_weights(count),
        Numbers("u", seed, None),
        3,
    )

    assert found == {only: 1.0}


def test_nothing_is_drawn_from_nothing() -> None:
    numbers = Numbers("u", 1, None)

    assert draw(Selection(5, 5), [], [], uniform_weights(0), numbers, 3) == {}
    assert draw(Selection(5, 5, {1}), [1], [1], uniform_weights(1), numbers, 3) == {}
    assert draw(Selection(0, 5), [1], [1], uniform_weights(1), numbers, 3) == {}


def test_numbers_follow_user_offset_and_model_and_never_come_twice() -> None:
    given = [("u", 1, None), ("u", 1, "m"), ("u", 2, None), ("v", 1, None)]
    streams = [[Numbers(*seed).one() for _ in range(1)] for seed in given]
    one = Numbers("u", 1, None)

    assert len({stream[0] for stream in streams}) == len(given)
    assert len({one.one() for _ in range(100)} | set(one.many(100).tolist())) == 200
    assert Numbers("u", 1, None).one() == 10_150_424_740_308_240_600
    assert Numbers("u", 1, None).many(1).tolist() == [16_339_692_622_199_881_335]


def test_picks_reach_every_row() -> None:
    rows = np.arange(5, 905)

    assert set(picked(rows, Numbers("u", 1, None))) == set(rows.tolist())


def test_draws_of_a_list_without_a_model_come_as_often_as_they_say() -> None:
    tracks = Catalogue("c", np.arange(1, 7), np.array([1, 1, 2, 2, 3, 4]))
    config = RankingConfig(length=3, artist_cap=1)

    def make(seed: int) -> tuple[Sequence[int], Sequence[float]]:
        of = request(History.empty(), offset=seed, last=6)
        [page] = rank([of], None, tracks, charts((3, 5)), config)
        assert page.items[0].track_id == 3
        assert page.items[0].propensity is None
        return [item.track_id for item in page.items[1:]], [item.propensity or 0 for item in page.items[1:]]

    counts, probability = drawn_often(make, 1500)

    assert sum(probability.values()) == pytest.approx(1.0)
    assert fits(counts, probability, 1500)


def test_discoveries_in_a_list_and_in_the_rail_come_as_often_as_they_say() -> None:
    model, tracks = made(5, 60), catalogue(60, artists=30)
    config = RankingConfig(length=10, discovery_share=0.1, pool=30, discovery_pool=6, rail_length=4)
    in_list: Counter[Outcome] = Counter()
    of_list: dict[Outcome, float] = {}
    firsts: list[Item] = []
    for offset in range(1500):
        [page] = rank([request(listened(3, 9), offset=offset)], model, tracks, Charts.empty(), config)
        [drawn] = [item for item in page.items if item.propensity is not None]
        in_list[(drawn.track_id,)] += 1
        of_list[(drawn.track_id,)] = drawn.propensity or 0
        firsts.append(page.rails[-1].items[0])

    assert sum(of_list.values()) == pytest.approx(1.0)
    assert fits(in_list, of_list, 1500)
    # weighed by 1 / propensity, what came first counts the six candidates: here those that any list left over
    weighed = np.array([1 / (item.propensity or 1) for item in firsts])
    assert abs(weighed.mean() - 6) < 4 * weighed.std() / np.sqrt(1500)


def test_a_draw_that_is_not_taken_up_costs_no_second_number() -> None:
    first, second = Numbers("u", 1, None), Numbers("u", 1, None)

    draw(Selection(9, 9), range(9), range(9), uniform_weights(9), first, 2)

    assert [second.one() for _ in range(3)][-1] == first.one()
    assert list(islice(picked(np.arange(3), first), 2)) == list(islice(picked(np.arange(3), second), 2))
