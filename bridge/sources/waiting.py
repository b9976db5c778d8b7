"""Calls that may not come back in time."""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, TypeVar

from bridge.core.errors import TryAgain

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def within(seconds: float, work: Callable[[], T], what: str) -> T:
    """
    Return what `work` returns, or raise what it raises; TryAgain if that takes more than `seconds`.

    Nothing can stop it then: its thread is left to end by itself, and does not keep the process from ending.
    """
    ended: SimpleQueue[tuple[T, None] | tuple[None, BaseException]] = SimpleQueue()

    def run() -> None:
        try:
            ended.put((work(), None))
        except BaseException as problem:  # noqa: BLE001  it is raised where the answer is waited for
            ended.put((None, problem))

    threading.Thread(target=run, name=f"within-{seconds:g}s", daemon=True).start()
    try:
        answer, problem = ended.get(timeout=seconds)
    except Empty:
        raise TryAgain(f"{what} was not there within {seconds:g} s") from None
    if problem is not None:
        raise problem
    return answer  # type: ignore[return-value]  # T may itself be None
