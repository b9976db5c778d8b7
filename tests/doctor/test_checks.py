"""Checks are made at once, told in order, and none hides another."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from bridge.core.errors import NeedsPerson, TryAgain
from bridge.doctor.checks import Check, Result, Word, examine, well

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 30.0  # seconds that no test takes
SLOW = "look whether it runs; if it is only slow, give it more: --timeout"


def check(about: str, *before: str, then: Callable[[], object] = lambda: None) -> Check:
    """Make a check that finds something well, and then does something else."""

    def look() -> Iterator[Result]:
        for each in before:
            yield well(each, "fine")
        then()

    return Check(about, look)


def fail(problem: Exception) -> Callable[[], object]:
    def raises() -> None:
        raise problem

    return raises


def lines(*checks: Check, patience: float = PATIENCE) -> list[str]:
    return [str(result) for result in examine(checks, patience)]


def test_results_come_in_the_order_of_the_checks() -> None:
    second_is_done = threading.Event()

    told = lines(check("a", then=second_is_done.wait), check("b", "b", then=second_is_done.set), check("c", "c1", "c2"))

    assert told == ["ok       b: fine", "ok       c1: fine", "ok       c2: fine"]


def test_an_error_is_a_problem_with_its_remedy_and_what_was_found_before_it_stays() -> None:
    told = lines(
        check("a", "a: access", then=fail(NeedsPerson("it is closed", "open it"))),
        check("b", then=fail(TryAgain("b is unwell"))),
        check("c", then=fail(ZeroDivisionError("1 / 0"))),
    )

    assert told == [
        "ok       a: access: fine",
        "problem  a: it is closed; open it",
        "problem  b: b is unwell; look whether it runs, and what is between it and this machine",
        "problem  c: unexpected ZeroDivisionError: 1 / 0; report it with the log of this run",
    ]


def test_what_hangs_is_a_problem_and_all_else_is_told() -> None:
    for_ever = threading.Event()

    told = lines(check("a", "a: access", then=for_ever.wait), check("b", "b"), patience=0.5)
    for_ever.set()

    assert told == [
        "ok       a: access: fine",
        f"problem  a: there was no answer within 0.5 s; {SLOW}",
        "ok       b: fine",
    ]


def test_only_a_problem_is_one() -> None:
    assert [Result("a", word, "said").is_problem for word in Word] == [False, True, False]
