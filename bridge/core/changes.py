"""The verbs: every effect the bridge may have on the world, as a value before it happens."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any, assert_never

if TYPE_CHECKING:
    from datetime import datetime

    from bridge.core.model import Alias, Container, Hold, ModelKey, SourceVersion, VersionRef


@dataclass(frozen=True, slots=True)
class CopyFiles:
    """Copy a version's files to its folder, verify them, and write the manifest last."""

    version: SourceVersion
    artifact_uri: str

    def __str__(self) -> str:
        return f"+ files    {self.version.label} -> {self.artifact_uri}"


@dataclass(frozen=True, slots=True)
class ArrangeFiles:
    """Copy, inside the bucket, what a prebuilt container loads to a folder of its own, under the names it wants."""

    version: SourceVersion
    copied_uri: str  # the faithful copy
    artifact_uri: str
    renames: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return f"+ serving  {self.version.label} -> {self.artifact_uri} ({_spell_renames(self.renames)})"


@dataclass(frozen=True, slots=True)
class RegisterVersion:
    """Register a folder as a version of the model, without any alias."""

    version: SourceVersion
    artifact_uri: str
    container: Container
    why: str = ""  # of this container, if it was chosen

    def __str__(self) -> str:
        return f"+ version  {self.version.label}{f' ({self.why})' if self.why else ''}"


@dataclass(frozen=True, slots=True)
class AdoptVersion:
    """Take a version that a person registered for that of a source version, whose bytes it has."""

    version: SourceVersion
    artifact_uri: str  # the person's folder, in which nothing is written
    version_id: str  # in Vertex
    why: str = ""
    deep: bool = False  # bytes are compared where no digest tells

    def __str__(self) -> str:
        return f"+ adopted  @{self.version_id} = {self.version.label}{f' ({self.why})' if self.why else ''}"


@dataclass(frozen=True, slots=True)
class MoveAlias:
    """Make an alias name a version and no other; `previous` is who had it, None if nobody."""

    alias: Alias
    to: SourceVersion
    artifact_uri: str  # of `to`: what finds it in Vertex, since it may have no id yet
    previous: VersionRef | None
    why: str = ""  # if it is taken from a version that is not ours

    def __str__(self) -> str:
        before = _spell(self.previous)
        if self.previous is not None and before == self.to.label:
            before = f"{before} @{self.previous.version_id}"  # of another folder, or of another model of that name
        return f"~ alias    {self.alias} ({before} -> {self.to.label}{f'; {self.why}' if self.why else ''})"


@dataclass(frozen=True, slots=True)
class RemoveAlias:
    """Take an alias away from the version that has it."""

    alias: Alias
    previous: VersionRef

    def __str__(self) -> str:
        return f"- alias    {self.alias} ({_spell(self.previous)})"


@dataclass(frozen=True, slots=True)
class MarkDuplicate:
    """Say on a version of ours that it is one too many: another one was made from the same folder."""

    version_id: str  # in Vertex, and so is the next
    of: str

    def __str__(self) -> str:
        return f"+ mark     @{self.version_id} (a duplicate of @{self.of})"


@dataclass(frozen=True, slots=True)
class DeleteVersion:
    """Delete a version of ours in Vertex that is gone at its source."""

    version: SourceVersion
    artifact_uri: str
    version_id: str

    def __str__(self) -> str:
        return f"- version  {self.version.label} @{self.version_id}"


@dataclass(frozen=True, slots=True)
class DeleteFiles:
    """Remove what the bridge has written for a version that it has deleted in Vertex."""

    version: SourceVersion
    artifact_uri: str  # which Vertex had it from
    folders: tuple[str, ...]  # that, the faithful copy beside it, or both

    def __str__(self) -> str:
        return f"- files    {self.version.label} in {' and '.join(self.folders)}"


Removal = RemoveAlias | DeleteVersion | DeleteFiles
Change = CopyFiles | ArrangeFiles | RegisterVersion | AdoptVersion | MoveAlias | MarkDuplicate | Removal


class Kind(StrEnum):
    """Why a change is not made."""

    NAME = "name"  # it cannot be spelled in Vertex
    SERVING = "serving"  # no container would load it
    FAILED = "failed"  # it was tried, and trying again changes nothing
    UNCLEAR = "unclear"  # the source does not say one thing
    CONFLICT = "conflict"  # it would take something that is not ours
    DRIFT = "drift"  # somebody changed by hand what we had set
    LOCATION = "location"  # Vertex could not read the bucket
    GUARD = "guard"  # it looks like an accident
    WAITING = "waiting"  # not yet: the next pass may
    HELD = "held"  # a person holds the alias, or the mapping is frozen
    PAUSED = "paused"  # a person lets nothing of the model be changed
    DOUBLE = "double"  # it is one too many: made twice, marked, and left to a person
    KEPT = "kept"  # it would be deleted, but something in Vertex needs it
    POLICY = "policy"  # the mapping does not permit it; this is how it is meant to be


