"""
Registering a version exactly once, although Vertex's UploadModel has no request id.

A reply that is lost says nothing about what happened, and a version may show only after a while. So an
intent is committed before anything is sent, and while it is open nothing is sent again before

1. a stored operation has ended,
2. the model's versions hold none with the intent's artifact_uri (immutable, and unique per source version),
3. no operation of the model is running, as far as Vertex tells, and
4. the settle window, counted from the last send, has passed: it must cover Vertex's commit delay plus the
   lag of its lists, and the half minute that a busy store may take to say that the lease is still ours.
   Then the versions are looked at once more.

Enumerating death, lost replies, late commits and stale lists over this protocol yields no duplicate.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from bridge.core.errors import NeedsPerson, StillUnderWay, TryAgain
from bridge.core.limits import UNLIMITED
from bridge.core.model import MappingRecord
from bridge.core.records import Intent

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.core.changes import AdoptVersion, RegisterVersion
    from bridge.core.model import Container, Facts, ModelKey, SourceVersion, TargetState
    from bridge.core.ports import Clock, Copier, Limit, Registry, Store
    from bridge.core.records import Operation

log = logging.getLogger(__name__)

FIRST_POLL = 0.2  # seconds between two questions about an operation; grows by half each time
SLOWEST_POLL = 5.0
PATIENCE = timedelta(minutes=15)  # for what this pass has begun; it may go on, and the next pass waits again
AGAIN = timedelta(minutes=1)  # for what an earlier pass has begun, and waited for: the model's other changes wait too


@dataclass(frozen=True, slots=True)
class Registrar:
    """Turns a folder into exactly one Vertex version."""

    registry: Registry
    store: Store
    clock: Clock
    settle: timedelta
    registrations: Limit = UNLIMITED
    scan: Callable[[SourceVersion, str], None] | None = None  # a folder; raises unless it is clean
    joins: bool = False  # also a model that holds versions and none of ours

    def register(self, key: ModelKey, change: RegisterVersion, name: str, facts: Facts) -> MappingRecord:
        """
        Register a folder, or find that it is registered; return the record, which is saved.

        `name` is the model's, for display.

        Raises StillUnderWay while it cannot be known whether an earlier attempt will yet succeed, NeedsPerson if
        the version is not clean or Vertex refuses it for good, TryAgain.
        """
        uri = change.artifact_uri
        intent = self.store.intent(key, uri)
        if intent is None:
            intent = Intent(key, change.version, uri, sent_at=None, operation=None)
            self.store.save_intent(intent)
        version_id = self._earlier_attempt(intent) if intent.sent_at else self._look(intent)
        if version_id is None:
            version_id = self._send(intent, change.container, name, facts)
        record = MappingRecord(key, change.version, uri, version_id, self.clock.now().isoformat(), facts)
        self.store.save_record(record)
        self.store.close_intent(key, uri)
        return record

    def adopt(self, key: ModelKey, change: AdoptVersion, copier: Copier, kept: str) -> int:
        """
        Take a person's version over: compare its bytes, keep their manifest, mark it, and last write the record.

        Return how many files it has. Dying anywhere leaves a version that is not ours yet. Idempotent.
        """
        manifest = copier.adopt(change.version, change.artifact_uri, kept, deep=change.deep)
        self.registry.mark_ours(key.model, change.version_id)
        at = self.clock.now().isoformat()
        self.store.save_record(
            MappingRecord(key, change.version, change.artifact_uri, change.version_id, at, manifest.facts)
        )
        return len(manifest.files)

    def _earlier_attempt(self, intent: Intent) -> str | None:
        """Learn what became of a send whose end is not recorded; None if it is certain that nothing did."""
        if intent.operation is not None:
            operation = wait_for(intent.operation, self.registry, self.clock, AGAIN)
            if operation.version_id is not None:
                return operation.version_id
        if version_id := self._look(intent):
            return version_id
        if running := self.registry.running(intent.key.model):
            raise StillUnderWay(f"Vertex is still at {running[0]}, which may be the registration of {intent.version}")
        left = datetime.fromisoformat(intent.sent_at or "") + self.settle - self.clock.now()
        if left > timedelta(0):
            raise StillUnderWay(
                f"a registration of {intent.version} was sent at {intent.sent_at} and its end is unknown; "
                f"nothing is sent again before the settle window ({self.settle}) is over",
                after=left.total_seconds(),
            )
        return self._look(intent)

    def _look(self, intent: Intent) -> str | None:
        versions = self.registry.observe(intent.key.model).versions
        ids = [int(v.id) for v in versions if v.artifact_uri == intent.artifact_uri and v.marked]
        return str(min(ids)) if ids else None

    def _send(self, intent: Intent, container: Container, name: str, facts: Facts) -> str:
        self._refuse_unclean(intent)  # it may take hours, so what may change is asked after it
        there = self.registry.observe(intent.key.model)
        self._refuse_foreign(intent, there)
        self.registrations.take()  # it may take minutes, and `settle` counts from what is written down
        sent = replace(intent, sent_at=self.clock.now().isoformat(), operation=None)
        self.store.save_intent(sent)
        try:
            operation_name = self.registry.register(
                intent.key.model,
                name,
                intent.version,
                intent.artifact_uri,
                container,
                facts=facts,
                first=not there.exists,
            )
        except TryAgain as unwell:
            if unwell.nothing_happened:
                self.store.save_intent(intent)
            raise
        except NeedsPerson:
            self.store.close_intent(intent.key, intent.artifact_uri)
            raise
        self.store.save_intent(replace(sent, operation=operation_name))
        log.info("Vertex AI registers %s: %s", intent.version.label, operation_name)
        operation = wait_for(operation_name, self.registry, self.clock)
        if operation.version_id is None and operation.error is None:
            raise StillUnderWay(f"Vertex has forgotten {operation_name} before it told how it ended")
        if operation.version_id is None:
            raise self._given_up(intent, operation)
        # A second version, from a reply that was lost beyond the settle window, loses to the lowest id.
        return self._look(intent) or operation.version_id

    def _refuse_unclean(self, intent: Intent) -> None:
        if self.scan is None:
            return
        try:
            self.scan(intent.version, intent.artifact_uri)
        except NeedsPerson:
            self.store.close_intent(intent.key, intent.artifact_uri)
            raise

    def _refuse_foreign(self, intent: Intent, there: TargetState) -> None:
        """Refuse to add to a model that holds versions and none of ours: a person made it since the plan was."""
        if self.joins:
            return
        folders = {record.artifact_uri for record in self.store.records(intent.key)}
        if there.versions and not any(each.marked and each.artifact_uri in folders for each in there.versions):
            self.store.close_intent(intent.key, intent.artifact_uri)
            raise NeedsPerson(
                f"Vertex model {intent.key.model!r} has come to exist, and is not this bridge's",
                "choose another target model, or delete that one in Vertex if nobody needs it",
            )

    def _given_up(self, intent: Intent, operation: Operation) -> TryAgain | NeedsPerson:
        """End an attempt that Vertex says has failed: it made no version, so the intent is over."""
        self.store.close_intent(intent.key, intent.artifact_uri)
        reason = f"Vertex could not register {intent.version}: {operation.error}"
        return (
            NeedsPerson(reason, "mend what it names, then run: bridge sync") if operation.lasting else TryAgain(reason)
        )


def wait_for(name: str, registry: Registry, clock: Clock, patience: timedelta = PATIENCE) -> Operation:
    """Wait until an operation has ended. Raises StillUnderWay if it takes too long for one pass, TryAgain."""
    pause, until = FIRST_POLL, clock.now() + patience
    while not (operation := registry.operation(name)).done:
        if clock.now() >= until:
            raise StillUnderWay(f"Vertex is still at {name} after {patience}; the next pass waits again")
        clock.sleep(pause)
        pause = min(pause * 1.5, SLOWEST_POLL)
    return operation
