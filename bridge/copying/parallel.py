"""Work on many things at a time."""

from __future__ import annotations

import contextvars
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from bridge.core.errors import BridgeError, NeedsPerson, TryAgain

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

T = TypeVar("T")
R = TypeVar("R")

LOOK = 0.1  # seconds between two looks whether all is to stop
MANY = 64  # results that are worth waking who wants them: each time costs as much as a tenth of a small file
LEAVE = 0.5  # seconds that what runs is given to end by itself, then


def in_parallel(
    work: Callable[[T, threading.Event], R],
    items: Iterable[T],
    *,
    parallel: Callable[[], int],
    halted: threading.Event | None = None,
) -> Generator[R]:
    """
    Yield what `work` returns for each item, soon after it has come; at most `parallel()` at a time, at least one.

    That may change meanwhile: threads are begun, and end, as it says. Items are taken one by one. After an error
    nothing new begins, what runs is waited for, and the gravest error is raised: what nobody foresaw, then
    NeedsPerson, then TryAgain. When `halted` is set, or the caller is interrupted or stops listening, the event that
    `work` is given is set, and it is to end soon; whoever does not, since it waits for a network, is left to itself:
    TryAgain is raised within a second.
    """
    crew = _Crew(work, items, parallel)
    try:
        crew.start()
        while not crew.wait(LOOK):
            if halted is not None and halted.is_set():
                crew.halt()
                crew.leave()
                break
            yield from crew.results()
        yield from crew.results()
    except BaseException:  # Ctrl-C, or nobody listens any more
        crew.halt()
        raise
    crew.raise_gravest()
    if crew.is_halted:
        raise stopped()


class _Crew(Generic[T, R]):
    """Threads that take items one by one, and what came of those."""

    def __init__(
        self, work: Callable[[T, threading.Event], R], items: Iterable[T], parallel: Callable[[], int]
    ) -> None:
        self._work = work
        self._items = iter(items)
        self._parallel = parallel
        self._turn = threading.Lock()  # one thread at a time takes an item, begins another, or ends
        self._threads: set[threading.Thread] = set()  # those at work: a version may need many, one after the other
        self._begun = 0  # in all
        self._over = False  # there are no more items
        self._halted = threading.Event()
        self._errors: list[BaseException] = []
        self._results: deque[R] = deque()
        self._news = threading.Event()  # there are many results, or nobody is at work any more

    def start(self) -> None:
        """Begin, with as many threads as there may be."""
        with self._turn:
            self._grow(self._parallel())

    def wait(self, seconds: float) -> bool:
        """Wait so long, less if many results have come; tell whether nobody is at work any more."""
        self._news.wait(seconds)
        self._news.clear()
        # Without a turn, which a thread keeps while it waits for the next item.
        return not any(thread.is_alive() for thread in tuple(self._threads))

    def results(self) -> Iterator[R]:
        """Hand over the results that are there."""
        while self._results:
            yield self._results.popleft()

    def halt(self) -> None:
        """Begin nothing new, and ask what runs to end."""
        self._halted.set()

    @property
    def is_halted(self) -> bool:
        """Whether all was told to stop."""
        return self._halted.is_set()

    def leave(self) -> None:
        """Give threads a moment to end, all together."""
        until = time.monotonic() + LEAVE
        for thread in tuple(self._threads):
            thread.join(max(0.0, until - time.monotonic()))

    def raise_gravest(self) -> None:
        """Raise the gravest error, if there is one; that a thread is gone, and its item with it, is one."""
        if lost := sorted(thread.name for thread in tuple(self._threads) if not thread.is_alive()):
            self._errors.append(RuntimeError(f"{', '.join(lost)} ended in the middle of what was to be done"))
        if self._errors:
            raise min(self._errors, key=_rank)

    def _grow(self, parallel: int) -> None:
        while len(self._threads) < max(1, parallel):
            context = contextvars.copy_context()  # what is logged there belongs to what is logged here
            name = f"copy-{self._begun}"
            thread = threading.Thread(target=context.run, args=(self._run,), name=name, daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the machine gives no more of them, so that those that there are do it all
                if not self._threads:
                    raise
                return
            self._threads.add(thread)  # before it takes its turn, which is ours
            self._begun += 1

    def _run(self) -> None:
        try:
            while self._work_on_one():
                pass
        except BaseException as error:  # noqa: BLE001  raised again by `raise_gravest`
            self._errors.append(error)
            self._leave()

    def _work_on_one(self) -> bool:
        """Work on the next item, if there is one; none is held on to while the next is waited for: it may be large."""
        taken = self._take()
        if taken is None:
            return False
        try:
            self._results.append(self._work(taken[0], self._halted))
            if len(self._results) >= MANY:
                self._news.set()
        except BaseException as error:  # noqa: BLE001  raised again by `raise_gravest`
            self._errors.append(error)
        return True

    def _take(self) -> tuple[T] | None:
        """Take an item; None if this thread is to end: then it counts no more."""
        with self._turn:
            parallel = self._parallel()
            if not (self._over or self._errors or self._halted.is_set() or len(self._threads) > max(1, parallel)):
                try:
                    taken = (next(self._items),)
                except StopIteration:
                    self._over = True
                except BaseException as error:  # noqa: BLE001  the items' own
                    self._errors.append(error)
                else:
                    self._grow(parallel)
                    return taken
            self._leave()
            return None

    def _leave(self) -> None:
        self._threads.discard(threading.current_thread())
        if not self._threads:
            self._news.set()


def stopped() -> TryAgain:
    """Say that a copy was told to stop."""
    return TryAgain("the copy was stopped; it goes on where it was the next time")


def _rank(error: BaseException) -> int:
    if not isinstance(error, BridgeError):
        return 0
    return 1 if isinstance(error, NeedsPerson) else 2
