"""
The Storage port over Google Cloud Storage.

Every object is created with ifGenerationMatch=0, so nothing is ever overwritten. A 412 can come from our
own success, when the first answer was lost and the client sent again; so it is answered by comparing.
"""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import quote

from google.api_core import exceptions as api
from pydantic import ValidationError

from bridge.copying.gcs.client import TIMEOUT, split, translated
from bridge.copying.gcs.objects import FIELDS, GcsObjects, download
from bridge.copying.gcs.parts import PartsUploader, memory_for_parts
from bridge.copying.gcs.rewriting import rewrite, taken
from bridge.copying.gcs.uploading import Held, Place, SlowStream, Uploader, held, later
from bridge.copying.gcs.wire import Wire
from bridge.copying.manifests import manifest_from_json, manifest_to_json
from bridge.copying.verifying import VerifiedStream
from bridge.core.errors import IntegrityError, NeedsPerson, TryAgain
from bridge.core.model import ArtifactFile, Digest, StoredFile
from bridge.core.naming import MANIFEST_NAME, MAX_PATH_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.cloud import storage  # noqa: TID251  this is its room

    from bridge.copying.budget import Budget
    from bridge.core.model import Manifest
    from bridge.core.ports import Clock, Reader, Uploads


PIECES = 4 << 20  # bytes of a streamed file that are in memory at a time, buffers of connections included


