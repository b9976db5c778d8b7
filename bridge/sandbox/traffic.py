"""
What the stand-ins were asked: one tally for all of them, so that a test can say "zero writes".

It is also where faults strike, since every call of every stand-in is noted here before it is worked on.
"""

from __future__ import annotations

import threading
from collections import Counter
from contextvars import ContextVar
from dataclasses import dataclass

from bridge.sandbox.faults import BEFORE, Fault, Faults, Struck


@dataclass(frozen=True, slots=True)
class Call:
    """One kind of request: whose, its name in the service's own words, and if it may change anything."""

    service: str  # "wandb", "vertex" or "gcs"
    method: str
    write: bool


@dataclass(slots=True)
class Exchange:
    """One HTTP request under way; `fault` is set when it is noted, and carried out by serving.FaultyApp."""

    fault: Fault | None = None


exchange: ContextVar[Exchange | None] = ContextVar("exchange", default=None)


class Traffic:
    """Counts calls and lets faults strike; safe to use from every server's threads."""

    def __init__(self) -> None:
        self.faults = Faults()
        self._lock = threading.Lock()
        self._counts: Counter[Call] = Counter()

    def note(self, service: str, method: str, *, write: bool) -> Fault | None:
        """
        Count one call; a stand-in does this before it works on it, whatever it will answer.

        Returns the fault that has struck, for what only the service itself can do of it (`empty`, operations).
        Raises Struck if the call is not to be worked on.
        """
        with self._lock:
            self._counts[Call(service, method, write)] += 1
        fault = self.faults.strike(service, method)
        under_way = exchange.get()
        if under_way is not None and fault is not None:
            under_way.fault = fault
        if fault is not None and fault.kind in BEFORE:
            raise Struck(fault)
        return fault

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
