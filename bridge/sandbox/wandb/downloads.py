"""Finds the file that a download address means."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

from bridge.sandbox.wandb.files import ArtifactFile
from bridge.sandbox.wandb.ids import row_key

if TYPE_CHECKING:
    from bridge.sandbox.wandb.context import Context


def file_by_address(context: Context, birth_id: str, hexdigest: str, name: str) -> ArtifactFile | None:
    """Return a file by the version that first uploaded it, its digest in hex, and the last part of its name."""
    found = context.find_all(
        ArtifactFile,
        "digest = ? AND birth_key = ? ORDER BY key",
        b64encode(bytes.fromhex(hexdigest)).decode(),
        row_key(birth_id, "Artifact"),
    )
    return next((file for file in found if file.name.rpartition("/")[2] == name and _may_see(context, file)), None)


def file_by_digest(context: Context, entity: str, hexdigest: str) -> ArtifactFile | None:
    """Return a file of an entity's artifacts by its digest in hex: the address of the older storage layout."""
    found = context.find_all(
        ArtifactFile,
        "digest = ? AND artifact_key IN (SELECT a.key FROM artifacts a JOIN collections c ON c.key = a.sequence_key"
        " JOIN projects p ON p.key = c.project_key JOIN entities e ON e.key = p.entity_key WHERE e.name = ?)",
        b64encode(bytes.fromhex(hexdigest)).decode(),
        entity,
    )
    return next((file for file in found if _may_see(context, file)), None)


def _may_see(context: Context, file: ArtifactFile) -> bool:
    artifact = file.artifact(context)
    if artifact.state == "DELETED":
        return False
    home = artifact.artifactSequence(context).project(context).entity_key
    return home in context.asker.entity_keys or bool(artifact.memberships(context))
