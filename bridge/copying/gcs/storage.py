"""
The Storage port over Google Cloud Storage.

Every object is created with ifGenerationMatch=0, so nothing is ever overwritten. A 412 can come from our
own success, when the first answer was lost and the client sent again; so it is answered by comparing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from google.api_core import exceptions as api
from pydantic import ValidationError

from bridge.copying.gcs.client import TIMEOUT, split, translated
from bridge.copying.gcs.objects import FIELDS, GcsObjects, download
from bridge.copying.gcs.rewriting import rewrite, taken
from bridge.copying.gcs.uploading import DigestsDiffer, upload
from bridge.copying.gcs.wire import Wire
from bridge.copying.manifests import manifest_from_json, manifest_to_json
from bridge.copying.rereading import reread
from bridge.copying.verifying import VerifiedStream
from bridge.core.errors import IntegrityError, NeedsPerson, TryAgain
from bridge.core.model import StoredFile
from bridge.core.naming import MANIFEST_NAME, MAX_PATH_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from google.cloud import storage  # noqa: TID251  this is its room

    from bridge.core.model import ArtifactFile, Manifest


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
        """See the port."""
        blob = self._blob(folder, MANIFEST_NAME)
        with translated(f"{folder}{MANIFEST_NAME}"):
            try:
                text = download(blob)
            except api.NotFound:
                return None
        try:
            return manifest_from_json(text)
        except ValidationError as wrong:
            raise NeedsPerson(
                f"{folder}{MANIFEST_NAME} is not a manifest of the bridge ({wrong.error_count()} errors)",
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
                blob.upload_from_string(
                    manifest_to_json(manifest),
                    content_type="application/json",
                    if_generation_match=0,
                    checksum="crc32c",
                    timeout=TIMEOUT,
                )
            except api.PreconditionFailed:
                there = self.manifest(folder)
                if there is None or there.files != manifest.files:
                    raise NeedsPerson(
                        f"{folder} already has a manifest, of other files",
                        "find out who wrote it; if nobody needs the folder, remove it",
                    ) from None

    def stored(self, folder: str) -> Iterator[StoredFile]:
        """See the port. The service lists in the order of UTF-8 bytes, which is that of code points."""
        bucket, prefix = split(folder)
        with translated(folder):
            for blob in self._client.list_blobs(bucket, prefix=prefix, fields=FIELDS, timeout=TIMEOUT):
                path = blob.name.removeprefix(prefix)
                if path != MANIFEST_NAME and (blob.size or not blob.name.endswith("/")):
                    # One that somebody encrypted with a key of their own has no digests to be seen.
                    yield StoredFile(path, blob.size, blob.crc32c or "", md5=blob.md5_hash)

    def reread(self, folder: str, files: Iterable[StoredFile]) -> Iterator[tuple[StoredFile, StoredFile]]:
        """See the port."""
        return reread(self.open_as_is, folder, files)

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
