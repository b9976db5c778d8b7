"""A clock that stands still until it is told."""

from __future__ import annotations

from datetime import datetime, timedelta


class FakeClock:
    """The Clock port without waiting: `sleep` returns at once, and the time has passed."""

    def __init__(self, at: str = "2026-01-05T09:00:00Z") -> None:
        self._now = datetime.fromisoformat(at)

    def now(self) -> datetime:
        """Return the time it was set to, and what has passed since."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass at once."""
        self.advance(seconds)

    def advance(self, by: float | timedelta) -> None:
        """Let time pass: seconds, or a timedelta."""
        self._now += by if isinstance(by, timedelta) else timedelta(seconds=by)
