"""The Copier port: bytes before names. Plain and correct; one file after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.core.errors import NeedsPerson
from bridge.core.model import Manifest

if TYPE_CHECKING:
    from bridge.core.model import SourceVersion
    from bridge.core.ports import Clock, Source, Storage


@dataclass(frozen=True, slots=True)
class StreamingCopier:
    """Streams each file from a source into a bucket; the manifest is written when all of them are verified."""

    source: Source
    storage: Storage
    clock: Clock

    def copy(self, version: SourceVersion, folder: str) -> Manifest:
        """See the port."""
        if (whole := self.storage.manifest(folder)) is not None:
            return _same(whole, version, folder)
        stored = []
        for file in self.source.describe(version):
            with self.source.open(version, file) as pieces:
                stored.append(self.storage.put(folder, file, pieces))
        created = self.clock.now().isoformat()
        manifest = Manifest(version.collection, version.label, version.id, version.digest, tuple(stored), created)
        self.storage.commit(folder, manifest)
        return manifest

    def manifest(self, folder: str) -> Manifest | None:
        """See the port."""
        return self.storage.manifest(folder)


def _same(manifest: Manifest, version: SourceVersion, folder: str) -> Manifest:
    """Make sure that a whole folder holds this version's bytes: its name holds only 12 digits of the digest."""
    if not manifest.is_of(version):
        raise NeedsPerson(
            f"{folder} holds {manifest.collection}:{manifest.label} with the digest {manifest.source_digest}, "
            f"not {version.digest}",
            "remove that folder if nothing in Vertex uses it, or give the mapping another bucket folder",
        )
    return manifest
