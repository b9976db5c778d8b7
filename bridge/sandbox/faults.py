"""
What is to go wrong, and with which calls: by count, or by chance from a seed, so that a run can be repeated.

    kind                  what the caller sees                                        what was done
    status                an answer with `status` (and Retry-After)                   nothing
    timeout_before        silence for `seconds`, then a broken connection             nothing
    timeout_after         the same                                                    everything
    reset                 the connection breaks at once                               nothing
    half_body             half of the answer, or of the upload, then a broken
                          connection                                                  reads: -; uploads: the half
    corrupt_byte          one byte of the answer's body is another                    everything
    slow                  the answer's body in drips, `seconds` apart                 everything
    stale_list            the answer that the same question had before it changed     -
    expired_url           403, as for a signed URL whose time is over                 nothing
    empty                 as if the caller might see nothing: an empty, valid answer  nothing
    operation_never_ends  an operation, or a rewrite, that comes no further           nothing
    operation_fails       an operation that ends with an error                        nothing
"""

from __future__ import annotations

import fnmatch
import random
import threading
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal[
    "status",
    "timeout_before",
    "timeout_after",
    "reset",
    "half_body",
    "corrupt_byte",
    "slow",
    "stale_list",
    "expired_url",
    "empty",
    "operation_never_ends",
    "operation_fails",
]
EVERYWHERE: frozenset[Kind] = frozenset(
    {"status", "timeout_before", "timeout_after", "reset", "half_body", "corrupt_byte", "slow", "stale_list"}
)
SERVED: dict[str, frozenset[Kind]] = {
    "wandb": EVERYWHERE | {"expired_url", "empty"},
    "vertex": EVERYWHERE | {"operation_never_ends", "operation_fails"},
    "gcs": EVERYWHERE | {"expired_url", "operation_never_ends"},
    "mlflow": EVERYWHERE | {"empty"},
}
# What only some methods can suffer; a fault for any method would be used up by a call that shows nothing of it.
ONLY_SOME: frozenset[Kind] = frozenset({"empty", "stale_list", "operation_never_ends", "operation_fails"})
BEFORE: frozenset[Kind] = frozenset({"status", "timeout_before", "reset", "expired_url"})  # the call is not worked on


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is to go wrong. Raises ValueError for what no service can do."""

    service: str  # "wandb", "vertex", "gcs" or "mlflow"
    kind: Kind
    method: str = "*"  # a shell pattern over the method names that Traffic counts
    count: int | None = 1  # the next so many calls; None: until it is lifted
    probability: float = 1.0  # of each call that matches
    seed: int = 0
    status: int = 503  # HTTP; gRPC has the code that corresponds
    retry_after: int | None = None  # seconds
    seconds: float = 0.0  # of real time

    def __post_init__(self) -> None:
        served = SERVED.get(self.service)
        if served is None:
            raise ValueError(f"there is no service {self.service!r}; choose from {', '.join(sorted(SERVED))}")
        if self.kind not in served:
            raise ValueError(f"{self.service} cannot do {self.kind!r}; choose from {', '.join(sorted(served))}")
        if self.kind in ONLY_SOME and self.method == "*":
            raise ValueError(f"say which method is to go wrong with {self.kind!r}: other calls would use it up")
        for name, is_sound in (
            ("count", self.count is None or self.count >= 1),
            ("probability", 0 < self.probability <= 1),
            ("status", 400 <= self.status <= 599),  # noqa: PLR2004  the errors of HTTP
            ("retry_after", self.retry_after is None or self.retry_after >= 0),
            ("seconds", 0 <= self.seconds <= 3600),  # noqa: PLR2004  an hour: a call that long is broken anyhow
        ):
            if not is_sound:
                raise ValueError(f"{name} cannot be {getattr(self, name)!r}")


class Struck(Exception):
    """Stops a call before it is worked on."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.kind)
        self.fault = fault


@dataclass(slots=True)
class _Armed:
    fault: Fault
    left: int | None
    chance: random.Random
    number: int


@dataclass(slots=True)
class Faults:
    """The faults that are armed; safe to use from every server's threads."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _armed: list[_Armed] = field(default_factory=list)
    _last: int = 0

    def arm(self, fault: Fault) -> int:
        """Have a fault wait for its calls; return its number."""
        with self._lock:
            self._last += 1
            # Not for secrets: the seed is what lets a run be repeated.
            self._armed.append(_Armed(fault, fault.count, random.Random(fault.seed), self._last))  # noqa: S311  the same
            return self._last

    def disarm(self, number: int | None = None) -> None:
        """Lift one fault, or all. Idempotent."""
        with self._lock:
            self._armed = [armed for armed in self._armed if number is not None and armed.number != number]

    def armed(self) -> dict[int, Fault]:
        """Return the faults that still wait, by number."""
        with self._lock:
            return {armed.number: armed.fault for armed in self._armed}

    def strike(self, service: str, method: str) -> Fault | None:
        """Say what is to go wrong with this call, if anything is; the first that was armed wins."""
        with self._lock:
            for armed in self._armed:
                if armed.fault.service != service or not fnmatch.fnmatchcase(method, armed.fault.method):
                    continue
                if armed.chance.random() >= armed.fault.probability:
                    continue
                if armed.left is not None:
                    armed.left -= 1
                    if armed.left == 0:
                        self._armed.remove(armed)
                return armed.fault
            return None
