"""What the stand-ins were asked: one tally for all of them, so that a test can say "zero writes"."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Call:
    """One kind of request: whose, its name in the service's own words, and if it may change anything."""

    service: str  # "wandb", "vertex" or "gcs"
    method: str
    write: bool


class Traffic:
    """Counts calls; safe to use from every server's threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[Call] = Counter()

    def note(self, service: str, method: str, *, write: bool) -> None:
        """Count one call; a stand-in does this before it answers, whatever it answers."""
        with self._lock:
            self._counts[Call(service, method, write)] += 1

    def count(self, service: str | None = None, *, write: bool | None = None) -> int:
        """Say how many calls were made since the last reset; None means any."""
        with self._lock:
            return sum(
                n for call, n in self._counts.items() if service in (None, call.service) and write in (None, call.write)
            )

    def counts(self) -> dict[Call, int]:
        """Return the whole tally."""
        with self._lock:
            return dict(self._counts)

    def reset(self) -> None:
        """Start counting again from zero."""
        with self._lock:
            self._counts.clear()
