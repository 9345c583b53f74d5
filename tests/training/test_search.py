"""What a search tries next."""

from dataclasses import replace

import pytest

from training.search import Parameters, Trial, als_space, best_of, suggest

SPACE = als_space(10_000, 10_000)
FIRST = {"rank": 64, "reg_param": 0.3, "alpha": 1.0, "max_iter": 10}


def judge(parameters: Parameters) -> Trial:
    """Return a known landscape: best at rank 32, reg_param 0.1, alpha 4."""
    value = 1.0 - abs(parameters["rank"] - 32) / 100
    value -= (parameters["reg_param"] - 0.1) ** 2 + abs(parameters["alpha"] - 4) / 50
    return Trial(dict(parameters), value, value, value, 1.0)


def search(trials: int, earlier: tuple[Trial, ...] = (), seed: int = 7) -> list[Trial]:
    made = list(earlier)
    while len(made) < trials:
        made.append(judge(suggest(SPACE, made, FIRST, seed)))
    return made


def test_a_search_that_was_broken_off_goes_on_as_it_would_have_gone() -> None:
    whole = search(12)
    assert search(12, tuple(search(7))) == whole
    assert search(12, seed=8) != whole


def test_a_search_begins_with_the_settings_and_ends_no_lower() -> None:
    trials = search(25)
    assert trials[0].parameters == FIRST
    best = best_of(trials)
    assert best is not None
    assert best.value > trials[0].value + 0.2
    assert len({tuple(one.parameters.values()) for one in trials}) == 25


def test_settings_outside_the_space_begin_at_its_edge_and_the_rank_ends_where_the_data_do() -> None:
    space = als_space(40, 48)
    assert suggest(space, [], FIRST, 1)["rank"] == 20
    tried = [replace(judge(suggest(space, [], FIRST, 1)), value=0.1)]
    for _ in range(10):
        tried.append(judge(suggest(space, tried, FIRST, 1)))
    assert all(8 <= one.parameters["rank"] <= 20 for one in tried)


def test_the_best_is_the_earliest_of_equals_and_never_one_that_failed() -> None:
    one = judge(FIRST)
    failed = replace(one, value=9.0, failed="singular")
    assert best_of([failed]) is None
    assert best_of([failed, one, replace(one, seconds=2.0)]) is one


@pytest.mark.parametrize("name", ["rank", "reg_param", "alpha", "max_iter"])
def test_a_parameter_that_is_given_is_not_searched(name: str) -> None:
    space = {key: value for key, value in SPACE.items() if key != name}
    one = Trial({key: value for key, value in FIRST.items() if key != name}, 0.1, 0.0, 0.2, 1.0)
    assert suggest(space, [one], FIRST, 1).keys() == space.keys()
