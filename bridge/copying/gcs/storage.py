"""
The Storage port over Google Cloud Storage.

Every object is created with ifGenerationMatch=0, so nothing is ever overwritten. A 412 can come from our
own success, when the first answer was lost and the client sent again; so it is answered by comparing.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from google.api_core import exceptions as api

from bridge.copying.gcs.client import TIMEOUT, split, translated
from bridge.copying.gcs.objects import PIECE, GcsObjects, download_whole
from bridge.copying.gcs.rewriting import rewrite, taken
from bridge.copying.gcs.uploading import DigestsDiffer, upload
from bridge.copying.gcs.wire import Wire
from bridge.copying.manifests import ManifestText, NotAManifest, read_header, read_manifest
from bridge.copying.verifying import VerifiedStream
from bridge.core.errors import IntegrityError, NeedsPerson, TryAgain
from bridge.core.model import ArtifactFile, Digest
from bridge.core.naming import MANIFEST_NAME, MAX_PATH_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from google.cloud import storage  # noqa: TID251  this is its room

    from bridge.core.model import Manifest, ManifestHeader, StoredFile

T = TypeVar("T")

HEADER = 64 << 10  # bytes of a manifest that hold its header, unless a signature or metrics are very long


class GcsStorage(GcsObjects):
    """Buckets that may be written, too; `endpoint` is a URL only for the sandbox, which needs no credentials."""

    def __init__(self, project: str, endpoint: str | None = None) -> None:
        super().__init__(project, endpoint)
        self._wire = Wire(self._client.api_endpoint, self._client._credentials)  # noqa: SLF001  it has no public name

    def close(self) -> None:
        """Close all connections."""
        super().close()
        self._wire.close()

    def manifest(self, folder: str) -> Manifest | None:
        """See the port. A request for each 8 MiB, which nearly every manifest is smaller than."""
        return self._read(folder, PIECE, read_manifest)

    def header(self, folder: str) -> ManifestHeader | None:
        """See the port. One request, but for a large manifest of an earlier release."""

        def header(pieces: Iterator[bytes]) -> ManifestHeader:
            begun = next(pieces)
            if len(begun) == HEADER and (found := read_header(begun)) is not None:
                return found
            return read_manifest(chain((begun,), pieces)).header

        return self._read(folder, HEADER, header)

    def _read(self, folder: str, first: int, read: Callable[[Iterator[bytes]], T]) -> T | None:
        """Read a manifest, or as much of it as `read` takes, the first piece of so many bytes."""
        uri = f"{folder}{MANIFEST_NAME}"
        blob = self._blob(folder, MANIFEST_NAME)
        with translated(uri):
            try:
                return read(download_whole(blob, uri, first))
            except api.NotFound:
                return None
            except NotAManifest as wrong:
                raise NeedsPerson(
                    f"{uri} is not a manifest of the bridge ({wrong})",
                    "find out who wrote it; if nobody needs the folder, remove it",
                ) from wrong

    def put(self, folder: str, file: ArtifactFile, pieces: Iterator[bytes]) -> StoredFile:
        """See the port. Files up to 8 MiB go in one request, and are in memory meanwhile; larger ones are streamed."""
        blob = self._blob(folder, file.path)
        stream = VerifiedStream(file, pieces)
        with translated(f"{folder}{file.path}"):
            try:
                there = upload(self._wire, blob.bucket.name, blob.name, file, stream)
            except api.PreconditionFailed:
                try:
                    blob.reload(timeout=TIMEOUT)
                except api.NotFound as gone:
                    raise TryAgain(f"{folder}{file.path} was there, and vanished while it was compared") from gone
                return _accept(blob, stream.seal(), folder)
            except DigestsDiffer as refused:
                raise IntegrityError(
                    f"{folder}{file.path}: the bucket refused it, since the bytes that arrived have other digests",
                    "run the sync again; if it happens again, look for what changes bytes on the way",
                ) from refused
            stored = stream.seal()
            if (there.crc32c, there.size) != (stored.crc32c, stored.size):
                blob.delete(if_generation_match=there.generation, timeout=TIMEOUT)
                raise IntegrityError(
                    f"{folder}{file.path}: the bucket holds other bytes than were sent; the object is removed again",
                    "run the sync again; if it happens again, look for what changes bytes on the way",
                )
            return stored

    def rewrite(self, folder: str, file: ArtifactFile, source: str) -> StoredFile:
        """See the port. The service does it, in as many calls as it wants."""
        bucket, name = split(source)
        return rewrite(self._client.bucket(bucket).blob(name), self._blob(folder, file.path), file)

    def commit(self, folder: str, manifest: Manifest) -> None:
        """See the port."""
        blob = self._blob(folder, MANIFEST_NAME)
        with translated(f"{folder}{MANIFEST_NAME}"):
            try:
                self._send(blob, ManifestText(manifest))
            except DigestsDiffer as refused:
                raise TryAgain(
                    f"{folder}{MANIFEST_NAME}: other bytes arrived at the bucket than were sent"
                ) from refused
            except api.PreconditionFailed:
                there = self.manifest(folder)
                if there is None or there.files != manifest.files:
                    raise NeedsPerson(
                        f"{folder} already has a manifest, of other files",
                        "find out who wrote it; if nobody needs the folder, remove it",
                    ) from None

    def _send(self, blob: storage.Blob, text: ManifestText) -> None:
        """Send a manifest as files are sent, under a name that nothing has; raises as `upload` does."""
        file = ArtifactFile(MANIFEST_NAME, text.size, Digest("crc32c", text.crc32c))
        stream = VerifiedStream(file, text.pieces())
        upload(self._wire, blob.bucket.name, blob.name, file, stream, content_type="application/json")

    def _blob(self, folder: str, path: str) -> storage.Blob:
        bucket, prefix = split(folder)
        name = prefix + path
        if len(name.encode()) > MAX_PATH_BYTES:
            raise NeedsPerson(
                f"the object's name {name[:60]!a}… would be longer than {MAX_PATH_BYTES} bytes",
                "give the mapping a shorter bucket folder, or log the version with shorter file names",
            )
        blob: storage.Blob = self._client.bucket(bucket).blob(name)
        return blob


def _accept(blob: storage.Blob, sent: StoredFile, folder: str) -> StoredFile:
    """Take an object that is already there for ours if its bytes are."""
    # A composed object has no md5, and then crc32c must do.
    same_md5 = blob.md5_hash is None or blob.md5_hash == sent.md5
    if (blob.size, blob.crc32c) != (sent.size, sent.crc32c) or not same_md5:
        raise taken(folder + sent.path)
    return replace(sent, md5=blob.md5_hash)
