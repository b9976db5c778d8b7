"""Whether the service is alive, ready, and well; three different questions."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(slots=True)
class Health:
    """
    What is known of the service's parts. Safe from several threads.

    It is ready when its configuration is loaded, its store answers and every connection was looked at once. That a
    source or Vertex is unwell makes it degraded, not unready: nobody else could do its work better meanwhile.
    """

    _configuration: str | None = "it is not loaded yet"
    _store: str | None = "it was not asked yet"
    _connections: frozenset[str] = frozenset()
    _swept: set[str] = field(default_factory=set)
    _degraded: dict[str, str] = field(default_factory=dict)
    _ending: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def configured(self, connections: Iterable[str]) -> None:
        """Note that a configuration is in force, with these connections to sources."""
        with self._lock:
            self._configuration = None
            self._connections = frozenset(connections)
            self._swept &= self._connections
            self._degraded = {}

    def misconfigured(self, problem: str) -> None:
        """Note that a new configuration was refused; the last good one goes on."""
        with self._lock:
            self._degraded["configuration"] = problem

    def store(self, problem: str | None) -> None:
        """Note how the store answered; None if all was well."""
        with self._lock:
            self._store = problem

    def swept(self, connection: str, problem: str | None) -> bool:
        """
        Note how a sweep of a connection went; None if it could be read. Tell whether that is news.

        It is none of a connection that is not in force: a service that retires may end a sweep after that.
        """
        name = f"connection {connection}"
        with self._lock:
            if connection not in self._connections:
                return False
            self._swept.add(connection)
            is_news = self._degraded.get(name) != problem
            if problem is None:
                self._degraded.pop(name, None)
            else:
                self._degraded[name] = problem
            return is_news

    @property
    def connections(self) -> dict[str, bool]:
        """The connections to sources, and whether each could be read when it was last looked at."""
        with self._lock:
            return {name: f"connection {name}" not in self._degraded for name in sorted(self._connections)}

    def ending(self) -> None:
        """Note that the service was told to stop."""
        with self._lock:
            self._ending = True

    def report(self) -> dict[str, Any]:
        """Say it all, as JSON values."""
        with self._lock:
            unswept = ", ".join(sorted(self._connections - self._swept))
            unready = {
                "service": "it is stopping" if self._ending else None,
                "configuration": self._configuration,
                "store": self._store,
                "sweeps": f"not yet of {unswept}" if unswept else None,
            }
            reasons = {what: why for what, why in unready.items() if why is not None}
            return {"ready": not reasons, "unready": reasons, "degraded": dict(sorted(self._degraded.items()))}
