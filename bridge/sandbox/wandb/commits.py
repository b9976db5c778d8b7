"""The moment a version becomes visible."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

from bridge.sandbox.wandb.aliases import add_member, set_alias
from bridge.sandbox.wandb.artifacts import Artifact, ArtifactTag
from bridge.sandbox.wandb.blobs import blob_of_file, blob_of_manifest
from bridge.sandbox.wandb.errors import Refused
from bridge.sandbox.wandb.events import Event, announce, announce_tag
from bridge.sandbox.wandb.files import name_bytes
from bridge.sandbox.wandb.manifests import Entry, manifest_digest, read_manifest, write_manifest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.sandbox.wandb.context import Context


def commit(context: Context, artifact: Artifact) -> None:
    """
    Give a version its files, its `vN`, its aliases and `latest`.

    Its manifest is the one full manifest that was uploaded; or the base's with increments and patches laid over
    it, in the order they were announced. Refuses if a file of it was not uploaded.
    """
    manifests = _uploaded_manifests(context, artifact)
    if not manifests:
        raise Refused("the artifact's manifest was not uploaded", 400)
    kind, _, manifest_blob = manifests[-1]
    if kind == "FULL":
        digest, entries = artifact.digest, read_manifest(context.blobs, manifest_blob, artifact.key)
    else:
        # The producer's digest covers its own part only; that the server makes a new one is a guess.
        entries = _laid_over(context, artifact, manifests)
        digest, manifest_blob = manifest_digest(entries), blob_of_manifest(-artifact.key)
        write_manifest(context.blobs, manifest_blob, entries)
    _check_uploaded(context, entries)
    place = add_member(context, artifact.sequence_key, artifact.key)
    keep_files(context, artifact.key, entries)
    context.write(
        "UPDATE artifacts SET state = 'COMMITTED', version_index = ?, digest = ?, commit_hash = ?,"
        " manifest_blob = ?, updated_at = ? WHERE key = ?",
        place.version_index,
        digest,
        uuid.uuid4().hex,
        manifest_blob,
        context.now,
        artifact.key,
    )
    announce(context, Event("CREATE_ARTIFACT", place.artifactCollection(context), place))
    pending = json.loads(str(context.value("SELECT pending_aliases FROM artifacts WHERE key = ?", artifact.key)))
    for alias in dict.fromkeys([*pending, "latest"]):
        set_alias(context, place, alias)
    for tag in context.children(ArtifactTag, "artifact_key", artifact.key):
        announce_tag(context, "ADD_ARTIFACT_TAG", [place], tag.name)
    if artifact.run_key is not None:
        context.write(
            "INSERT OR IGNORE INTO run_artifacts (run_key, artifact_key, direction) VALUES (?, ?, 'output')",
            artifact.run_key,
            artifact.key,
        )


def keep_files(context: Context, artifact_key: int, entries: Mapping[str, Entry]) -> None:
    """Write down the files of a version, how many and how large."""
    rows = [
        (artifact_key, name_bytes(name), e.digest, e.size, e.ref, e.birth_key, blob_of_file(e.birth_key, name))
        for name, e in sorted(entries.items())
    ]
    context.database.executemany(
        "INSERT INTO files (artifact_key, name_bytes, digest, size, ref, birth_key, blob) VALUES (?, ?, ?, ?, ?, ?, ?)",
        rows,
    )
    context.write(
        "UPDATE artifacts SET size = ?, file_count = ? WHERE key = ?",
        sum(entry.size for entry in entries.values()),
        len(entries),
        artifact_key,
    )


def _uploaded_manifests(context: Context, artifact: Artifact) -> list[tuple[str, int | None, str]]:
    """Return kind, base and blob of each; one that was only announced, to have an id for the files, has no bytes."""
    announced = context.database.execute(
        "SELECT manifest_type, base_artifact_key, blob FROM manifests WHERE artifact_key = ? ORDER BY key",
        (artifact.key,),
    )
    return [(kind, base, blob) for kind, base, blob in announced.fetchall() if context.blobs.exists(blob)]


def _laid_over(context: Context, artifact: Artifact, manifests: list[tuple[str, int | None, str]]) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for _, base_key, blob in manifests:
        base = None if base_key is None else context.get(Artifact, base_key)
        if base is not None and base.manifest_blob is not None and not entries:
            entries = read_manifest(context.blobs, base.manifest_blob, base.key)
        entries |= read_manifest(context.blobs, blob, artifact.key)
    return entries


def _check_uploaded(context: Context, entries: Mapping[str, Entry]) -> None:
    for name, entry in entries.items():
        if entry.ref is None and not context.blobs.exists(blob_of_file(entry.birth_key, name)):
            raise Refused(f"file {name!r} was not uploaded", 400)
