"""A limit of bytes per second that all copies share."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from bridge.core.ports import Clock

BURST = timedelta(seconds=0.25)  # of which what was not used may be used later
LONGEST = timedelta(seconds=60)  # that anybody waits, should the clock be set back


class Throttle:
    """Lets bytes pass at a rate, in bytes per second; without one, all at once. Shared by threads."""

    def __init__(self, clock: Clock, rate: int | None) -> None:
        self._clock = clock
        self._rate = rate
        self._guard = threading.Lock()
        self._free_at: datetime | None = None  # when all that passed so far will have been paid for

    def take(self, size: int) -> None:
        """Wait until these bytes may pass."""
        if self._rate is None:
            return
        with self._guard:
            now = self._clock.now()
            begins = min(max(self._free_at or now, now - BURST), now + LONGEST)
            free_at = self._free_at = begins + timedelta(seconds=size / self._rate)
        wait = (free_at - now).total_seconds()
        if wait > 0:
            self._clock.sleep(wait)
