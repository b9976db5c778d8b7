"""One pass over many mappings: one sweep per connection, then every model whose desired state differs."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bridge.core.changes import checksum_of
from bridge.core.desired import desire, model_name
from bridge.core.errors import BridgeError, NeedsPerson, Position
from bridge.core.model import ModelKey, State, Sweep
from bridge.core.naming import model_id
from bridge.core.policy import is_settled, state_after
from bridge.core.records import Status
from bridge.reconcile.reconciler import Order, world_has_moved

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bridge.core.changes import Plan
    from bridge.core.model import MappingSpec
    from bridge.core.ports import Clock, Runner, Source, Store
    from bridge.reconcile.reconciler import Reconciler

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Report:
    """How one model fared in a pass."""

    status: Status
    plan: Plan | None = None  # None: it was not compared, because the source is as it was, or could not be read

    @property
    def key(self) -> ModelKey:
        """The model."""
        return self.status.key


@dataclass(frozen=True, slots=True)
class Passes:
    """Looks at sources, and has each model reconciled that needs it."""

    source: Callable[[str], Source]  # for a connection
    reconciler: Callable[[MappingSpec], Reconciler]  # for a mapping's ends
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
        allowed_removals: str | None = None,
    ) -> list[Report]:
        """
        Bring every model of these mappings to its desired state; one that fails does not hold up another.

        A model whose mapping and source are as they were when last all was well is not compared again, and
        Vertex is not asked about it, unless `full`.
        """

        def work(order: Order) -> Report:
            order = replace(order, why=why, allowed_removals=allowed_removals)
            unchanged = None if full else self._unchanged(order)
            return unchanged or self._reconcile(order, checksum=None)

        return self._over(specs, work, save=True)

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
    ) -> list[Report]:
        reports: dict[ModelKey, Report] = {}
        orders: dict[ModelKey, Order] = {}
        for order in self._orders(specs):
            if only is not None and order.key not in only:
                continue
            if isinstance(order, Status):
                reports[order.key] = Report(order)
                if save:
                    self.store.save_status(order)
            else:
                orders[order.key] = order
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

    def _orders(self, specs: Sequence[MappingSpec]) -> list[Order | Status]:
        by_connection: dict[str, list[MappingSpec]] = defaultdict(list)
        for spec in specs:
            by_connection[spec.source.connection].append(spec)
        found: list[Order | Status] = []
        for connection, group in by_connection.items():
            try:
                sweep = self.source(connection).sweep([spec.source for spec in group])
            except BridgeError as problem:
                for spec in group:
                    found += self._troubled(spec, State.DEGRADED, problem)
                continue
            for spec in group:
                found += self._of_mapping(spec, sweep)
        return found

    def _of_mapping(self, spec: MappingSpec, sweep: Sweep) -> list[Order | Status]:
        if spec.source in sweep.failed:
            problem = sweep.failed[spec.source]
            state = State.FAILED if isinstance(problem, NeedsPerson) else State.DEGRADED
            return list(self._troubled(spec, state, problem))
        orders: dict[ModelKey, list[Order]] = defaultdict(list)
        for state_seen in sweep.found[spec.source]:
            name = model_name(spec, state_seen.name)
            key = ModelKey(spec.name, model_id(name))
            orders[key].append(Order(spec, key, name, state_seen))
        return [self._only(rivals) for rivals in orders.values()]

    def _only(self, rivals: list[Order]) -> Order | Status:
        if len(rivals) == 1:
            return rivals[0]
        order = rivals[0]
        names = " and ".join(sorted(rival.state.name for rival in rivals))
        problem = NeedsPerson(
            f"collections {names} all map to the Vertex model {order.key.model!r}",
            f"make the target's name tell them apart ({order.spec.origin})",
        )
        return self._status(order.key, State.BLOCKED, problem, order.state.collection)

    def _troubled(self, spec: MappingSpec, state: State, problem: BridgeError) -> list[Status]:
        """Say of every model of a mapping that its source could not be read; nothing else changes."""
        known = [status for status in self.store.statuses() if status.key.mapping == spec.name]
        if not known or not spec.source.is_pattern:
            key = ModelKey(spec.name, model_id(spec.target.model))
            return [self._status(key, state, problem, f"{spec.source.place}/{spec.source.name}")]
        return [self._status(status.key, state, problem, status.collection) for status in known]

    # one model

    def _guarded(self, order: Order, work: Callable[[Order], Report]) -> Report:
        try:
            return work(order)
        except BridgeError as known:
            problem = known
        except Exception as bug:
            log.exception("unexpected error while working on %s", order.key)
            problem = NeedsPerson(f"unexpected {type(bug).__name__}: {bug}", "report it with the log of this run")
        return Report(self._status(order.key, State.FAILED, problem, order.state.collection))

    def _plan_one(self, order: Order) -> Report:
        plan = self.reconciler(order.spec).plan(order).plan
        status = self._after(order, plan)
        waits = bool(plan.changes) and status.state is State.SYNCED
        return Report(replace(status, state=State.PENDING) if waits else status, plan)

    def _unchanged(self, order: Order) -> Report | None:
        before = self.store.status(order.key)
        if before is None or before.fingerprint is None or before.fingerprint != self._fingerprint(order):
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
        """Return what differs whenever the mapping, its bucket, or what it makes of the source differs."""
        spec = replace(order.spec, origin=Position("", 0, 0))
        return checksum_of(spec, self.reconciler(order.spec).base, order.name, desire(spec, order.state))
