"""Which of our versions are gone at their source, and what becomes of them in Vertex and in the bucket. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.core.changes import DeleteFiles, DeleteVersion, Kind, MoveAlias, Refusal, RemoveAlias
from bridge.core.model import DEFAULT, OnSourceDelete, Policy
from bridge.core.naming import artifact_uri, copied_uri, serving_uri
from bridge.core.ownership import is_adopted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from bridge.core.changes import Change
    from bridge.core.desired import Desired
    from bridge.core.model import (
        Absences,
        Alias,
        Known,
        MappingRecord,
        MappingSpec,
        ModelVersion,
        SourceVersion,
        TargetState,
    )


def folders_of(folder: str) -> tuple[str, ...]:
    """Return what a version has in the bucket, given the folder that Vertex has: that, and the faithful copy."""
    return tuple(dict.fromkeys((folder, copied_uri(folder))))


def taken_by(records: Iterable[MappingRecord]) -> frozenset[str]:
    """Return all folders that records need."""
    return frozenset(folder for record in records for folder in folders_of(record.artifact_uri))


def absent(listed: Collection[str], records: Iterable[MappingRecord]) -> frozenset[str]:
    """Return the ids of recorded versions that are not among those that a listing holds."""
    return frozenset(record.source.id for record in records if record.source.id not in listed)


def in_question(
    spec: MappingSpec, desired: Desired, actual: TargetState, known: Known, absences: Absences
) -> tuple[SourceVersion, ...]:
    """
    Return the versions that the source is to be asked for by name, since something would go if they are gone.

    They are absent from two complete listings, or, if an alias of ours is to go with them, the alias is; once is
    enough if the whole collection is not found. Nothing is asked for what no answer would remove.
    """
    if spec.policy is not Policy.SYNC or not desired.complete:
        return ()
    deletes = spec.on_source_delete is OnSourceDelete.DELETE
    there = {version.id: version for version in actual.versions}
    asked: dict[str, SourceVersion] = {}
    for record in known.records:
        source = record.source
        if source.id in absences.now and record.version_id in there:
            leaving = any(
                known.mirrored.get(alias) == record.version_id and is_leaving(alias, desired, known)
                for alias in there[record.version_id].aliases
            )
            if leaving or desired.is_missing or (deletes and source.id in absences.before):
                asked[source.id] = source
    if deletes:
        asked |= {grave.record.source.id: grave.record.source for grave in known.tombstones}
    return tuple(asked.values())


def is_leaving(alias: Alias, desired: Desired, known: Known) -> bool:
    """Tell whether an alias of ours is absent from two complete listings; nothing is told by one that is not."""
    meant = alias == DEFAULT or alias in desired.aliases or alias in desired.unclear
    return desired.complete and not meant and known.seen_before is not None and alias not in known.seen_before


@dataclass(frozen=True, slots=True)
class Departures:
    """
    What goes with versions that are gone at their source, if the mapping says `on_source_delete: delete`.

        a version of ours is        in Vertex                          plan
        listed                      any                                (nothing)
        absent once                 any                                Refusal: waiting
        absent twice, there by name any                                (nothing: a list may leave out)
        absent twice, unsaid        any                                Refusal: waiting
        absent twice, gone by name  no alias, or those that go now     DeleteVersion, DeleteFiles
        the same                    has another alias, or `default`    Refusal: kept
        the same                    is deployed                        Refusal: kept
        the same                    was adopted: a person made it      Refusal: kept
        the same                    is gone, or not ours               (nothing: hands off)
        deleted by us, gone by name its folder may be left             DeleteFiles
        deleted by us, listed again its folder may be left             (nothing: it is registered again from it)

    Of the folders only those go that no record, no open intent, no desired version and no version in Vertex has.
    """

    spec: MappingSpec
    base: str  # gs://bucket/prefix
    desired: Desired
    actual: TargetState
    known: Known
    absences: Absences

    def steps(self, planned: Iterable[Change | Refusal]) -> Iterator[Change | Refusal]:
        """Go through our versions, oldest first; `planned` is what the plan does besides."""
        if self.spec.on_source_delete is not OnSourceDelete.DELETE or not self.desired.complete:
            return
        moved = {
            (step.alias, step.previous.version_id)
            for step in planned
            if isinstance(step, MoveAlias | RemoveAlias) and step.previous is not None
        }
        there = {(version.artifact_uri, version.id): version for version in self.actual.versions if version.marked}
        gone: list[MappingRecord] = []
        for record in self.known.records:
            version = there.get((record.artifact_uri, record.version_id))
            if version is not None and record.source.id in self.absences.now:
                refusal = self._undecided(record) or self._needed(record, version, moved)
                if refusal is not None:
                    yield refusal
                elif record.source.id in self.absences.deleted:
                    gone.append(record)
        yield from (DeleteVersion(each.source, each.artifact_uri, each.version_id) for each in gone)
        buried = [grave.record for grave in self.known.tombstones if grave.record.source.id in self.absences.deleted]
        yield from self._files(gone, buried)

    def _undecided(self, record: MappingRecord) -> Refusal | None:
        about = f"version {record.source.label}"
        silent = unsaid(about, record.source, self.absences)
        if silent is None and record.source.id not in self.absences.before:
            reason = "it is absent from one complete listing so far"
            return Refusal(Kind.WAITING, about, reason, "it is deleted when the next complete listing agrees")
        return silent

    def _needed(
        self, record: MappingRecord, version: ModelVersion, moved: Collection[tuple[Alias, str]]
    ) -> Refusal | None:
        if record.source.id not in self.absences.deleted:
            return None
        about = f"version {record.source.label}"
        if is_adopted(record):
            reason = f"it is gone at the source, but a person made @{version.id}, which the bridge has adopted"
            return Refusal(Kind.KEPT, about, reason, "delete it in Vertex if nothing uses it")
        left = sorted(alias for alias in version.aliases if (alias, version.id) not in moved)
        if DEFAULT in left:
            reason = f"it is gone at the source, but @{version.id} has 'default', which Vertex demands of every model"
            return Refusal(Kind.KEPT, about, reason, "move 'default' to another version to have it deleted")
        if left:
            reason = f"it is gone at the source, but @{version.id} has the alias {left[0]!r}, which stays"
            return Refusal(Kind.KEPT, about, reason, "take that alias away in Vertex to have it deleted")
        if version.endpoints:
            reason = f"it is gone at the source, but @{version.id} is deployed to {version.endpoints[0]}"
            return Refusal(Kind.KEPT, about, reason, "undeploy it to have it deleted")
        return None

    def _files(self, gone: list[MappingRecord], buried: list[MappingRecord]) -> Iterator[DeleteFiles]:
        leaving = {record.version_id for record in gone}
        staying = taken_by(record for record in self.known.records if record not in gone)
        served = {version.artifact_uri for version in self.actual.versions if version.id not in leaving}
        copies = {artifact_uri(self.base, self.actual.model, version) for version in self.desired.versions}
        used = self.known.taken | staying | served | copies | {serving_uri(copy) for copy in copies}
        for record in (*gone, *buried):
            folders = tuple(folder for folder in folders_of(record.artifact_uri) if folder not in used)
            if folders:
                used = used | frozenset(folders)  # two records may share the faithful copy
                yield DeleteFiles(record.source, record.artifact_uri, folders)


def kept_alias(
    spec: MappingSpec, desired: Desired, absences: Absences, alias: Alias, version: SourceVersion
) -> Refusal | None:
    """Say why an alias stays on a version though the source lists it no more; None if it does not."""
    about = f"alias {alias}"
    if version.id in absences.deleted:
        if spec.on_source_delete is not OnSourceDelete.RETAIN:
            return None
        reason = f"{version} was deleted at the source, and Vertex keeps what it had (on_source_delete: retain)"
        return Refusal(Kind.POLICY, about, reason, "to have it removed, set 'on_source_delete: unalias'")
    silent = unsaid(about, version, absences)
    if silent is None and desired.is_missing:
        kind = Kind.POLICY if spec.source.is_pattern else Kind.UNCLEAR  # what a pattern chooses may be untagged
        reason = f"the mapping does not find the collection of {version} any more, but the version is there"
        return Refusal(kind, about, reason, f"see whether the mapping still names it ({spec.origin})")
    return silent


def unsaid(about: str, version: SourceVersion, absences: Absences) -> Refusal | None:
    """Say that the source did not say whether it still has a version, if that is so."""
    problem = absences.unsaid.get(version.id)
    if problem is None:
        return None
    return Refusal(
        Kind.WAITING,
        about,
        f"the source does not say whether it still has {version}: {problem}",
        "nothing of it is removed before it says so; it is asked again at the next pass",
    )
