"""Each mutation still finds the guard that it takes away: ``make mutations`` itself runs for half an hour."""

import pytest

from tests.faults.mutations import MUTATIONS, ROOT, Mutation


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.name)
def test_each_text_that_a_mutation_replaces_stands_in_its_file_once(mutation: Mutation) -> None:
    found = {(edit.file, edit.old): (ROOT / edit.file).read_text().count(edit.old) for edit in mutation.edits}

    assert set(found.values()) == {1}, found


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.name)
def test_each_mutation_names_tests_that_are_there(mutation: Mutation) -> None:
    for test in mutation.tests:
        path, _, name = test.partition("::")
        assert name in (ROOT / path).read_text(), test
