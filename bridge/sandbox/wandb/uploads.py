"""How a version is made: create, announce files, upload them and the manifest, commit."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from bridge.sandbox.wandb.aliases import aliases_of, set_alias
from bridge.sandbox.wandb.artifacts import Artifact, Membership
from bridge.sandbox.wandb.blobs import blob_of_file, blob_of_manifest
from bridge.sandbox.wandb.collections import Collection, find_collection, make_collection, type_or_new
from bridge.sandbox.wandb.commits import commit
from bridge.sandbox.wandb.errors import Refused
from bridge.sandbox.wandb.files import Upload, as_page, name_bytes, storage_path, upload_url
from bridge.sandbox.wandb.ids import global_id, row_key
from bridge.sandbox.wandb.manifests import as_content_md5
from bridge.sandbox.wandb.projects import Project, project_or_new
from bridge.sandbox.wandb.versions import artifact_to_write, set_ttl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.sandbox.wandb.context import Context

MD5, XXH128 = "MANIFEST_MD5", "MANIFEST_XXH128"


class UploadMutations:
    """The steps of `log_artifact`, in their order."""

    def createArtifact(self, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        """
        Begin a version, or return one that is there already.

        That is: the one of the same client id (the request is tried again), the one that other processes
        write under the same distributed id, or a committed one of the same digest.
        """
        project = project_or_new(context, given["entityName"], given["projectName"])
        if again := given.get("clientID") and context.find(Artifact, "client_id = ?", given["clientID"]):
            return {"artifact": again}
        sequence = _sequence(context, project, given)
        if shared := _shared(context, sequence, given):
            return {"artifact": shared}
        if same := _same_content(context, sequence, given):
            [place] = context.find_all(Membership, "collection_key = ? AND artifact_key = ?", sequence.key, same.key)
            for alias in aliases_of(given):
                set_alias(context, place, alias)
            return {"artifact": context.get(Artifact, same.key)}
        run = context.value(
            "SELECT key FROM runs WHERE project_key = ? AND name = ?", project.key, given.get("runName")
        )
        key = context.write(
            "INSERT INTO artifacts (sequence_key, state, digest, digest_algorithm, client_id, sequence_client_id,"
            " distributed_id, description, metadata, history_step, pending_aliases, run_key, user_key,"
            " created_at, updated_at) VALUES (?, 'PENDING', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            sequence.key,
            given["digest"],
            given["digestAlgorithm"],
            given.get("clientID"),
            given.get("sequenceClientID"),
            given.get("distributedID"),
            given.get("description"),
            given.get("metadata") or "{}",
            given.get("historyStep"),
            json.dumps(list(aliases_of(given))),
            run,
            context.asker.user_key,
            context.now,
            context.now,
        )
        artifact = context.get(Artifact, key)
        set_ttl(context, artifact, given.get("ttlDurationSeconds"))
        for tag in given.get("tags") or ():
            context.write("INSERT INTO artifact_tags (artifact_key, name) VALUES (?, ?)", key, tag["tagName"])
        return {"artifact": context.get(Artifact, key)}

    def createArtifactManifest(self, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        """Announce a manifest: first without a digest, to have an id for the files, then with it, to upload it."""
        artifact = artifact_to_write(context, given["artifactID"])
        key = context.write(
            "INSERT INTO manifests (artifact_key, manifest_type, base_artifact_key) VALUES (?, ?, ?)",
            artifact.key,
            given.get("type") or "FULL",
            row_key(given.get("baseArtifactID") or "", "Artifact"),
        )
        context.write("UPDATE manifests SET blob = ? WHERE key = ?", blob_of_manifest(key), key)
        return {"artifactManifest": _manifest(context, key, given["digest"])}

    def updateArtifactManifest(self, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        """Say that a manifest announced earlier is uploaded now: that is how patches are sent."""
        key = row_key(given["artifactManifestID"], "ArtifactManifest") or 0
        artifact_key = context.value("SELECT artifact_key FROM manifests WHERE key = ?", key)
        if artifact_key is None:
            raise Refused(f"ArtifactManifest {given['artifactManifestID']} not found", 404)
        artifact_to_write(context, global_id("Artifact", str(artifact_key)))
        if base := row_key(given.get("baseArtifactID") or "", "Artifact"):
            context.write("UPDATE manifests SET base_artifact_key = ? WHERE key = ?", base, key)
        return {"artifactManifest": _manifest(context, key, given.get("digest"))}

    def createArtifactFiles(self, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        """Say for each file where to send it, or that an earlier version has it: same name, same digest."""
        return {"files": as_page([_file(context, spec) for spec in given["artifactFiles"]])}

    def completeMultipartUploadArtifact(self, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        """Join the parts of a file; their order is that of their numbers."""
        artifact = artifact_to_write(context, given["artifactID"])
        prefix = storage_path(artifact.key, "")
        if not given["storagePath"].startswith(prefix):
            raise Refused(f"no upload to {given['storagePath']}", 404)
        blob = blob_of_file(artifact.key, given["storagePath"].removeprefix(prefix))
        if given["completeMultipartAction"] == "Complete":
            numbers = sorted(part["partNumber"] for part in given["completedParts"])
            try:
                context.blobs.join(blob, [_part(blob, given["uploadID"], number) for number in numbers])
            except FileNotFoundError as error:
                raise Refused("a part was not uploaded", 400) from error
        return {"digest": None}

    def commitArtifact(self, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        """Make a version visible, with its aliases and as the latest. To commit again changes nothing."""
        artifact = artifact_to_write(context, given["artifactID"])
        if artifact.state == "PENDING":
            commit(context, artifact)
        return {"artifact": context.get(Artifact, artifact.key)}


def _earlier_birth(context: Context, artifact: Artifact, name: str, digest: str) -> int | None:
    """Return the version that keeps a file of this name and digest already. The real scope is unknown."""
    scopes = {
        "sequence": "a.sequence_key = s.key",
        "project": "a.sequence_key IN (SELECT key FROM collections WHERE project_key = s.project_key)",
        "none": "0",
    }
    found = context.value(
        "SELECT f.birth_key FROM collections s JOIN files f JOIN artifacts a ON a.key = f.artifact_key"  # noqa: S608  one of three
        " WHERE s.key = ? AND f.digest = ? AND f.name_bytes = ? AND f.ref IS NULL AND a.state = 'COMMITTED'"
        f" AND {scopes[context.switches.dedupe_scope]} LIMIT 1",
        artifact.sequence_key,
        digest,
        name_bytes(name),
    )
    return None if found is None else int(str(found))


def _md5_header(digest: str | None) -> list[str]:
    md5 = as_content_md5(digest or "")
    return [] if md5 is None else [f"Content-MD5:{md5}"]


def _part(blob: str, upload_id: str, number: int) -> str:
    return f"{blob}.{upload_id}.{number}"


def _shared(context: Context, sequence: Collection, given: dict[str, Any]) -> Artifact | None:
    condition = "sequence_key = ? AND distributed_id = ? AND state = 'PENDING'"
    return context.find(Artifact, condition, sequence.key, given.get("distributedID"))


def _sequence(context: Context, project: Project, given: dict[str, Any]) -> Collection:
    name = given.get("artifactCollectionName") or (given.get("artifactCollectionNames") or [""])[0]
    if project.is_registry:
        raise Refused("a registry takes links, not new artifacts", 400)
    if given["digestAlgorithm"] == XXH128 and not context.switches.xxh128:
        raise Refused("XXH128 digests are not enabled for this entity", 400)
    of_type = type_or_new(context, project, given["artifactTypeName"])
    sequence = find_collection(context, project, name)
    if sequence is None:
        sequence = make_collection(context, project, "SEQUENCE", name, of_type)
    if sequence.collection_type != "SEQUENCE":
        raise Refused(f"{name!r} is a collection of links", 400)
    if sequence.type_key != of_type.key:
        raise Refused(f"artifact {name!r} exists with another type than {of_type.name!r}", 409)
    algorithm = sequence.digest_algorithm or given["digestAlgorithm"]
    if algorithm != given["digestAlgorithm"]:
        raise Refused(f"artifact {name!r} has digests of {algorithm}", 400)
    context.write("UPDATE collections SET digest_algorithm = ? WHERE key = ?", algorithm, sequence.key)
    return context.get(Collection, sequence.key)


def _same_content(context: Context, sequence: Collection, given: dict[str, Any]) -> Artifact | None:
    if not given.get("enableDigestDeduplication") or context.switches.dedupe_scope == "none":
        return None
    # "project" widens only the search for files: a version of another name is another version.
    same = "sequence_key = ? AND digest = ? AND state = 'COMMITTED' ORDER BY key DESC"
    return context.find(Artifact, same, sequence.key, given["digest"])


def _manifest(context: Context, key: int, digest: str | None) -> dict[str, Any]:
    blob = blob_of_manifest(key)
    upload = Upload(
        id=global_id("File", f"manifest-upload-{key}"),
        name="wandb_manifest.json",
        blob=blob,
        uploadUrl=upload_url(context, blob),
        uploadHeaders=_md5_header(digest),
    )
    return {"id": global_id("ArtifactManifest", key), "file": upload}


def _file(context: Context, spec: Mapping[str, Any]) -> Upload:
    artifact = artifact_to_write(context, spec["artifactID"])
    digest = spec.get("digest") or spec["md5"]
    birth = _earlier_birth(context, artifact, spec["name"], digest)
    owner = artifact.key if birth is None else birth
    blob, path = blob_of_file(owner, spec["name"]), storage_path(owner, spec["name"])
    id_ = global_id("File", blob)
    if birth is not None:
        return Upload(id_, spec["name"], blob, path, context.get(Artifact, birth))
    if parts := spec.get("uploadPartsInput"):
        upload_id = uuid.uuid4().hex
        urls = [
            {
                "partNumber": part["partNumber"],
                "uploadUrl": upload_url(context, _part(blob, upload_id, part["partNumber"])),
            }
            for part in parts
        ]
        multipart = {"uploadID": upload_id, "uploadUrlParts": urls}
        return Upload(id_, spec["name"], blob, path, artifact, uploadMultipartUrls=multipart)
    headers = _md5_header(spec["md5"]) if artifact.digest_algorithm == MD5 else ()
    return Upload(id_, spec["name"], blob, path, artifact, upload_url(context, blob), headers)
