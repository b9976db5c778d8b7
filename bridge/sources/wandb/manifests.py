"""What a manifest of W&B says of its files, and whether it is the artifact's own."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import ijson
import xxhash

from bridge.core.errors import IntegrityError, NeedsPerson
from bridge.core.model import ArtifactFile, Digest
from bridge.core.packed import pack_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bridge.core.model import SourceVersion
    from bridge.core.packed import Packed

LONGEST = 8 << 20  # bytes without a file

_BEGIN = b"wandb-artifact-manifest-v1\n"


def read_manifest(version: SourceVersion, pieces: Iterable[bytes]) -> Packed[ArtifactFile]:
    """
    Read the files that a manifest lists, by path, as its bytes come; paths are not checked.

    Raises NeedsPerson for what is no manifest, for a reference, or for a digest by an algorithm nobody here knows,
    and what `pieces` raises.
    """
    try:
        return pack_files(_file(version, path, entry) for path, entry in _entries(version, pieces))
    except ijson.JSONError as wrong:
        raise _odd(version, "it is not JSON") from wrong


def _entries(version: SourceVersion, pieces: Iterable[bytes]) -> Iterator[tuple[str, Any]]:
    found = ijson.sendable_list()
    parser = ijson.kvitems_coro(found, "contents")
    silent = 0
    for piece in pieces:
        parser.send(piece)
        silent = 0 if found else silent + len(piece)
        if silent > LONGEST:
            raise _odd(version, f"there is no file in {LONGEST} bytes of it")
        yield from found
        found.clear()
    parser.close()


def _file(version: SourceVersion, path: str, entry: Any) -> ArtifactFile:  # noqa: ANN401  any JSON
    digest, size = (entry.get("digest"), entry.get("size") or 0) if isinstance(entry, dict) else (None, 0)
    if isinstance(entry, dict) and (ref := entry.get("ref")) is not None:
        raise NeedsPerson(
            f"{path!a} of {version} is a reference to {str(ref)[:80]!a}, and references are not copied",
            "log the file itself, with add_file instead of add_reference",
        )
    if not isinstance(digest, str) or not isinstance(size, int):
        raise _odd(version, f"of {path!a} it has no digest, or no number of bytes")
    extra = entry.get("extra")
    algorithm = extra.get("alg", "MD5") if isinstance(extra, dict) else "MD5"
    if algorithm not in ("MD5", "XXH128"):
        raise NeedsPerson(
            f"{path!a} of {version} has a digest by {algorithm!a}", "upgrade the bridge to one that knows it"
        )
    return ArtifactFile(path, size, Digest("md5" if algorithm == "MD5" else "xxh128", digest))


def _odd(version: SourceVersion, why: str) -> NeedsPerson:
    return NeedsPerson(
        f"what W&B's storage gives for the manifest of {version} cannot be read: {why}",
        "run the sync again; if it happens again, log the version again",
    )


def check_manifest(version: SourceVersion, files: Packed[ArtifactFile]) -> None:
    """Compare the manifest with the artifact's digest: MD5 or XXH128 over its sorted paths and digests (measured)."""
    md5, xxh128 = hashlib.md5(_BEGIN, usedforsecurity=False), xxhash.xxh128(_BEGIN)
    for file in files:
        line = f"{file.path}:{file.digest.value if file.digest else ''}\n".encode()
        md5.update(line)
        xxh128.update(line)
    if version.digest not in (md5.hexdigest(), xxh128.hexdigest()):
        raise IntegrityError(
            f"the manifest of {version} does not have the digest {version.digest} that W&B gives for the artifact",
            "log the version again; if it happens again, tell W&B",
        )
