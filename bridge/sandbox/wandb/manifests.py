"""The JSON that lists a version's files, as the SDK writes it (design/facts-wandb.md, section 7)."""

from __future__ import annotations

import binascii
import hashlib
import io
import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.sandbox.wandb.errors import Refused
from bridge.sandbox.wandb.ids import global_id, row_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.sandbox.wandb.blobs import Blobs

MD5_SIZE = 16  # bytes
DIGEST_PREFIX = b"wandb-artifact-manifest-v1\n"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a manifest."""

    digest: str  # base64 of the md5 or XXH128; of a reference, whatever its store gave
    size: int
    birth_key: int  # the version that first uploaded it
    ref: str | None = None
    extra: Mapping[str, object] | None = None


def read_manifest(blobs: Blobs, blob: str, own_key: int) -> dict[str, Entry]:
    """
    Return the entries of an uploaded manifest by name.

    `local_path` and `skip_cache`, which leak from the producer's machine, are ignored.
    """
    try:
        contents = json.loads(blobs.read(blob))["contents"]
        return {name: _entry(given, own_key) for name, given in contents.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused(f"not a manifest: {error}", 400) from error


def _entry(given: Mapping[str, object], own_key: int) -> Entry:
    birth = row_key(str(given.get("birthArtifactID") or ""), "Artifact")
    ref, extra = given.get("ref"), given.get("extra")
    return Entry(
        digest=str(given["digest"]),
        size=int(str(given.get("size") or 0)),
        birth_key=own_key if birth is None else birth,
        ref=None if ref is None else str(ref),
        extra=extra if isinstance(extra, dict) else None,
    )


def write_manifest(blobs: Blobs, blob: str, entries: Mapping[str, Entry]) -> None:
    """Write a whole manifest."""
    contents = {name: _written(entry) for name, entry in entries.items()}
    whole = {
        "version": 1,
        "storagePolicy": "wandb-storage-policy-v1",
        "storagePolicyConfig": {"storageLayout": "V2"},
        "contents": contents,
    }
    blobs.write(blob, io.BytesIO(json.dumps(whole).encode()))


def _written(entry: Entry) -> dict[str, object]:
    written: dict[str, object] = {"digest": entry.digest, "size": entry.size}
    written["birthArtifactID"] = global_id("Artifact", entry.birth_key)
    if entry.ref is not None:
        written["ref"] = entry.ref
    if entry.extra is not None:
        written["extra"] = dict(entry.extra)
    return written


def manifest_digest(entries: Mapping[str, Entry]) -> str:
    """Return the hex md5 over names and digests, sorted by name: what the SDK calls the artifact's digest."""
    whole = hashlib.md5(DIGEST_PREFIX, usedforsecurity=False)
    for name, entry in sorted(entries.items()):
        whole.update(f"{name}:{entry.digest}\n".encode("utf-8", "surrogatepass"))
    return whole.hexdigest()


def md5_digest(content: bytes) -> str:
    """Return a file's digest as manifests have it: the base64 of its md5."""
    return b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


def as_content_md5(digest: str) -> str | None:
    """Return a digest in the form of the header Content-MD5, base64 of 16 bytes; None if it is not an md5."""
    try:
        raw = bytes.fromhex(digest) if len(digest) == 2 * MD5_SIZE else b64decode(digest, validate=True)
    except (binascii.Error, ValueError):
        return None
    return b64encode(raw).decode() if len(raw) == MD5_SIZE else None
