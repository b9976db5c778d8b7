"""Changes to committed versions: metadata, tags, time to live, deletion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridge.sandbox.wandb.aliases import remove_member, touch_artifact
from bridge.sandbox.wandb.artifacts import Alias, Artifact, ArtifactTag, Membership
from bridge.sandbox.wandb.errors import Refused
from bridge.sandbox.wandb.events import announce_tag
from bridge.sandbox.wandb.projects import check_may_write

if TYPE_CHECKING:
    import sqlite3

    from bridge.sandbox.wandb.context import Context

TTL_INHERITED = -1  # in an input (sdk/artifacts/artifact.py, _ttl_duration_seconds_to_gql)


def set_ttl(context: Context, artifact: Artifact, ttl_seconds: int | None) -> None:
    """Set the time to live: seconds since creation, -2 none, -1 (or None) what the project has, which is none."""
    own = None if ttl_seconds in (None, TTL_INHERITED) else ttl_seconds
    expires = artifact.created_at + own if own is not None and own > 0 else None
    context.write("UPDATE artifacts SET ttl_seconds = ?, expires_at = ? WHERE key = ?", own, expires, artifact.key)


def expired(database: sqlite3.Connection, now: float) -> bool:
    """Say if `expire` has something to do; costs one look into an index."""
    found = database.execute("SELECT 1 FROM artifacts WHERE expires_at IS NOT NULL AND expires_at <= ? LIMIT 1", (now,))
    return found.fetchone() is not None


def expire(database: sqlite3.Connection, now: float) -> None:
    """
    Delete the versions whose time is over, aliases or not.

    A version that is linked anywhere lives on: W&B protects linked versions (doc), how exactly is a guess.
    """
    over = (
        "SELECT a.key FROM artifacts a WHERE a.expires_at <= ? AND NOT EXISTS"
        " (SELECT 1 FROM memberships m WHERE m.artifact_key = a.key AND m.collection_key <> a.sequence_key)"
    )
    keys = [key for [key] in database.execute(over, (now,))]
    for key in keys:
        database.execute("DELETE FROM memberships WHERE artifact_key = ?", (key,))
        database.execute("UPDATE artifacts SET state = 'DELETED' WHERE key = ?", (key,))
    database.execute("UPDATE artifacts SET expires_at = NULL WHERE expires_at <= ?", (now,))


def artifact_to_write(context: Context, id_: str) -> Artifact:
    """Return the version that the asker may change where it was born."""
    artifact = context.require(Artifact, id_)
    if artifact.state == "DELETED":
        raise Refused(f"Artifact {id_} not found", 404)
    check_may_write(context, artifact.artifactSequence(context).project(context))
    return artifact


def _add_tag(context: Context, artifact: Artifact, name: str) -> None:
    if _tag(context, artifact, name) is None:
        context.write("INSERT INTO artifact_tags (artifact_key, name) VALUES (?, ?)", artifact.key, name)
        announce_tag(context, "ADD_ARTIFACT_TAG", _places(context, artifact), name)


def _remove_tag(context: Context, artifact: Artifact, name: str) -> None:
    if (tag := _tag(context, artifact, name)) is not None:
        context.write("DELETE FROM artifact_tags WHERE key = ?", tag.key)
        announce_tag(context, "REMOVE_ARTIFACT_TAG", _places(context, artifact), name)


def _tag(context: Context, artifact: Artifact, name: str) -> ArtifactTag | None:
    return context.find(ArtifactTag, "artifact_key = ? AND name = ?", artifact.key, name)


def _places(context: Context, artifact: Artifact) -> list[Membership]:
    return context.find_all(Membership, "artifact_key = ? ORDER BY key", artifact.key)


class VersionMutations:
    """Changes to versions."""

    def updateArtifact(self, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        """Change the description, the metadata, the time to live and the tags, as far as they are given."""
        artifact = artifact_to_write(context, given["artifactID"])
        for column in ("description", "metadata"):
            if given.get(column) is not None:
                context.write(f"UPDATE artifacts SET {column} = ? WHERE key = ?", given[column], artifact.key)  # noqa: S608  one of two
        if given.get("ttlDurationSeconds") is not None:
            set_ttl(context, artifact, given["ttlDurationSeconds"])
        for tag in given.get("tagsToAdd") or ():
            _add_tag(context, artifact, tag["tagName"])
        for tag in given.get("tagsToDelete") or ():
            _remove_tag(context, artifact, tag["tagName"])
        touch_artifact(context, artifact.key)
        return {"artifact": context.get(Artifact, artifact.key)}

    def deleteArtifact(self, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        """Delete a version everywhere. Refuses one that has aliases, unless they may go too."""
        artifact = artifact_to_write(context, given["artifactID"])
        places = context.children(Membership, "artifact_key", artifact.key)
        named = [alias.alias for place in places for alias in context.children(Alias, "membership_key", place.key)]
        if named and not given.get("deleteAliases"):
            raise Refused(f"cannot delete an artifact that has aliases: {', '.join(named)}", 409)
        for place in places:
            remove_member(context, place)
        context.write("UPDATE artifacts SET state = 'DELETED' WHERE key = ?", artifact.key)
        touch_artifact(context, artifact.key)
        return {"artifact": context.get(Artifact, artifact.key)}
