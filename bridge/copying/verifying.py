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
    from collections.abc import Generator

    from bridge.core.model import ArtifactFile
    from bridge.core.ports import Reader


class VerifiedStream:
    """
    The bytes of one file, from any offset and more than once; each byte is hashed the first time that it passes.

    The last piece is handed out only after size and digest are known to be the file's, so that whoever uploads
    from here cannot finish an object that is wrong. An md5 is not taken, unless `md5`: it costs more than all else
    of a copy together, and the bucket takes it anyway and compares it with the source's.
    """

    def __init__(self, file: ArtifactFile, read: Reader, *, md5: bool = False) -> None:
        self._file = file
        self.read = read
        self._hashed = 0  # bytes from the beginning that have passed
        self._whole = False  # all bytes have passed, and are the file's
        algorithm = file.digest and file.digest.algorithm
        self._crc32c = google_crc32c.Checksum()
        self._md5 = hashlib.md5(usedforsecurity=False) if md5 else None
        self._xxh128 = xxhash.xxh128() if algorithm == "xxh128" else None
        self._sha256 = (
            hashlib.sha256() if algorithm is None else None
        )  # the first digest that anybody takes of the file

    @property
    def file(self) -> ArtifactFile:
        """What the bytes are to be."""
        return self._file

    @property
    def whole(self) -> bool:
        """Whether every byte has passed and was hashed, so that the digests are of the whole file."""
        return self._whole

    def pieces(self, start: int = 0, *, blind: bool = False) -> Generator[bytes]:
        """
        Hand out what follows byte `start`, in pieces as they come, without copying them.

        What comes before `start` and never passed is read and hashed first; with `blind` it is not, and then there
        are no digests of this file. Of a file that the source keeps no digest of, what has passed before is read
        again, and compared. Raises IntegrityError, and what the source raises.
        """
        blind = blind and start > self._hashed
        before = _Before(self._hashed, self._crc32c.digest()) if self._file.digest is None else None
        at = start if blind else 0 if before else min(start, self._hashed)
        with self.read(at) as pieces:
            for piece in pieces:
                begin, at = at, at + len(piece)
                if before is not None and not before.goes_on(piece):
                    raise _changed(self._file)
                if not blind:
                    self._hash(piece, begin)
                if at >= self._file.size:
                    self._finish(at, next(filter(None, pieces), b""), blind=blind)
                if at > start:
                    yield piece[max(start - begin, 0) :]
                if at >= self._file.size:
                    return
            self._finish(at, b"", blind=blind)

    def seal(self) -> StoredFile:
        """Return size and digests of the whole file, reading what did not pass yet. Raises as `pieces` does."""
        if not self._whole:
            for _ in self.pieces(min(self._hashed, self._file.size)):
                pass
        return StoredFile(
            self._file.path,
            self._file.size,
            crc32c=_base64(self._crc32c.digest()),
            md5=_base64(self._md5.digest()) if self._md5 else None,
            xxh128=_base64(self._xxh128.digest()) if self._xxh128 else None,
            sha256=_base64(self._sha256.digest()) if self._sha256 else None,
        )

    def _hash(self, piece: bytes, begin: int) -> None:
        new = piece[self._hashed - begin :]
        if not new:
            return
        self._hashed += len(new)
        for digest in (self._crc32c, self._md5, self._xxh128, self._sha256):
            if digest is not None:
                digest.update(new)

    def _finish(self, at: int, more: bytes, *, blind: bool) -> None:
        """Compare size and digest with what was promised, before the end is handed out."""
        size, digest = self._file.size, self._file.digest
        if at != size or more or self._hashed > size:
            longer = at > size or more or self._hashed > size
            raise mismatch(self._file, f"{size} bytes", f"more than {size}" if longer else str(at))
        if blind:
            return
        actual = {"md5": self._md5, "xxh128": self._xxh128, "crc32c": self._crc32c}
        taken = actual[digest.algorithm] if digest else None
        if digest is not None and taken is not None and _base64(taken.digest()) != digest.value:
            raise mismatch(self._file, f"{digest.algorithm} {digest.value}", _base64(taken.digest()))
        self._whole = True


class _Before:
    """The bytes from the beginning that have passed before; only their crc32c is known."""

    def __init__(self, size: int, crc32c: bytes) -> None:
        self._left = size
        self._wanted = crc32c
        self._found = google_crc32c.Checksum()

    def goes_on(self, piece: bytes) -> bool:
        """Take the next piece of the file; False once all of them are there and are others."""
        if not self._left:
            return True
        again = piece[: self._left]
        self._found.update(again)
        self._left -= len(again)
        return bool(self._left or self._found.digest() == self._wanted)


def _changed(file: ArtifactFile) -> IntegrityError:
    return IntegrityError(
        f"{file.path!a} has changed at the source while it was read",
        "see to it that a version's files stay as they are, then run the sync again",
    )


def mismatch(file: ArtifactFile, promised: str, found: str) -> IntegrityError:
    """Say that a source's bytes are not what it promises."""
    return IntegrityError(
        f"{file.path!a}: the source promises {promised}, and its bytes have {found}",
        "the version is not registered; log it again, or look at the source's storage",
    )


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