@dataclass(frozen=True, slots=True)
class Refusal:
    """A change that will not be made: of what, why, and what a person can do."""

    kind: Kind
    about: str  # "alias production", "model fraud"
    reason: str
    remedy: str
    until: str | None = None  # ISO 8601, UTC: when it ends by itself, if that is known

    def __str__(self) -> str:
        return f"! {self.kind:8} {self.about}: {self.reason}; {self.remedy}"


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes, in the order they are applied, and the refusals for one key."""

    key: ModelKey
    changes: tuple[Change, ...]
    refusals: tuple[Refusal, ...]
    checksum: str  # over the changes and the states they were derived from
    notes: tuple[str, ...] = ()  # what was decided where the source leaves a choice
    holds: tuple[str, ...] = ()  # of aliases, by persons, that hold nothing back now; of the others refusals tell


def refuse_held(hold: Hold, key: ModelKey, step: Change | Refusal | None = None) -> Refusal:
    """Say that a person holds an alias; `step` is what would become of it, or be said of it, otherwise."""
    reason, resume = (
        f"{hold.who} holds it {hold.lasts}: {hold.why}",
        f"bridge resume {hold.scope(key)} --alias {hold.alias}",
    )
    remedy = f"it follows then; sooner: {resume}"
    if isinstance(step, Refusal):
        reason, remedy = f"{reason}; {step.reason}", f"it stays there then, too: {step.remedy}; and {resume}"
    return Refusal(Kind.HELD, f"alias {hold.alias}", reason, remedy, hold.until)


def refuse_paused(about: str, hold: Hold, key: ModelKey) -> Refusal:
    """Say that a person lets nothing of a model be changed."""
    reason = f"{hold.who} paused it {hold.lasts}: {hold.why}"
    return Refusal(Kind.PAUSED, about, reason, f"it follows then; sooner: bridge resume {hold.scope(key)}", hold.until)


def refuse_frozen(change: Change, until: datetime) -> Refusal:
    """Say that a mapping lets nothing be changed at this time."""
    reason = f"the mapping is frozen until {until:%Y-%m-%d %H:%M} UTC"
    remedy = "it is made when the freeze ends; if it cannot wait, take the freeze out of the mapping"
    return Refusal(Kind.HELD, subject_of(change), reason, remedy, until.isoformat())


def change_kind(change: Change) -> str:  # noqa: PLR0911  one word a kind
    """Name a change for journals and JSON: "copy", "register", "adopt", "move-alias", "delete-version" and so on."""
    match change:
        case CopyFiles():
            return "copy"
        case ArrangeFiles():
            return "arrange"
        case RegisterVersion():
            return "register"
        case AdoptVersion():
            return "adopt"
        case MoveAlias():
            return "move-alias"
        case RemoveAlias():
            return "remove-alias"
        case MarkDuplicate():
            return "mark-duplicate"
        case DeleteVersion():
            return "delete-version"
        case DeleteFiles():
            return "delete-files"
        case _:
            assert_never(change)


def version_of(change: Change) -> SourceVersion | None:
    """Return the version that a change brings, brings an alias to, or deletes; None if it is about none of them."""
    match change:
        case CopyFiles(version) | ArrangeFiles(version) | RegisterVersion(version) | MoveAlias(to=version):
            return version
        case AdoptVersion(version) | DeleteVersion(version) | DeleteFiles(version):
            return version
        case RemoveAlias() | MarkDuplicate():
            return None
        case _:
            assert_never(change)


def subject_of(change: Change) -> str:
    """Name what a change is about, as refusals do: "version v7", "alias production"."""
    match change:
        case CopyFiles(version) | ArrangeFiles(version) | RegisterVersion(version) | AdoptVersion(version):
            return f"version {version.label}"
        case MoveAlias(alias) | RemoveAlias(alias):
            return f"alias {alias}"
        case MarkDuplicate(version_id):
            return f"version @{version_id}"
        case DeleteVersion(version):
            return f"version {version.label}"
        case DeleteFiles(version):
            return f"files of version {version.label}"
        case _:
            assert_never(change)


def change_to_json(change: Change) -> dict[str, Any]:
    """Return a change as plain JSON values, with its kind under "change"."""
    return {"change": change_kind(change), **asdict(change)}


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """Return a plan as plain JSON values: what `plan --json` prints and `plan --out` saves."""
    return {
        "mapping": plan.key.mapping,
        "model": plan.key.model,
        "checksum": plan.checksum,
        "changes": [change_to_json(change) for change in plan.changes],
        "refusals": [asdict(refusal) for refusal in plan.refusals],
        "notes": list(plan.notes),
        "holds": list(plan.holds),
    }


def checksum_of(*values: object) -> str:
    """Return 16 hex digits that differ if any of the values (dataclasses, JSON values, sets) differs."""
    text = json.dumps(values, default=_plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _plain(value: object) -> object:
    if isinstance(value, frozenset):
        return sorted(value)
    # Field by field, so that values inside come here too; the class tells two with the same fields apart.
    return {"class": type(value).__name__, **{each.name: getattr(value, each.name) for each in fields(value)}}  # type: ignore[arg-type]  # json's default= is only asked for what it cannot spell


def _spell(ref: VersionRef | None) -> str:
    return "-" if ref is None else ref.label or f"@{ref.version_id}"


def _spell_renames(renames: tuple[tuple[str, str], ...]) -> str:
    (old, new), *more = renames
    first = old if old == new else f"{old} as {new}"
    return f"{first} and {len(more)} more" if more else first
