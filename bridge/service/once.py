"""What was there before, for some time; bounded memory."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from bridge.core.ports import Clock

MOST = 10_000


class Once:
    """Remembers ids for as long as `lasts`, the newest 10,000 at most. Safe from several threads."""

    def __init__(self, clock: Clock, lasts: timedelta) -> None:
        self._clock = clock
        self._lasts = lasts
        self._lock = threading.Lock()
        self._since: dict[str, datetime] = {}  # oldest first

    def add(self, id_: str) -> None:
        """Remember an id."""
        now = self._clock.now()
        with self._lock:
            self._since.pop(id_, None)
            self._since[id_] = now
            while len(self._since) > MOST or now - next(iter(self._since.values())) > self._lasts:
                self._since.pop(next(iter(self._since)))

    def __contains__(self, id_: str) -> bool:
        with self._lock:
            since = self._since.get(id_)
            return since is not None and self._clock.now() - since <= self._lasts

    def __len__(self) -> int:
        with self._lock:
            return len(self._since)
