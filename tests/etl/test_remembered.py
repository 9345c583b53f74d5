"""Readers that remember give what they read, and forget in time."""

import pytest

from etl import remembered
from etl.remembered import Fault, Remembered


def test_a_cell_is_read_once_and_an_empty_one_never() -> None:
    read: list[str] = []
    values = Remembered[str, int](lambda cell: read.append(cell) or int(cell))
    assert list(map(values.__getitem__, ["1", "2", "", "1", ""])) == [1, 2, None, 1, None]
    assert read == ["1", "2"]
    assert not values.faulty


def test_a_fault_is_a_value_too() -> None:
    values = Remembered[str, int](int)
    [fault, again] = map(values.__getitem__, ["x", "x"])
    assert isinstance(fault, Fault)
    assert fault is again
    assert "invalid literal" in fault.kind
    assert values.faulty


@pytest.mark.parametrize(("limit", "value"), [("_ENTRIES", 3), ("_LETTERS", 30)])
def test_it_forgets_before_it_grows_too_large(
    monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(remembered, limit, value)
    values = Remembered[tuple[str, ...], str]("".join)
    for number in range(100):
        assert values["ab" * 4, str(number)] == "ab" * 4 + str(number)
        assert len(values) <= 3
