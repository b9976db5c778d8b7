"""Buckets in memory."""

from __future__ import annotations

import base64
import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import google_crc32c
import xxhash

from bridge.core.errors import IntegrityError, NeedsPerson
from bridge.core.model import ArtifactFile, BucketPlace, Digest, StoredFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from bridge.core.errors import BridgeError
    from bridge.core.model import Manifest, ManifestHeader
    from bridge.core.ports import Reader
    from bridge.core.records import Upload

PIECE = 1 << 16  # bytes that `open` yields at once
ANYWHERE = BucketPlace("EU")

Algorithm = Literal["md5", "xxh128", "crc32c", "sha256"]


class MemoryStorage:
    """
    The Storage and ObjectStore ports over dicts that a test may write: `objects` by URI, `manifests` by folder.

    `problem` is raised by every call while it is set. `interrupt` is called between two objects of a folder that is
    removed. Buckets whose names are in `absent` do not exist, those in `closed` may not be read or written; all others
    are there, in the EU but for those in `places`. Objects in `composed` have no MD5, and those in `rotten` have lost a
    bit, which their digests do not show. A file is held in memory while it is stored, but never more than one piece
    beyond its size.
    """

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.composed: set[str] = set()  # URIs
        self.rotten: set[str] = set()  # URIs
        self.placed: set[str] = set()  # URIs of what is not ours
        self.manifests: dict[str, Manifest] = {}
        self.places: dict[str, BucketPlace] = {}  # by name of a bucket
        self.absent: set[str] = set()
        self.closed: set[str] = set()
        self.problem: BridgeError | None = None
        self.calls: list[str] = []
        self.interrupt: Callable[[], None] = lambda: None

    def place(self, uri: str, content: bytes, *, composed: bool = False) -> None:
        """Write an object as somebody else would: over what is there, whole or composed of others."""
        self.objects[uri] = content
        self.placed.add(uri)
        (self.composed.add if composed else self.composed.discard)(uri)

    # Storage

    def manifest(self, folder: str) -> Manifest | None:
        """See the port."""
        self._begin("manifest", folder)
        return self.manifests.get(folder)

    def header(self, folder: str) -> ManifestHeader | None:
        """See the port."""
        self._begin("header", folder)
        there = self.manifests.get(folder)
        return there.header if there else None

    def held(self, folder: str) -> Iterator[StoredFile]:
        """See the port."""
        self._begin("held", folder)
        self._demand_bucket(folder)
        for uri, content in sorted(self.objects.items()):
            if uri.startswith(folder) and (content or not uri.endswith("/")):
                crc32c = _digest(content, "crc32c")
                yield StoredFile(uri.removeprefix(folder), len(content), crc32c, md5=self._kept_md5(uri))

    def put(self, folder: str, file: ArtifactFile, read: Reader, there: StoredFile | None = None) -> StoredFile:
        """See the port."""
        self._begin("put", folder)
        kept = file.digest and there and {"md5": there.md5, "crc32c": there.crc32c}.get(file.digest.algorithm)
        if there and kept and file.digest:
            if (there.size, kept) != (file.size, file.digest.value):
                raise _taken(folder + file.path)
            return there
        with read(0) as pieces:
            content = _read(file, pieces)
        _compare(file, content)
        self._demand_bucket(folder)
        self._keep(folder + file.path, content)
        return StoredFile(
            file.path,
            len(content),
            crc32c=_digest(content, "crc32c"),
            md5=self._kept_md5(folder + file.path),
            xxh128=_digest(content, "xxh128") if file.digest and file.digest.algorithm == "xxh128" else None,
            sha256=None if file.digest else _digest(content, "sha256"),
        )

    def weight(self, file: ArtifactFile) -> int:
        """See the port."""
        return file.size

    def rewrite(self, folder: str, file: ArtifactFile, source: str) -> StoredFile:
        """See the port."""
        self._begin("rewrite", folder)
        content = self._find(source)
        kept = {None, "crc32c"} if source in self.composed else {None, "crc32c", "md5"}
        if (algorithm := file.digest and file.digest.algorithm) not in kept:
            raise NeedsPerson(
                f"{file.path!a}: the bucket keeps no {algorithm} of {source!a} to compare it with",
                "write the object again in one piece, or log the version with its files",
            )
        _compare(file, content)
        self._demand_bucket(folder)
        target = folder + file.path
        if source in self.composed and target not in self.objects:
            self.composed.add(target)
        self._keep(target, content)
        return StoredFile(file.path, len(content), _digest(content, "crc32c"), md5=self._kept_md5(target))

    def discard(self, upload: Upload, before: datetime) -> int:  # noqa: ARG002  there are no times here
        """See the port. What somebody has placed is not ours, and what is ours is old."""
        self._begin("discard", upload.uri if upload.kind in ("folder", "removal") else None)
        if not upload.uri.endswith("/") or upload.uri in self.manifests:
            return 0
        ours = [uri for uri in self.objects if uri.startswith(upload.uri) and uri not in self.placed]
        for uri in ours:
            del self.objects[uri]
        return len(ours)

    def commit(self, folder: str, manifest: Manifest) -> None:
        """See the port."""
        self._begin("commit", folder)
        self._demand_bucket(folder)
        if self.manifests.setdefault(folder, manifest).files != manifest.files:
            raise NeedsPerson(f"{folder} already has a manifest, of other files", "find out who wrote it")

    def remove(self, folder: str, go_on: Callable[[], None]) -> int:
        """See the port. What somebody has placed is not ours; a manifest is placed under the folder's own URI."""
        self._begin("remove", folder)
        if folder in self.placed:
            raise NeedsPerson(f"the manifest of {folder} was not written by the bridge", "find out who wrote it")
        removed = int(folder in self.manifests)
        if removed:
            go_on()
            del self.manifests[folder]
        for uri in [uri for uri in self.objects if uri.startswith(folder) and uri not in self.placed]:
            self.interrupt()
            go_on()
            del self.objects[uri]
            removed += 1
        return removed

    def reread(self, folder: str, files: Iterable[StoredFile]) -> Iterator[tuple[StoredFile, StoredFile]]:
        """See the port. One file at a time; nothing changes on its way, so once is enough."""
        for file in files:
            self._begin("reread", folder)
            content = self._find(folder + file.path)
            if folder + file.path in self.rotten:
                content = bytes([content[0] ^ 1]) + content[1:]
            found = StoredFile(
                file.path,
                len(content),
                crc32c=_digest(content, "crc32c"),
                md5=_digest(content, "md5") if file.md5 is not None else None,
                xxh128=_digest(content, "xxh128") if file.xxh128 is not None else None,
                sha256=_digest(content, "sha256") if file.sha256 is not None else None,
            )
            yield file, found

    @contextmanager
    def read(self, folder: str, path: str, start: int = 0) -> Iterator[Iterator[bytes]]:
        """See the port."""
        self._begin("read", folder)
        content = self._find(folder + path)
        if folder + path in self.rotten:
            content = bytes([content[0] ^ 1]) + content[1:]
        yield (content[at : at + PIECE] for at in range(start, len(content), PIECE))

    def where(self, folder: str) -> BucketPlace | None:
        """See the port."""
        self._begin("where")
        self._demand_bucket(folder)
        return None if _bucket(folder) in self.closed else self.places.get(_bucket(folder), ANYWHERE)

    def lacking(self, folder: str) -> tuple[str, ...]:
        """See the port."""
        self._begin("lacking")
        self._demand_bucket(folder)
        return ("storage.objects.create",) if _bucket(folder) in self.closed else ()

    # ObjectStore

    def list(self, folder: str) -> tuple[ArtifactFile, ...]:
        """See the port. Manifests are not among the objects here."""
        self._begin("list", folder)
        self._demand_bucket(folder)
        return tuple(
            ArtifactFile(uri.removeprefix(folder), len(content), self._kept_digest(uri), uri)
            for uri, content in sorted(self.objects.items())
            if uri.startswith(folder) and (content or not uri.endswith("/"))
        )

    @contextmanager
    def open(self, uri: str, start: int = 0) -> Iterator[Iterator[bytes]]:
        """See the port."""
        self._begin("open")
        content = self._find(uri)
        yield (content[at : at + PIECE] for at in range(start, len(content), PIECE))

    def _kept_md5(self, uri: str) -> str | None:
        return None if uri in self.composed else _digest(self.objects[uri], "md5")

    def _kept_digest(self, uri: str) -> Digest:
        md5 = self._kept_md5(uri)
        return Digest("md5", md5) if md5 else Digest("crc32c", _digest(self.objects[uri], "crc32c"))

    def _find(self, uri: str) -> bytes:
        self._enter(uri)
        if uri not in self.objects or _bucket(uri) in self.absent:
            raise NeedsPerson(f"the object {uri!a} is gone, or never was", "put it back")
        return self.objects[uri]

    def _keep(self, uri: str, content: bytes) -> None:
        if self.objects.setdefault(uri, content) != content:
            raise _taken(uri)

    def _begin(self, method: str, folder: str | None = None) -> None:
        self.calls.append(method)
        if self.problem is not None:
            raise self.problem
        if folder is not None:
            if not folder.endswith("/"):
                raise ValueError(f"a folder ends in '/', and {folder!r} does not")
            self._enter(folder)

    def _enter(self, uri: str) -> None:
        if _bucket(uri) in self.closed:
            raise NeedsPerson(f"{uri!a}: the bucket refuses access", "give the bridge's account a role on it")

    def _demand_bucket(self, folder: str) -> None:
        if _bucket(folder) in self.absent:
            raise NeedsPerson(f"{folder!a}: the bucket does not exist", "create it")


