"""Which models follow what, as of the last look at each connection; and which of them are to be worked on."""

from __future__ import annotations

import logging
import math
import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from bridge.core.model import State
from bridge.core.witness import Witness
from bridge.reconcile.sweeping import is_pattern, selects

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from bridge.core.model import MappingSpec, ModelKey
    from bridge.core.ports import Clock, Queue
    from bridge.core.records import Status
    from bridge.reconcile.orders import Order
    from bridge.reconcile.passes import Passes
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
    witness: Witness = field(default_factory=Witness)
    queue: Queue = field(init=False)  # works by calling `work`
    _lock: threading.Lock = field(default_factory=threading.Lock)
    watchers: list[Callable[[Status], None]] = field(default_factory=list)  # are told how models are
    _looking: dict[str, threading.Lock] = field(init=False)  # by connection; what was seen later is never undone
    _found: dict[str, tuple[Order, ...]] = field(default_factory=dict)  # by connection, those refused too
    _orders: dict[ModelKey, Order] = field(default_factory=dict)  # those that may be carried out
    _later: dict[ModelKey, datetime] = field(default_factory=dict)  # when what failed is tried again
    _sweeps: Counter[str] = field(default_factory=Counter)  # by connection, those that came to their end
    _unread: dict[str, tuple[Status, ...]] = field(default_factory=dict)  # by connection, as of the last one

    def __post_init__(self) -> None:
        self._looking = {connection: threading.Lock() for connection in self.connections}

    @property
    def connections(self) -> list[str]:
        """The connections that mappings have their sources in."""
        return sorted({spec.source.connection for spec in self.specs})

    def lane(self, key: ModelKey) -> str:
        """Return what a model's work is counted for: its connection."""
        with self._lock:
            order = self._orders.get(key)
        return order.spec.source.connection if order else ""

    def follows(self, key: ModelKey) -> bool:
        """Tell whether a model can be worked on: its source was read, and it is no other's rival."""
        with self._lock:
            return key in self._orders

    def sweeps(self, connection: str) -> int:
        """Count the sweeps of a connection that came to their end; what they found due is submitted by then."""
        with self._lock:
            return self._sweeps[connection]

    def unread(self, mapping: str) -> list[Status]:
        """Say what the last sweep could not look at, of a pattern that no model is known of: the store has no word."""
        with self._lock:
            found = [status for statuses in self._unread.values() for status in statuses]
        return [status for status in found if status.key.mapping == mapping and is_pattern(status.key)]

    def sweep(self, connection: str) -> None:
        """Look at a connection, and submit what is due; nothing happens while another thread is at it."""
        looking = self._looking[connection]
        if looking.acquire(blocking=False):
            try:
                self._sweep(connection)
            finally:
                looking.release()

    def selected(self, connection: str, name: str) -> bool:
        """Tell whether a mapping may follow a collection of that name; nobody is asked."""
        return any(selects(spec.source, name) for spec in self._specs_of(connection))

    def glance(self, connection: str, names: Collection[str] | None) -> None:
        """
        Look at these collections, by their names, and submit what is due; at the whole connection if None.

        A look at the connection that another thread is at is waited for: it may have begun too early. Raises
        TryAgain or NeedsPerson if nothing can be read, which the next sweep tells of.
        """
        with self._looking[connection]:
            with self._lock:
                last = self._found.get(connection)
            if names is None or not last:  # without a sweep nobody knows what may land on the same models
                self._sweep(connection)
            else:
                self._glance(connection, names)

    def look(self, mapping: str, why: str, *, full: bool) -> None:
        """Look at a mapping's source now, and submit its models that are not well, or all, whenever they are due."""
        connection = next((spec.source.connection for spec in self.specs if spec.name == mapping), None)
        if connection is None:
            return
        with self._looking[connection]:
            self._sweep(connection)
        with self._lock:
            orders = [order for key, order in self._orders.items() if key.mapping == mapping]
        before = self.passes.known()
        to_do = orders if full else [order for order, _ in self.passes.unsettled(orders, before)]
        for order in to_do:
            self.queue.submit(order.key, why, full=True)

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

    def work(self, key: ModelKey, why: str, full: bool) -> State | None:  # noqa: FBT001  a queue's call
        """Carry out the latest order for a model; return how it is then, or None if that was not due any more."""
        with self._lock:
            order = self._orders.get(key)
        if order is None:
            return None
        known = self.passes.store.status(key)
        if not full and self.passes.why_now(order, known) is None:
            if known is not None:  # those who watch may have heard that a change waits
                self._watch(known)
                if known.state is State.SYNCED:  # by another process, or by the source itself
                    self.witness.stood(known)
            return None
        report = self.passes.reconcile(replace(order, why=f"bridge run: {why}"))
        self._note(report.status)
        self.witness.stood(report.status)
        self._watch(report.status)
        level = logging.WARNING if report.status.state in _LOUD else logging.INFO
        log.log(level, "%s", _spelled(report.status))
        return report.status.state

    def _specs_of(self, connection: str) -> list[MappingSpec]:
        return [spec for spec in self.specs if spec.source.connection == connection]

    def _sweep(self, connection: str) -> None:
        specs = self._specs_of(connection)
        with self._lock:
            last = [order for orders in self._found.values() for order in orders]
        before = self.passes.known()
        look = self.passes.look(specs, before, last)
        self._tell(connection, look)
        for news in look.news:
            self._watch(news)
        unsettled = self.passes.unsettled(look.orders, before)
        with self._lock:
            self._place(connection, look, [order for order, _ in unsettled])
            self._unread[connection] = look.unread
        self._witness(connection, look, before, unsettled)
        self._submit(unsettled, before)
        with self._lock:
            self._sweeps[connection] += 1

    def _glance(self, connection: str, names: Collection[str]) -> None:
        with self._lock:
            last = [order for orders in self._found.values() for order in orders]
        seen = {order.key: order for order in self.passes.glance(self._specs_of(connection), names, last)}
        before = {key: status for key in seen if (status := self.passes.store.status(key)) is not None}
        unsettled = self.passes.unsettled(tuple(seen.values()), before)
        with self._lock:
            others = [order for order in self._found[connection] if order.key not in seen]
            self._found[connection] = (*others, *seen.values())
            self._orders |= seen | {order.key: order for order, _ in unsettled}
        self._submit(unsettled, before)

    def _submit(self, unsettled: Sequence[tuple[Order, str | None]], before: Mapping[ModelKey, Status]) -> None:
        for status in self.passes.announce([order for order, why in unsettled if why is not None], before):
            self._watch(status)
        for order, why in unsettled:
            if why is not None:
                self.witness.due(order.key)
                self.queue.submit(order.key, why)
            elif (known := before.get(order.key)) is not None:
                self._note(known)

    def _witness(
        self,
        connection: str,
        look: Look,
        before: Mapping[ModelKey, Status],
        unsettled: Sequence[tuple[Order, str | None]],
    ) -> None:
        """Tell what the source alone has shown: whom it troubles, whom not any more, and which mappings are well."""
        for status in look.unread:
            self.witness.stood(status)
        unwell = {order.key for order, _ in unsettled}
        for order in look.orders:
            known = before.get(order.key)
            if known is not None and known.state in _LOUD and order.key not in unwell:
                self.witness.stood(replace(known, state=State.SYNCED, message="", remedy=""))
        held = {order.key for order, why in unsettled if why is None and _is(before.get(order.key), State.HELD)}
        waiting = {key.mapping for key in (*(unwell - held), *(status.key for status in look.unread))}
        mappings = {spec.name for spec in self.specs if spec.source.connection == connection}
        self.witness.swept(connection, mappings - waiting)

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

    def _watch(self, status: Status) -> None:
        for watch in self.watchers:
            watch(status)

    def _note(self, status: Status) -> None:
        with self._lock:
            if status.next_try is None:
                self._later.pop(status.key, None)
            else:
                self._later[status.key] = datetime.fromisoformat(status.next_try)


def _is(status: Status | None, state: State) -> bool:
    return status is not None and status.state is state


_LOUD = (State.BLOCKED, State.FAILED, State.DEGRADED, State.DRIFTED)


def _spelled(status: Status) -> str:
    trouble = f": {status.message}; {status.remedy}" if status.message else ""
    tried = f"; tried in vain: {status.attempt}" if status.attempt else ""
    again = f"; again at {status.next_try}" if status.next_try else ""
    return f"{status.key} is {status.state}{trouble}{tried}{again}"
