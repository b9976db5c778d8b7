"""How many requests are taken from outside: a bucket that never waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.core.ports import Clock

AT_ONCE = 600
PER_SECOND = 10.0


class Allowance:
    """At most 600 at once, and ten more each second. For one thread at a time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._left = float(AT_ONCE)
        self._filled = clock.now()

    def take(self) -> float | None:
        """Take one, and return None; if there is none, return the seconds until there is."""
        now = self._clock.now()
        passed = max(0.0, (now - self._filled).total_seconds())
        self._left = min(float(AT_ONCE), self._left + passed * PER_SECOND)
        self._filled = now
        if self._left < 1:
            return (1 - self._left) / PER_SECOND
        self._left -= 1
        return None
