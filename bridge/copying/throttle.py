"""A limit of bytes per second that all of a process share who read files."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bridge.core.ports import Clock

BURST = timedelta(seconds=0.25)  # of which what was not used may be used later


class Throttle:
    """Lets bytes pass at a rate, in bytes per second; without one, all at once. Shared by threads."""

    def __init__(self, clock: Clock, rate: int | None) -> None:
        self._clock = clock
        self._rate = rate
        self._guard = threading.Lock()
        self._free_at = clock.now()  # when all that passed so far will have been paid for
        self._seen = clock.now()

    def take(self, size: int) -> None:
        """Wait until these bytes may pass."""
        if self._rate is None:
            return
        with self._guard:
            now = self._clock.now()
            if now < self._seen:  # the clock was set back, and so is what is owed
                self._free_at -= self._seen - now
            self._seen = now
            free_at = self._free_at = max(self._free_at, now - BURST) + timedelta(seconds=size / self._rate)
        wait = (free_at - now).total_seconds()
        if wait > 0:
            self._clock.sleep(wait)

    def passed(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Hand on pieces as they may pass."""
        for piece in pieces:
            self.take(len(piece))
            yield piece
