"""Taking the digests of bytes as they come: those that a file is known by."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Protocol

import google_crc32c
import xxhash

from bridge.core.model import StoredFile

if TYPE_CHECKING:

    class Hasher(Protocol):
        """A digest in the making."""

        def update(self, piece: bytes, /) -> None:
            """Take in more bytes."""

        def digest(self) -> bytes:
            """Return the digest of all that was taken in."""


WRONG_IN_BUCKET = "see how many are wrong: bridge verify --deep; an older generation of the object may be right"


class Digesting:
    """Size and digests of some bytes, by the algorithms that a file has digests by."""

    def __init__(self, file: StoredFile) -> None:
        self.size = 0
        self._path = file.path
        self._crc32c: Hasher = google_crc32c.Checksum()
        self._md5 = hashlib.md5(usedforsecurity=False) if file.md5 is not None else None
        self._xxh128 = xxhash.xxh128() if file.xxh128 is not None else None
        self._sha256 = hashlib.sha256() if file.sha256 is not None else None
        every: tuple[Hasher | None, ...] = (self._crc32c, self._md5, self._xxh128, self._sha256)
        self._hashers = [each for each in every if each is not None]

    def take(self, piece: bytes) -> None:
        """Take in more bytes."""
        self.size += len(piece)
        for hasher in self._hashers:
            hasher.update(piece)

    def stored(self) -> StoredFile:
        """Describe what was taken in, as the file is described."""
        crc32c = _base64(self._crc32c) or ""
        return StoredFile(
            self._path, self.size, crc32c, _base64(self._md5), _base64(self._xxh128), _base64(self._sha256)
        )


def _base64(hasher: Hasher | None) -> str | None:
    return None if hasher is None else base64.b64encode(hasher.digest()).decode()
