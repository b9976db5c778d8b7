"""
Passes over many mappings: one sweep per connection, then every model whose desired state differs.

`sync` does it all and waits for the end. A service calls the parts when it likes: `look`, `unsettled`, `reconcile`.
"""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bridge.core.changes import checksum_of
from bridge.core.desired import desire
from bridge.core.errors import NeedsPerson, TakenElsewhere, TryAgain
from bridge.core.model import OnSourceDelete, State
from bridge.core.policy import NONE, ends_at, is_behind, is_settled, looks_again, state_after
from bridge.core.retrying import looks_on, pause_after, why_now
from bridge.reconcile.failing import Unexpected, is_news, known, status_of, well, world_has_moved
from bridge.reconcile.fencing import fenced
from bridge.reconcile.leasing import BUSY_FOR
from bridge.reconcile.losses import Losses, listed
from bridge.reconcile.pausing import due
from bridge.reconcile.sweeping import Sweeper, gone, is_pattern, waits, was_well

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from bridge.core.changes import Plan
    from bridge.core.errors import BridgeError
    from bridge.core.model import MappingSpec, ModelKey
    from bridge.core.ports import Clock, Runner, Source, Store
    from bridge.core.records import Lease, Status
    from bridge.reconcile.leasing import Leases
    from bridge.reconcile.orders import Order, Sight
    from bridge.reconcile.reconciler import Reconciler
    from bridge.reconcile.sweeping import Look


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
    leases: Leases
    chance: Callable[[], float] = random.random

    def plan(self, specs: Sequence[MappingSpec]) -> list[Report]:
        """Compare both sides of every model of these mappings; change nothing anywhere."""
        look = self._sweeper.look(specs, self.known())
        return self._over(look.orders, self._plan_one, found=look.orders, reports=_unread(look))

    def sync(
        self,
        specs: Sequence[MappingSpec],
        *,
        why: str,
        full: bool = False,
        allowed_removals: Collection[str] = (),
        only: Collection[ModelKey] | None = None,
    ) -> list[Report]:
        """
        Bring every model of these mappings to its desired state; one that fails does not hold up another.

        A model whose mapping and source are as they were when last all was well is not compared again, and
        Vertex is not asked about it, unless `full`. What was tried in vain is tried again, be it its time or not.
        With `only`, no other models are worked on.
        """
        before = self.known()
        look = self.look(specs, before)
        settled = {} if full else {o.key: Report(well(before[o.key])) for o in look.orders if self._is_well(o, before)}
        allowed = frozenset(allowed_removals)
        chosen = {order.key for order in look.orders} if only is None else only
        told = {key: report for key, report in (_unread(look) | settled).items() if only is None or key in only}
        return self._over(
            [order for order in look.orders if order.key in chosen and order.key not in settled],
            lambda order: self.reconcile(replace(order, why=why, allowed_removals=allowed)),
            found=look.orders,
            reports=told,
        )

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
        look = self.look(specs, self.known())
        return self._over(
            [order for order in look.orders if order.key in checksums],
            lambda order: self.reconcile(replace(order, why=why), checksum=checksums[order.key]),
            found=look.orders,
            reports={key: report for key, report in _unread(look).items() if key in checksums},
        )

    # the parts

    def known(self) -> dict[ModelKey, Status]:
        """Return what the store knows of every model."""
        return {status.key: status for status in self.store.statuses()}

    def look(self, specs: Sequence[MappingSpec], before: Mapping[ModelKey, Status], last: Sequence[Order] = ()) -> Look:
        """
        Sweep the connections of these mappings; write down what they say of the models' states, if it is news.

        `last` is what sweeps found last, of these and of other mappings: no two models of any may be the same, and
        what is as it was need not be reckoned again.
        """
        mappings = {spec.name for spec in specs}
        look = self._sweeper.look(specs, before, [order for order in last if order.key.mapping not in mappings])
        was = {order.key: order for order in last}
        look = replace(look, orders=tuple(self._marked(order, was.get(order.key)) for order in look.orders))
        unread = [status for status in look.unread if not is_pattern(status.key)]
        settled = [well(before[o.key], self.clock.now().isoformat()) for o in look.orders if self._is_well(o, before)]
        news = [status for status in (*unread, *settled) if is_news(status, before.get(status.key))]
        if news:
            self.store.save_states(news)
        for status in look.gone:
            self.store.save_status(status)
        return replace(look, news=(*news, *look.gone))

    def glance(self, specs: Sequence[MappingSpec], names: Iterable[str], last: Sequence[Order]) -> list[Order]:
        """
        Look at single collections of one connection, between sweeps: see Sweeper.glance. Nothing is written.

        What is absent is left to sweeps, which see many removals together and refuse them.
        """
        was = {order.key: order for order in last}
        orders = [
            order if self._losses.of(order) == NONE else replace(order, state=replace(order.state, complete=False))
            for order in self._sweeper.glance(specs, names, last)
        ]
        return [self._marked(order, was.get(order.key)) for order in orders]

    def unsettled(self, orders: Sequence[Order], before: Mapping[ModelKey, Status]) -> list[tuple[Order, str | None]]:
        """Return the orders that are not known to be carried out, and why each is due now if it is; ask nobody."""
        open_ = self._losses.together([order for order in orders if not self._is_well(order, before)], orders)
        return [(order, self.why_now(order, before.get(order.key))) for order in open_]

    def announce(self, orders: Sequence[Order], before: Mapping[ModelKey, Status]) -> list[Status]:
        """Say of models that were well, or are new, that a change waits, and write it down; return what was said."""
        known = [before.get(order.key, self._status(order, State.PENDING, None)) for order in orders]
        now = self.clock.now().isoformat()
        waiting = [waits(each, now) for each in known if each.key not in before or was_well(each)]
        if waiting:
            self.store.save_waiting(waiting)
        return waiting

    def why_now(self, order: Order, before: Status | None) -> str | None:
        """Say why an order is to be carried out now, given what is known of its model; None if it is not."""
        return why_now(self._fingerprint(order), before, self.clock.now())

    def reconcile(self, order: Order, *, checksum: str | None = None) -> Report:
        """Bring one model to its desired state, under its lease, and write down how it is then."""
        try:
            with self.leases.of(order.key) as lease:
                return self._under(lease, order, checksum)
        except TakenElsewhere as taken:
            status = status_of(order.key, State.PENDING, taken, order.state.collection, self.clock.now())
            next_try = (self.clock.now() + BUSY_FOR).isoformat()
            return Report(replace(status, remedy="that process goes on with it", next_try=next_try))

    @property
    def _losses(self) -> Losses:
        return Losses(self.store)

    @property
    def _sweeper(self) -> Sweeper:
        return Sweeper(
            self.source,
            self.clock,
            lambda key: bool(self.store.records(key) or self.store.tombstones(key)),
            lambda key: bool(self.store.unfinished(key) or self.store.intents(key)),
        )

    def _over(
        self,
        to_do: Sequence[Order],
        work: Callable[[Order], Report],
        *,
        found: Iterable[Order],
        reports: dict[ModelKey, Report],
    ) -> list[Report]:
        """Do `work` for every order; return the reports, those that are there already too, by key."""
        orders = {order.key: order for order in self._losses.together(to_do, found)}
        lock = threading.Lock()

        def run(key: ModelKey) -> None:
            report = work(orders[key])
            with lock:
                reports[key] = report

        self.runner.run(tuple(orders), run)
        return [reports[key] for key in sorted(reports)]

    # one model

    def _plan_one(self, order: Order) -> Report:
        try:
            sight = self.reconciler(order.spec).plan(order)
        except Exception as problem:  # noqa: BLE001  one broken model, or bug, does not hold up another
            return Report(self._status(order, State.FAILED, known(problem, order.key)))
        status = self._after(order, sight.plan, 0)
        waits = bool(sight.plan.changes) and status.state is State.SYNCED
        return Report(replace(status, state=State.PENDING) if waits else status, sight.plan, sight)

    def _under(self, lease: Lease, order: Order, checksum: str | None) -> Report:
        store = self.store.fenced(lease)
        before = store.status(order.key)
        holds = store.holds(order.key, self.clock.now())
        attempt = before.attempt if before and before.tried == self._fingerprint(order) else 0
        try:
            reconciler = fenced(self.reconciler(order.spec), store, lease, self.leases)
            sight = reconciler.reconcile(order, checksum=checksum)
            status = self._after(order, sight.plan, attempt)
            report = Report(looks_on(status, sight.settlement.awaited, self.clock.now()), sight.plan)
        except TakenElsewhere:
            raise
        except Exception as problem:  # noqa: BLE001  the same
            report = Report(self._failed(order, known(problem, order.key), attempt + 1))
        store.save_status(report.status)
        if store.holds(order.key, self.clock.now()) != holds:  # whoever changed them may have written before this did
            store.save_status(due(report.status))
        return report

    def _failed(self, order: Order, problem: BridgeError, attempt: int) -> Status:
        if self.leases.is_ending and isinstance(problem, TryAgain):  # a copy breaks off, too
            return replace(self._status(order, State.PENDING, problem), remedy="the next start takes it up")
        status = self._status(order, State.FAILED, problem)
        next_try = None
        if isinstance(problem, TryAgain | Unexpected):
            pause = pause_after(attempt, getattr(problem, "after", None), self.chance())
            next_try = (self.clock.now() + pause).isoformat()
        return replace(status, attempt=attempt, next_try=next_try, tried=self._fingerprint(order))

    def _after(self, order: Order, plan: Plan, attempt: int) -> Status:
        state, refusal = state_after(plan)
        problem = NeedsPerson(f"{refusal.about}: {refusal.reason}", refusal.remedy) if refusal else None
        status, fingerprint = self._status(order, state, problem), self._fingerprint(order)
        if is_settled(plan):
            if order.state.is_missing and problem is None:
                return gone(status, order.spec.on_source_delete)
            return replace(status, fingerprint=fingerprint, tried=fingerprint)
        return replace(
            status,
            attempt=attempt + 1 if state is State.FAILED else 0,
            next_try=ends_at(plan),
            tried=None if looks_again(plan) else fingerprint,
            behind_since=status.behind_since if is_behind(plan) else None,
        )

    def _status(self, order: Order, state: State, problem: BridgeError | None) -> Status:
        return status_of(order.key, state, problem, order.state.collection, self.clock.now())

    def _is_well(self, order: Order, before: Mapping[ModelKey, Status]) -> bool:
        known = before.get(order.key)
        return known is not None and known.fingerprint == self._fingerprint(order)

    def _marked(self, order: Order, was: Order | None) -> Order:
        """Give an order its fingerprint: reckoning 10,000 takes seconds, comparing them does not."""
        if was is not None and was.spec is order.spec and was.state == order.state:
            return replace(order, fingerprint=was.fingerprint)
        return replace(order, fingerprint=self._fingerprint(order))

    def _fingerprint(self, order: Order) -> str:
        """Return what differs whenever the mapping, its target, or what it makes of the source differs."""
        if order.fingerprint:
            return order.fingerprint
        wish = order.spec.wish
        versions = sorted(listed(order)) if wish.on_source_delete is OnSourceDelete.DELETE else []
        return checksum_of(wish, self.target(order.spec), order.name, desire(wish, order.state), *versions)


def _unread(look: Look) -> dict[ModelKey, Report]:
    return {status.key: Report(status) for status in (*look.unread, *look.gone)}
