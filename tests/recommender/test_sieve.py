"""A sieve finds every row that can be among the greatest, whatever the numbers; and not many others."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from recommender import sieve as module
from recommender import tiles
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
    elif kind == "zero":
        rows *= 0.0
    return rows.astype(np.float32)


def found(sieve: Sieve, vectors: NDArray[np.float64], count: int, slack: float) -> list[set[int]]:
    both = sieve.contenders(vectors, count, slack)
    return [set((both[both // sieve.n == at] % sieve.n).tolist()) for at in range(len(vectors))]


@settings(deadline=None, max_examples=200)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 700),
    rank=st.integers(1, 40),
    count=st.integers(1, 60),
    vectors=st.integers(1, 5),
    kind=st.sampled_from(["even", "skewed", "alike", "sparse", "tiny", "zero"]),
    tile=st.sampled_from([16, 64, 8_176]),
    sample=st.sampled_from([8, 64, 8_192]),
    looked_at=st.sampled_from([1, 2**18]),
    gone=st.integers(0, 900),
    slack=st.sampled_from([0.0, 1e-3]),
)
def test_no_row_that_can_be_among_the_greatest_is_missing(
    seed: int,
    n: int,
    rank: int,
    count: int,
    vectors: int,
    kind: str,
    tile: int,
    sample: int,
    looked_at: int,
    gone: int,
    slack: float,
) -> None:
    rows = matrix(seed, n, rank, kind)
    random = np.random.default_rng(seed + 1)
    given_vectors = random.normal(size=(vectors, rank)) * (random.random((vectors, 1)) < 0.9)
    excluded = random.integers(0, vectors, gone), random.integers(0, n, gone)
    products = rows.astype(np.float64) @ given_vectors.T
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_TILE", tile)
        patch.setattr(module, "_SAMPLED", 1)
        patch.setattr(module, "_SAMPLE", sample)
        patch.setattr(tiles, "LOOKED_AT", looked_at)
        both = Sieve(rows).contenders(given_vectors, count, slack, excluded)

    greatest = np.abs(products).max(axis=0)
    products[excluded[1], excluded[0]] = -np.inf
    for at in range(vectors):
        those = set((both[both // n == at] % n).tolist())
        allowed = np.flatnonzero(products[:, at] > -np.inf)
        order = np.argsort(-products[:, at], kind="stable")
        least = products[order[min(count, len(allowed)) - 1], at] if len(allowed) else np.inf
        # what float64 itself cannot tell from the last of them is not asked for
        sure = np.flatnonzero(products[:, at] > least - slack + 1e-9 * (greatest[at] + slack))
        assert set(sure.tolist()) <= those <= set(allowed.tolist())
        assert len(those) >= min(count, len(allowed))


def test_few_rows_beside_the_greatest_are_found() -> None:
    rows = matrix(1, 100_000, 64, "even")
    vectors = np.random.default_rng(2).normal(size=(8, 64))

    for those in found(Sieve(rows), vectors, 200, 2e-6):
        assert 200 <= len(those) < 800


def test_a_vector_finds_the_same_alone_and_among_others() -> None:
    """One alone looks at many tiles together, 32 at one after the other."""
    rows = matrix(3, 60_000, 24, "skewed")
    random = np.random.default_rng(4)
    vectors, gone = random.normal(size=(32, 24)), random.integers(0, [[32], [60_000]], (2, 4_000))
    sieve = Sieve(rows)

    together = sieve.contenders(vectors, 50, 2e-6, (gone[0], gone[1]))

    for at in range(32):
        its = gone[1][gone[0] == at]
        alone = sieve.contenders(vectors[at : at + 1], 50, 2e-6, (np.zeros(len(its), np.int64), its))
        assert together[together // sieve.n == at].tolist() == (alone + at * sieve.n).tolist()


def test_what_is_excluded_is_not_found_and_makes_room_for_the_next() -> None:
    rows = matrix(5, 30_000, 16, "even")
    vectors = np.random.default_rng(6).normal(size=(2, 16))
    products = rows.astype(np.float64) @ vectors.T
    order = np.argsort(-products[:, 0])
    gone = order[:100]

    both = Sieve(rows).contenders(vectors, 40, 0.0, (np.zeros(100, np.int64), gone))

    first, second = set(both[both < 30_000].tolist()), set((both[both >= 30_000] - 30_000).tolist())
    assert not first & set(gone.tolist())
    assert set(order[100:140].tolist()) <= first
    assert set(np.argsort(-products[:, 1])[:40].tolist()) <= second


def test_all_that_is_allowed_is_found_where_fewer_are_left_than_wanted() -> None:
    rows = matrix(7, 40, 4, "even")

    left = Sieve(rows).contenders(np.ones((1, 4)), 20, 0.0, (np.zeros(30, np.int64), np.arange(30)))

    assert left.tolist() == list(range(30, 40))


@pytest.mark.parametrize("sigmas", [-50.0, 3.0, 50.0])
def test_a_bad_guess_changes_nothing(monkeypatch: pytest.MonkeyPatch, sigmas: float) -> None:
    """One that is too high is made good, for the vectors that it misled, one too low takes only time."""
    rows = matrix(8, 20_000, 16, "skewed")
    vectors = np.random.default_rng(9).normal(size=(7, 16))
    gone = np.random.default_rng(10).integers(0, [[7], [20_000]], (2, 300))
    sieve = Sieve(rows)
    good = sieve.contenders(vectors, 150, 2e-6, (gone[0], gone[1]))

    monkeypatch.setattr(module, "_SURE", sigmas)
    guessed = sieve.contenders(vectors, 150, 2e-6, (gone[0], gone[1]))

    assert guessed.tolist() == good.tolist()
    assert (np.bincount(good // sieve.n) >= 150).all()


def test_a_guess_that_misleads_single_vectors_is_made_good_for_these(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = matrix(11, 20_000, 16, "even")
    vectors = np.random.default_rng(12).normal(size=(5, 16))
    sieve = Sieve(rows)
    good = sieve.contenders(vectors, 60, 0.0)
    likely = sieve._guess

    def too_high_for_two(*given: object) -> NDArray[np.float64]:
        guess = likely(*given)  # type: ignore[arg-type]
        guess[[1, 3]] = np.inf
        return guess

    monkeypatch.setattr(sieve, "_guess", too_high_for_two)

    assert sieve.contenders(vectors, 60, 0.0).tolist() == good.tolist()


def test_memory_is_used_again_and_callers_do_not_share_it() -> None:
    rows = matrix(8, 20_000, 8, "even")
    vectors = np.random.default_rng(9).normal(size=(64, 8))
    lots = [vectors[at : at + size] for at, size in ((at, 1 + at % 3) for at in range(60))]
    sieve = Sieve(rows)
    alone = [sieve.contenders(lot, 10, 0.0).tolist() for lot in lots]

    with ThreadPoolExecutor(4) as callers:
        together = list(callers.map(lambda lot: sieve.contenders(lot, 10, 0.0).tolist(), lots))

    assert together == alone
