"""Which models follow what, as of the last look at each connection; and which of them are to be worked on."""

from __future__ import annotations

import logging
import math
import threading
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from bridge.core.model import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.core.model import MappingSpec, ModelKey
    from bridge.core.ports import Clock, Queue
    from bridge.core.records import Status
    from bridge.reconcile.passes import Passes
    from bridge.reconcile.reconciler import Order
    from bridge.reconcile.sweeping import Look
    from bridge.service.health import Health

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Following:
    """
    Submits the models that are due to a queue, and works on those that the queue hands back.

    A sweep submits what has changed, `retry` what failed and whose time has come, `compare` a few of those that were
    not compared with Vertex for long. All of it may be called from any thread. It keeps nothing that the store and
    the next sweep could not bring back.
    """

    passes: Passes
    specs: Sequence[MappingSpec]
    health: Health
    clock: Clock
    full_every: timedelta
    queue: Queue = field(init=False)  # works by calling `work`
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _sweeping: set[str] = field(default_factory=set)  # connections
    _found: dict[str, tuple[Order, ...]] = field(default_factory=dict)  # by connection, those refused too
    _orders: dict[ModelKey, Order] = field(default_factory=dict)  # those that may be carried out
    _later: dict[ModelKey, datetime] = field(default_factory=dict)  # when what failed is tried again

    @property
    def connections(self) -> list[str]:
        """The connections that mappings have their sources in."""
        return sorted({spec.source.connection for spec in self.specs})

    def lane(self, key: ModelKey) -> str:
        """Return what a model's work is counted for: its connection."""
        with self._lock:
            order = self._orders.get(key)
        return order.spec.source.connection if order else ""

    def sweep(self, connection: str) -> None:
        """Look at a connection, and submit what is due; nothing happens while another thread is at it."""
        with self._lock:
            if connection in self._sweeping:
                return
            self._sweeping.add(connection)
        try:
            self._sweep(connection)
        finally:
            with self._lock:
                self._sweeping.discard(connection)

    def retry(self) -> None:
        """Submit what failed and whose time has come."""
        now = self.clock.now()
        with self._lock:
            ready = [key for key, at in self._later.items() if at <= now]
            for key in ready:
                del self._later[key]
        for key in ready:
            self.queue.submit(key, "its time to be tried again has come")

    def compare(self, span: timedelta) -> None:
        """Submit models that were not compared for `full_every`; no more than are spread evenly over it in `span`."""
        before = {status.key: status.looked_at for status in self.passes.known().values()}
        oldest = self.clock.now() - self.full_every
        with self._lock:
            known = [(datetime.fromisoformat(before[key]), key) for key in self._orders if key in before]
            most = math.ceil(len(self._orders) * (span / self.full_every))
        for _, key in sorted(each for each in known if each[0] <= oldest)[:most]:
            self.queue.submit(key, "it is time to compare it with Vertex", full=True)

    def work(self, key: ModelKey, why: str, full: bool) -> None:  # noqa: FBT001  a queue's call
        """Carry out the latest order for a model, if that is still due."""
        with self._lock:
            order = self._orders.get(key)
        if order is None or not (full or self.passes.why_now(order, self.passes.store.status(key))):
            return
        report = self.passes.reconcile(replace(order, why=f"bridge run: {why}"))
        self._note(report.status)
        level = logging.WARNING if report.status.state in _LOUD else logging.INFO
        log.log(level, "%s", _spelled(report.status))

    def _sweep(self, connection: str) -> None:
        specs = [spec for spec in self.specs if spec.source.connection == connection]
        with self._lock:
            last = [order for orders in self._found.values() for order in orders]
        before = self.passes.known()
        look = self.passes.look(specs, before, last)
        self._tell(connection, look)
        unsettled = self.passes.unsettled(look.orders, before)
        with self._lock:
            self._place(connection, look, [order for order, _ in unsettled])
        for order, why in unsettled:
            if why is not None:
                self.queue.submit(order.key, why)
            elif (status := before.get(order.key)) is not None:
                self._note(status)

    def _place(self, connection: str, look: Look, unsettled: list[Order]) -> None:
        """Remember what was found; the unsettled orders know what they take away together."""
        own = tuple(order for order in look.rivals if order.spec.source.connection == connection)
        if connection not in look.problems:  # what cannot be read now is as it was, as far as anybody knows
            self._found[connection] = (*look.orders, *own)
        gone = [key for key, order in self._orders.items() if order.spec.source.connection == connection]
        for key in (*gone, *(order.key for order in look.rivals)):
            self._orders.pop(key, None)
        self._orders |= {order.key: order for order in (*look.orders, *unsettled)}

    def _tell(self, connection: str, look: Look) -> None:
        problem = look.problems.get(connection)
        if self.health.swept(connection, str(problem) if problem else None):
            if problem is None:
                log.info("connection %s can be read again", connection)
            else:
                log.warning("connection %s cannot be read: %s", connection, problem)

    def _note(self, status: Status) -> None:
        with self._lock:
            if status.next_try is None:
                self._later.pop(status.key, None)
            else:
                self._later[status.key] = datetime.fromisoformat(status.next_try)


_LOUD = (State.BLOCKED, State.FAILED, State.DEGRADED, State.DRIFTED)


def _spelled(status: Status) -> str:
    trouble = f": {status.message}; {status.remedy}" if status.message else ""
    tried = f"; tried in vain: {status.attempt}" if status.attempt else ""
    again = f"; again at {status.next_try}" if status.next_try else ""
    return f"{status.key} is {status.state}{trouble}{tried}{again}"
