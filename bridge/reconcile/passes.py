"""One pass over many mappings: one sweep per connection, then every model whose desired state differs."""

from __future__ import annotations

import logging
import re
import threading
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bridge.core.changes import checksum_of
from bridge.core.desired import desire, model_name
from bridge.core.errors import BridgeError, NeedsPerson, NotFound, Position, TryAgain
from bridge.core.model import DEFAULT, ModelKey, State
from bridge.core.naming import model_id
from bridge.core.policy import is_settled, state_after
from bridge.core.records import Status
from bridge.reconcile.reconciler import Beside, Order, world_has_moved

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from bridge.core.changes import Plan
    from bridge.core.model import MappingSpec, SourceState, Sweep
    from bridge.core.ports import Clock, Runner, Source, Store
    from bridge.reconcile.reconciler import Reconciler, Sight

log = logging.getLogger(__name__)

GONE = "gone"  # in place of a fingerprint, which has 16 hex digits: the source had it once


@dataclass(frozen=True, slots=True)
class Report:
    """How one model fared in a pass."""

    status: Status
    plan: Plan | None = None  # None: it was not compared, because the source is as it was, or could not be read
    sight: Sight | None = None  # what the plan follows from, where it was only made

    @property
    def key(self) -> ModelKey:
        """The model."""
        return self.status.key


