"""Work on many things at a time."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

from bridge.core.errors import BridgeError, NeedsPerson, TryAgain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")
R = TypeVar("R")

LOOK = 0.1  # seconds between two looks whether all is to stop
LEAVE = 0.5  # seconds that what runs is given to end by itself, then


def in_parallel(
    work: Callable[[T, threading.Event], R],
    items: Iterable[T],
    *,
    parallel: int,
    halted: threading.Event | None = None,
) -> list[R]:
    """
    Return what `work` returns for each item, in their order; at most `parallel` at a time.

    Items are taken one by one. After an error nothing new begins, what runs is waited for, and the gravest error is
    raised: what nobody foresaw, then NeedsPerson, then TryAgain. When `halted` is set, or the caller is interrupted,
    the event that `work` is given is set, and it is to end soon; whoever does not, since it waits for a network, is
    left to itself: TryAgain is raised within a second.
    """
    queue = _Queue(work, items)
    threads = [threading.Thread(target=queue.work, name=f"copy-{n}", daemon=True) for n in range(parallel)]
    try:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            for thread in threads:
                thread.join(LOOK)
                if halted is not None and halted.is_set():
                    queue.halt()
                    _leave(threads)
                    return queue.results()
    except BaseException:  # Ctrl-C
        queue.halt()
        raise
    return queue.results()


class _Queue(Generic[T, R]):
    """Items that threads take one by one, and what came of them."""

    def __init__(self, work: Callable[[T, threading.Event], R], items: Iterable[T]) -> None:
        self._work = work
        self._items = enumerate(items)
        self._turn = threading.Lock()  # one thread at a time takes an item
        self._halted = threading.Event()
        self._done: dict[int, R] = {}
        self._errors: list[BaseException] = []

    def work(self) -> None:
        """Work on items until there are no more, or there is an error, or all is to stop."""
        while (taken := self._take()) is not None:
            number, item = taken
            try:
                self._done[number] = self._work(item, self._halted)
            except BaseException as error:  # noqa: BLE001  raised again by `results`
                self._errors.append(error)

    def halt(self) -> None:
        """Begin nothing new, and ask what runs to end."""
        self._halted.set()

    def results(self) -> list[R]:
        """Return all results in order, or raise the gravest error; TryAgain if something is not done."""
        if self._errors:
            raise min(self._errors, key=_rank)
        if self._halted.is_set():
            raise stopped()
        return [self._done[number] for number in range(len(self._done))]

    def _take(self) -> tuple[int, T] | None:
        with self._turn:
            if self._errors or self._halted.is_set():
                return None
            try:
                return next(self._items, None)
            except BaseException as error:  # noqa: BLE001  the items' own
                self._errors.append(error)
                return None


def _leave(threads: list[threading.Thread]) -> None:
    """Give threads a moment to end, all together."""
    until = time.monotonic() + LEAVE
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))


def stopped() -> TryAgain:
    """Say that a copy was told to stop."""
    return TryAgain("the copy was stopped; it goes on where it was the next time")


def _rank(error: BaseException) -> int:
    if not isinstance(error, BridgeError):
        return 0
    return 1 if isinstance(error, NeedsPerson) else 2
