"""Many checks at once; none hides another."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from enum import StrEnum
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from bridge.core.errors import BridgeError, NeedsPerson
from bridge.reconcile.failing import known

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence


class Word(StrEnum):
    """How something is."""

    OK = "ok"
    PROBLEM = "problem"
    UNKNOWN = "unknown"  # it cannot be told, and may be well


@dataclass(frozen=True, slots=True)
class Result:
    """What came of looking at one thing."""

    about: str  # "connection acme: access"
    word: Word
    said: str  # a clause: what was seen, or what is wrong
    remedy: str = ""  # what to do, unless it is well

    @property
    def is_problem(self) -> bool:
        """Whether somebody has to do something."""
        return self.word is Word.PROBLEM

    def __str__(self) -> str:
        return f"{self.word:8} {self.about}: {self.said}{f'; {self.remedy}' if self.remedy else ''}"


@dataclass(frozen=True, slots=True)
class Check:
    """Something to look at; `look` yields results, and what it raises is one more."""

    about: str
    look: Callable[[], Iterable[Result]]


def well(about: str, said: str) -> Result:
    """Say that all is as it should be."""
    return Result(about, Word.OK, said)


def trouble(about: str, problem: Exception) -> Result:
    """Say what an error is, and what mends it."""
    error: BridgeError = known(problem, about)
    if isinstance(error, NeedsPerson):
        return Result(about, Word.PROBLEM, error.reason, error.remedy)
    return Result(about, Word.PROBLEM, str(error), "look whether it runs, and what is between it and this machine")


def examine(checks: Sequence[Check], patience: float) -> Iterator[Result]:
    """
    Make all checks at the same time; yield what comes of them in the order of `checks`, as soon as it is known.

    One that is not done `patience` seconds after the beginning is a problem. Nothing can stop it then: its thread is
    left to end by itself, and does not keep the process from ending.
    """
    until = time.monotonic() + patience
    started = [(check, _started(check)) for check in checks]
    for check, results in started:
        try:
            while (result := results.get(timeout=max(0.0, until - time.monotonic()))) is not None:
                yield result
        except Empty:
            said = f"there was no answer within {patience:g} s"
            yield Result(
                check.about, Word.PROBLEM, said, "look whether it runs; if it is only slow, give it more: --timeout"
            )


def _started(check: Check) -> SimpleQueue[Result | None]:
    results: SimpleQueue[Result | None] = SimpleQueue()

    def run() -> None:
        try:
            for result in check.look():
                results.put(result)
        except Exception as problem:  # noqa: BLE001  one check's trouble, or bug, does not hide another
            results.put(trouble(check.about, problem))
        results.put(None)

    threading.Thread(target=run, name=f"check of {check.about}", daemon=True).start()
    return results
