"""Work on many things at a time, within a budget of memory."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Generic, TypeVar

from bridge.core.errors import BridgeError, NeedsPerson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")
R = TypeVar("R")


def in_parallel(
    work: Callable[[T, threading.Event], R],
    items: Iterable[T],
    weigh: Callable[[T], int],
    *,
    parallel: int,
    budget: int,
) -> list[R]:
    """
    Return what `work` returns for each item, in their order; at most `parallel` at a time.

    The items at work weigh no more than `budget` together, unless one alone does: then it is alone. Items are
    taken one by one, as there is room. After an error nothing new begins, what runs is waited for, and the gravest
    error is raised: what nobody foresaw, then NeedsPerson, then TryAgain. When the caller is interrupted, the event
    that `work` is given is set, and `work` is to end soon. With `parallel` 1 all is done in the caller's thread.
    """
    queue = _Queue(work, items, weigh, budget)
    if parallel == 1:
        queue.work()
    else:
        with ThreadPoolExecutor(parallel, thread_name_prefix="copy") as pool:
            try:
                wait([pool.submit(queue.work) for _ in range(parallel)])
            except BaseException:  # Ctrl-C
                queue.halt()
                raise
    return queue.results()


class _Queue(Generic[T, R]):
    """Items that threads take one by one, and what came of them."""

    def __init__(
        self, work: Callable[[T, threading.Event], R], items: Iterable[T], weigh: Callable[[T], int], budget: int
    ) -> None:
        self._work = work
        self._items = enumerate(items)
        self._weigh = weigh
        self._budget = budget
        self._turn = threading.Lock()  # one thread at a time takes an item; it may wait for room with it
        self._room = threading.Condition()
        self._load = 0
        self._halted = threading.Event()
        self._done: dict[int, R] = {}
        self._errors: list[BaseException] = []

    def work(self) -> None:
        """Work on items until there are no more, or there is an error."""
        while (taken := self._take()) is not None:
            number, item, weight = taken
            try:
                self._done[number] = self._work(item, self._halted)
            except BaseException as error:  # noqa: BLE001  raised again by `results`
                self._errors.append(error)
            finally:
                with self._room:
                    self._load -= weight
                    self._room.notify()

    def halt(self) -> None:
        """Begin nothing new, and ask what runs to end."""
        self._halted.set()
        with self._room:
            self._room.notify_all()

    def results(self) -> list[R]:
        """Return all results in order, or raise the gravest error."""
        if self._errors:
            raise min(self._errors, key=_rank)
        return [self._done[number] for number in range(len(self._done))]

    def _take(self) -> tuple[int, T, int] | None:
        with self._turn:
            if self._ends():
                return None
            try:
                number, item = next(self._items)
            except StopIteration:
                return None
            except BaseException as error:  # noqa: BLE001  the items' own
                self._errors.append(error)
                return None
            weight = self._weigh(item)
            with self._room:
                self._room.wait_for(lambda: self._load + weight <= self._budget or not self._load or self._ends())
                if self._ends():
                    return None
                self._load += weight
            return number, item, weight

    def _ends(self) -> bool:
        return bool(self._errors) or self._halted.is_set()


def _rank(error: BaseException) -> int:
    if not isinstance(error, BridgeError):
        return 0
    return 1 if isinstance(error, NeedsPerson) else 2
