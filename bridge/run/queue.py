"""Works on keys as they are submitted, on threads of this process: the Queue port's adapter."""

from __future__ import annotations

import contextvars
import logging
import secrets
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.core.model import ModelKey

log = logging.getLogger(__name__)

BESIDE = 64  # threads more than `workers`, for keys aside


@dataclass(frozen=True, slots=True)
class Submission:
    """One request to work on a key, whoever else asked for the same meanwhile."""

    key: ModelKey
    why: str
    id: str  # in every log line about it: that of its cause, if there is one
    full: bool = False
    since: float = 0.0  # seconds of a clock of its own


# What this thread is at, and the id of what all of it began with, such as a webhook. A thread that helps with it has to
# be given the context: contextvars.copy_context().
# LANE is whose turn its work takes up: see KeyQueue.
AT_WORK: contextvars.ContextVar[Submission | None] = contextvars.ContextVar("at_work", default=None)
CAUSE: contextvars.ContextVar[str | None] = contextvars.ContextVar("cause", default=None)
LANE: contextvars.ContextVar[str] = contextvars.ContextVar("lane", default="")


def new_id() -> str:
    """Return what lines of the log that belong together have in common."""
    return secrets.token_hex(4)


class KeyQueue:
    """
    At most `workers` keys at a time, never one twice at a time, each as often as will do: see the port.

    Keys have lanes, such as the connection that they come from. The next key is of the lane with the fewest at work,
    and of those, the one whose turn was longest ago, so that a lane with hundreds waiting does not hold up another. A
    key whose work is `aside` counts for neither, so that hours of copying hold up no other key; but `workers` and
    BESIDE keys are at work at most.
    """

    def __init__(
        self,
        work: Callable[[Submission], None],
        workers: int,
        lane: Callable[[ModelKey], str] = lambda _key: "",
    ) -> None:
        self._work = work
        self._workers = workers
        self._lane = lane
        self._change = threading.Condition()
        self._waiting: dict[str, dict[ModelKey, Submission]] = {}  # by lane, oldest first
        self._at_work: dict[ModelKey, str] = {}  # lanes
        self._aside: set[ModelKey] = set()  # of those at work
        self._takes = count(1)
        self._taken: dict[str, int] = {}  # by lane: when it last had a key taken, in takes of all
        self._again: dict[ModelKey, Submission] = {}  # submitted while they were at work
        self._threads = 0
        self._begun = False
        self._ending = False

    def start(self) -> None:
        """Begin to work on what is, and what will be, submitted."""
        with self._change:
            self._begun = True
            self._begin_threads()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """
        Let another key begin in place of the one that this thread works on, for as long as the block lasts.

        Is for work that has a limit of its own. After the block the key goes on at once, so for a while more than
        `workers` may be at work. Does nothing in a thread that works on no key of this queue.
        """
        submission = AT_WORK.get()
        with self._change:
            key = submission.key if submission and submission.key in self._at_work.keys() - self._aside else None
            if key is not None:
                self._aside.add(key)
                self._begin_threads()
                self._change.notify()
        try:
            yield
        finally:
            with self._change:
                self._aside.discard(key)

    def submit(self, key: ModelKey, why: str, *, full: bool = False) -> bool:
        """See the port. Nothing is taken any more once `stop` was called."""
        with self._change:
            if self._ending:
                return False
            lane = self._lane(key)
            line = self._again if key in self._at_work else self._waiting.setdefault(lane, {})
            if (earlier := line.get(key)) is not None:
                line[key] = replace(earlier, full=earlier.full or full)
                return False
            line[key] = Submission(key, why, CAUSE.get() or new_id(), full, time.monotonic())
            self._begin_threads()
            self._change.notify()
            return True

    def stop(self, grace: float) -> tuple[ModelKey, ...]:
        """Begin nothing more, and wait `grace` seconds for what is at work; return what still is. Idempotent."""
        with self._change:
            self._ending = True
            self._waiting.clear()
            self._again.clear()
            self._change.notify_all()
            self._change.wait_for(lambda: not self._at_work, timeout=grace)
            return tuple(sorted(self._at_work))

    def left(self, mapping: str) -> int:
        """See the port."""
        with self._change:
            keys = (*(key for line in self._waiting.values() for key in line), *self._again, *self._at_work)
        return sum(key.mapping == mapping for key in keys)

    @property
    def load(self) -> tuple[int, int]:
        """How many keys wait, and how many are at work."""
        with self._change:
            return sum(map(len, self._waiting.values())) + len(self._again), len(self._at_work)

    @property
    def age(self) -> float:
        """How many seconds the key that has waited longest has waited."""
        with self._change:
            oldest = [
                submission.since for line in (*self._waiting.values(), self._again) for submission in line.values()
            ]
            return time.monotonic() - min(oldest) if oldest else 0.0

    def _take_turns(self) -> None:
        while (submission := self._next()) is not None:
            try:
                contextvars.copy_context().run(self._run, submission)
            except Exception:
                log.exception("unexpected error while working on %s", submission.key)
            finally:
                self._end(submission.key)

    def _run(self, submission: Submission) -> None:
        AT_WORK.set(submission)
        CAUSE.set(submission.id)
        LANE.set(self._lane(submission.key))
        self._work(submission)

    def _next(self) -> Submission | None:
        """Wait for a key to work on; None if this thread is to end."""
        with self._change:
            while not self._ending:
                if self._may_begin > 0:
                    return self._take()
                if self._threads > self._workers:
                    break
                self._change.wait()
            self._threads -= 1
            return None

    def _take(self) -> Submission:
        busy = Counter(lane for key, lane in self._at_work.items() if key not in self._aside)
        waiting = (lane for lane, line in self._waiting.items() if line)
        lane = min(waiting, key=lambda lane: (busy[lane], self._taken.get(lane, 0)))
        self._taken[lane] = next(self._takes)
        key = next(iter(self._waiting[lane]))
        self._at_work[key] = lane
        return self._waiting[lane].pop(key)

    @property
    def _may_begin(self) -> int:
        """How many keys may begin now; below 1 if none may."""
        return min(sum(map(len, self._waiting.values())), self._workers - len(self._at_work) + len(self._aside))

    def _begin_threads(self) -> None:
        # Each thread that is at no key's work takes a key, or will look for one before it waits.
        while (
            self._begun
            and self._threads - len(self._at_work) < self._may_begin
            and self._threads < self._workers + BESIDE
        ):
            self._threads += 1
            threading.Thread(target=self._take_turns, name=f"key-{self._threads}", daemon=True).start()

    def _end(self, key: ModelKey) -> None:
        with self._change:
            lane = self._at_work.pop(key)
            if (again := self._again.pop(key, None)) is not None:
                self._waiting.setdefault(lane, {})[key] = again
            self._change.notify_all()