def _bucket(uri: str) -> str:
    bucket, slash, _ = uri.removeprefix("gs://").partition("/")
    if not uri.startswith("gs://") or not bucket or not slash:
        raise NeedsPerson(f"{uri!a} is not a place in Google Cloud Storage", "write it as gs://bucket/path")
    return bucket


def _read(file: ArtifactFile, pieces: Iterator[bytes]) -> bytes:
    content = bytearray()
    for piece in pieces:
        content += piece
        if len(content) > file.size:
            raise _mismatch(file, f"{file.size} bytes", f"more than {file.size}")
    if len(content) < file.size:
        raise _mismatch(file, f"{file.size} bytes", str(len(content)))
    return bytes(content)


def _compare(file: ArtifactFile, content: bytes) -> None:
    if len(content) != file.size:
        raise _mismatch(file, f"{file.size} bytes", str(len(content)))
    if file.digest is not None:
        found = _digest(content, file.digest.algorithm)
        if file.digest.value != found:
            raise _mismatch(file, f"{file.digest.algorithm} {file.digest.value}", found)


def _taken(uri: str) -> NeedsPerson:
    return NeedsPerson(f"{uri} is already there with other bytes", "find out who wrote it")


def _mismatch(file: ArtifactFile, promised: str, found: str) -> IntegrityError:
    return IntegrityError(
        f"{file.path!a}: the source promises {promised}, and its bytes have {found}",
        "the version is not registered; log it again, or look at the source's storage",
    )


def _digest(content: bytes, algorithm: Algorithm) -> str:
    match algorithm:
        case "md5":
            raw = hashlib.md5(content, usedforsecurity=False).digest()
        case "sha256":
            raw = hashlib.sha256(content).digest()
        case "xxh128":
            raw = xxhash.xxh128(content).digest()
        case "crc32c":
            raw = google_crc32c.value(content).to_bytes(4, "big")
    return base64.b64encode(raw).decode()
