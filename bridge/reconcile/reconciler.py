"""The loop's body, for one key."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, assert_never

from bridge.core.changes import (
    AdoptVersion,
    ArrangeFiles,
    CopyFiles,
    DeleteFiles,
    DeleteVersion,
    Kind,
    MarkDuplicate,
    MoveAlias,
    Refusal,
    RegisterVersion,
    RemoveAlias,
    refuse_frozen,
    refuse_held,
    refuse_paused,
    subject_of,
    version_of,
)
from bridge.core.desired import desire
from bridge.core.errors import NeedsPerson, StillUnderWay, TryAgain
from bridge.core.limits import UNLIMITED
from bridge.core.model import DEFAULT, EVERY, Facts, Known, OnConflict, OnSourceDelete, State
from bridge.core.naming import adopted_uri
from bridge.core.places import refuse_misplaced
from bridge.core.planner import make_plan
from bridge.core.policy import Count, brings_versions, freeze, guard_removals, pause, show_holds, stay_out
from bridge.core.records import Outcome
from bridge.core.settling import settle as settle_open
from bridge.core.witness import Witness
from bridge.reconcile.confirming import confirm
from bridge.reconcile.departing import Listing, folders_taken
from bridge.reconcile.failing import status_of, world_has_moved
from bridge.reconcile.noting import Notes
from bridge.reconcile.observing import Observer
from bridge.reconcile.orders import Sight
from bridge.reconcile.registering import Registrar
from bridge.reconcile.removing import Remover

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime, timedelta

    from bridge.core.changes import Change
    from bridge.core.model import (
        BucketPlace,
        MappingSpec,
        ModelKey,
        RemovalGuard,
        SourceVersion,
    )
    from bridge.core.ports import Clock, Copier, Limit, Registry, Source, Store
    from bridge.core.records import EntryId
    from bridge.reconcile.orders import Order

log = logging.getLogger(__name__)


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
    location: str  # of Vertex
    guard: RemovalGuard
    settle: timedelta
    registrations: Limit = UNLIMITED  # how many registrations are begun
    frozen: Callable[[MappingSpec, datetime], datetime | None] = lambda _spec, _now: None  # until when
    scan: Callable[[SourceVersion, str], None] | None = None  # a folder, before it is registered; raises if unclean
    place: Callable[[], BucketPlace | None] = lambda: None  # of the bucket; only asked before something is put there
    witness: Witness = field(default_factory=Witness)

    def plan(self, order: Order) -> Sight:
        """Look at both sides and decide; change nothing, not even in the store."""
        key = order.key
        desired = desire(order.spec, order.state)
        unfinished = self.store.unfinished(key)
        records, mirrored = self.store.records(key), self.store.mirrored(key)
        observer = self._observer(order)
        actual, manifests = observer.observe(desired.versions, records, mirrored, unfinished)
        now = self.clock.now()
        known = Known(
            records,
            mirrored,
            self.store.seen_before(key),
            self.store.holds(key, now),
            tuple(grave for grave in self.store.tombstones(key) if grave.files_removed is None),
        )
        intents = self.store.intents(key)
        settlement = settle_open(known, unfinished, intents, actual, now=now, window=self.settle)
        fits = observer.fits(desired.versions, settlement.known.records, actual, manifests, intents)
        wrong = observer.arranged_otherwise(desired.versions, fits, manifests)
        actual = replace(actual, committed=actual.committed - wrong)
        known, before = settlement.known, self.store.absent_before(key)
        listing = Listing(self.source, order.spec, order.state)
        absences = listing.absences(desired, actual, known, before)
        if absences.deleted:
            known = replace(known, taken=folders_taken(self.store, key))
        plan = make_plan(order.spec, self.base, desired, actual, known, fits=fits, absences=absences)
        has = Count(len(known.mirrored), len(known.records)) + order.beside.has
        plan = guard_removals(plan, self.guard, has, beside=order.beside.loses, allowed=order.allowed_removals)
        if brings_versions(plan):
            plan = stay_out(plan, refuse_misplaced(self.base, self.place(), self.location))
        plan = pause(show_holds(plan, known.holds), known.holds.get(EVERY))
        frozen = freeze(plan, self.frozen(order.spec, now))
        return Sight(order.state, desired, actual, settlement, absences, frozen)

    def _observer(self, order: Order) -> Observer:
        return Observer(self.source, self.copier, self.registry, self.base, self.location, order.spec, order.key.model)

    def reconcile(self, order: Order, *, checksum: str | None = None) -> Sight:
        """
        Do one pass; return what was seen and planned, and is now done.

        With `checksum`, only if the plan is still the one that had it. A change that needs a person becomes a
        refusal, and what the plan has in mind for the same version is not begun; other versions are not held up.
        Raises TryAgain at the first change that the outside was too unwell for: those after it are not begun. Of
        what has not ended yet it raises StillUnderWay, after the changes of other versions are made.
        """
        sight = self.plan(order)
        if checksum is not None and sight.plan.checksum != checksum:
            raise world_has_moved(order.key)
        Notes(self.store, self.clock, self._facts, self._observer(order).homes).take(order, sight)
        self.witness.doubled(order.key, sight.actual.doubled)
        if sight.plan.changes:
            # Also forgets the fingerprint: until the pass has ended well, nothing may be taken for unchanged.
            self._show(order, State.PENDING, "changes are under way")
        done, late, waiting = self._make(order, sight)
        if sight.is_sighting:
            deletes = order.spec.on_source_delete is OnSourceDelete.DELETE
            absent = sight.absences.now if deletes else frozenset()
            self.store.save_seen(order.key, frozenset(sight.desired.aliases), absent)
        if waiting is not None:
            raise waiting
        plan = replace(sight.plan, changes=tuple(done), refusals=(*sight.plan.refusals, *late))
        return replace(sight, plan=plan)

    def adopt(self, order: Order, change: AdoptVersion) -> None:
        """Adopt a version as a person said, journaled. Raises NeedsPerson if it is refused, paused or frozen."""
        if refusal := self._held(order, change):
            raise NeedsPerson(f"{refusal.about}: {refusal.reason}", refusal.remedy)
        self._apply(order, change)

    def _make(self, order: Order, sight: Sight) -> tuple[list[Change], list[Refusal], StillUnderWay | None]:
        """Make the plan's changes; return those that were made, why others were not, and what has not ended yet."""
        done: list[Change] = []
        late: list[Refusal] = []
        waiting: StillUnderWay | None = None
        left: set[SourceVersion] = set()  # whose changes do not go on
        for change in sight.plan.changes:
            version = version_of(change)
            if version in left:
                continue
            if refusal := self._held(order, change):
                late.append(refusal)
                continue
            try:
                self._apply(order, change, sight.settlement.lines_of(change))
            except NeedsPerson as problem:
                late.append(Refusal(Kind.FAILED, subject_of(change), problem.reason, problem.remedy))
            except StillUnderWay as pending:
                waiting = waiting or pending
            else:
                done.append(change)
                continue
            if version is None or isinstance(change, MoveAlias):
                continue
            left.add(version)
            # In a new model, Vertex would give `default` to whichever came first.
            if not sight.actual.exists and (waiting or version == sight.desired.aliases.get(DEFAULT)):
                break
        return done, late, waiting

    def _held(self, order: Order, change: Change) -> Refusal | None:
        """Look for a freeze or hold that began since the plan was made: files may have been copied for hours."""
        if (until := self.frozen(order.spec, self.clock.now())) is not None:
            return refuse_frozen(change, until)
        holds = self.store.holds(order.key, self.clock.now())
        if (hold := holds.get(EVERY)) is not None:
            return refuse_paused(subject_of(change), hold, order.key)
        hold = holds.get(change.alias) if isinstance(change, MoveAlias | RemoveAlias) else None
        return refuse_held(hold, order.key) if hold else None

    def _apply(self, order: Order, change: Change, begun: Sequence[EntryId] = ()) -> None:
        """
        Make one change between two journal lines; one whose end is unknown stays open: the next pass settles it.

        `begun` are open lines whose place it takes, of an earlier attempt at the same change for one: a registration's
        goes on, since nothing is sent twice; any other change is sent again, and gets a line and a time of its own.
        """
        log.info("%s", change)
        goes_on = begun and isinstance(change, RegisterVersion)
        entry = begun[0] if goes_on else self.store.begin(order.key, change, order.why, self.clock.now())
        try:
            self._confirm(order, change, entry)
            for line in () if goes_on else begun:
                self.store.finish(line, Outcome.ABANDONED, "made anew", self.clock.now())
            detail = self._effect(order, change)
        except NeedsPerson as problem:
            self.store.finish(entry, Outcome.FAILED, str(problem), self.clock.now())
            self.witness.failed(order.key, change, problem)
            raise
        self.store.finish(entry, Outcome.APPLIED, detail, self.clock.now())
        self.witness.made(order.key, change)

    def _confirm(self, order: Order, change: Change, entry: EntryId) -> None:
        """Close the line of a change that is not right any more: open, it would be told as ours if a person made it."""
        try:
            confirm(order, change, self.registry, self._remover(order), self._version_id)
        except TryAgain as refused:
            self.store.finish(entry, Outcome.ABANDONED, str(refused), self.clock.now())
            raise

    def _effect(self, order: Order, change: Change) -> str:  # noqa: PLR0911  one kind a case
        key = order.key
        match change:
            case CopyFiles(version, folder):
                self._show(order, State.COPYING, f"copying {version.label}")
                files = self.copier.copy(version, folder).files
                return f"{len(files)} files, {sum(file.size for file in files)} bytes, all verified"
            case ArrangeFiles(version, copied, folder, renames):
                self._show(order, State.COPYING, f"arranging {version.label} for its container")
                return f"{len(self.copier.arrange(version, copied, folder, renames).files)} files, inside the bucket"
            case RegisterVersion(version, folder):
                self._show(order, State.REGISTERING, f"registering {version.label}")
                registered = self._registrar(order).register(key, change, order.name, self._facts(folder))
                return f"@{registered.version_id}"
            case AdoptVersion(version, folder):
                self._show(order, State.REGISTERING, f"adopting {version.label}")
                kept = adopted_uri(self.base, key.model, folder)
                count = self._registrar(order).adopt(key, change, self.copier, kept)
                self._count_as_set(order, change)
                return f"{count} file{'' if count == 1 else 's'}, as the source has them"
            case MoveAlias(alias, artifact_uri=folder):
                version_id = self._version_id(key, folder)
                self.registry.move_alias(key.model, alias, version_id)
                self.store.save_mirrored(key, alias, version_id)
                return f"@{version_id}"
            case RemoveAlias(alias, previous):
                self.registry.remove_alias(key.model, alias, previous.version_id)
                self.store.save_mirrored(key, alias, None)
                return f"was on @{previous.version_id}"
            case MarkDuplicate(version_id, of):
                self.registry.mark_duplicate(key.model, version_id, of)
                return f"one too many beside @{of}"
            case DeleteVersion():
                return self._remover(order).version(change)
            case DeleteFiles():
                return self._remover(order).files(change)
            case _:
                assert_never(change)

    def _count_as_set(self, order: Order, change: AdoptVersion) -> None:
        """Remember the aliases that came with an adopted version, of those that the mapping brings, as if set by us."""
        there = self.registry.version(order.key.model, change.version_id)
        for alias in there.aliases & desire(order.spec, order.state).aliases.keys() if there else ():
            self.store.save_mirrored(order.key, alias, change.version_id)

    def _registrar(self, order: Order) -> Registrar:
        joins = order.spec.on_conflict is OnConflict.OVERWRITE
        return Registrar(
            self.registry, self.store, self.clock, self.settle, self.registrations, scan=self.scan, joins=joins
        )

    def _facts(self, folder: str) -> Facts:
        header = self.copier.header(folder)
        return header.facts if header else Facts()

    def _version_id(self, key: ModelKey, folder: str) -> str:
        # The plan registers a version before it moves an alias to it, so there is a record.
        return next(record.version_id for record in self.store.records(key) if record.artifact_uri == folder)

    def _remover(self, order: Order) -> Remover:
        ends = (self.source, self.copier, self.registry, self.store, self.clock)
        return Remover(*ends, order.key, order.spec.source)

    def _show(self, order: Order, state: State, message: str) -> None:
        status = status_of(order.key, state, None, order.state.collection, self.clock.now())
        self.store.save_status(replace(status, message=message))
