"""What a plan needs to know of versions that their source lists no more: which are deleted, and whose folders stay."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bridge.core.departures import absent, in_question, taken_by
from bridge.core.errors import BridgeError
from bridge.core.model import Absences

if TYPE_CHECKING:
    from bridge.core.desired import Desired
    from bridge.core.model import Known, MappingSpec, ModelKey, SourceState, TargetState
    from bridge.core.ports import Source, Store


@dataclass(frozen=True, slots=True)
class Listing:
    """What a sweep showed of one collection to one mapping, and the source that can be asked for what it did not."""

    source: Source
    spec: MappingSpec
    state: SourceState

    def absences(self, desired: Desired, actual: TargetState, known: Known, before: frozenset[str]) -> Absences:
        """
        Say which of our versions are not in it, and ask the source for those that it matters for.

        `before` are those that were not in the complete listing before it.
        """
        now = absent({version.id for version in self.state.versions}, known.records)
        absences = Absences(now, now & before)
        deleted: set[str] = set()
        unsaid: dict[str, str] = {}
        for version in in_question(self.spec, desired, actual, known, absences):
            try:
                if self.source.is_deleted(version, self.spec.source):
                    deleted.add(version.id)
            except BridgeError as problem:  # what else there is to do is not held up
                unsaid[version.id] = str(problem)
        return replace(absences, deleted=frozenset(deleted), unsaid=unsaid)


def folders_taken(store: Store, key: ModelKey) -> frozenset[str]:
    """Return the folders of other models' versions, and those that a version of this one may yet come from."""
    others = (record for record in store.all_records() if record.key != key)
    return taken_by(others) | {intent.artifact_uri for intent in store.intents(key)}
