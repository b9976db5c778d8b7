"""The loop's body, for one key."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, assert_never

from bridge.core.changes import CopyFiles, MoveAlias, RegisterVersion, RemoveAlias
from bridge.core.desired import desire
from bridge.core.errors import NeedsPerson, TryAgain
from bridge.core.model import Known, ModelKey, State
from bridge.core.naming import artifact_uri, sources_of
from bridge.core.planner import make_plan
from bridge.core.policy import guard_removals
from bridge.core.records import Outcome, Status
from bridge.core.settling import Settlement, settle as settle_open
from bridge.reconcile.registering import Registrar

if TYPE_CHECKING:
    from datetime import timedelta

    from bridge.core.changes import Change, Plan
    from bridge.core.desired import Desired
    from bridge.core.model import Alias, MappingSpec, RemovalGuard, SourceState, TargetState
    from bridge.core.ports import Clock, Copier, Registry, Source, Store


@dataclass(frozen=True, slots=True)
class Order:
    """What one key is to follow: a mapping, one collection's state from a sweep, and who or what asked."""

    spec: MappingSpec
    key: ModelKey
    name: str  # of the model, as the mapping writes it: Vertex's display name
    state: SourceState
    why: str = "sync"
    allowed_removals: str | None = None  # the checksum that lets removals past the guard


@dataclass(frozen=True, slots=True)
class Sight:
    """Both sides as they were seen together, and the plan that follows from them."""

    desired: Desired
    actual: TargetState
    settlement: Settlement
    plan: Plan


@dataclass(frozen=True, slots=True)
class Reconciler:
    """
    Bring one model key to its desired state.

    Observe Vertex (actual) beside what a sweep of the source said (desired); settle what a crash left open
    in the journal; plan, which is a pure diff; apply the plan, one journaled change at a time.
    """

    source: Source
    copier: Copier
    registry: Registry
    store: Store
    clock: Clock
    base: str  # gs://bucket/prefix
    guard: RemovalGuard
    settle: timedelta

    def plan(self, order: Order) -> Sight:
        """Look at both sides and decide; change nothing, not even in the store."""
        key = order.key
        desired = desire(order.spec, order.state)
        unfinished = self.store.unfinished(key)
        records = self.store.records(key)
        actual = self.registry.observe(key.model)
        known_folders = {record.artifact_uri for record in records}
        folders = {artifact_uri(self.base, key.model, version) for version in desired.versions} - known_folders
        folders |= {entry.change.artifact_uri for entry in unfinished if isinstance(entry.change, CopyFiles)}
        committed = frozenset(folder for folder in folders if self.copier.manifest(folder) is not None)
        actual = replace(actual, committed=committed)
        now = self.clock.now()
        known = Known(records, self.store.mirrored(key), self.store.seen_before(key), self.store.holds(key, now))
        settlement = settle_open(known, unfinished, self.store.intents(key), actual, now.isoformat())
        plan = make_plan(order.spec, self.base, desired, actual, settlement.known)
        mirrored = len(settlement.known.mirrored)
        plan = guard_removals(plan, self.guard, mirrored=mirrored, allowed=order.allowed_removals)
        return Sight(desired, actual, settlement, plan)

    def reconcile(self, order: Order, *, checksum: str | None = None) -> Sight:
        """
        Do one pass; return what was seen and planned, and is now done.

        With `checksum`, only if the plan is still the one that had it. Raises TryAgain or NeedsPerson at
        the first change that fails: those before it are done, those after it are not begun.
        """
        sight = self.plan(order)
        if checksum is not None and sight.plan.checksum != checksum:
            raise world_has_moved(order.key)
        self._write_down(order.key, sight)
        for change in sight.plan.changes:
            self._apply(order, change)
        if order.state.complete:
            self.store.save_seen(order.key, frozenset(sight.desired.aliases))
        return sight

    def _write_down(self, key: ModelKey, sight: Sight) -> None:
        """Save what the settlement found, and aliases that already are where they should be."""
        settlement = sight.settlement
        for record in settlement.landed:
            self.store.save_record(record)
            self.store.close_intent(key, record.artifact_uri)
        for alias, version_id in settlement.mirrored.items():
            self.store.save_mirrored(key, alias, version_id)
        for entry, outcome in settlement.outcomes.items():
            self.store.finish(entry, outcome, "settled by the next pass", self.clock.now())
        recorded = {record.artifact_uri for record in settlement.known.records}
        for alias, version in sight.desired.aliases.items():
            holder, folder = sight.actual.holder(alias), artifact_uri(self.base, key.model, version)
            in_place = holder is not None and holder.artifact_uri == folder and folder in recorded
            if holder and in_place and settlement.known.mirrored.get(alias) != holder.id:
                self.store.save_mirrored(key, alias, holder.id)

    def _apply(self, order: Order, change: Change) -> None:
        """Make one change between two journal lines; one whose end is unknown stays open: the next pass settles it."""
        entry = self.store.begin(order.key, change, order.why, self.clock.now())
        try:
            detail = self._effect(order, change)
        except NeedsPerson as problem:
            self.store.finish(entry, Outcome.FAILED, str(problem), self.clock.now())
            raise
        self.store.finish(entry, Outcome.APPLIED, detail, self.clock.now())

    def _effect(self, order: Order, change: Change) -> str:
        key = order.key
        match change:
            case CopyFiles(version, folder):
                self._show(order, State.COPYING, f"copying {version.label}")
                files = self.copier.copy(version, folder).files
                return f"{len(files)} files, {sum(file.size for file in files)} bytes, all verified"
            case RegisterVersion(version):
                self._show(order, State.REGISTERING, f"registering {version.label}")
                registrar = Registrar(self.registry, self.store, self.clock, self.settle)
                return f"@{registrar.register(key, change, order.spec, order.name).version_id}"
            case MoveAlias(alias, artifact_uri=folder):
                version_id = self._version_id(key, folder)
                self.registry.move_alias(key.model, alias, version_id)
                self.store.save_mirrored(key, alias, version_id)
                return f"@{version_id}"
            case RemoveAlias(alias, previous):
                self._confirm_gone(order, alias)
                self.registry.remove_alias(key.model, alias, previous.version_id)
                self.store.save_mirrored(key, alias, None)
                return f"was on @{previous.version_id}"
            case _:
                assert_never(change)

    def _version_id(self, key: ModelKey, folder: str) -> str:
        # The plan registers a version before it moves an alias to it, so there is a record.
        return next(record.version_id for record in self.store.records(key) if record.artifact_uri == folder)

    def _confirm_gone(self, order: Order, alias: Alias) -> None:
        for name in sources_of(alias, order.spec.aliases):
            if not self.source.is_gone(order.state.collection, name):
                raise TryAgain(f"{order.state.collection} lists no alias {name!r}, yet has it when asked by name")

    def _show(self, order: Order, state: State, message: str) -> None:
        looked_at = self.clock.now().isoformat()
        self.store.save_status(Status(order.key, state, message, "", order.state.collection, looked_at, None))


def world_has_moved(key: ModelKey) -> NeedsPerson:
    """Say that a saved plan is not what would be planned now."""
    return NeedsPerson(
        f"the world has moved since the plan for {key} was made", "make a new one and read it: bridge plan --out FILE"
    )
