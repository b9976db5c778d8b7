"""Whether what was registered is still what it was: source, bucket and Vertex against the record. Reads only."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from bridge.core.comparing import (
    compare_arranged,
    compare_bytes,
    compare_manifest,
    compare_object,
    compare_source,
    compare_vertex,
    pairs,
    unanswered,
)
from bridge.core.errors import BridgeError, IntegrityError, NotFound
from bridge.core.findings import Finding, FindingKind, Tally
from bridge.core.naming import adopted_uri, copied_uri
from bridge.core.ownership import is_adopted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from bridge.core.findings import Found
    from bridge.core.model import Alias, Manifest, MappingRecord, ModelKey, StoredFile, TargetState
    from bridge.core.ports import Bucket, Registry, Source, Store

AT_SOURCE, IN_VERTEX = "the source", "Vertex"

GONE = "the source no longer has it, so it was compared with the manifest alone"
NO_DIGESTS = "the source keeps no digests, so names and sizes were compared with it"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of looking at one version."""

    record: MappingRecord
    files: int  # that the manifest of Vertex's folder names
    size: int  # bytes of them
    found: tuple[Found, ...]  # what is not as it should be; empty: all is well
    notes: tuple[str, ...]  # clauses on what could not be compared and need not be


@dataclass(frozen=True, slots=True)
class Verifier:
    """Verifies versions. What says where an end is, by connection or by key, may raise, and so may the end."""

    source: Callable[[str], Source]
    target: Callable[[ModelKey], tuple[Bucket, Registry, str]]  # and the folder in the bucket, gs://bucket/prefix
    store: Store

    def verify(self, records: Iterable[MappingRecord], *, deep: bool = False) -> Iterator[Verdict]:
        """
        Look at each version, and say what came of it as soon as it is known; records of one key come in a row.

        By metadata: one list of the folder, no request for single objects. With `deep`, all bytes in the bucket are
        read. Vertex's versions are listed once a model. An end that does not answer is a finding of its own.
        """
        for key, of_key in groupby(records, lambda record: record.key):
            try:
                bucket, registry, base = self.target(key)
            except BridgeError as problem:
                for record in of_key:
                    yield Verdict(record, 0, 0, _only(unanswered(str(record.source), problem)), ())
                continue
            before = self.store.mirrored(key)
            actual = _observed(registry, key.model)
            # An alias that a sync moves meanwhile is not compared: it is on its way.
            mirrored = dict(before.items() & self.store.mirrored(key).items())
            for record in of_key:
                look = _Look(record, bucket, base, deep=deep)
                copy = look.at_bucket()
                look.at_source(self.source, copy)
                look.at_vertex(registry, actual, mirrored)
                yield look.verdict()


class _Look:
    """One look at one version: takes down what is found, end by end."""

    def __init__(self, record: MappingRecord, bucket: Bucket, base: str, *, deep: bool) -> None:
        self._record = record
        self._base = base
        self._bucket = bucket
        self._deep = deep
        self._tally = Tally()
        self._notes: list[str] = []
        self._files = self._size = 0

    def verdict(self) -> Verdict:
        return Verdict(self._record, self._files, self._size, self._tally.found(), tuple(self._notes))

    def at_bucket(self) -> Manifest | None:
        """
        Compare the version's folders with their manifests; return that of its faithful copy, if it is sound.

        There are two if Vertex has it from one that was arranged for a container.
        """
        registered = self._record.artifact_uri
        if is_adopted(self._record):
            return self._folder(registered, adopted_uri(self._base, self._record.key.model, registered))
        copied = copied_uri(registered)
        copy = self._folder(copied)
        if registered == copied:
            return copy
        arranged = self._folder(registered)
        if arranged is not None and copy is not None:
            for finding in compare_arranged(registered, arranged, copy):
                self._tally.add(finding)
        return copy

    def at_source(self, source: Callable[[str], Source], copy: Manifest | None) -> None:
        """Compare what the source says of the version now with the manifest of its copy."""
        if copy is None:
            return  # nothing to compare it with, which is a finding already
        version = self._record.source
        try:
            described = source(version.connection).describe(version)
        except NotFound:
            self._notes.append(GONE)
        except IntegrityError as changed:
            self._tally.add(Finding(FindingKind.SOURCE_CHANGED, str(version), None, version.digest, str(changed)))
        except BridgeError as problem:
            self._tally.add(unanswered(AT_SOURCE, problem))
        else:
            if described.files and not any(file.digest for file in described.files):
                self._notes.append(NO_DIGESTS)
            for copied, there in pairs(copy.files, described.files):
                self._tally.add(compare_source(version, copied, there))

    def at_vertex(self, registry: Registry, actual: TargetState | BridgeError, mirrored: Mapping[Alias, str]) -> None:
        """Compare Vertex's version with the record. One that is not listed is asked for, since lists may lag."""
        record = self._record
        try:
            if isinstance(actual, BridgeError):
                raise actual
            listed = next((version for version in actual.versions if version.id == record.version_id), None)
            version = listed or registry.version(record.key.model, record.version_id)
        except BridgeError as problem:
            self._tally.add(unanswered(IN_VERTEX, problem))
            return
        for finding in compare_vertex(record, version, actual, mirrored):
            self._tally.add(finding)

    def _folder(self, folder: str, kept: str | None = None) -> Manifest | None:
        """Compare a folder with its manifest, or that in `kept`; return it if it was there, and of the version."""
        try:
            manifest = self._bucket.manifest(kept or folder)
        except BridgeError as problem:
            self._tally.add(unanswered(folder, problem))
            return None
        wrong = compare_manifest(kept or folder, self._record.source, manifest)
        if manifest is None or wrong is not None:
            self._tally.add(wrong)
            return None
        try:
            self._objects(folder, manifest)
        except BridgeError as problem:
            self._tally.add(unanswered(folder, problem))
        return manifest

    def _objects(self, folder: str, manifest: Manifest) -> None:
        sound = self._sound(folder, manifest)
        if not self._deep:
            deque(sound, maxlen=0)
            return
        for file, read in self._bucket.reread(folder, sound):
            self._tally.add(compare_bytes(folder, file, read))

    def _sound(self, folder: str, manifest: Manifest) -> Iterator[StoredFile]:
        """Go through the files that lie in the folder as the manifest says, by metadata; take down all others."""
        is_registered = folder == self._record.artifact_uri
        for wanted, there in pairs(manifest.files, self._bucket.held(folder)):
            if wanted is not None and is_registered:
                self._files += 1
                self._size += wanted.size
            finding = compare_object(folder, wanted, there)
            self._tally.add(finding)
            if finding is None and wanted is not None:
                yield wanted


def _observed(registry: Registry, model: str) -> TargetState | BridgeError:
    try:
        return registry.observe(model)
    except BridgeError as problem:
        return problem


def _only(finding: Finding) -> tuple[Found, ...]:
    tally = Tally()
    tally.add(finding)
    return tally.found()
