"""Files of versions, manifests and runs, as GraphQL tells of them: names, sizes and signed URLs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from bridge.sandbox.wandb.artifacts import Artifact
from bridge.sandbox.wandb.ids import global_id
from bridge.sandbox.wandb.paging import FILE_PAGE_MAX, Listing, Page, slice_of
from bridge.sandbox.wandb.records import Record, Sql

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.sandbox.wandb.artifacts import Membership
    from bridge.sandbox.wandb.context import Context


def name_bytes(name: str) -> bytes:
    """Return a file's name as the store keeps it: lone surrogates, which UTF-8 has not, are let through."""
    return name.encode("utf-8", "surrogatepass")


@dataclass(frozen=True, slots=True)
class ArtifactFile(Record):
    """`File`: an entry of a committed manifest."""

    table: ClassVar[str] = "files"
    kinds: ClassVar[tuple[str, ...]] = ("File",)

    artifact_key: int
    name_bytes: bytes
    digest: str
    size: int
    ref: str | None
    birth_key: int  # the version that first uploaded it
    blob: str

    mimetype = "application/octet-stream"
    uploadUrl = None
    uploadHeaders: ClassVar[Sequence[str]] = ()
    url = ""

    @property
    def name(self) -> str:
        """The path in the artifact."""
        return self.name_bytes.decode("utf-8", "surrogatepass")

    @property
    def displayName(self) -> str:
        """The path again."""
        return self.name

    @property
    def sizeBytes(self) -> int:
        """The size as the manifest has it; 0 for a reference without one."""
        return self.size

    @property
    def storagePath(self) -> str:
        """The path in the service's storage (its form is a guess)."""
        return storage_path(self.birth_key, self.name)

    @property
    def md5(self) -> str:
        """The digest of the manifest again, whatever its algorithm (a guess)."""
        return self.digest

    def directUrl(self, context: Context) -> str:
        """Return a signed URL; an empty one for a reference (a guess), whose bytes are elsewhere."""
        return "" if self.ref else download_url(context, self.blob)

    def artifact(self, context: Context) -> Artifact:
        """Return the version."""
        return context.get(Artifact, self.artifact_key)

    def updatedAt(self, context: Context) -> float:
        """Return when the version last changed."""
        return self.artifact(context).updated_at


@dataclass(frozen=True, slots=True)
class Upload:
    """`File` that is about to be uploaded, or a manifest's: where to send the bytes, where to get them."""

    id: str
    name: str
    blob: str
    storagePath: str | None = None
    artifact: Artifact | None = None  # the version that keeps the file: an earlier one, if nothing is to be sent
    uploadUrl: str | None = None  # None: the server has it
    uploadHeaders: Sequence[str] = ()  # "Name:value"
    uploadMultipartUrls: Mapping[str, Any] | None = None

    def directUrl(self, context: Context) -> str:
        """Return a signed URL."""
        return download_url(context, self.blob)


def storage_path(birth_key: int, name: str) -> str:
    """Return what names a file across uploads: the version that keeps it, and the path there."""
    return f"wandb_artifacts/{birth_key}/{name}"


def download_url(context: Context, blob: str) -> str:
    """Return a URL that reads a blob for a while."""
    return context.signer.url("GET", blob, lifetime=context.switches.url_lifetime)


def upload_url(context: Context, blob: str) -> str:
    """Return a URL that writes a blob for a while."""
    return context.signer.url("PUT", blob, lifetime=context.switches.url_lifetime)


def list_files(
    context: Context, artifact_key: int, names: Sequence[str] | None, first: int | None, after: str | None
) -> Page[ArtifactFile]:
    """List a version's files, all or those named, in the order of the manifest."""
    where = Sql("artifact_key = ?", (artifact_key,))
    if names:
        wanted = json.dumps([name_bytes(name).hex().upper() for name in names])
        where &= Sql("hex(name_bytes) IN (SELECT value FROM json_each(?))", (wanted,))
    listing = Listing(ArtifactFile, where=where, page_max=FILE_PAGE_MAX)
    return listing.page(context, first, after)


class ArtifactFiles:
    """Fields of `Artifact` that are about files."""

    @staticmethod
    def files(
        artifact: Artifact,
        context: Context,
        *,
        names: Sequence[str] | None = None,
        after: str | None = None,
        first: int | None = None,
    ) -> Page[ArtifactFile]:
        """List the files."""
        return list_files(context, artifact.key, names, first, after)

    @staticmethod
    def filesByManifestEntries(
        artifact: Artifact,
        context: Context,
        *,
        entries: Sequence[Mapping[str, Any]] | None = None,
        **about: object,  # noqa: ARG004  storageLayout, manifestVersion, storageRegion: one store serves all
    ) -> Page[ArtifactFile]:
        """Return the files of these entries."""
        names = [entry["name"] for entry in entries or ()]
        return list_files(context, artifact.key, names or [""], FILE_PAGE_MAX, None)

    @staticmethod
    def currentManifest(artifact: Artifact, context: Context) -> dict[str, Any] | None:  # noqa: ARG004  one of many
        """Return the manifest that holds all files, once committed."""
        if artifact.manifest_blob is None:
            return None
        id_ = global_id("File", f"manifest-{artifact.key}")
        return {
            "id": global_id("ArtifactManifest", artifact.key),
            "file": Upload(id_, "wandb_manifest.json", artifact.manifest_blob),
        }


class MembershipFiles:
    """A field of `ArtifactCollectionMembership`."""

    @staticmethod
    def files(
        membership: Membership,
        context: Context,
        *,
        names: Sequence[str] | None = None,
        after: str | None = None,
        first: int | None = None,
    ) -> Page[ArtifactFile]:
        """List the files of the version."""
        return list_files(context, membership.artifact_key, names, first, after)


def as_page(uploads: Sequence[Upload]) -> Page[Upload]:
    """Return all uploads as one page."""
    return slice_of(uploads, None, None, len(uploads))
