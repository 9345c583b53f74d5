"""Our metrics against trec_eval, the reference of the field, through ir-measures."""

import ir_measures
import numpy as np
import pytest
from ir_measures import AP, RR, R, ScoredDoc, nDCG

from recommender.metrics import average_precision_at_k, ndcg_at_k, recall_at_k, reciprocal_rank

USERS, ITEMS, LENGTH = 300, 60, 20
Lists = list[list[int]]


@pytest.fixture(scope="module")
def lists() -> tuple[Lists, list[set[int]]]:
    """Return random lists, some short, and what is relevant: one to thirty items."""
    random = np.random.default_rng(11)
    ranked = [
        random.choice(ITEMS, LENGTH if user % 5 else int(random.integers(1, LENGTH)), replace=False).tolist()
        for user in range(USERS)
    ]
    relevant = [set(random.choice(ITEMS, 1 + user % 30, replace=False).tolist()) for user in range(USERS)]
    return ranked, relevant


@pytest.fixture(scope="module")
def independent(lists: tuple[Lists, list[set[int]]]) -> dict[str, list[float]]:
    """Return the same metrics of each user as trec_eval counts them."""
    ranked, relevant = lists
    qrels = {str(user): {str(item): 1 for item in wanted} for user, wanted in enumerate(relevant)}
    run = [
        ScoredDoc(str(user), str(item), float(LENGTH - place))
        for user, row in enumerate(ranked)
        for place, item in enumerate(row)
    ]
    wanted = [nDCG @ 10, R @ 20, AP @ 10, RR]
    found: dict[str, dict[str, float]] = {str(measure): {} for measure in wanted}
    for one in ir_measures.iter_calc(wanted, qrels, run):
        found[str(one.measure)][one.query_id] = one.value
    return {name: [values[str(user)] for user in range(USERS)] for name, values in found.items()}


def test_ndcg_recall_and_reciprocal_rank_equal_those_of_trec_eval(
    lists: tuple[Lists, list[set[int]]], independent: dict[str, list[float]]
) -> None:
    pairs = list(zip(*lists, strict=True))
    ours = {
        "nDCG@10": [ndcg_at_k(row, wanted, 10) for row, wanted in pairs],
        "R@20": [recall_at_k(row, wanted, 20) for row, wanted in pairs],
        "RR": [reciprocal_rank(row, wanted) for row, wanted in pairs],
    }
    for name, values in ours.items():
        assert 0 < np.mean(values) < 1
        np.testing.assert_allclose(values, independent[name], atol=1e-9, err_msg=name)


def test_average_precision_is_trec_evals_but_for_a_divisor_of_at_most_ten(
    lists: tuple[Lists, list[set[int]]], independent: dict[str, list[float]]
) -> None:
    # trec_eval divides by all relevant items, ours by those that ten places can hold
    for row, wanted, theirs in zip(*lists, independent["AP@10"], strict=True):
        scaled = theirs * len(wanted) / min(10, len(wanted))
        assert average_precision_at_k(row, wanted, 10) == pytest.approx(scaled, abs=1e-9)
