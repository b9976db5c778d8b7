"""Hints: looked at soon, once for many, and no look holds up who gives them."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from bridge.core.errors import TryAgain
from bridge.run.queue import CAUSE
from bridge.service.hints import MOST_NAMES, Hints

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT = 10


@dataclass
class Looks:
    """What was looked at; a look ends when `go` is set, and raises what is to go wrong next."""

    all: list[tuple[str, frozenset[str] | None]] = field(default_factory=list)
    begun: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)
    wrong: list[Exception] = field(default_factory=list)
    causes: list[str | None] = field(default_factory=list)

    def glance(self, connection: str, names: frozenset[str] | None) -> None:
        self.all.append((connection, names))
        self.causes.append(CAUSE.get())
        self.begun.set()
        assert self.go.wait(WAIT)
        if self.wrong:
            raise self.wrong.pop()


@pytest.fixture
def looks() -> Looks:
    return Looks()


@pytest.fixture
def hints(looks: Looks) -> Iterator[Hints]:
    made = Hints(["acme", "ml"], looks.glance)
    yield made
    looks.go.set()
    made.stop()


def test_what_is_given_during_a_look_is_looked_at_once_after_it(looks: Looks, hints: Hints) -> None:
    hints.start()
    first = hints.give("acme", "a")
    assert looks.begun.wait(WAIT)
    second = {hints.give("acme", name) for name in ("a", "b", "b", "a")}
    looks.go.set()

    assert hints.wait(WAIT)
    assert looks.all == [("acme", frozenset("a")), ("acme", frozenset("ab"))]
    assert looks.causes == [first, *second], "all that one look has taken up has its id"
    assert CAUSE.get() is None


def test_a_look_waits_until_it_may_ask_and_takes_up_what_comes_meanwhile(looks: Looks) -> None:
    asked, may_ask = threading.Event(), threading.Event()

    def pause(connection: str) -> float:
        assert connection == "acme"
        asked.set()
        return 0.0 if may_ask.is_set() else 0.01

    hints = Hints(["acme"], looks.glance, pause)
    hints.start()
    hints.give("acme", "a")
    assert asked.wait(WAIT)
    hints.give("acme", "b")
    assert looks.all == []

    may_ask.set()
    looks.go.set()
    assert hints.wait(WAIT)
    hints.stop()
    assert looks.all == [("acme", frozenset("ab"))]


def test_a_look_that_may_not_ask_ends_with_the_service(looks: Looks) -> None:
    hints = Hints(["acme"], looks.glance, lambda _: 3600.0)
    hints.start()
    hints.give("acme", "a")

    hints.stop()

    hints.threads[0].join(WAIT)
    assert (hints.threads[0].is_alive(), looks.all) == (False, [])


def test_one_connection_does_not_hold_up_another(looks: Looks, hints: Hints) -> None:
    hints.give("acme", "a")
    hints.give("ml", "m")
    hints.start()
    while len(looks.all) < 2:
        assert looks.begun.wait(WAIT)
    looks.go.set()

    assert hints.wait(WAIT)
    assert sorted(looks.all, key=str) == [("acme", frozenset("a")), ("ml", frozenset("m"))]


@pytest.mark.parametrize("names", [["a", None, "b"], [f"n{number}" for number in range(MOST_NAMES + 1)] + ["b"]])
def test_all_of_it_or_very_many_are_one_look_at_the_connection(
    looks: Looks, hints: Hints, names: list[str | None]
) -> None:
    for name in names:
        hints.give("acme", name)
    looks.go.set()
    hints.start()

    assert hints.wait(WAIT)
    assert looks.all == [("acme", None)]


def test_a_look_that_fails_is_told_of_and_the_next_is_made(
    looks: Looks, hints: Hints, caplog: pytest.LogCaptureFixture
) -> None:
    looks.go.set()
    hints.start()
    for problem in (TryAgain("W&B is unwell"), RuntimeError("a bug"), None):
        looks.wrong = [] if problem is None else [problem]
        hints.give("acme", "a")
        assert hints.wait(WAIT)

    assert looks.all == [("acme", frozenset("a"))] * 3
    assert [(record.levelno, record.message) for record in caplog.records if record.levelno > logging.INFO] == [
        (logging.WARNING, "a webhook of acme asked for a look, and the next sweep has to do: W&B is unwell"),
        (logging.ERROR, "unexpected error in a look at acme"),
    ]


def test_nothing_is_looked_at_after_the_end(looks: Looks, hints: Hints) -> None:
    looks.go.set()
    hints.start()
    hints.stop()
    for thread in hints.threads:
        thread.join(WAIT)
    hints.give("acme", "a")

    assert not any(thread.is_alive() for thread in hints.threads)
    assert looks.all == []
