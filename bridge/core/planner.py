"""The one decision: which changes bring *actual* to *desired*."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.core.changes import (
    AdoptVersion,
    ArrangeFiles,
    Change,
    CopyFiles,
    Kind,
    MarkDuplicate,
    MoveAlias,
    Plan,
    Refusal,
    RegisterVersion,
    RemoveAlias,
    checksum_of,
    refuse_held,
)
from bridge.core.departures import Departures, is_leaving, kept_alias, unsaid
from bridge.core.model import (
    DEFAULT,
    Absences,
    Alias,
    Fit,
    Known,
    Layout,
    ModelKey,
    OnConflict,
    OnDrift,
    VersionRef,
)
from bridge.core.naming import artifact_uri, serving_uri
from bridge.core.ownership import homes, one_too_many
from bridge.core.policy import permit
from bridge.core.serving import plain_fit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bridge.core.desired import Desired
    from bridge.core.model import MappingSpec, ModelVersion, SourceVersion, TargetState


NONE_ABSENT = Absences()


def make_plan(
    spec: MappingSpec,
    base: str,
    desired: Desired,
    actual: TargetState,
    known: Known,
    *,
    fits: Mapping[str, Fit | AdoptVersion | Refusal] | None = None,
    absences: Absences = NONE_ABSENT,
) -> Plan:
    """
    Decide what brings *actual* to *desired*: pure, total, deterministic.

    `base` is the bucket's folder, `gs://bucket/prefix`. `fits` says, by SourceVersion.id, how versions that are not
    registered would be served or are adopted, or why not; a mapping with layout `mirror` needs none. "set" is where
    the bridge last put the alias; "ours" is a version with our mark *and* a record. `absences` are those of our
    versions that the source does not list; "gone" is one that the source, asked by name, says it has no more.

        alias       desired  actual    set  plan
        production  v7       -         -    CopyFiles v7, RegisterVersion v7, MoveAlias - -> v7
        production  v7       v7        any  (nothing)
        production  v7       v6        v6   CopyFiles v7, RegisterVersion v7, MoveAlias v6 -> v7
        production  v7       v6        v5   Refusal: drift (MoveAlias if the mapping heals drift)
        production  v7       v6        -    Refusal: drift, the same: a person put it there
        production  v7       -         v7   Refusal: drift, the same: a person took it away
        production  v7       -         v6   MoveAlias - -> v7: nobody has it, and the source has moved on
        production  v7       not ours  any  Refusal: conflict (with on_conflict: overwrite MoveAlias @9 -> v7)
        production  -        v6        v6   RemoveAlias, if absent from two complete listings; else Refusal: waiting
        production  -        v6, gone  v6   the same if the mapping unaliases or deletes; if it retains, Refusal: policy
        production  -        v6        v5   (nothing: what is there now is not what we set)
        production  -        v6        -    (nothing: hands off)
        default     v7       v6        -    MoveAlias v6 -> v7: Vertex itself put it on the first version
        default     -        any       any  (nothing: Vertex demands exactly one)
        any         any      any       any  Refusal: held, while a person holds the alias, for a change or a drift

    An alias whose name at the source cannot be told for certain is left alone.
    A version that must be registered is copied first, unless its folder is already whole; if its container wants
    other names, those are then made beside it, and that folder is registered (ArrangeFiles). One whose record
    names a Vertex version that is gone was deleted by a person: drift. One that is there without our mark or a
    record is a conflict, not registered twice. In a new model the version that
    `default` names is registered first, since Vertex gives `default` to the first one; if no container
    would load it, or the source is not clear about it yet, the others wait.
    A second version of a folder that a record has, with our mark, is marked as one too many, and never has an alias of
    ours: MarkDuplicate, and a refusal that says so for as long as it is there. It is removed by persons only.
    With on_conflict: adopt, a desired version whose bytes a version of nobody's has is that one: AdoptVersion, instead
    of copying and registering it; an alias that is there already needs no move.
    A model that holds versions and none of ours is refused as a whole, unless on_conflict lets it be overwritten, or
    one of them be adopted. Of what else goes with versions that are gone see Departures; of policies, permit.
    """
    planned = list(_Planner(spec, base, desired, actual, known, absences, fits or {}).steps())
    departures = Departures(spec, base, desired, actual, known, absences).steps(planned)
    steps = [permit(spec.policy, step) for step in (*planned, *departures)]
    changes = tuple(step for step in steps if not isinstance(step, Refusal))
    refusals = (*desired.refusals, *(step for step in steps if isinstance(step, Refusal)))
    checksum = checksum_of(spec.wish, changes, refusals, desired, actual)
    notes = tuple(f"alias {alias}: {note}" for alias, note in sorted(desired.notes.items()))
    return Plan(ModelKey(spec.name, actual.model), changes, refusals, checksum, notes)


@dataclass(frozen=True, slots=True)
class _Planner:
    spec: MappingSpec
    base: str
    desired: Desired
    actual: TargetState
    known: Known
    absences: Absences
    fits: Mapping[str, Fit | AdoptVersion | Refusal] = field(default_factory=dict)

    def steps(self) -> Iterator[Change | Refusal]:
        if not self.may_join():
            if self.desired.versions:
                yield self.foreign_model()
            return
        if not self.actual.exists and DEFAULT in self.desired.unclear:
            return
        uris = {
            version.id: there.artifact_uri for version in self.desired.versions if (there := self.registered(version))
        }
        for version in self.arrivals():
            steps = self.arrive(version)
            if isinstance(steps, Refusal):
                yield steps
                unfit = steps is self.fits.get(version.id)
                if unfit and not self.actual.exists and version == self.desired.aliases.get(DEFAULT):
                    return
                continue
            uris[version.id] = steps[-1].artifact_uri
            yield from steps
        for alias, version in self.desired.aliases.items():
            move = self.move(alias, version, uris.get(version.id))
            if move is not None:
                yield self.unless_held(alias, move)
        yield from self.removals()
        yield from self.duplicates()

    def may_join(self) -> bool:
        """Tell whether versions of ours may be in this model."""
        versions = self.actual.versions
        overwrites = self.spec.on_conflict is OnConflict.OVERWRITE
        ours = not versions or overwrites or any(self.is_ours(version) for version in versions)
        return ours or any(isinstance(fit, AdoptVersion) for fit in self.fits.values())

    def is_ours(self, version: ModelVersion) -> bool:
        own = ((record.artifact_uri, record.version_id) for record in self.known.records)
        return version.marked and (version.artifact_uri, version.id) in own

    def homes(self, version: SourceVersion) -> tuple[str, ...]:
        return homes(self.base, self.actual.model, version, self.spec.serving.layout, self.known.records)

    def registered(self, version: SourceVersion) -> ModelVersion | None:
        ours = [there for there in self.actual.versions if self.is_ours(there)]
        return next((there for uri in self.homes(version) for there in ours if there.artifact_uri == uri), None)

    def ref(self, version: ModelVersion) -> VersionRef:
        labels = (r.source.label for r in self.known.records if r.artifact_uri == version.artifact_uri)
        return VersionRef(version.id, next(labels, None))

    # versions

    def arrivals(self) -> list[SourceVersion]:
        missing = [version for version in self.desired.versions if not self.registered(version)]
        first = self.desired.aliases.get(DEFAULT)
        if not self.actual.exists and first in missing:
            missing.remove(first)
            missing.insert(0, first)
        # What is adopted makes the model ours, so that others may be registered in it.
        return sorted(missing, key=lambda version: not isinstance(self.fits.get(version.id), AdoptVersion))

    def arrive(self, version: SourceVersion) -> tuple[*tuple[Change, ...], RegisterVersion | AdoptVersion] | Refusal:
        fit = self.fits.get(version.id) or plain_fit(self.spec.serving)
        if isinstance(fit, AdoptVersion):
            return (fit,)
        uris = self.homes(version)
        there = next((there for there in self.actual.versions if there.artifact_uri in uris), None)
        if there is not None:
            return Refusal(
                Kind.CONFLICT,
                f"version {version.label}",
                "Vertex has a version of its folder that does not carry the bridge's label or is in no record",
                f"have it taken over: bridge adopt {self.actual.model}@{there.id}; or delete it in Vertex",
            )
        if self.spec.drift is OnDrift.REPORT:
            gone = next((r for r in self.known.records if r.artifact_uri in uris), None)
            if gone is not None:
                return Refusal(
                    Kind.DRIFT,
                    f"version {version.label}",
                    f"Vertex version @{gone.version_id}, which the bridge registered for it, was deleted by hand",
                    "set 'drift: heal' in the mapping to have it registered again, or move its aliases at the source",
                )
        return fit if isinstance(fit, Refusal) else self.serve(version, fit)

    def serve(self, version: SourceVersion, fit: Fit) -> tuple[*tuple[Change, ...], RegisterVersion]:
        copied = artifact_uri(self.base, self.actual.model, version)
        copy = () if copied in self.actual.committed else (CopyFiles(version, copied),)
        if fit.layout is not Layout.PREBUILT:
            return *copy, RegisterVersion(version, copied, fit.container, fit.why)
        uri = serving_uri(copied)
        arrange = () if uri in self.actual.committed else (ArrangeFiles(version, copied, uri, fit.renames),)
        return *copy, *arrange, RegisterVersion(version, uri, fit.container, fit.why)

    def foreign_model(self) -> Refusal:
        model = self.actual.model
        reason = f"Vertex model {model!r} exists, and none of its versions was registered by this bridge's store"
        remedy = f"choose another target model ({self.spec.origin}), or have its versions adopted: bridge adopt {model}"
        return Refusal(Kind.CONFLICT, f"model {model}", reason, remedy)

    # aliases

    def move(self, alias: Alias, to: SourceVersion, uri: str | None) -> MoveAlias | Refusal | None:
        """Say how the alias gets to a version, registered from `uri`; None there: the version was refused."""
        holder = self.actual.holder(alias)
        if holder is not None and holder.artifact_uri == uri and self.is_ours(holder):
            return None
        if holder is not None and not self.is_ours(holder):
            return self.conflict(alias, to, uri, holder)
        if self.spec.drift is OnDrift.REPORT and (drift := self.drift(alias, holder, to)):
            return drift
        if uri is None:
            return None  # the refusal of its version says why
        return MoveAlias(alias, to, uri, self.ref(holder) if holder else None)

    def conflict(
        self, alias: Alias, to: SourceVersion, uri: str | None, holder: ModelVersion
    ) -> MoveAlias | Refusal | None:
        adopted = {fit.version_id: fit.version for fit in self.fits.values() if isinstance(fit, AdoptVersion)}
        if adopted.get(holder.id) == to:
            return None  # it is there already
        if holder.id in adopted and uri is not None:
            return MoveAlias(alias, to, uri, self.ref(holder))
        if self.spec.on_conflict is OnConflict.OVERWRITE and uri is not None:
            return MoveAlias(alias, to, uri, self.ref(holder), "on_conflict: overwrite")
        reason = f"it is on Vertex version @{holder.id}, which this bridge did not register"
        remedy = f"remove it there, or have that version taken over: bridge adopt {self.actual.model}@{holder.id}"
        return Refusal(Kind.CONFLICT, f"alias {alias}", reason, remedy)

    def drift(self, alias: Alias, holder: ModelVersion | None, to: SourceVersion) -> Refusal | None:
        was_set = self.known.mirrored.get(alias)
        if holder is None:
            meant = self.registered(to)
            if meant is None or was_set != meant.id:
                return None
            story = f"the bridge set it on @{was_set} ({to.label}), and somebody has removed it in Vertex since"
        elif holder.id == was_set or (alias == DEFAULT and was_set is None):
            return None
        elif was_set is None:
            story = f"somebody set it on Vertex version @{holder.id} by hand"
        else:
            story = f"the bridge set it on @{was_set}, and somebody has moved it to @{holder.id} in Vertex since"
        remedy = f"move it back in Vertex, or set 'drift: heal' in the mapping to have it follow {to.label}"
        return Refusal(Kind.DRIFT, f"alias {alias}", story, remedy)

    def removals(self) -> Iterator[Change | Refusal]:
        for alias, version_id in sorted(self.known.mirrored.items()):
            holder = self.actual.holder(alias)
            still_meant = alias in self.desired.aliases or alias in self.desired.unclear
            if alias == DEFAULT or still_meant or holder is None:
                continue
            if holder.id == version_id and self.is_ours(holder):
                yield self.unless_held(alias, self.removal(alias, holder))

    def removal(self, alias: Alias, holder: ModelVersion) -> RemoveAlias | Refusal:
        version = next(r.source for r in self.known.records if r.version_id == holder.id)
        if is_leaving(alias, self.desired, self.known):
            kept = kept_alias(self.spec, self.desired, self.absences, alias, version)
            return kept or RemoveAlias(alias, self.ref(holder))
        if (silent := unsaid(f"alias {alias}", version, self.absences)) is not None:
            return silent
        if not self.desired.complete:
            reason = "it is absent from a listing that was not complete"
        else:
            reason = "it is absent from one complete listing so far"
        remedy = "it is removed when the next complete listing agrees"
        return Refusal(Kind.WAITING, f"alias {alias}", reason, remedy)

    # duplicates

    def duplicates(self) -> Iterator[Change | Refusal]:
        for version, record in one_too_many(self.known.records, self.actual.versions):
            if not version.duplicate:
                yield MarkDuplicate(version.id, record.version_id)
            reason = f"it and @{record.version_id} are both of the folder of {record.source.label}, so it gets no alias"
            yield Refusal(Kind.DOUBLE, f"version @{version.id}", reason, "delete it in Vertex if nothing uses it")

    def unless_held(self, alias: Alias, step: Change | Refusal) -> Change | Refusal:
        hold, key = self.known.holds.get(alias), ModelKey(self.spec.name, self.actual.model)
        is_final = isinstance(step, Refusal) and step.kind is not Kind.DRIFT  # drift is not: it is meant
        return step if hold is None or is_final else refuse_held(hold, key, step)
