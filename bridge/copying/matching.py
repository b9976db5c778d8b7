"""Whether a folder that a person filled holds just a version's files. Reads only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bridge.copying.digesting import Digesting
from bridge.core.comparing import compare_object, pairs
from bridge.core.errors import IntegrityError, NeedsPerson
from bridge.core.packed import pack_stored

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridge.copying.throttle import Throttle
    from bridge.core.model import ArtifactFile, Manifest, SourceVersion, StoredFile
    from bridge.core.ports import Source, Storage

UNCHANGED = "it is not taken for that version; choose the right one, or have the bridge copy and register it"


@dataclass(frozen=True, slots=True)
class Matcher:
    """Compares folders with a source's versions; `deep`: by every byte where no digest tells."""

    source: Source
    storage: Storage
    throttle: Throttle
    deep: bool = False

    def match(self, version: SourceVersion, files: Sequence[ArtifactFile], folder: str) -> Sequence[StoredFile]:
        """Compare a folder with a version's files, both by path; return what lies there. Raises as Copier.compare."""
        return pack_stored(self._same(version, file, there, folder) for file, there in self._paired(files, folder))

    def _paired(self, files: Sequence[ArtifactFile], folder: str) -> Iterator[tuple[ArtifactFile, StoredFile]]:
        for file, there in pairs(files, self.storage.held(folder)):
            if there is None and file is not None:
                raise _differs(folder, f"has no file {file.path!a}, which the version has")
            if file is None and there is not None:
                raise _differs(folder, f"has a file {there.path!a}, which the version has not")
            if file is not None and there is not None:
                if file.size != there.size:
                    raise _differs(folder, f"has {there.size} bytes in {file.path!a}, and the version {file.size}")
                yield file, there

    def _same(self, version: SourceVersion, file: ArtifactFile, there: StoredFile, folder: str) -> StoredFile:
        """Return the object as it lies there, once it is known to have the file's bytes."""
        digest = file.digest
        kept = {"md5": there.md5, "crc32c": there.crc32c}.get(digest.algorithm) if digest else None
        if digest is not None and kept is not None:
            if kept != digest.value:
                raise _differs(folder, f"has other bytes in {file.path!a} than the version ({digest.algorithm} {kept})")
            return there
        if not self.deep:
            raise NeedsPerson(
                f"no digest that both sides keep tells whether {file.path!a} in {folder} is that of {version}",
                "have every byte compared: bridge adopt with --deep",
            )
        if digest is None:
            wanted, found = there, self._at_source(version, file, there)
        else:
            value = digest.value
            wanted = replace(there, md5=value) if digest.algorithm == "md5" else replace(there, xxh128=value)
            [(_, found)] = self.storage.reread(folder, [wanted])
        if found != wanted:
            raise _differs(folder, f"has other bytes in {file.path!a} than the version, as reading them shows")
        return wanted

    def _at_source(self, version: SourceVersion, file: ArtifactFile, there: StoredFile) -> StoredFile:
        """Return what the object would be if it had the bytes that the source has."""
        digesting = Digesting(there)
        with self.source.open(version, file) as pieces:
            for piece in self.throttle.passed(pieces):
                digesting.take(piece)
        return digesting.stored()


def check_own(storage: Storage, manifest: Manifest, folder: str) -> Manifest:
    """Make sure that a folder which the bridge filled holds what its manifest says; return that."""
    for wanted, there in pairs(manifest.files, storage.held(folder)):
        if (wrong := compare_object(folder, wanted, there)) is not None:
            raise _differs(folder, f"is not what its manifest says, at {wrong.path!a}")
    return manifest


def _differs(folder: str, how: str) -> IntegrityError:
    return IntegrityError(f"{folder} {how}", UNCHANGED)
