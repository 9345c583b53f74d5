"""A sieve finds every row that can be among the greatest, whatever the numbers; and not many others."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from recommender import sieve as module
from recommender.sieve import Sieve


def matrix(seed: int, n: int, rank: int, kind: str) -> NDArray[np.float32]:
    random = np.random.default_rng(seed)
    rows = random.normal(size=(n, rank))
    if kind == "skewed":  # a few long rows, as popular tracks have
        rows *= random.pareto(0.7, size=(n, 1))
    elif kind == "alike":
        rows = np.repeat(rows[:1], n, axis=0)
    elif kind == "sparse":
        rows *= random.random((n, rank)) < 0.1
    elif kind == "tiny":
        rows *= 1e-30
    return rows.astype(np.float32)


def found(sieve: Sieve, vectors: NDArray[np.float64], count: int, slack: float) -> list[set[int]]:
    with sieve.sift(vectors) as sifted:
        both = sifted.contenders(count, slack)
    return [set((both[both // sieve.n == at] % sieve.n).tolist()) for at in range(len(vectors))]


@settings(deadline=None, max_examples=150)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 700),
    rank=st.integers(1, 40),
    count=st.integers(1, 60),
    vectors=st.integers(1, 5),
    kind=st.sampled_from(["even", "skewed", "alike", "sparse", "tiny"]),
    tile=st.sampled_from([16, 64, 16_384]),
)
def test_no_row_that_can_be_among_the_greatest_is_missing(
    seed: int, n: int, rank: int, count: int, vectors: int, kind: str, tile: int
) -> None:
    rows = matrix(seed, n, rank, kind)
    given_vectors = np.random.default_rng(seed + 1).normal(size=(vectors, rank))
    products = rows.astype(np.float64) @ given_vectors.T
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_TILE", tile)
        sieve = Sieve(rows)

    for at, those in enumerate(found(sieve, given_vectors, count, 0.0)):
        order = np.argsort(-products[:, at], kind="stable")
        least = products[order[min(count, n) - 1], at]
        # what float64 itself cannot tell from the last of them is not asked for
        sure = np.flatnonzero(products[:, at] > least + 1e-9 * np.abs(products[:, at]).max())
        assert set(sure.tolist()) <= those
        assert len(those) >= min(count, n)


def test_few_rows_beside_the_greatest_are_found() -> None:
    rows = matrix(1, 100_000, 64, "even")
    vectors = np.random.default_rng(2).normal(size=(8, 64))

    for those in found(Sieve(rows), vectors, 200, 2e-6):
        assert 200 <= len(those) < 800


def test_a_vector_finds_the_same_alone_and_among_others() -> None:
    rows = matrix(3, 5_000, 24, "skewed")
    vectors = np.random.default_rng(4).normal(size=(32, 24))
    sieve = Sieve(rows)

    together = found(sieve, vectors, 50, 2e-6)

    assert together == [found(sieve, vectors[at : at + 1], 50, 2e-6)[0] for at in range(32)]


def test_what_is_excluded_is_not_found_and_makes_room_for_the_next() -> None:
    rows = matrix(5, 3_000, 16, "even")
    vectors = np.random.default_rng(6).normal(size=(2, 16))
    products = rows.astype(np.float64) @ vectors.T
    order = np.argsort(-products[:, 0])
    gone = order[:100]
    with Sieve(rows).sift(vectors) as sifted:
        sifted.exclude(np.zeros(100, np.int64), gone)
        assert not sifted.allowed(np.zeros(100, np.int64), gone).any()
        assert sifted.allowed(np.ones(100, np.int64), gone).all()
        first = set(sifted.contenders(40, 0.0, 0).tolist())
        second = set((sifted.contenders(40, 0.0, 1) - 3_000).tolist())

    assert not first & set(gone.tolist())
    assert set(order[100:140].tolist()) <= first
    assert set(np.argsort(-products[:, 1])[:40].tolist()) <= second


def test_all_that_is_allowed_is_found_where_fewer_are_left_than_wanted() -> None:
    rows = matrix(7, 40, 4, "even")
    with Sieve(rows).sift(np.ones((1, 4))) as sifted:
        sifted.exclude(np.zeros(30, np.int64), np.arange(30))
        assert sifted.contenders(20, 0.0).tolist() == list(range(30, 40))


def test_memory_is_used_again_and_vectors_of_two_callers_do_not_meet() -> None:
    rows = matrix(8, 2_000, 8, "even")
    vectors = np.random.default_rng(9).normal(size=(2, 8))
    sieve = Sieve(rows)
    with sieve.sift(vectors[:1]) as one, sieve.sift(vectors[1:]) as other:
        both = [one.contenders(10, 0.0).tolist(), other.contenders(10, 0.0).tolist()]

    assert both == [sorted(each) for each in found(sieve, vectors, 10, 0.0)]
