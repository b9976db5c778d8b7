"""Budgets of requests: the Limit port's adapter, a token bucket."""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from bridge.run.queue import LANE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from bridge.core.ports import Clock

AT_ONCE = 6  # the part of a budget that may be spent at once
SLOWEST = 1 / 64  # of the pace that was asked for
MENDS_AFTER = timedelta(minutes=1)  # without a complaint, the pace is doubled until it is what it was


class TokenBucket:
    """
    At most `number` requests in any span of the length `per`, by all threads together; a sixth of them at once.

    Where they have to wait, lanes take turns, so that hundreds of models of one connection do not hold up another's.

    When the API says that this is too much, requests come at half the pace, and at twice that again after a minute
    without another word of it.
    """

    def __init__(self, number: int, per: timedelta, clock: Clock) -> None:
        self._clock = clock
        self._most = max(1, number // AT_ONCE)
        # What is there at once and what comes in while `per` passes is less than number + 1 together.
        self._pace = (number + 1 - self._most) / per.total_seconds()
        self._lock = threading.Lock()
        self._turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)  # of each lane one sleeps at a time
        self._tokens = float(self._most)  # below zero: so many have been promised to those who sleep
        self._filled = clock.now()
        self._share = 1.0  # of the pace
        self._changed = self._filled

    def take(self) -> None:
        """Return when one more request may be made."""
        with self._lock:
            turn = self._turns[LANE.get()]
        with turn:
            with self._lock:
                now = self._brought_up()
                self._tokens -= 1
                ready = self._ready(self._tokens)
            if ready > now:
                self._clock.sleep((ready - now).total_seconds())

    def pause(self) -> float:
        """Return the seconds until a request would not have to wait, if no other is made meanwhile."""
        with self._lock:
            now = self._brought_up()
            return max(0.0, (self._ready(self._tokens - 1) - now).total_seconds())

    def slow(self, after: float | None = None) -> None:
        """Halve the pace, and let nothing pass for `after` seconds."""
        with self._lock:
            now = self._clock.now()
            self._fill(now)
            self._tokens = min(self._tokens, 0.0)
            self._filled = max(self._filled, now + timedelta(seconds=after or 0.0))
            self._share = max(self._share / 2, SLOWEST)
            self._changed = now

    def _brought_up(self) -> datetime:
        """Bring pace and tokens up to now; return that."""
        now = self._clock.now()
        self._mend(now)
        self._fill(now)
        return now

    def _ready(self, tokens: float) -> datetime:
        """Return when a request may be made that leaves so many tokens."""
        return self._filled + timedelta(seconds=max(0.0, -tokens) / (self._pace * self._share))

    def _mend(self, now: datetime) -> None:
        if self._share < 1 and now - self._changed >= MENDS_AFTER:
            self._share = min(1.0, self._share * 2)
            self._changed = now

    def _fill(self, now: datetime) -> None:
        passed = (now - self._filled).total_seconds()
        if passed > 0:  # it is not if time went back, or nothing is to pass before then
            self._tokens = min(float(self._most), self._tokens + passed * self._pace * self._share)
            self._filled = now


@dataclass(frozen=True, slots=True)
class Heard:
    """A bucket that others may take from, too, for one who hears how his own requests are answered."""

    bucket: TokenBucket
    answered: Callable[[int | None], None]

    def take(self) -> None:
        """Return when one more request may be made."""
        self.bucket.take()

    def pause(self) -> float:
        """Return the seconds until a request would not have to wait, if no other is made meanwhile."""
        return self.bucket.pause()

    def slow(self, after: float | None = None) -> None:
        """Have all who take from it ask less often."""
        self.bucket.slow(after)


class Buckets:
    """
    The buckets of a process, one for each API at each place, however many connections lead there.

    Those that were made `before`, of a limit that is the same, go on: whoever still takes from them shares them.
    """

    def __init__(
        self,
        limits: Mapping[str, tuple[int, timedelta]],
        clock: Clock,
        answered: Callable[[str, int | None], None],
        before: Buckets | None = None,
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._answered = answered
        self._lock = threading.Lock()
        self._made: dict[tuple[str, str, int, timedelta], TokenBucket] = {}
        if before is not None:
            self._lock, self._made = before._lock, before._made  # noqa: SLF001  its own kind

    def at(self, kind: str, place: str) -> Heard:
        """Return the bucket of an API at a place, which is made when it is first asked for."""
        number, per = self._limits[kind]
        with self._lock:
            key = (kind, place, number, per)
            if key not in self._made:
                self._made[key] = TokenBucket(number, per, self._clock)
            return Heard(self._made[key], partial(self._answered, kind))
