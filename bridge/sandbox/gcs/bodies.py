"""The bytes of objects, sessions and parts: one immutable file per body, one growing file per upload."""

from __future__ import annotations

import os
import shutil
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from bridge.sandbox.gcs.hashes import Digests, Hasher

if TYPE_CHECKING:
    from collections.abc import Iterator, Set as AbstractSet
    from concurrent.futures import Executor
    from pathlib import Path

PIECE = 1 << 20  # bytes: what a thread is given at a time
LARGE = 16 << 20  # bytes: deleting less takes no time worth a thread


class Growing:
    """A body on its way in: what is appended is in the file and in the hashes."""

    def __init__(self, path: Path) -> None:
        """Continue the file at `path`, or begin it; what it holds already is read and hashed."""
        self._path = path
        self._hasher = Hasher()
        self._file = path.open("ab")
        if self._file.tell():
            with path.open("rb") as held:
                while piece := held.read(PIECE):
                    self._hasher.update(piece)

    @property
    def size(self) -> int:
        """Bytes held."""
        return self._hasher.size

    def append(self, piece: bytes) -> None:
        """
        Add bytes at the end.

        They are with the operating system when this returns, so they survive kill -9, though not the
        machine's own death: there is no fsync.
        """
        if self._file.closed:
            self._file = self._path.open("ab")
        self._file.write(piece)
        self._file.flush()
        self._hasher.update(piece)

    def digests(self) -> Digests:
        """Return the size and hashes of what is held."""
        return self._hasher.digests()

    def close(self) -> None:
        """Let go of the file until the next append. Idempotent."""
        self._file.close()


class Bodies:
    """
    A folder of files that the database refers to.

    A file counts once a committed row names it. One that no row names is a leftover and is swept at the
    next start, so a body is written under its final name and there is nothing to rename.
    """

    def __init__(self, folder: Path, workers: Executor) -> None:
        self._folder = folder
        self._workers = workers
        folder.mkdir(parents=True, exist_ok=True)

    def new_id(self) -> str:
        """Return a name that no body has had."""
        return uuid.uuid4().hex

    def path(self, body: str) -> Path:
        """Say where a body's file is."""
        return self._folder / body

    def link(self, body: str) -> str:
        """Give the same bytes a second name, which costs none: bodies never change once they are written."""
        copy = self.new_id()
        os.link(self.path(body), self.path(copy))
        return copy

    def join(self, bodies: list[str], into: str) -> None:
        """Write one body out of others in a row; raises FileNotFoundError if one of them is gone."""
        with self.path(into).open("xb") as whole:
            for body in bodies:
                with self.path(body).open("rb") as piece:
                    shutil.copyfileobj(piece, whole, PIECE)

    def remove(self, body: str) -> None:
        """
        Delete a body. Idempotent; who reads it at the moment reads on.

        A large file goes in a thread, since its blocks take the file system a while.
        """
        path = self.path(body)
        with suppress(FileNotFoundError):
            if path.stat().st_size > LARGE:
                self._workers.submit(path.unlink, missing_ok=True)
            else:
                path.unlink()

    def flip(self, body: str, offset: int) -> None:
        """Invert the byte at `offset`: what bit rot would do."""
        with self.path(body).open("r+b") as file:
            file.seek(offset)
            [byte] = file.read(1)
            file.seek(offset)
            file.write(bytes([byte ^ 0xFF]))

    @contextmanager
    def kept_if_all_goes_well(self, body: str) -> Iterator[str]:
        """Remove the body if the block raises."""
        try:
            yield body
        except BaseException:
            self.remove(body)
            raise

    def sweep(self, keep: AbstractSet[str]) -> None:
        """Delete every file that is not in `keep`."""
        for path in self._folder.iterdir():
            if path.name not in keep:
                path.unlink()