class GcsStorage(GcsObjects):
    """Buckets that may be written, too; `endpoint` is a URL only for the sandbox, which needs no credentials."""

    def __init__(
        self,
        project: str,
        endpoint: str | None = None,
        *,
        clock: Clock,
        uploads: Uploads,
        budget: Budget,
    ) -> None:
        """Keep what is begun and not finished in `uploads`, so that a later process goes on with it."""
        super().__init__(project, endpoint)
        self._settings = budget.settings
        credentials = self._client._credentials  # noqa: SLF001  it has no public name
        self._wire = Wire(self._client.api_endpoint, credentials, budget.pace, self._settings.per_host)
        self._uploader = Uploader(self._wire, uploads, clock, self._settings)
        self._parts = PartsUploader(self._uploader)
        self._is_slow = False  # one stream is slower than the settings allow, as the last large file has shown

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

    def held(self, folder: str) -> Iterator[StoredFile]:
        """See the port."""
        bucket, prefix = split(folder)
        with translated(folder):
            for blob in self._client.list_blobs(bucket, prefix=prefix, fields=FIELDS, timeout=TIMEOUT):
                path = blob.name.removeprefix(prefix)
                if path != MANIFEST_NAME:
                    yield StoredFile(path, blob.size, blob.crc32c, md5=blob.md5_hash)

    def put(self, folder: str, file: ArtifactFile, read: Reader, there: StoredFile | None = None) -> StoredFile:
        """
        See the port.

        A file of up to `one_request` bytes goes in one request, and is in memory meanwhile; a larger one is streamed
        in one body; one above `parts_above` in parts, should the bucket take one stream slowly.
        """
        blob = self._blob(folder, file.path)
        place = Place(blob.bucket.name, blob.name)
        stream = VerifiedStream(file, read)
        with translated(str(place)):
            if there is not None:
                return self._kept(place, stream, Held(there.size, there.crc32c, there.md5, 0))
            try:
                made = self._send(place, stream)
            except api.PreconditionFailed:
                return self._kept(place, stream, self._lying(place))
            if isinstance(made, StoredFile):
                return made
            stored = _agreed(made, stream)
            if stored is None:
                self._refuse_other_bytes(place, made)
            return stored

    def weight(self, file: ArtifactFile) -> int:
        """See the port."""
        if file.size <= self._settings.one_request:
            return 2 * file.size  # its pieces, and all of them put together
        return memory_for_parts(file.size, self._settings) if self._may_go_in_parts(file) else PIECES

    def _send(self, place: Place, stream: VerifiedStream) -> Held | StoredFile:
        file = stream.file
        if file.size <= self._settings.one_request:
            return self._uploader.at_once(place, stream)
        may_go_in_parts = self._may_go_in_parts(file)
        if not (may_go_in_parts and (self._is_slow or self._parts.has_begun(place))):
            self._end_parts(place)
            try:
                return self._uploader.streamed(place, stream, watched=may_go_in_parts)
            except SlowStream:
                self._is_slow = True
        return self._in_parts(place, file, stream.read)

    def _in_parts(self, place: Place, file: ArtifactFile, read: Reader) -> StoredFile:
        """Send a file in parts to a temporary name, and copy it to its own inside the bucket."""
        stream = VerifiedStream(file, read, md5=True)
        temporary, there = self._parts.send(place, stream)
        sealed = stream.seal()
        target = self._client.bucket(place.bucket).blob(place.name)
        source = self._client.bucket(temporary.bucket).blob(temporary.name, generation=there.generation)
        copied = rewrite(source, target, ArtifactFile(file.path, file.size, Digest("crc32c", there.crc32c)))
        self._end_parts(place)
        return replace(sealed, md5=copied.md5)  # which it has none of: manifests say what the bucket can compare

    def _end_parts(self, place: Place) -> None:
        with later(place):
            self._parts.forget(place)

    def _may_go_in_parts(self, file: ArtifactFile) -> bool:
        fits = memory_for_parts(file.size, self._settings) <= self._settings.memory
        return file.size > self._settings.parts_above and fits

    def _kept(self, place: Place, stream: VerifiedStream, there: Held) -> StoredFile:
        """Take an object that is already there for ours if its bytes are: it can come from our own success."""
        stored = _agreed(there, stream)
        if stored is None:
            raise taken(str(place))
        self._end_parts(place)
        self._uploader.uploads.forget_upload(str(place))
        return stored

    def _lying(self, place: Place) -> Held:
        target = f"/storage/v1/b/{quote(place.bucket, safe='')}/o/{quote(place.name, safe='')}"
        with later(place):
            answer = self._wire.insist("GET", target, {})
            if answer.status == HTTPStatus.NOT_FOUND:
                raise TryAgain(f"{place} was there, and vanished while it was compared")
            return held(answer)

    def _refuse_other_bytes(self, place: Place, made: Held) -> NoReturn:
        self._client.bucket(place.bucket).blob(place.name).delete(if_generation_match=made.generation, timeout=TIMEOUT)
        raise IntegrityError(
            f"{place}: the bucket holds other bytes than were sent; the object is removed again",
            "run the sync again; if it happens again, look for what changes bytes on the way",
        )

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


def _agreed(there: Held, stream: VerifiedStream) -> StoredFile | None:
    """
    Compare an object with what the source promises, and with the bytes that passed here; None if it is another.

    What the bucket itself took of the whole, md5 or crc32c, is proof if the source promises the same. Else all bytes
    are read, once. Raises IntegrityError if the bytes that passed here are not those that the source promises.
    """
    file, promised = stream.file, stream.file.digest
    if there.size != file.size:
        return None
    taken_there = {"md5": there.md5, "crc32c": there.crc32c}
    if promised is None or taken_there.get(promised.algorithm) is None:
        read = VerifiedStream(file, stream.read, md5=True) if promised and promised.algorithm == "md5" else stream
        sealed = read.seal()
        return replace(sealed, md5=there.md5) if sealed.crc32c == there.crc32c else None
    if taken_there[promised.algorithm] != promised.value:
        return None
    if stream.whole and stream.seal().crc32c != there.crc32c:
        raise IntegrityError(
            f"{file.path!a}: the source promises {promised.algorithm} {promised.value}, and its bytes have another",
            "the version is not registered; log it again, or look at the source's storage",
        )
    return StoredFile(file.path, file.size, there.crc32c, md5=there.md5)
