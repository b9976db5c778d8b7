"""What a plan needs to know besides what a sweep said: Vertex's side, whole folders, and what versions are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bridge.core.changes import (
    AdoptVersion,
    ArrangeFiles,
    CopyFiles,
    DeleteVersion,
    Kind,
    MoveAlias,
    Refusal,
)
from bridge.core.errors import NeedsPerson
from bridge.core.model import Facts, Fit, Layout, OnConflict
from bridge.core.naming import artifact_uri, folders, serving_uri
from bridge.core.ownership import alive, homes
from bridge.core.serving import fit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bridge.core.model import (
        Alias,
        ManifestHeader,
        MappingRecord,
        MappingSpec,
        ModelVersion,
        SourceVersion,
        StoredFile,
        TargetState,
    )
    from bridge.core.ports import Copier, Registry, Source
    from bridge.core.records import Intent, JournalEntry


NOTHING = Facts()


@dataclass(frozen=True, slots=True)
class Observer:
    """Looks at one model under one mapping; writes nothing."""

    source: Source
    copier: Copier
    registry: Registry
    base: str  # gs://bucket/prefix
    location: str  # of Vertex
    spec: MappingSpec
    model: str  # Vertex model id

    def folders(self, version: SourceVersion) -> tuple[str, ...]:
        """Return the folders that the bridge may register a version from, under the mapping's layout."""
        return folders(self.base, self.model, version, self.spec.serving.layout)

    def homes(self, version: SourceVersion, records: Iterable[MappingRecord]) -> tuple[str, ...]:
        """Return the folders that Vertex may have a version from: those, and what was adopted for it."""
        return homes(self.base, self.model, version, self.spec.serving.layout, records)

    def observe(
        self,
        desired: Sequence[SourceVersion],
        records: Sequence[MappingRecord],
        mirrored: Mapping[Alias, str],
        unfinished: Sequence[JournalEntry],
    ) -> tuple[TargetState, Mapping[str, ManifestHeader]]:
        """
        Look at the model, and at the folders in question; return those that are whole, with what they hold.

        A version of ours that Vertex's list does not show is asked for, since lists may lag: one that is desired, that
        we last set an alias on, or that may have got one or been deleted by a change that was begun and never finished.
        """
        actual = self.registry.observe(self.model)
        listed = {version.id for version in actual.versions}
        meant = {folder for version in desired for folder in self.homes(version, records)}
        begun = [entry.change for entry in unfinished]
        meant |= {change.artifact_uri for change in begun if isinstance(change, MoveAlias)}
        touched = set(mirrored.values())
        touched |= {change.version_id for change in begun if isinstance(change, DeleteVersion)}
        asked_for = (r for r in records if r.artifact_uri in meant or r.version_id in touched)
        unlisted = [record for record in asked_for if record.version_id not in listed]
        asked = (self.registry.version(self.model, record.version_id) for record in unlisted)
        versions = (*actual.versions, *(version for version in asked if version is not None))
        whole = self._whole(self._missing(desired, records, versions), unfinished)
        return replace(actual, versions=versions, committed=frozenset(whole)), whole

    def fits(
        self,
        desired: Sequence[SourceVersion],
        records: Sequence[MappingRecord],
        actual: TargetState,
        whole: Mapping[str, ManifestHeader],
        intents: Sequence[Intent] = (),
    ) -> dict[str, Fit | AdoptVersion | Refusal]:
        """
        Say how each version that is not registered would be served, or what is adopted for it, by SourceVersion.id.

        What is in it is read from its copy in the bucket if that is whole, else from the source.
        Raises TryAgain if the source was unwell.
        """
        missing = self._missing(desired, records, actual.versions)
        under_way = {intent.version.id for intent in intents}
        found: dict[str, Fit | AdoptVersion | Refusal] = {}
        found |= self._adoptions([each for each in missing if each.id not in under_way], records, actual)
        if self.spec.serving.layout is not Layout.MIRROR:  # which needs no look into the version
            found |= {version.id: self._fit(version, whole) for version in missing if version.id not in found}
        return found

    def _adoptions(
        self, missing: Sequence[SourceVersion], records: Sequence[MappingRecord], actual: TargetState
    ) -> dict[str, AdoptVersion]:
        """Find versions of nobody's that have the bytes of missing ones, as far as digests tell."""
        if self.spec.on_conflict is not OnConflict.ADOPT:
            return {}
        ours = {(record.artifact_uri, record.version_id) for record in alive(records, actual.versions)}
        theirs = [v for v in actual.versions if (v.artifact_uri, v.id) not in ours and v.owner is None]
        found: dict[str, AdoptVersion] = {}
        for version in missing:
            match = next((each for each in theirs if self._has_bytes(each, version)), None)
            if match is not None:
                theirs.remove(match)
                found[version.id] = AdoptVersion(version, match.artifact_uri, match.id, "on_conflict: adopt")
        return found

    def _has_bytes(self, there: ModelVersion, version: SourceVersion) -> bool:
        try:
            self.copier.compare(version, there.artifact_uri)
        except NeedsPerson:
            return False
        return True

    def arranged_otherwise(
        self,
        desired: Sequence[SourceVersion],
        fits: Mapping[str, Fit | AdoptVersion | Refusal],
        whole: Mapping[str, ManifestHeader],
    ) -> set[str]:
        """Return the folders that were arranged for a container of another kind: for what was chosen, not whole."""
        wrong = set()
        for version in desired:
            chosen, folder = fits.get(version.id), serving_uri(artifact_uri(self.base, self.model, version))
            if isinstance(chosen, Fit) and folder in whole:
                wanted = {new for _, new in chosen.renames}
                wrong |= set() if wanted == {file.path for file in self._files(folder)} else {folder}
        return wrong

    def _missing(
        self, desired: Sequence[SourceVersion], records: Sequence[MappingRecord], versions: Sequence[ModelVersion]
    ) -> list[SourceVersion]:
        """Return the desired versions that no record knows, or that Vertex no longer has with our mark."""
        registered = {record.artifact_uri for record in alive(records, versions)}
        return [version for version in desired if registered.isdisjoint(self.homes(version, records))]

    def _whole(self, missing: Sequence[SourceVersion], unfinished: Sequence[JournalEntry]) -> dict[str, ManifestHeader]:
        """Find the folders that hold just their version; if one holds another, copying says so."""
        copies = {artifact_uri(self.base, self.model, version): version for version in missing}
        served = {folder: version for version in missing for folder in self.folders(version)}
        changes = (entry.change for entry in unfinished)
        begun = {c.artifact_uri: c.version for c in changes if isinstance(c, CopyFiles | ArrangeFiles)}
        read = ((folder, v, self.copier.header(folder)) for folder, v in (copies | served | begun).items())
        return {folder: header for folder, version, header in read if header and header.is_of(version)}

    def _fit(self, version: SourceVersion, whole: Mapping[str, ManifestHeader]) -> Fit | Refusal:
        about = f"version {version.label}"
        folder = artifact_uri(self.base, self.model, version)
        copy = self.copier.manifest(folder) if folder in whole else None
        try:
            # A copy from before facts were kept has none; the source still knows.
            known = copy if copy is not None and copy.facts != NOTHING else self.source.describe(version)
        except NeedsPerson as problem:
            return Refusal(Kind.FAILED, about, problem.reason, problem.remedy)
        try:
            paths = [file.path for file in (copy or known).files]
            return fit(self.spec.serving, paths, known.facts, self.location)
        except NeedsPerson as problem:
            return Refusal(Kind.SERVING, about, problem.reason, problem.remedy)

    def _files(self, folder: str) -> Sequence[StoredFile]:
        manifest = self.copier.manifest(folder)
        return manifest.files if manifest else ()
