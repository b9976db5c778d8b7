"""A bug that cannot be planted any more shows nothing; whether it is found takes minutes: `make mutants`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants.bugs import BUGS, Bug

HOUSE = Path(__file__).parents[2]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.what)
def test_a_bug_can_be_planted_and_what_comes_of_it_is_python(bug: Bug) -> None:
    text = (HOUSE / bug.file).read_text()
    compile(bug.planted(text), bug.file, "exec")


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.what)
def test_the_tests_that_must_find_it_exist(bug: Bug) -> None:
    assert bug.tests
    for test in bug.tests:
        file, _, name = test.partition("::")
        text = (HOUSE / file).read_text()
        function = name.partition("::")[0].partition("[")[0].removeprefix("Test")
        assert not name or function in text


def test_a_text_that_has_moved_on_is_told() -> None:
    with pytest.raises(ValueError, match="has the text of 'a bug' 0 times, not once"):
        Bug("P1", "a bug", "bridge/app.py", "x", "y", ("tests",)).planted("z")


def test_every_promise_has_a_bug() -> None:
    assert {f"P{number}" for number in range(1, 12)} == {bug.promise for bug in BUGS}
