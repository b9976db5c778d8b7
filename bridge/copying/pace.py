"""How many files are on their way at a time: more while a bucket answers as quickly as ever, fewer when it refuses."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

START = 8  # files at a time, before anything is known
FEWEST = 4  # below which only a bucket that refuses brings it
SMALL = 256 << 10  # bytes; of larger files the time tells more of their size than of how busy all are
SLOWER = 1.5  # times the best round: then more at a time only wait for one another, here or at the other end


class Pace:
    """
    The files on their way to one bucket, of all versions together; shared by threads.

    Grows by itself from 8 to `most` as long as small files take no longer for it: doubling at first, then by one for
    each round of files. Halves when the bucket says 429 or 503, since its own limits grow slowly
    (cloud.google.com/storage/docs/request-rate); what that took away from 8 comes back with files of any size.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = min(START, most)
        self._busy = 0
        self._changed = threading.Condition()
        self._files = 0  # in this round, which is of as many files as may be on their way
        self._small = 0  # of them, small ones
        self._seconds = 0.0  # that these took
        self._stale = 0  # files that were on their way at the last refusal, and tell of what was before
        self._best = float("inf")  # seconds of a file in the best round
        self._doubles = True

    @property
    def limit(self) -> int:
        """How many files may be on their way now."""
        return self._limit

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until one more file may be on its way."""
        with self._changed:
            self._changed.wait_for(lambda: self._busy < self._limit)
            self._busy += 1
        try:
            yield
        finally:
            with self._changed:
                self._busy -= 1
                self._stale -= min(self._stale, 1)
                self._changed.notify()

    def took(self, seconds: float | None) -> None:
        """
        Take note of a file that is there, within its turn.

        `seconds` is how long a small one took, from its first byte here to its last answer; None for a larger one.
        """
        with self._changed:
            if self._stale:
                return
            self._files += 1
            if seconds is not None:
                self._small += 1
                self._seconds += seconds
            if self._files >= self._limit:
                mean = self._seconds / self._small if self._small else None
                self._files, self._small, self._seconds = 0, 0, 0.0
                self._adapt(mean)

    def _adapt(self, mean: float | None) -> None:
        limit = self._limit
        self._best = self._best if mean is None else min(self._best, mean)
        if mean is None:
            self._limit = max(limit, min(limit + 1, START, self._most))
        elif mean <= SLOWER * self._best:
            self._limit = min(self._most, limit * 2 if self._doubles else limit + 1)
        else:
            self._limit = max(min(FEWEST, limit), limit // 2 if self._doubles else limit - 1)
            self._doubles = False
        self._changed.notify_all()

    def refused(self) -> None:
        """Take note of 429 or 503. All that are on their way may be refused at once, which counts as one refusal."""
        with self._changed:
            self._doubles = False
            if not self._stale:
                self._files, self._small, self._seconds = 0, 0, 0.0
                self._stale = self._busy
                self._limit = max(1, self._limit // 2)
