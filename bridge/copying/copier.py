"""The Copier port: bytes before names. Many files at a time."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from bridge.copying.matching import Matcher, check_own
from bridge.copying.parallel import in_parallel, stopped
from bridge.copying.progress import Meter
from bridge.copying.staying import Stay
from bridge.core.errors import NeedsPerson
from bridge.core.model import ArtifactFile, Digest, Manifest, StoredFile, spell_version
from bridge.core.naming import bucket_of, is_our_name
from bridge.core.packed import pack_stored
from bridge.core.records import Content

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from threading import Event

    from bridge.copying.budget import Budget
    from bridge.core.model import ManifestHeader, SourceVersion
    from bridge.core.packed import Packed
    from bridge.core.ports import Clock, Contents, Reader, Source, Storage, Uploads
    from bridge.core.records import Progress

T = TypeVar("T")

LOOKED_UP = 500  # files whose bytes are looked for in the bucket at a time
REMOVE = "remove that folder if nothing in Vertex uses it, or give the mapping another bucket folder"


@dataclass(frozen=True, slots=True)
class _Job:
    """One file to bring; what its folder holds under that name already; where its bytes lie in another version."""

    file: ArtifactFile
    there: StoredFile | None
    twin: Content | None


@dataclass(frozen=True, slots=True)
class StreamingCopier:
    """
    Brings each file from a source into a bucket; the manifest is written when all of them are verified.

    Files are streamed, unless their bytes lie in the bucket or elsewhere in Cloud Storage already: then it copies
    them by itself. What an attempt before this one has brought is left as it is. How many files are on their way,
    and how much of them, is the budget's business; `watch` is told how far a copy is.
    """

    source: Source
    storage: Storage
    uploads: Uploads
    contents: Contents
    clock: Clock
    budget: Budget
    watch: Callable[[Progress], None]

    def copy(self, version: SourceVersion, folder: str) -> Manifest:
        """See the port."""
        if (whole := self.storage.manifest(folder)) is not None:
            whole = _same(whole, version, folder)
            self.uploads.forget_upload(folder)  # which the copy that made it whole may not have come to
            return whole
        with self.budget.version():
            stay = Stay(self.uploads, self.clock, folder, self.watch)
            described = self.source.describe(version)
            size = sum(file.size for file in described.files)
            meter = Meter(self.clock, version, len(described.files), size, stay)
            stored = self._all(
                self._jobs(described.files, folder),
                lambda job, halted: self._bring(version, job, folder, _Passing(self.budget, meter, halted)),
                lambda job: job.file.size,
                len(described.files),
            )
            created = self.clock.now().isoformat()
            manifest = Manifest(
                version.collection, version.label, version.id, version.digest, stored, created, described.facts
            )
            # Before the manifest: nobody comes back to a folder that has one. Who copies from here compares first.
            self.contents.save_contents(_contents(described.files, stored, folder))
            stay.go_on()
            self.storage.commit(folder, manifest)
            self.uploads.forget_upload(folder)
            meter.end()
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
        self._all(
            files,
            lambda pair, _: self.storage.rewrite(folder, _as_kept(pair[1].path, pair[1]), f"{copied}{pair[0].path}"),
            lambda _pair: 0,  # no byte of them passes here
            len(files),
        )
        manifest = replace(faithful, files=tuple(new for _, new in files), created=self.clock.now().isoformat())
        self.storage.commit(folder, manifest)
        return manifest

    def compare(self, version: SourceVersion, folder: str, *, deep: bool = False) -> Manifest:
        """See the port."""
        own = self.storage.manifest(folder) if _is_ours(folder, version) else None
        if own is not None:
            return check_own(self.storage, _same(own, version, folder), folder)
        described = self.source.describe(version)
        files = Matcher(self.source, self.storage, self.budget.throttle, deep).match(version, described.files, folder)
        created = self.clock.now().isoformat()
        return Manifest(version.collection, version.label, version.id, version.digest, files, created, described.facts)

    def adopt(self, version: SourceVersion, folder: str, kept: str, *, deep: bool = False) -> Manifest:
        """See the port."""
        manifest = self.compare(version, folder, deep=deep)
        self.storage.commit(kept, manifest)
        return manifest

    def remove(self, version: SourceVersion, folder: str, go_on: Callable[[], None]) -> int:
        """See the port. Known contents are forgotten first, so that nothing is copied from what is going."""
        header = self.storage.header(folder)
        if header is not None and not header.is_of(version):
            name = spell_version(header.collection, header.label)
            raise NeedsPerson(f"{folder} holds {name}, not {version}, so it is not removed", REMOVE)
        self.uploads.begin_removal(folder, self.clock.now())
        self.contents.forget_folder(folder)
        removed = self.storage.remove(folder, go_on)
        self.uploads.forget_upload(folder)
        return removed

    def manifest(self, folder: str) -> Manifest | None:
        """See the port."""
        return self.storage.manifest(folder)

    def header(self, folder: str) -> ManifestHeader | None:
        """See the port."""
        return self.storage.header(folder)

    def _all(
        self, items: Iterable[T], work: Callable[[T, Event], StoredFile], size: Callable[[T], int], number: int
    ) -> Packed[StoredFile]:
        def in_turn(item: T, halted: Event) -> StoredFile:
            with self.budget.pace.lane(size(item)).turn():
                if halted.is_set():
                    raise stopped()
                return work(item, halted)

        def parallel() -> int:
            return min(self.budget.pace.threads, number)

        return pack_stored(in_parallel(in_turn, items, parallel=parallel, halted=self.budget.halted))

    def _jobs(self, files: Sequence[ArtifactFile], folder: str) -> Iterator[_Job]:
        """Pair files, which come by path, with what lies in their folder, by path too, and with twins."""
        bucket = bucket_of(folder)
        lying = self.storage.held(folder)
        next_one = next(lying, None)
        waiting = iter(files)
        while some := tuple(islice(waiting, LOOKED_UP)):
            twins = self.contents.contents(bucket, [(file.digest, file.size) for file in some if file.digest])
            for file in some:
                while next_one is not None and next_one.path < file.path:
                    next_one = next(lying, None)
                there = next_one if next_one is not None and next_one.path == file.path else None
                yield _Job(file, there, twins.get((file.digest, file.size)) if file.digest else None)

    def _bring(self, version: SourceVersion, job: _Job, folder: str, passing: _Passing) -> StoredFile:
        file = job.file
        stored = self._copied(job, folder)
        if stored is None:
            lane = self.budget.pace.lane(file.size)
            reader = passing.reader(lambda start: self.source.open(version, file, start))
            with self.budget.room.take(self.storage.weight(file)):
                began, spent = time.perf_counter(), time.thread_time()
                stored = self.storage.put(folder, file, reader, job.there)
            if job.there is None:
                lane.took(time.perf_counter() - began, time.thread_time() - spent)
        passing.meter.done(file.size - passing.passed)
        return stored

    def _copied(self, job: _Job, folder: str) -> StoredFile | None:
        """Have Cloud Storage copy a file whose bytes it has; None if it has not."""
        file, twin = job.file, job.twin
        # Cloud Storage keeps no xxh128, so only the bytes can be compared with one.
        comparable = file.digest is None or file.digest.algorithm != "xxh128"
        if file.location is not None and file.location.startswith("gs://") and comparable:
            return self.storage.rewrite(folder, file, file.location)
        if twin is None or job.there is not None:
            return None
        try:
            kept = self.storage.rewrite(folder, _as_kept(file.path, twin.file), twin.uri)
        except NeedsPerson:  # it is gone, or another by now, or its name here is taken, which `put` tells
            self.contents.forget_content(twin.uri)
            return None
        return replace(kept, xxh128=twin.file.xxh128)


class _Passing:
    """What one file's bytes pass: the word to stop, the limit of bandwidth, and the meter."""

    def __init__(self, budget: Budget, meter: Meter, halted: Event) -> None:
        self._budget = budget
        self._halted = halted
        self.meter = meter
        self.passed = 0  # bytes

    def reader(self, read: Reader) -> Reader:
        @contextmanager
        def opened(start: int) -> Iterator[Iterator[bytes]]:
            with read(start) as pieces:
                yield self._through(pieces)

        return opened

    def _through(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            if self._halted.is_set():
                raise stopped()
            self._budget.throttle.take(len(piece))
            self.passed += len(piece)
            self.meter.passed(len(piece))
            yield piece


def _is_ours(folder: str, version: SourceVersion) -> bool:
    """Tell whether a folder is called as the bridge calls that of a version of the model whose folder it is in."""
    *_, model, _, _ = folder.split("/")
    return is_our_name(folder, model, version)


def _as_kept(path: str, file: StoredFile) -> ArtifactFile:
    """Describe an object that lies in a bucket, by the digest that the bucket keeps."""
    return ArtifactFile(path, file.size, Digest("md5", file.md5) if file.md5 else Digest("crc32c", file.crc32c))


def _contents(files: Sequence[ArtifactFile], stored: Sequence[StoredFile], folder: str) -> Iterator[Content]:
    for file, kept in zip(files, stored, strict=True):
        if file.digest is not None and file.size:
            yield Content(file.digest, kept, folder + file.path)


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
