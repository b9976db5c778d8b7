"""How many files are on their way at a time: more while a bucket answers as quickly as ever, fewer when it refuses."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

START = 8  # files at a time, before anything is known
FEWEST = 4  # below which only a bucket that refuses brings it, or an interpreter that has no time left
SMALL = 256 << 10  # bytes; of larger files the time tells more of their size than of how busy all are
SLOWER = 1.5  # times the best round: then more at a time only wait for one another, here or at the other end
FREE, FULL, CROWDED = 0.6, 0.7, 0.85  # of the time of one processor, all that an interpreter has for small files


class Pace:
    """
    The files on their way to one bucket, of all versions together; shared by threads.

    Small files have a lane of their own, since what they teach says nothing of large ones: those use more than one
    processor, and few of them fill any network.
    """

    def __init__(self, most: int, processors: int | None = None) -> None:
        room = threading.Semaphore(most)  # for both together
        self._small = Lane(START, most, room, learns=True)
        # More large ones than twice the processors only take turns: four took 0.95 CPU-s per GiB on two, eight 1.5.
        self._large = Lane(min(START, 2 * (processors or os.cpu_count() or 1)), most, room, learns=False)

    def lane(self, size: int) -> Lane:
        """Return the lane of files of that size, in bytes."""
        return self._small if size <= SMALL else self._large

    @property
    def threads(self) -> int:
        """
        How many threads have something to do for one version: small files' places, and one for each large file.

        Any more would only take each other's turns, each time on another processor.
        """
        return self._small.limit + self._large.busy

    def refused(self) -> None:
        """Take note of 429 or 503, which concern all."""
        self._small.refused()
        self._large.refused()


class Lane:
    """
    Files of like sizes.

    One that learns grows by itself from `start` to `most` as long as files take no longer for it and leave the
    interpreter time: doubling at first, then by one for each round of files. Where one file at a time keeps the
    interpreter busy, as on a network without latency, more at a time only hand it to one another, from processor to
    processor, and all become slower. Halves when the bucket says 429 or 503, since its own limits grow slowly
    (cloud.google.com/storage/docs/request-rate); what that took away from `start` comes back with any files. What was
    the best is measured anew where files are slow although they are few: they are larger, or go to another place.
    """

    def __init__(self, start: int, most: int, room: threading.Semaphore, *, learns: bool) -> None:
        self._learns = learns
        self._room = room
        self._start = min(start, most)
        self._most = most
        self._limit = self._start
        self._busy = 0
        self._changed = threading.Condition()
        self._files = 0  # in this round, which is of as many files as may be on their way
        self._seconds = 0.0  # that these took
        self._cpu = 0.0  # seconds of them, of a processor
        self._stale = 0  # files that were on their way at the last refusal, and tell of what was before
        self._best = float("inf")  # seconds of a file in the best round
        self._doubles = True

    @property
    def limit(self) -> int:
        """How many files may be on their way now."""
        return self._limit

    @property
    def busy(self) -> int:
        """How many files are on their way."""
        return self._busy

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until one more file may be on its way."""
        with self._changed:
            self._changed.wait_for(lambda: self._busy < self._limit)
            self._busy += 1
        try:
            with self._room:
                yield
        finally:
            with self._changed:
                self._busy -= 1
                self._stale -= min(self._stale, 1)
                self._changed.notify()

    def took(self, seconds: float, cpu: float) -> None:
        """
        Take note of a file that is there, within its turn.

        `seconds` is how long it took, from its first byte here to its last answer, and `cpu` how many of them its
        thread had a processor.
        """
        with self._changed:
            if self._stale:
                return
            self._files += 1
            self._seconds += seconds
            self._cpu += cpu
            if self._files >= self._limit:
                self._adapt()
                self._begin_round()

    def _begin_round(self) -> None:
        self._files, self._seconds, self._cpu = 0, 0.0, 0.0

    def _adapt(self) -> None:
        limit, mean = self._limit, self._seconds / self._files
        self._best = min(self._best, mean)
        used = self._cpu * limit / self._seconds if self._seconds else 0.0
        if not self._learns:
            self._limit = max(limit, min(limit + 1, self._start))
        elif used >= CROWDED:
            self._limit = max(1, int(limit * FULL / used))
            self._doubles = False
        elif mean > SLOWER * self._best and limit > FEWEST:
            self._limit = max(FEWEST, limit // 2 if self._doubles else limit - 1)
            self._doubles = False
        elif mean > SLOWER * self._best:
            self._best = mean  # so few do not wait for one another: files are slower now, and more at a time may do
        elif used <= FREE:
            self._limit = min(self._most, limit * 2 if self._doubles else limit + 1)
        self._changed.notify_all()

    def refused(self) -> None:
        """Take note of 429 or 503. All that are on their way may be refused at once, which counts as one refusal."""
        with self._changed:
            self._doubles = False
            if not self._stale:
                self._begin_round()
                self._stale = self._busy
                self._limit = max(1, self._limit // 2)
