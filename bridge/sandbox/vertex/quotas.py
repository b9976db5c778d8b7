"""The service's quotas per minute, project and region (switch `quotas`)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bridge.sandbox.vertex.errors import refusal

if TYPE_CHECKING:
    from bridge.sandbox.clock import SandboxClock

_LOCATION = re.compile(r"projects/[^/]+/locations/[^/]+")
_MINUTE = 60.0  # seconds

# calls per minute [documentation]; that reads and writes are counted apart is a guess
PER_MINUTE = {"reads": 600, "writes": 600, "submissions": 60, "predictions": 30_000}
_PREDICTIONS = ("Predict", "RawPredict")


class Quotas:
    """Counts calls in minutes of the SandboxClock that start at full minutes (guess)."""

    def __init__(self, clock: SandboxClock) -> None:
        self._clock = clock
        self._minute = 0
        self._spent: dict[tuple[str, str], int] = {}  # (location, kind) -> calls in this minute

    def spend(self, method: str, resource: str, *, write: bool, submits: bool) -> None:
        """Count one call; refuse it if the minute's are used up. A submission is not counted as a write (guess)."""
        minute = int(self._clock.now() // _MINUTE)
        if minute != self._minute:
            self._minute, self._spent = minute, {}
        kind = "submissions" if submits else "writes" if write else "reads"
        if method in _PREDICTIONS:
            kind = "predictions"
        location = _LOCATION.match(resource)
        where = location[0] if location else ""
        spent = self._spent.get((where, kind), 0)
        if spent >= PER_MINUTE[kind]:
            raise refusal(
                "RESOURCE_EXHAUSTED", f"{method}: {PER_MINUTE[kind]} {kind} per minute are used up in {where}"
            )
        self._spent[where, kind] = spent + 1
