"""
One process at a time works on a model: its lease is taken before, renewed meanwhile, and asked before every effect.

A process that stood still too long comes back to a lease that another one has. Its writes are refused by the store
(`Store.fenced`), and its next effect outside by the ends of reconcile.fencing.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from bridge.core.errors import BridgeError, TakenElsewhere, TryAgain
from bridge.core.model import ModelKey
from bridge.core.records import taken_elsewhere

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.core.ports import Clock, Store
    from bridge.core.records import Lease

log = logging.getLogger(__name__)

LASTS = timedelta(seconds=60)  # must be long against the difference between two machines' clocks
RENEWED_EVERY = LASTS / 3
BUSY_FOR = timedelta(seconds=5)  # after which it is worth asking again for a lease that another process has
ASKED_EVERY = 1.0  # seconds, while another process has the lease
NO_MODEL = ModelKey("", "")  # its lease keeps nobody from anything


@dataclass(slots=True)
class Leases:
    """The leases of this process. Safe from several threads; `renew` is to be called every RENEWED_EVERY."""

    store: Store
    clock: Clock
    owner: str
    patience: timedelta = timedelta(0)  # how long another process is waited for
    _held: dict[ModelKey, Lease] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _ending: bool = False

    @contextmanager
    def of(self, key: ModelKey) -> Iterator[Lease]:
        """Have a model to ourselves. Raises TakenElsewhere if another process has it for longer than our patience."""
        lease = self._claim(key)
        with self._guard:
            self._held[key] = lease
        try:
            yield lease
        except Exception:
            self._give_back(lease)
            raise
        # Not after a BaseException: what died gives nothing back.
        self._give_back(lease)

    def check(self, lease: Lease) -> None:
        """Renew a lease before an effect. Raises TakenElsewhere if it is lost, TryAgain if this process ends."""
        if self._ending:
            raise TryAgain(f"the process was told to stop while it was at {lease.key}", nothing_happened=True)
        if not self.store.renew_lease(lease, self.clock.now() + LASTS):
            raise taken_elsewhere(lease.key)

    def renew(self) -> None:
        """Renew all leases; one that is lost is only logged, since its pass will find out before its next effect."""
        with self._guard:
            held = tuple(self._held.values())
        for lease in held:
            if not self.store.renew_lease(lease, self.clock.now() + LASTS):
                log.warning("the lease of %s is lost: another process works on it now", lease.key)

    def probe(self) -> None:
        """
        Find out whether the store takes what is written, by a lease that is no model's; raise what it says if not.

        One that is read-only or full can be read all the same. That another process is at it just now is as good.
        """
        now = self.clock.now()
        if (lease := self.store.take_lease(NO_MODEL, self.owner, now, now + LASTS)) is not None:
            self.store.release_lease(lease)

    @property
    def held(self) -> int:
        """How many there are."""
        with self._guard:
            return len(self._held)

    def end(self) -> None:
        """Let no effect begin any more."""
        self._ending = True

    @property
    def is_ending(self) -> bool:
        """Whether this process ends: then what breaks off was broken off."""
        return self._ending

    def give_all_back(self) -> None:
        """Give back what is still held: whoever is at it can write nothing more."""
        with self._guard:
            held = tuple(self._held.values())
        for lease in held:
            self._give_back(lease)

    def _claim(self, key: ModelKey) -> Lease:
        until = self.clock.now() + self.patience
        while True:
            now = self.clock.now()
            if (lease := self.store.take_lease(key, self.owner, now, now + LASTS)) is not None:
                return lease
            if now >= until:
                has_it = next((each for each in self.store.leases() if each.key == key), None)
                who = f"{has_it.owner} (until {has_it.until})" if has_it else "another process"
                raise TakenElsewhere(f"{who} is at work on {key}", nothing_happened=True)
            self.clock.sleep(ASKED_EVERY)

    def _give_back(self, lease: Lease) -> None:
        with self._guard:
            self._held.pop(lease.key, None)
        try:
            self.store.release_lease(lease)
        except BridgeError as problem:
            log.warning("the lease of %s could not be given back, and ends by itself: %s", lease.key, problem)
