"""The Copier port: bytes before names. Many files at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bridge.copying.parallel import in_parallel
from bridge.core.errors import NeedsPerson, TryAgain
from bridge.core.model import ArtifactFile, Digest, Manifest, spell_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from threading import Event

    from bridge.core.model import ManifestHeader, SourceVersion, StoredFile
    from bridge.core.ports import Clock, Source, Storage

WHOLE = 8 << 20  # bytes of a file that is sent in one request at most
PIECES = 4 << 20  # bytes of a larger file that are in memory at a time
REMOVE = "remove that folder if nothing in Vertex uses it, or give the mapping another bucket folder"


@dataclass(frozen=True, slots=True)
class StreamingCopier:
    """
    Brings each file from a source into a bucket; the manifest is written when all of them are verified.

    Files are streamed, unless they lie in Cloud Storage already: then it copies them by itself.

    At most `parallel` files of a version are on their way at a time; a small one is in memory meanwhile, of a large
    one a few pieces are. Together that is no more than `memory` bytes, for each version that is being copied.
    With `parallel` 1, files come one after the other, in the caller's thread.
    """

    source: Source
    storage: Storage
    clock: Clock
    parallel: int = 16
    memory: int = 128 << 20

    def copy(self, version: SourceVersion, folder: str) -> Manifest:
        """See the port."""
        if (whole := self.storage.manifest(folder)) is not None:
            return _same(whole, version, folder)
        described = self.source.describe(version)
        stored = self._all(
            described.files,
            lambda file, halted: self._bring(version, file, folder, halted),
        )
        created = self.clock.now().isoformat()
        manifest = Manifest(
            version.collection, version.label, version.id, version.digest, stored, created, described.facts
        )
        self.storage.commit(folder, manifest)
        return manifest

    def arrange(self, version: SourceVersion, copied: str, folder: str, renames: Sequence[tuple[str, str]]) -> Manifest:
        """See the port."""
        if (whole := self.storage.manifest(folder)) is not None:
            return _arranged(_same(whole, version, folder), folder, renames)
        faithful = self.storage.manifest(copied)
        if faithful is None:
            raise NeedsPerson(
                f"{copied} has no manifest, so it is not whole, and nothing is arranged from it for a container",
                "run the sync again: it copies the version's files first",
            )
        files = _renamed(_same(faithful, version, copied), copied, renames)
        sources = {new.path: f"{copied}{old.path}" for old, new in files}
        wanted = [
            ArtifactFile(new.path, new.size, Digest("md5", new.md5) if new.md5 else Digest("crc32c", new.crc32c))
            for _, new in files
        ]
        self._all(wanted, lambda file, _: self.storage.rewrite(folder, file, sources[file.path]))
        manifest = replace(faithful, files=tuple(new for _, new in files), created=self.clock.now().isoformat())
        self.storage.commit(folder, manifest)
        return manifest

    def manifest(self, folder: str) -> Manifest | None:
        """See the port."""
        return self.storage.manifest(folder)

    def header(self, folder: str) -> ManifestHeader | None:
        """See the port."""
        return self.storage.header(folder)

    def _all(
        self, files: Sequence[ArtifactFile], bring: Callable[[ArtifactFile, Event], StoredFile]
    ) -> tuple[StoredFile, ...]:
        parallel = max(1, min(self.parallel, len(files)))
        return tuple(in_parallel(bring, files, _weight, parallel=parallel, budget=self.memory))

    def _bring(self, version: SourceVersion, file: ArtifactFile, folder: str, halted: Event) -> StoredFile:
        # Cloud Storage keeps no xxh128, so only the bytes can be compared with one.
        comparable = file.digest is None or file.digest.algorithm != "xxh128"
        if file.location is not None and file.location.startswith("gs://") and comparable:
            return self.storage.rewrite(folder, file, file.location)
        with self.source.open(version, file) as pieces:
            return self.storage.put(folder, file, _until(halted, pieces))


def _weight(file: ArtifactFile) -> int:
    """Return how much memory a file takes on its way: its pieces, and all of them put together if it is small."""
    return 2 * file.size if file.size <= WHOLE else PIECES


def _until(halted: Event, pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        if halted.is_set():
            raise TryAgain("the copy was stopped")
        yield piece


def _same(manifest: Manifest, version: SourceVersion, folder: str) -> Manifest:
    """Make sure that a whole folder holds this version's bytes: its name holds only 12 digits of the digest."""
    if not manifest.is_of(version):
        what, found, wanted = "digest", manifest.source_digest, version.digest
        if version.digest is None:
            what, found, wanted = "id", manifest.source_id, version.id
        name = spell_version(manifest.collection, manifest.label)
        raise NeedsPerson(f"{folder} holds {name} with the {what} {found}, not {wanted}", REMOVE)
    return manifest


def _arranged(manifest: Manifest, folder: str, renames: Sequence[tuple[str, str]]) -> Manifest:
    """Make sure that a whole folder has the files that are wanted, and no others."""
    found, wanted = {file.path for file in manifest.files}, {new for _, new in renames}
    if found != wanted:
        raise NeedsPerson(
            f"{folder} is arranged otherwise: it holds {_listed(found)}, not {_listed(wanted)}",
            REMOVE,
        )
    return manifest


def _renamed(
    manifest: Manifest, copied: str, renames: Sequence[tuple[str, str]]
) -> tuple[tuple[StoredFile, StoredFile], ...]:
    """Pair each file with itself under its new name, by new name; the bytes stay, and so do all digests."""
    wanted = {old for old, _ in renames}
    files = {file.path: file for file in manifest.files if file.path in wanted}
    missing = [old for old, _ in renames if old not in files]
    if missing:
        raise NeedsPerson(
            f"{copied} has no file {missing[0]!a}, so it cannot be arranged for a container",
            "plan again; if it stays, report it: the plan named a file that the version does not have",
        )
    pairs = ((files[old], replace(files[old], path=new)) for old, new in renames)
    return tuple(sorted(pairs, key=lambda pair: pair[1].path))


def _listed(paths: set[str]) -> str:
    return ", ".join(f"{path!a}" for path in sorted(paths)) or "no files"
