"""Puts versions into the stand-in without the SDK: many at once, or such as the SDK would refuse to make."""

from __future__ import annotations

import io
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.sandbox.wandb.aliases import add_link, add_member, set_alias
from bridge.sandbox.wandb.artifacts import Artifact
from bridge.sandbox.wandb.blobs import blob_of_file, blob_of_manifest
from bridge.sandbox.wandb.collections import Collection, find_collection, make_collection, touch, type_or_new
from bridge.sandbox.wandb.commits import keep_files
from bridge.sandbox.wandb.context import Asker, Context
from bridge.sandbox.wandb.events import Event, announce
from bridge.sandbox.wandb.files import ArtifactFile, name_bytes
from bridge.sandbox.wandb.manifests import Entry, manifest_digest, md5_digest, write_manifest
from bridge.sandbox.wandb.people import Entity
from bridge.sandbox.wandb.projects import Project, make_project
from bridge.sandbox.wandb.version_lists import find_by_name

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence

    from bridge.sandbox.wandb.gateway import Gateway

HOME = "seeded"  # the project that seeded versions are born in


@dataclass(frozen=True, slots=True)
class SeededVersion:
    """What was seeded."""

    artifact_id: str
    digest: str
    version_index: int  # in the collection it was linked into


def seeder(gateway: Gateway, database: sqlite3.Connection) -> Context:
    """Return a context that may do everything; nobody is its asker."""
    entities = frozenset(key for [key] in database.execute("SELECT key FROM entities"))
    return gateway.context(database, Asker(0, entities))


def seed_version(
    context: Context,
    collection_path: str,
    files: Mapping[str, bytes],
    *,
    aliases: Sequence[str],
    artifact_type: str,
    metadata: Mapping[str, object],
    digests: Mapping[str, str],
    references: Mapping[str, str],
    listed: Iterable[str],
) -> SeededVersion:
    """Commit a version with this manifest and link it; see `WandbServer.seed_version`."""
    entity_name, project_name, name = collection_path.split("/", 2)
    project = _project(context, f"{entity_name}/{project_name}")
    home = _home(context, project)
    sequence = _collection(context, home, "SEQUENCE", name, artifact_type)
    key = _insert_artifact(context, sequence, json.dumps(metadata))
    entries = {}
    for path, content in files.items():
        context.blobs.write(blob_of_file(key, path), io.BytesIO(content))
        entries[path] = Entry(digests.get(path, md5_digest(content)), len(content), key)
    for path, uri in references.items():
        entries[path] = Entry(digests.get(path, uri), 0, key, uri)
    nothing = Entry(md5_digest(b""), 0, key)
    entries |= dict.fromkeys(listed, nothing)
    manifest_blob = blob_of_manifest(-key)
    write_manifest(context.blobs, manifest_blob, entries)
    keep_files(context, key, entries)
    born = add_member(context, sequence.key, key)
    digest = manifest_digest(entries)
    context.write(
        "UPDATE artifacts SET version_index = ?, digest = ?, manifest_blob = ? WHERE key = ?",
        born.version_index,
        digest,
        manifest_blob,
        key,
    )
    announce(context, Event("CREATE_ARTIFACT", sequence, born))
    set_alias(context, born, "latest")
    portfolio = _collection(context, project, "PORTFOLIO", name, artifact_type)
    wanted = tuple(dict.fromkeys([*aliases, "latest"]))
    place = add_link(context, portfolio, key, wanted)
    for alias in wanted:
        set_alias(context, place, alias)
    return SeededVersion(context.get(Artifact, key).id, digest, place.version_index)


def seed_collections(context: Context, registry: str, count: int, versions: int, *, alias: str, prefix: str) -> None:
    """Fill a registry; see `WandbServer.seed_collections`."""
    project = _project(context, registry)
    home = _home(context, project)
    empty = blob_of_manifest(0)
    write_manifest(context.blobs, empty, {})
    for number in range(count):
        name = f"{prefix}-{number:05d}"
        sequence = _collection(context, home, "SEQUENCE", name, "model")
        portfolio = _collection(context, project, "PORTFOLIO", name, "model")
        places = []
        for index in range(versions):
            key = _insert_artifact(context, sequence, "{}")
            context.write(
                "UPDATE artifacts SET version_index = ?, digest = ?, manifest_blob = ? WHERE key = ?",
                index,
                manifest_digest({}),
                empty,
                key,
            )
            places.append(_insert_member(context, portfolio, key, index))
            _insert_member(context, sequence, key, index)
        insert = "INSERT INTO aliases (collection_key, membership_key, alias) VALUES (?, ?, ?)"
        context.write(insert, portfolio.key, places[0], alias)
        context.write(insert, portfolio.key, places[-1], "latest")
        for collection in (sequence, portfolio):
            context.write("UPDATE collections SET next_version = ? WHERE key = ?", versions, collection.key)
            touch(context, collection.key)


def blob_of(context: Context, version: str, path: str) -> str:
    """Return the blob of a file of `entity/project/collection:alias`. Raises LookupError."""
    entity_name, project_name, name = version.split("/", 2)
    membership = find_by_name(context, _project(context, f"{entity_name}/{project_name}"), name)
    artifact_key = 0 if membership is None else membership.artifact_key
    file = context.find(ArtifactFile, "artifact_key = ? AND name_bytes = ?", artifact_key, name_bytes(path))
    if file is None:
        raise LookupError(f"no file {path!r} in {version}")
    return file.blob


def _project(context: Context, path: str) -> Project:
    entity_name, _, name = path.partition("/")
    entity_key = "(SELECT key FROM entities WHERE name = ?)"
    project = context.find(Project, f"entity_key = {entity_key} AND name = ?", entity_name, name)
    if project is None:
        raise LookupError(f"no project {path}: create the organization and the registry first")
    return project


def _home(context: Context, project: Project) -> Project:
    entity = project.entity(context)
    if entity.organization_key is not None:
        team = context.find(Entity, "organization_key = ? AND entity_type = 'team'", entity.organization_key)
        entity = team or entity
    found = context.find(Project, "entity_key = ? AND name = ?", entity.key, HOME)
    return found or make_project(context, entity, HOME)


def _collection(context: Context, project: Project, kind: str, name: str, artifact_type: str) -> Collection:
    found = find_collection(context, project, name)
    if found is not None:
        return found
    return make_collection(context, project, kind, name, type_or_new(context, project, artifact_type))


def _insert_artifact(context: Context, sequence: Collection, metadata: str) -> int:
    return context.write(
        "INSERT INTO artifacts (sequence_key, state, digest, digest_algorithm, commit_hash, metadata, created_at,"
        " updated_at) VALUES (?, 'COMMITTED', '', 'MANIFEST_MD5', ?, ?, ?, ?)",
        sequence.key,
        uuid.uuid4().hex,
        metadata,
        context.now,
        context.now,
    )


def _insert_member(context: Context, collection: Collection, artifact_key: int, index: int) -> int:
    return context.write(
        "INSERT INTO memberships (collection_key, artifact_key, version_index, created_at) VALUES (?, ?, ?, ?)",
        collection.key,
        artifact_key,
        index,
        context.now,
    )
