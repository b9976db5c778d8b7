"""What is asked again, how often, and what comes out in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import stamina

from bridge.net.insisting import insist, retry_after

if TYPE_CHECKING:
    from collections.abc import Callable


class Busy(Exception):
    pass


class Wrong(Exception):
    pass


def failing(*problems: Exception) -> tuple[Callable[[], str], list[str]]:
    """Return what raises one after the other and then answers, and a list that grows with each time it is asked."""
    left, asked = list(problems), []

    def ask() -> str:
        asked.append("?")
        if left:
            raise left.pop(0)
        return "fine"

    return ask, asked


def insisted(ask: Callable[[], str], wait_for: Callable[[Exception], bool | float], attempts: int = 3) -> str:
    return insist(ask, wait_for, attempts=attempts, patience=60, pause=0.0)


def is_busy(problem: Exception) -> bool:
    return isinstance(problem, Busy)


def test_an_answer_is_asked_for_once() -> None:
    ask, asked = failing()
    assert (insisted(ask, is_busy), len(asked)) == ("fine", 1)


def test_what_may_pass_is_asked_again() -> None:
    ask, asked = failing(Busy(), Busy())
    assert (insisted(ask, is_busy), len(asked)) == ("fine", 3)


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_the_last_of_so_many_attempts_says_why(attempts: int) -> None:
    problems = [Busy(number) for number in range(9)]
    ask, asked = failing(*problems)
    with stamina.set_testing(True, attempts=attempts), pytest.raises(Busy) as raised:
        insisted(ask, is_busy, attempts)
    assert (len(asked), raised.value) == (attempts, problems[attempts - 1])


@pytest.mark.parametrize("before", [0, 1])
def test_what_will_not_pass_is_raised_at_once(before: int) -> None:
    ask, asked = failing(*[Busy()] * before, Wrong(), Busy())
    with pytest.raises(Wrong):
        insisted(ask, is_busy)
    assert len(asked) == before + 1


def test_who_wants_to_be_asked_again_at_once_is() -> None:
    ask, asked = failing(Busy())
    assert (insisted(ask, lambda _: 0.0), len(asked)) == ("fine", 2)


def test_an_interrupt_is_no_failure() -> None:
    def ask() -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        insisted(ask, lambda _: True)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("7", 7.0), ("0", 0.0), ("", None), ("-1", None), ("1.5", None), ("٣", None), ("Wed, 21 Oct 2026", None)],
)
def test_how_long_to_wait_is_believed_in_whole_seconds(said: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": said}) == seconds
    assert retry_after({}) is None
