"""Asking again, after a pause, what may be answered the next time."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import stamina

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")

UNWELL = (408, 429, 500, 502, 503, 504)  # answers that may be others the next time


def insist(
    ask: Callable[[], T], wait_for: Callable[[Exception], bool | float], *, attempts: int, patience: float, pause: float
) -> T:
    """
    Return what `ask` returns, asked up to `attempts` times in `patience` seconds; raises what it raised last.

    `wait_for` tells of an error whether to ask again, or after how many seconds; else that is `pause`, growing.
    """
    known: list[Exception] = []
    try:
        return ask()  # before stamina, whose machinery costs as much as a request does
    except Exception as problem:
        if wait_for(problem) is False:  # 0.0 is "at once"
            raise
        known.append(problem)
    for attempt in stamina.retry_context(on=wait_for, attempts=attempts, timeout=patience, wait_initial=pause):
        with attempt:
            if known:
                raise known.pop()
            return ask()
    raise AssertionError  # the last attempt returns or raises


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return how many seconds a server wants to be left alone, if it says so in seconds."""
    value = headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdigit() else None
