"""File bytes on disk, each under the digest of its storage path: a hostile file name never names a file here."""

from __future__ import annotations

import hashlib
import shutil
import uuid
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def blob_of_file(birth_key: int, name: str) -> str:
    """Name the blob of an artifact's file: the version that first uploaded it, and its path there."""
    return _blob(f"artifact/{birth_key}/{name}")


def blob_of_manifest(manifest_key: int) -> str:
    """Name the blob of an uploaded manifest."""
    return _blob(f"manifest/{manifest_key}")


def blob_of_run_file(run_key: int, name: str) -> str:
    """Name the blob of a run's own file."""
    return _blob(f"run/{run_key}/{name}")


def _blob(storage_path: str) -> str:
    return hashlib.sha256(storage_path.encode("utf-8", "surrogatepass")).hexdigest()


class Blobs:
    """A folder of blobs. A blob appears whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, blob: str) -> Path:
        """Return where `blob` is or would be."""
        return self._folder / blob[:2] / blob

    def exists(self, blob: str) -> bool:
        """Say if `blob` was written."""
        return self.path(blob).is_file()

    def size(self, blob: str) -> int:
        """Return the size in bytes, 0 if nothing was written."""
        return self.path(blob).stat().st_size if self.exists(blob) else 0

    def read(self, blob: str) -> bytes:
        """Return the whole blob. Raises FileNotFoundError."""
        return self.path(blob).read_bytes()

    def write(self, blob: str, source: IO[bytes]) -> None:
        """Copy `source` into `blob`, replacing what was there."""
        self._place(blob, [source])

    def join(self, blob: str, parts: Sequence[str]) -> None:
        """Make `blob` of `parts`, in that order, and remove them. Raises FileNotFoundError if one is missing."""
        sources: list[IO[bytes]] = []
        try:
            sources.extend(self.path(part).open("rb") for part in parts)
            self._place(blob, sources)
        finally:
            for source in sources:
                source.close()
        for part in parts:
            self.path(part).unlink()

    def flip(self, blob: str, offset: int) -> None:
        """Invert the byte at `offset`: what bit rot would do."""
        with self.path(blob).open("r+b") as file:
            file.seek(offset)
            [byte] = file.read(1)
            file.seek(offset)
            file.write(bytes([byte ^ 0xFF]))

    def _place(self, blob: str, sources: Sequence[IO[bytes]]) -> None:
        path = self.path(blob)
        path.parent.mkdir(exist_ok=True)
        half = path.with_name(f"{blob}.{uuid.uuid4().hex}")
        with half.open("wb") as file:
            for source in sources:
                shutil.copyfileobj(source, file, 1 << 20)
        half.replace(path)