@dataclass(frozen=True, slots=True)
class Passes:
    """Looks at sources, and has each model reconciled that needs it."""

    source: Callable[[str], Source]  # for a connection
    reconciler: Callable[[MappingSpec], Reconciler]  # for a mapping's ends
    target: Callable[[MappingSpec], str]  # what tells a mapping's target from any other, without building its ends
    store: Store
    clock: Clock
    runner: Runner

    def plan(self, specs: Sequence[MappingSpec]) -> list[Report]:
        """Compare both sides of every model of these mappings; change nothing anywhere."""
        return self._over(specs, self._plan_one, save=False)

    def sync(
        self,
        specs: Sequence[MappingSpec],
        *,
        why: str,
        full: bool = False,
        allowed_removals: Collection[str] = (),
    ) -> list[Report]:
        """
        Bring every model of these mappings to its desired state; one that fails does not hold up another.

        A model whose mapping and source are as they were when last all was well is not compared again, and
        Vertex is not asked about it, unless `full`.
        """

        def work(order: Order) -> Report:
            order = replace(order, why=why, allowed_removals=frozenset(allowed_removals))
            return self._reconcile(order, checksum=None)

        before = {} if full else {status.key: status for status in self.store.statuses()}
        return self._over(specs, work, save=True, skip=lambda order: self._unchanged(order, before.get(order.key)))

    def apply(self, specs: Sequence[MappingSpec], checksums: Mapping[ModelKey, str], *, why: str) -> list[Report]:
        """
        Apply the plans that have these checksums, of models of these mappings.

        Raises NeedsPerson, and nothing is changed, if one of them is not what would be planned now.
        """
        now = {report.key: report.plan for report in self.plan(specs)}
        for key, checksum in sorted(checksums.items()):
            plan = now.get(key)
            if plan is None or plan.checksum != checksum:
                raise world_has_moved(key)

        def work(order: Order) -> Report:
            return self._reconcile(replace(order, why=why), checksum=checksums[order.key])

        return self._over(specs, work, save=True, only=frozenset(checksums))

    def _over(
        self,
        specs: Sequence[MappingSpec],
        work: Callable[[Order], Report],
        *,
        save: bool,
        only: frozenset[ModelKey] | None = None,
        skip: Callable[[Order], Report | None] | None = None,
    ) -> list[Report]:
        found, troubled = self._orders(specs)
        reports = {status.key: Report(status) for status in troubled if only is None or status.key in only}
        to_do = []
        for order in found:
            if only is not None and order.key not in only:
                continue
            if skip is not None and (report := skip(order)):
                reports[order.key] = report
            else:
                to_do.append(order)
        orders = {order.key: order for order in self._seen_together(to_do, found)}
        for report in reports.values():
            if save and "{" not in report.key.model:  # a pattern's own name: none of its models is known yet
                self.store.save_status(report.status)
        lock = threading.Lock()

        def run(key: ModelKey) -> None:
            report = self._guarded(orders[key], work)
            with lock:
                reports[key] = report
            if save:
                self.store.save_status(report.status)

        self.runner.run(tuple(orders), run)
        return [reports[key] for key in sorted(reports)]

    # what there is to do

    def _orders(self, specs: Sequence[MappingSpec]) -> tuple[list[Order], list[Status]]:
        """Sweep every connection once; return what is to be looked at, and what could not be."""
        by_connection: dict[str, list[MappingSpec]] = defaultdict(list)
        for spec in specs:
            by_connection[spec.source.connection].append(spec)
        statuses: list[Status] = []
        orders: dict[tuple[str, str], list[Order]] = defaultdict(list)  # by target connection and model
        for connection, group in by_connection.items():
            try:
                sweep = self.source(connection).sweep([spec.source for spec in group])
            except Exception as problem:  # noqa: BLE001  one connection's trouble, or bug, does not hold up another
                for spec in group:
                    statuses += self._troubled(spec, State.DEGRADED, _known(problem, connection))
                continue
            for spec in group:
                found, troubled = self._of_mapping(spec, sweep)
                statuses += troubled
                for order in found:
                    orders[spec.target.connection, order.key.model].append(order)
        alone = [rivals[0] for rivals in orders.values() if len(rivals) == 1]
        for rivals in orders.values():
            if len(rivals) > 1:
                statuses += self._rivals(rivals)
        return alone, statuses

    def _of_mapping(self, spec: MappingSpec, sweep: Sweep) -> tuple[list[Order], list[Status]]:
        if (trouble := sweep.failed.get(spec.source)) is not None:
            state = State.FAILED if isinstance(trouble, NotFound) else State.DEGRADED
            return [], self._troubled(spec, state, trouble)
        orders = _orders_of(spec, sweep.found[spec.source])
        return orders, self._vanished(spec, orders) if spec.source.is_pattern else []

    def _vanished(self, spec: MappingSpec, found: Sequence[Order]) -> list[Status]:
        """
        Say what became of collections that a pattern once found, and does not any more: each is asked for by name.

        One that is gone stays as it is in Vertex, and is not asked for again; one that may not be read is degraded.
        """
        here = {order.key for order in found}
        known = [status for status in self.store.statuses() if status.key.mapping == spec.name]
        names = {
            status.collection.rpartition("/")[2]: status
            for status in known
            if status.key not in here and status.fingerprint != GONE
        }
        lost = {
            replace(spec.source, name=name, is_pattern=False): status
            for name, status in names.items()
            if re.fullmatch(spec.source.name, name)
        }
        if not lost:
            return []
        try:
            failed = self.source(spec.source.connection).sweep(list(lost)).failed
        except BridgeError as problem:
            failed = dict.fromkeys(lost, problem)
        return [self._lost(status, failed.get(selector)) for selector, status in lost.items()]

    def _lost(self, before: Status, problem: BridgeError | None) -> Status:
        if isinstance(problem, NotFound):
            message = (
                "the source no longer has it for this mapping; Vertex keeps what it had (on_source_delete: retain)"
            )
            looked_at = self.clock.now().isoformat()
            return replace(
                before, state=State.SYNCED, message=message, remedy="", looked_at=looked_at, fingerprint=GONE
            )
        unlisted = TryAgain(f"{before.collection} is there when asked by name, yet the source does not list it")
        return self._status(before.key, State.DEGRADED, problem or unlisted, before.collection)

    def _rivals(self, rivals: list[Order]) -> list[Status]:
        """Refuse collections that map to one model: of one mapping's pattern, or of two mappings."""
        names = " and ".join(sorted(f"{rival.state.collection} ({rival.spec.origin})" for rival in rivals))
        problem = NeedsPerson(
            f"{names} map to one Vertex model, {rivals[0].key.model!r}", "make the targets' names tell them apart"
        )
        keys = {rival.key: rival.state.collection for rival in rivals}
        return [self._status(key, State.BLOCKED, problem, collection) for key, collection in keys.items()]

    def _troubled(self, spec: MappingSpec, state: State, problem: BridgeError) -> list[Status]:
        """Say of every model of a mapping that its source could not be read; nothing else changes."""
        known = [status for status in self.store.statuses() if status.key.mapping == spec.name]
        if not known or not spec.source.is_pattern:
            key = ModelKey(spec.name, spec.target.model if spec.source.is_pattern else model_id(spec.target.model))
            return [self._status(key, state, problem, f"{spec.source.place}/{spec.source.name}")]
        return [self._status(status.key, state, problem, status.collection) for status in known]

    def _seen_together(self, to_do: list[Order], found: list[Order]) -> list[Order]:
        """Tell each order what the mapping's other models have and may lose in this pass."""
        removed = {order.key: self._losses(order) for order in to_do}
        mappings = {key.mapping for key, count in removed.items() if count}
        mirrored = {o.key: len(self.store.mirrored(o.key)) for o in found if o.key.mapping in mappings}

        def beside(order: Order) -> Beside:
            others = [key for key in mirrored if key.mapping == order.key.mapping and key != order.key]
            return Beside(sum(mirrored[key] for key in others), sum(removed.get(key, 0) for key in others))

        return [replace(o, beside=beside(o)) if o.key.mapping in mappings else o for o in to_do]

    def _losses(self, order: Order) -> int:
        desired = desire(order.spec, order.state)
        kept = {DEFAULT, *desired.aliases, *desired.unclear}
        return sum(alias not in kept for alias in self.store.mirrored(order.key))

    # one model

    def _guarded(self, order: Order, work: Callable[[Order], Report]) -> Report:
        try:
            return work(order)
        except Exception as problem:  # noqa: BLE001  one broken model, or bug, does not hold up another
            return Report(self._status(order.key, State.FAILED, _known(problem, order.key), order.state.collection))

    def _plan_one(self, order: Order) -> Report:
        sight = self.reconciler(order.spec).plan(order)
        plan = sight.plan
        status = self._after(order, plan)
        waits = bool(plan.changes) and status.state is State.SYNCED
        return Report(replace(status, state=State.PENDING) if waits else status, plan, sight)

    def _unchanged(self, order: Order, before: Status | None) -> Report | None:
        if before is None or before.fingerprint != self._fingerprint(order):
            return None
        return Report(replace(before, looked_at=self.clock.now().isoformat()))

    def _reconcile(self, order: Order, *, checksum: str | None) -> Report:
        plan = self.reconciler(order.spec).reconcile(order, checksum=checksum).plan
        return Report(self._after(order, plan), plan)

    def _after(self, order: Order, plan: Plan) -> Status:
        state, refusal = state_after(plan)
        problem = NeedsPerson(f"{refusal.about}: {refusal.reason}", refusal.remedy) if refusal else None
        status = self._status(order.key, state, problem, order.state.collection)
        return replace(status, fingerprint=self._fingerprint(order)) if is_settled(plan) else status

    def _status(self, key: ModelKey, state: State, problem: BridgeError | None, collection: str) -> Status:
        if isinstance(problem, NeedsPerson):
            message, remedy = problem.reason, problem.remedy
        else:
            message, remedy = str(problem or ""), "it is tried again at the next pass" if problem else ""
        return Status(key, state, message, remedy, collection, self.clock.now().isoformat(), None)

    def _fingerprint(self, order: Order) -> str:
        """Return what differs whenever the mapping, its target, or what it makes of the source differs."""
        spec = replace(order.spec, origin=Position("", 0, 0))
        return checksum_of(spec, self.target(order.spec), order.name, desire(spec, order.state))


def _known(problem: Exception, what: object) -> BridgeError:
    """Return an error of ours as it is; any other is a bug, which is logged."""
    if isinstance(problem, BridgeError):
        return problem
    log.error("unexpected error while working on %s", what, exc_info=problem)
    return NeedsPerson(f"unexpected {type(problem).__name__}: {problem}", "report it with the log of this run")


def _orders_of(spec: MappingSpec, states: Sequence[SourceState]) -> list[Order]:
    names = ((model_name(spec, state.name), state) for state in states)
    return [Order(spec, ModelKey(spec.name, model_id(name)), name, state) for name, state in names]
