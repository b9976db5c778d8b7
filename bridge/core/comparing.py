"""
What is compared when a version is verified. Pure; each function gives findings, and none if all is well.

    what                       with what                          kinds of findings
    a folder's manifest        the record's source version        no-manifest, other-manifest
    a folder's objects         its manifest, by metadata          missing, different, extra
    their bytes, read again    its manifest                       other-bytes
    an arranged folder         the copy that it was made from     not-from-copy
    the version in Vertex      the record, the aliases last set   version-gone, other-folder, alias-elsewhere
    the source's files         the copy's manifest                source-missing, source-different, source-extra
    (anything)                 an end that did not answer         not-asked, not-compared

What one side does not know, such as a digest, is not compared.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

from bridge.core.errors import TryAgain
from bridge.core.findings import Finding, FindingKind
from bridge.core.model import StoredFile, spell_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from bridge.core.errors import BridgeError
    from bridge.core.model import (
        Alias,
        ArtifactFile,
        Manifest,
        MappingRecord,
        ModelVersion,
        SourceVersion,
        TargetState,
    )

    Kinds: TypeAlias = tuple[FindingKind, FindingKind, FindingKind]  # of a file that is missing, different, too many

    class HasPath(Protocol):
        """What has its place in an order of paths."""

        @property
        def path(self) -> str:
            """Return the path."""


L = TypeVar("L", bound="HasPath")
R = TypeVar("R", bound="HasPath")


def pairs(left: Iterable[L], right: Iterable[R]) -> Iterator[tuple[L | None, R | None]]:
    """
    Go through two collections at once, each in order of path, and pair what has the same path.

    Holds one of each at a time. What is out of order is never paired wrongly, but may stay alone.
    """
    lefts, rights = iter(left), iter(right)
    a, b = next(lefts, None), next(rights, None)
    while a is not None or b is not None:
        if b is None or (a is not None and a.path < b.path):
            yield a, None
            a = next(lefts, None)
        elif a is None or b.path < a.path:
            yield None, b
            b = next(rights, None)
        else:
            yield a, b
            a, b = next(lefts, None), next(rights, None)


def compare_manifest(folder: str, version: SourceVersion, manifest: Manifest | None) -> Finding | None:
    """Make sure that a folder has a manifest, and that it is of the version."""
    if manifest is None:
        return Finding(FindingKind.NO_MANIFEST, folder)
    if manifest.is_of(version):
        return None
    expected = f"{version} with {_mark(version.digest, version.id)}"
    by_id = version.digest is None
    found = _mark(None if by_id else manifest.source_digest or "none", manifest.source_id)
    name = spell_version(manifest.collection, manifest.label)
    return Finding(FindingKind.OTHER_MANIFEST, folder, None, expected, f"{name} with {found}")


def compare_object(folder: str, wanted: StoredFile | None, there: StoredFile | None) -> Finding | None:
    """Compare a file of the manifest with the object that the bucket lists; None: there is none, but of one."""
    return _compare(folder, wanted, there, (FindingKind.MISSING, FindingKind.DIFFERENT, FindingKind.EXTRA))


def compare_bytes(folder: str, wanted: StoredFile, read: StoredFile) -> Finding | None:
    """Compare a file of the manifest with the bytes that were read."""
    return _compare(folder, wanted, read, (FindingKind.OTHER_BYTES,) * 3)


def compare_source(version: SourceVersion, copied: StoredFile | None, there: ArtifactFile | None) -> Finding | None:
    """Compare a file of the manifest with what the source says of it now."""
    kinds = (FindingKind.SOURCE_MISSING, FindingKind.SOURCE_DIFFERENT, FindingKind.SOURCE_EXTRA)
    return _compare(str(version), copied, there, kinds)


def compare_arranged(folder: str, arranged: Manifest, copy: Manifest) -> Iterator[Finding]:
    """Make sure that each file of an arranged folder is one of the copy, whatever its name is there."""
    contents = {replace(file, path="") for file in arranged.files}
    copied = {content for file in copy.files if (content := replace(file, path="")) in contents}
    for file in arranged.files:
        if replace(file, path="") not in copied:
            yield Finding(FindingKind.NOT_FROM_COPY, folder, file.path)


def compare_vertex(
    record: MappingRecord, version: ModelVersion | None, actual: TargetState, mirrored: Mapping[Alias, str]
) -> Iterator[Finding]:
    """
    Compare a version in Vertex, None if it is gone, with its record and with the aliases that were last set on it.

    `actual` says where an alias is now.
    """
    where = f"{record.key.model}@{record.version_id}"
    if version is None:
        yield Finding(FindingKind.VERSION_GONE, where)
        return
    if version.artifact_uri != record.artifact_uri:
        yield Finding(FindingKind.OTHER_FOLDER, where, None, record.artifact_uri, version.artifact_uri)
    for alias, version_id in sorted(mirrored.items()):
        if version_id == record.version_id and alias not in version.aliases:
            holder = actual.holder(alias)
            found = f"@{holder.id}" if holder else "no version"
            yield Finding(FindingKind.ALIAS_ELSEWHERE, where, alias, f"@{version_id}", found)


def unanswered(where: str, problem: BridgeError) -> Finding:
    """Say that an end did not answer, so that nothing is known of it."""
    if isinstance(problem, TryAgain):
        return Finding(FindingKind.NOT_ASKED, where, found=problem.reason)
    return Finding(FindingKind.NOT_COMPARED, where, found=str(problem))


def _compare(
    where: str,
    wanted: StoredFile | None,
    there: StoredFile | ArtifactFile | None,
    kinds: Kinds,
) -> Finding | None:
    missing, different, extra = kinds
    promised, found, either = _known(wanted), _known(there), wanted or there
    path = either.path if either else None
    if wanted is None or there is None:
        return Finding(missing if wanted else extra, where, path, _spelled(promised), _spelled(found))
    apart = [what for what in promised if what in found and promised[what] != found[what]]
    if not apart:
        return None
    expected, is_now = ({what: known[what] for what in apart} for known in (promised, found))
    return Finding(different, where, path, _spelled(expected), _spelled(is_now))


def _known(file: StoredFile | ArtifactFile | None) -> dict[str, int | str]:
    """Return all that is known of a file's bytes."""
    if file is None:
        return {}
    known: dict[str, int | str | None] = {"size": file.size}
    if isinstance(file, StoredFile):
        known |= {"crc32c": file.crc32c, "md5": file.md5, "xxh128": file.xxh128, "sha256": file.sha256}
    elif file.digest is not None:
        known[file.digest.algorithm] = file.digest.value
    return {what: value for what, value in known.items() if value is not None}


def _spelled(known: Mapping[str, int | str]) -> str | None:
    return ", ".join(f"{what} {value}" for what, value in known.items()) or None


def _mark(digest: str | None, version_id: str) -> str:
    return f"the id {version_id}" if digest is None else f"the digest {digest}"
