"""One model as both sides have it, and what is said of something in it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from bridge.core.changes import Kind, Removal, version_of
from bridge.core.model import State
from bridge.core.ownership import whose

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bridge.core.changes import Change, Plan, Refusal
    from bridge.core.desired import Desired
    from bridge.core.model import (
        Alias,
        Known,
        MappingRecord,
        MappingSpec,
        ModelVersion,
        SourceState,
        SourceVersion,
        TargetState,
        Tombstone,
    )
    from bridge.core.records import Status

NOTHING = "nothing to do"


class Verdict(StrEnum):
    """How something that was asked for is, in a word or two."""

    IN_PLACE = "in place"
    COMING = "to come"
    GOING = "to go"
    WAITING = "waiting"
    BLOCKED = "blocked"
    DRIFTED = "drifted"
    HELD = "held"
    FAILED = "failed"
    LEFT = "left alone"  # by the policy, or because it is not ours
    FILTERED = "filtered"
    DROPPED = "dropped"
    ABSENT = "absent"
    UNREAD = "not read"  # the source, or Vertex, could not be looked at
    UNFOLLOWED = "not followed"  # no mapping means it


_OF_KIND = {
    Kind.WAITING: Verdict.WAITING,
    Kind.DRIFT: Verdict.DRIFTED,
    Kind.HELD: Verdict.HELD,
    Kind.PAUSED: Verdict.HELD,
    Kind.FAILED: Verdict.FAILED,
    Kind.POLICY: Verdict.LEFT,
    Kind.DOUBLE: Verdict.LEFT,
    Kind.KEPT: Verdict.LEFT,
}  # all others block


@dataclass(frozen=True, slots=True)
class Answer:
    """Why something is as it is: one thing that was asked for."""

    about: str  # "alias production", "version v7"
    verdict: Verdict
    reason: str  # a clause
    serving: str  # the same: whether whoever uses the model notices
    next: str  # a command, or what to do


@dataclass(frozen=True, slots=True)
class Scene:
    """One model as both sides have it, what is planned for it, and how its last pass went."""

    spec: MappingSpec
    state: SourceState
    desired: Desired
    actual: TargetState
    known: Known
    plan: Plan
    before: Status | None
    graves: tuple[Tombstone, ...] = ()  # what is left of versions that the bridge has deleted, oldest first

    def pending(self, about: str, change: Change, serving: str) -> Answer:
        """Answer for what the plan changes: it comes, unless it was tried before in vain."""
        before = self.before
        version = version_of(change)
        other = before is not None and before.message.startswith("version ")
        mine = version is not None and before is not None and before.message.startswith(f"version {version.label}:")
        if before is not None and before.state is State.FAILED and (mine or not other):
            remedy = f"{before.remedy}; then, or to try it now: bridge retry {self.plan.key}"
            return Answer(about, Verdict.FAILED, tried(before), serving, remedy)
        verdict = Verdict.GOING if isinstance(change, Removal) else Verdict.COMING
        return Answer(about, verdict, f"the next pass makes it so: {change}", serving, f"bridge sync {self.spec.name}")

    def arrival(self, version: SourceVersion) -> Change | None:
        """Return the first change that brings a version, or an alias to it, or deletes it; None if there is none."""
        return next((change for change in self.plan.changes if version_of(change) == version), None)

    def refused(self, about: str, refusal: Refusal, serving: str) -> Answer:
        """Answer with why a change is not made."""
        verdict = _OF_KIND.get(refusal.kind, Verdict.BLOCKED)
        of = "" if refusal.about in about else f"{refusal.about}: "
        return Answer(about, verdict, f"{of}{refusal.reason}", serving, refusal.remedy)

    def refusal(self, about: str) -> Refusal | None:
        """Return why nothing is changed of an alias or a version, None if there is no such reason."""
        return next((refusal for refusal in self.plan.refusals if refusal.about == about), None)

    def whole(self) -> Refusal | None:
        """Return why nothing of the model, or nothing new, is changed; None if there is no such reason."""
        found = (each for each in self.plan.refusals if each.about.startswith(("model ", "bucket ")))
        return next(found, None)

    def serving(self, alias: Alias) -> str:
        """Say what becomes of those who ask Vertex for an alias, while it stays where it is."""
        holder = self.actual.holder(alias)
        if holder is None:
            return f"no version in Vertex has {alias}, so nothing is served under that name"
        return f"not affected: {alias} goes on naming {self.spell(holder)}"

    def serving_of(self, version: SourceVersion) -> str:
        """Say the same of all aliases that are to name a version."""
        meant = sorted(alias for alias, to in self.desired.aliases.items() if to == version)
        return "; ".join(map(self.serving, meant)) or "not affected: no alias is to name it"

    def is_of(self, there: ModelVersion, version: SourceVersion) -> bool:
        """Tell whether a version in Vertex is ours, and that one of the source."""
        record = self.record(there)
        return there.marked and record is not None and record.source.id == version.id

    def record(self, there: ModelVersion) -> MappingRecord | None:
        """Return what the store knows of a version in Vertex."""
        return whose(self.known.records, self.actual.model, there)

    def spell(self, there: ModelVersion) -> str:
        """Spell a version in Vertex with its label at the source, as "@3 (v7)"."""
        record = self.record(there)
        return f"@{there.id} ({record.source.label if record and there.marked else 'not ours'})"


def not_read(status: Status, mirrored: Iterable[Alias]) -> Answer:
    """Answer for a model of which one side could not be looked at; `mirrored` are the aliases last set."""
    kept = ", ".join(sorted(mirrored))
    serving = f"Vertex keeps what it has ({kept})" if kept else "the bridge has set no alias in Vertex yet"
    verdict = Verdict.ABSENT if status.state is State.SYNCED else Verdict.UNREAD
    return Answer(f"model {status.key.model}", verdict, status.message, serving, status.remedy or NOTHING)


def tried(before: Status) -> str:
    """Say what went wrong the last time, how often, and when it is tried again."""
    times = f", {before.attempt} time{'' if before.attempt == 1 else 's'} in a row" if before.attempt else ""
    when = f"the next try is at {before.next_try}" if before.next_try else "time alone does not have it tried again"
    return f"it was tried in vain{times}: {before.message}; {when}"
