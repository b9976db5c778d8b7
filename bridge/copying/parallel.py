"""Work on many things at a time."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from bridge.core.errors import BridgeError, NeedsPerson, TryAgain

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

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
) -> Generator[R]:
    """
    Yield what `work` returns for each item, as it comes; at most `parallel` at a time.

    Items are taken one by one. After an error nothing new begins, what runs is waited for, and the gravest error is
    raised: what nobody foresaw, then NeedsPerson, then TryAgain. When `halted` is set, or the caller is interrupted or
    stops listening, the event that `work` is given is set, and it is to end soon; whoever does not, since it waits for
    a network, is left to itself: TryAgain is raised within a second.
    """
    queue = _Queue(work, items)
    threads = [threading.Thread(target=queue.work, name=f"copy-{n}", daemon=True) for n in range(parallel)]
    try:
        for thread in threads:
            thread.start()
        running = parallel
        while running:
            if halted is not None and halted.is_set():
                queue.halt()
                _leave(threads)
                break
            result = queue.wait(LOOK)
            if result is _ENDED:
                running -= 1
            elif result is not None:
                yield result.value
    except BaseException:  # Ctrl-C, or nobody listens any more
        queue.halt()
        raise
    queue.raise_gravest()
    if queue.is_halted:
        raise stopped()


class _Result(NamedTuple, Generic[R]):
    value: R


_ENDED: _Result[Any] = _Result(None)  # a thread has


class _Queue(Generic[T, R]):
    """Items that threads take one by one, and what came of them."""

    def __init__(self, work: Callable[[T, threading.Event], R], items: Iterable[T]) -> None:
        self._work = work
        self._items = iter(items)
        self._turn = threading.Lock()  # one thread at a time takes an item
        self._halted = threading.Event()
        self._errors: list[BaseException] = []
        self._results: SimpleQueue[_Result[R]] = SimpleQueue()

    def work(self) -> None:
        """Work on items until there are no more, or there is an error, or all is to stop; then say so."""
        while self._work_on_one():
            pass
        self._results.put(_ENDED)

    def wait(self, seconds: float) -> _Result[R] | None:
        """Return the next result, _ENDED when a thread has ended; None if there is nothing for so long."""
        with suppress(Empty):
            return self._results.get(timeout=seconds)
        return None

    def halt(self) -> None:
        """Begin nothing new, and ask what runs to end."""
        self._halted.set()

    @property
    def is_halted(self) -> bool:
        """Whether all was told to stop."""
        return self._halted.is_set()

    def raise_gravest(self) -> None:
        """Raise the gravest error, if there is one."""
        if self._errors:
            raise min(self._errors, key=_rank)

    def _work_on_one(self) -> bool:
        """Work on the next item, if there is one; none is held on to while the next is waited for: it may be large."""
        taken = self._take()
        if taken is None:
            return False
        try:
            self._results.put(_Result(self._work(taken[0], self._halted)))
        except BaseException as error:  # noqa: BLE001  raised again by `raise_gravest`
            self._errors.append(error)
        return True

    def _take(self) -> tuple[T] | None:
        with self._turn:
            if self._errors or self._halted.is_set():
                return None
            try:
                return (next(self._items),)
            except StopIteration:
                return None
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
