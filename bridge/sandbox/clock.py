"""The sandbox's time: real time plus what a test has added, so that nothing has to wait for an expiry."""

from __future__ import annotations

import threading
import time

CENTURY = 3_155_760_000  # seconds; farther than that, dates cannot be written any more


class SandboxClock:
    """Seconds since the epoch; monotonic as far as the machine's clock is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ahead = 0.0

    def now(self) -> float:
        """Return the sandbox's time in seconds since the epoch."""
        with self._lock:
            return time.time() + self._ahead  # noqa: TID251  the one place where the sandbox reads real time

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass at once: signed URLs expire, operations end. Raises ValueError for less than none."""
        if not 0 <= seconds <= CENTURY:
            raise ValueError(f"time can be advanced by 0 to {CENTURY} seconds, not by {seconds}")
        with self._lock:
            self._ahead += seconds
