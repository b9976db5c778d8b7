"""Whether the service is alive, ready, and well; three different questions."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from bridge.core.witness import Witness

if TYPE_CHECKING:
    from collections.abc import Iterable

IN_VAIN = 5  # requests in a row after which an API counts as away


@dataclass(slots=True)
class Health:
    """
    What is known of the service's parts. Safe from several threads.

    It is ready when its configuration is loaded, its store can be written and every connection was looked at once. That
    a source, Vertex or a bucket is unwell makes it degraded, not unready: nobody else could do its work better
    meanwhile.
    """

    _configuration: str | None = "it is not loaded yet"
    _store: str | None = "it was not asked yet"
    _connections: frozenset[str] = frozenset()
    _swept: set[str] = field(default_factory=set)
    _degraded: dict[str, str] = field(default_factory=dict)
    _in_vain: Counter[str] = field(default_factory=Counter)  # requests since the last good one, by API
    _ending: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def configured(self, connections: Iterable[str]) -> None:
        """Note that a configuration is in force, with these connections to sources."""
        with self._lock:
            self._configuration = None
            self._connections = frozenset(connections)
            self._swept &= self._connections
            self._degraded = {}
            self._in_vain.clear()

    def misconfigured(self, problem: str) -> None:
        """Note that a new configuration was refused; the last good one goes on."""
        with self._lock:
            self._degraded["configuration"] = problem

    def store(self, problem: str | None) -> None:
        """Note how the store answered; None if all was well."""
        with self._lock:
            self._store = problem

    @property
    def is_store_well(self) -> bool:
        """Whether all was well when the store was last heard of; not before it was asked."""
        with self._lock:
            return self._store is None

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

    def answered(self, api: str, status: int | None) -> None:
        """Note how an API answered one request; None if it did not. What it refuses for a reason is an answer."""
        api = api.removesuffix("_uploads")  # has a budget of its own, and is the same API
        is_well = status is not None and status != HTTPStatus.TOO_MANY_REQUESTS and status < HTTPStatus(500)
        with self._lock:
            if is_well:
                self._in_vain.pop(api, None)
                self._degraded.pop(f"api {api}", None)
                return
            self._in_vain[api] += 1
            if self._in_vain[api] >= IN_VAIN:
                last = "no answer" if status is None else f"HTTP {status}"
                self._degraded[f"api {api}"] = f"{IN_VAIN} requests in a row or more were in vain, the last: {last}"

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


class Hearing(Witness):
    """Has a Health know how APIs answer one service, until that retires: then they may be no longer in use."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._over = threading.Event()

    def stop(self) -> None:
        """Pass on nothing more."""
        self._over.set()

    def answered(self, api: str, status: int | None) -> None:
        """See Witness."""
        if not self._over.is_set():
            self._health.answered(api, status)
