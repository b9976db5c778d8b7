"""A stream that counts and hashes what passes, and never lets the end of a wrong file through."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

import google_crc32c
import xxhash

from bridge.core.errors import IntegrityError
from bridge.core.model import StoredFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.core.model import ArtifactFile


class VerifiedStream:
    """
    The bytes of one file as a readable object; holds at most one piece beyond what was asked for.

    The last byte is handed out only after size and digest are known to be the file's, so that whoever
    uploads from here cannot finish an object that is wrong. `read` raises IntegrityError instead.
    """

    def __init__(self, file: ArtifactFile, pieces: Iterator[bytes]) -> None:
        self._file = file
        self._pieces = pieces
        self._waiting = bytearray()
        self._given = 0
        self._taken = 0
        self._checked = False
        self._crc32c = google_crc32c.Checksum()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._xxh128 = xxhash.xxh128() if file.digest and file.digest.algorithm == "xxh128" else None
        self._sha256 = None if file.digest else hashlib.sha256()  # the first digest that anybody takes of the file

    def read(self, size: int = -1) -> bytes:
        """Return `size` bytes, fewer only at the end; all that is left if negative."""
        wanted = self._file.size - self._given if size < 0 else min(size, self._file.size - self._given)
        while len(self._waiting) < wanted and (piece := self._take()) is not None:
            self._waiting += piece
        if len(self._waiting) < wanted or self._given + wanted >= self._file.size:
            self._check()
        out = bytes(self._waiting[:wanted])
        del self._waiting[:wanted]
        self._given += len(out)
        return out

    def pieces(self) -> Iterator[bytes]:
        """Hand out what was not read yet in pieces as they come, without copying them; the last as `read` does."""
        if self._waiting:
            yield self.read(len(self._waiting))
        while self._given < self._file.size:
            piece = self._take()
            if piece is None or self._taken >= self._file.size:
                self._check()  # raises if bytes are missing
            if piece:
                self._given += len(piece)
                yield piece

    def tell(self) -> int:
        """Return how many bytes were read."""
        return self._given

    def seal(self) -> StoredFile:
        """Return size and digests of the whole file, reading what was not read yet. Raises IntegrityError."""
        self._waiting.clear()
        while self._taken <= self._file.size and self._take() is not None:
            pass
        self._check()
        return StoredFile(
            self._file.path,
            self._taken,
            crc32c=_base64(self._crc32c.digest()),
            md5=_base64(self._md5.digest()),
            xxh128=_base64(self._xxh128.digest()) if self._xxh128 else None,
            sha256=_base64(self._sha256.digest()) if self._sha256 else None,
        )

    def _take(self) -> bytes | None:
        """Count and hash one more piece; None at the end of the source."""
        piece = next(self._pieces, None)
        if piece is None:
            return None
        self._crc32c.update(piece)
        self._md5.update(piece)
        if self._xxh128 is not None:
            self._xxh128.update(piece)
        if self._sha256 is not None:
            self._sha256.update(piece)
        self._taken += len(piece)
        return piece

    def _check(self) -> None:
        if self._checked:
            return
        while self._taken <= self._file.size and self._take() is not None:  # too many bytes are enough to know
            pass
        if self._taken != self._file.size:
            more = "more than " if self._taken > self._file.size else ""
            raise self._mismatch(f"{self._file.size} bytes", f"{more}{min(self._taken, self._file.size)}")
        digest = self._file.digest
        if digest is not None:
            actual = _base64(self._raw(digest.algorithm))
            if actual != digest.value:
                raise self._mismatch(f"{digest.algorithm} {digest.value}", actual)
        self._checked = True

    def _raw(self, algorithm: str) -> bytes:
        if self._xxh128 is not None:  # only taken if it is the algorithm
            return self._xxh128.digest()
        return bytes(self._crc32c.digest()) if algorithm == "crc32c" else self._md5.digest()

    def _mismatch(self, promised: str, found: str) -> IntegrityError:
        return IntegrityError(
            f"{self._file.path!a}: the source promises {promised}, and its bytes have {found}",
            "the version is not registered; log it again, or look at the source's storage",
        )


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
