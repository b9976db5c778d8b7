"""A bucket in memory."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

import google_crc32c
import xxhash

from bridge.core.errors import IntegrityError, NeedsPerson
from bridge.core.model import StoredFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.core.errors import BridgeError
    from bridge.core.model import ArtifactFile, Manifest


class MemoryStorage:
    """
    The Storage port over dicts, which a test may read and write: `objects` by URI, `manifests` by folder.

    `problem` is raised by every call while it is set. A file is held in memory while it is stored, but never
    more than one piece beyond its size.
    """

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.manifests: dict[str, Manifest] = {}
        self.problem: BridgeError | None = None
        self.calls: list[str] = []

    def manifest(self, folder: str) -> Manifest | None:
        """See the port."""
        self._begin("manifest", folder)
        return self.manifests.get(folder)

    def put(self, folder: str, file: ArtifactFile, pieces: Iterator[bytes]) -> StoredFile:
        """See the port."""
        self._begin("put", folder)
        content = _read(file, pieces)
        stored = StoredFile(
            file.path,
            len(content),
            crc32c=_base64(google_crc32c.value(content).to_bytes(4, "big")),
            md5=_base64(hashlib.md5(content, usedforsecurity=False).digest()),
            xxh128=_base64(xxhash.xxh128(content).digest()) if _algorithm(file) == "xxh128" else None,
        )
        if file.digest is not None and file.digest.value != (stored.xxh128 or stored.md5):
            raise _mismatch(file, f"{file.digest.algorithm} {file.digest.value}", stored.xxh128 or stored.md5)
        if self.objects.setdefault(folder + file.path, content) != content:
            raise NeedsPerson(f"{folder}{file.path} is already there with other bytes", "find out who wrote it")
        return stored

    def commit(self, folder: str, manifest: Manifest) -> None:
        """See the port."""
        self._begin("commit", folder)
        if self.manifests.setdefault(folder, manifest).files != manifest.files:
            raise NeedsPerson(f"{folder} already has a manifest, of other files", "find out who wrote it")

    def _begin(self, method: str, folder: str) -> None:
        self.calls.append(method)
        if self.problem is not None:
            raise self.problem
        if not folder.endswith("/"):
            raise ValueError(f"a folder ends in '/', and {folder!r} does not")


def _read(file: ArtifactFile, pieces: Iterator[bytes]) -> bytes:
    content = bytearray()
    for piece in pieces:
        content += piece
        if len(content) > file.size:
            raise _mismatch(file, f"{file.size} bytes", f"more than {file.size}")
    if len(content) < file.size:
        raise _mismatch(file, f"{file.size} bytes", str(len(content)))
    return bytes(content)


def _algorithm(file: ArtifactFile) -> str | None:
    return file.digest.algorithm if file.digest else None


def _mismatch(file: ArtifactFile, promised: str, found: str | None) -> IntegrityError:
    return IntegrityError(
        f"{file.path!a}: the source promises {promised}, and its bytes have {found}",
        "the version is not registered; log it again, or look at the source's storage",
    )


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
