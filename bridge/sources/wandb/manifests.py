"""What a manifest of W&B says of its files, and whether it is the artifact's own."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import xxhash

from bridge.core.errors import IntegrityError, NeedsPerson
from bridge.core.model import ArtifactFile, Digest

if TYPE_CHECKING:
    from bridge.core.model import SourceVersion
    from bridge.sources.wandb.session import ArtifactManifestEntry


def artifact_file(version: SourceVersion, path: str, entry: ArtifactManifestEntry) -> ArtifactFile:
    """Read one entry. Raises NeedsPerson for a reference, or for a digest by an algorithm nobody here knows."""
    if entry.ref is not None:
        raise NeedsPerson(
            f"{path!a} of {version} is a reference to {str(entry.ref)[:80]!a}, and references are not copied",
            "log the file itself, with add_file instead of add_reference",
        )
    algorithm = (entry.extra or {}).get("alg", "MD5")
    if algorithm not in ("MD5", "XXH128"):
        raise NeedsPerson(
            f"{path!a} of {version} has a digest by {algorithm!a}", "upgrade the bridge to one that knows it"
        )
    return ArtifactFile(path, entry.size or 0, Digest("md5" if algorithm == "MD5" else "xxh128", entry.digest))


def check_manifest(version: SourceVersion, digests: dict[str, str]) -> None:
    """Compare the manifest with the artifact's digest: MD5 or XXH128 over its sorted paths and digests (measured)."""
    listing = "wandb-artifact-manifest-v1\n" + "".join(f"{path}:{digests[path]}\n" for path in sorted(digests))
    text = listing.encode()
    if version.digest not in (hashlib.md5(text).hexdigest(), xxhash.xxh128(text).hexdigest()):  # noqa: S324  W&B's choice
        raise IntegrityError(
            f"the manifest of {version} does not have the digest {version.digest} that W&B gives for the artifact",
            "log the version again; if it happens again, tell W&B",
        )
