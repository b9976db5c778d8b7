"""
The Storage port over Google Cloud Storage.

Every object is created with ifGenerationMatch=0, so nothing is ever overwritten. A 412 can come from our
own success, when the first answer was lost and the client sent again; so it is answered by comparing.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING, NoReturn, TypeVar

from google.api_core import exceptions as api

from bridge.copying.gcs.agreeing import agreed
from bridge.copying.gcs.client import TIMEOUT, Place, aside, place_in, split, translated
from bridge.copying.gcs.objects import FIELDS, PIECE, GcsObjects, download_whole
from bridge.copying.gcs.parts import PartsUploader, memory_for_parts
from bridge.copying.gcs.placing import lacking_rights, place_of
from bridge.copying.gcs.removing import is_ours, remove_all, remove_manifest, remove_one, remove_outdated
from bridge.copying.gcs.rewriting import Taken, rewrite
from bridge.copying.gcs.uploading import Held, SlowStream, Uploader, later
from bridge.copying.gcs.wire import Paced, Wire
from bridge.copying.manifests import ManifestText, NotAManifest, read_header, read_manifest
from bridge.copying.rereading import reread
from bridge.copying.verifying import VerifiedStream
from bridge.core.errors import IntegrityError, NeedsPerson, TryAgain
from bridge.core.limits import UNLIMITED
from bridge.core.model import ArtifactFile, Digest, StoredFile
from bridge.core.naming import MANIFEST_NAME
from bridge.net.lines import JOINED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from datetime import datetime

    from google.cloud import storage  # noqa: TID251  this is its room

    from bridge.copying.budget import Budget
    from bridge.core.model import BucketPlace, Manifest, ManifestHeader
    from bridge.core.ports import Clock, Limit, Reader, Uploads
    from bridge.core.records import Upload

T = TypeVar("T")

HEADER = 64 << 10  # bytes of a manifest that hold its header, unless a signature or metrics are very long
SLOW = timedelta(hours=1)  # that a stream which was too slow is believed to be the rule
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
        limit: Limit = UNLIMITED,
    ) -> None:
        """Keep what is begun and not finished in `uploads`, for a later process."""
        super().__init__(project, endpoint, Paced(limit, budget.pace))
        self._settings, self._halted, self._throttle = budget.settings, budget.halted, budget.throttle
        credentials = self._client._credentials  # noqa: SLF001  it has no public name
        self._wire = Wire(self._client.api_endpoint, credentials, budget.pace, budget.lines, limit)
        self._uploader = Uploader(self._wire, uploads, clock, self._settings)
        self._parts = PartsUploader(self._uploader)
        self._clock = clock
        self._slow_until: datetime | None = None  # one stream is slower than the settings allow, as one has shown

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

    def held(self, folder: str) -> Iterator[StoredFile]:
        """See the port. The service lists in the order of UTF-8 bytes, which is that of code points."""
        _, prefix = split(folder)
        with translated(folder):
            for blob in self._listed(folder):
                path = blob.name.removeprefix(prefix)
                if path != MANIFEST_NAME and (blob.size or not blob.name.endswith("/")):
                    # One that somebody encrypted with a key of their own has no digests to be seen.
                    yield StoredFile(path, blob.size, blob.crc32c or "", md5=blob.md5_hash)

    def put(self, folder: str, file: ArtifactFile, read: Reader, there: StoredFile | None = None) -> StoredFile:
        """
        See the port.

        A file of up to `one_request` bytes goes in one request, and is in memory meanwhile; a larger one is streamed
        in one body; one above `parts_above` in parts, should the bucket take one stream slowly.
        """
        place = place_in(folder, file.path)
        stream = VerifiedStream(file, read)
        with translated(str(place)):
            if there is not None:
                return self._kept(place, stream, Held(there.size, there.crc32c, there.md5, 0))
            try:
                made = self._send(place, aside(folder), stream)
            except api.PreconditionFailed:
                return self._kept(place, stream, self._lying(place))
            if isinstance(made, StoredFile):
                return made
            stored = agreed(made, stream)
            if stored is None:
                self._refuse_other_bytes(place, made)
            return stored

    def weight(self, file: ArtifactFile) -> int:
        """See the port."""
        if file.size <= self._settings.one_request:
            return file.size + min(file.size, JOINED)
        return memory_for_parts(file.size, self._settings) if self._may_go_in_parts(file) else PIECES

    def _send(self, place: Place, aside: str, stream: VerifiedStream) -> Held | StoredFile:
        file = stream.file
        if file.size <= self._settings.one_request:
            return self._uploader.at_once(place, stream)
        may_go_in_parts = self._may_go_in_parts(file)
        begun = self._uploader.uploads.upload(str(place))  # which is gone on with, or all that it has would be lost
        is_slow = self._slow_until is not None and self._clock.now() < self._slow_until
        if not (may_go_in_parts and (is_slow if begun is None else begun.kind == "parts")):
            try:
                if begun is not None and begun.kind == "parts":
                    with later(place):
                        self._parts.forget(place)
                return self._uploader.streamed(place, stream, watched=may_go_in_parts)
            except SlowStream:
                self._slow_until = self._clock.now() + SLOW
        return self._in_parts(place, aside, file, stream.read)

    def _in_parts(self, place: Place, aside: str, file: ArtifactFile, read: Reader) -> StoredFile:
        """Send a file in parts to a temporary name, and copy it to its own inside the bucket."""
        stream = VerifiedStream(file, read, md5=True)
        temporary, there = self._parts.send(place, aside, stream)
        sealed = stream.seal()
        target = self._client.bucket(place.bucket).blob(place.name)
        source = self._client.bucket(temporary.bucket).blob(temporary.name, generation=there.generation)
        try:
            sent = ArtifactFile(file.path, file.size, Digest("crc32c", there.crc32c))
            copied = rewrite(source, target, sent, self._halted)
        except Taken:
            self._forget(place)
            raise
        self._forget(place)
        return replace(sealed, md5=copied.md5)  # which it has none of: manifests say what the bucket can compare

    def _may_go_in_parts(self, file: ArtifactFile) -> bool:
        fits = memory_for_parts(file.size, self._settings) <= self._settings.memory
        # Parts whose address is lost lie in the bucket for ever; a session ends by itself after a week.
        return file.size > self._settings.parts_above and fits and self._uploader.uploads.lasting

    def _kept(self, place: Place, stream: VerifiedStream, there: Held) -> StoredFile:
        """Take an object that is already there for ours if its bytes are: it can come from our own success."""
        self._forget(place)
        stored = agreed(there, stream)
        if stored is None:
            if stream.file.digest is None:
                remove_outdated(self._client.bucket(place.bucket).blob(place.name))
            raise Taken(str(place))
        return stored

    def _forget(self, place: Place) -> None:
        """End what was begun for a place that has its object by now, and remove what is left of it."""
        with later(place):
            self._parts.forget(place)
        self._uploader.uploads.forget_upload(str(place))

    def _lying(self, place: Place) -> Held:
        with later(place):
            there = self._uploader.lying(place)
        if there is None:
            raise TryAgain(f"{place} was there, and vanished while it was compared")
        return there

    def _refuse_other_bytes(self, place: Place, made: Held) -> NoReturn:
        self._client.bucket(place.bucket).blob(place.name).delete(if_generation_match=made.generation, timeout=TIMEOUT)
        raise IntegrityError(
            f"{place}: the bucket holds other bytes than were sent; the object is removed again",
            "run the sync again; if it happens again, look for what changes bytes on the way",
        )

    def rewrite(self, folder: str, file: ArtifactFile, source: str) -> StoredFile:
        """See the port. The service does it, in as many calls as it wants."""
        bucket, name = split(source)
        return rewrite(self._client.bucket(bucket).blob(name), self._blob(folder, file.path), file, self._halted)

    def discard(self, upload: Upload, before: datetime) -> int:
        """See the port."""
        with translated(upload.uri), later(upload.uri):
            if upload.kind == "session":
                self._uploader.end(upload)
                return 0
            if upload.kind == "parts":
                return self._parts.remove(upload.address) if upload.address else 0
            if self.header(upload.uri) is not None:
                return 0
            return sum(remove_one(blob) for blob in self._listed(upload.uri) if is_ours(blob, before))

    def remove(self, folder: str, go_on: Callable[[], None]) -> int:
        """See the port."""
        with translated(folder):
            manifest = remove_manifest(self._blob(folder, MANIFEST_NAME), f"{folder}{MANIFEST_NAME}", go_on)
            return manifest + remove_all(self._listed(folder), go_on, self._halted)

    def commit(self, folder: str, manifest: Manifest) -> None:
        """See the port."""
        with translated(f"{folder}{MANIFEST_NAME}"):
            try:
                self._write(place_in(folder, MANIFEST_NAME), ManifestText(manifest))
            except api.PreconditionFailed:
                there = self.manifest(folder)
                if there is None or there.files != manifest.files:
                    raise NeedsPerson(
                        f"{folder} already has a manifest, of other files",
                        "find out who wrote it; if nobody needs the folder, remove it",
                    ) from None

    def reread(self, folder: str, files: Iterable[StoredFile]) -> Iterator[tuple[StoredFile, StoredFile]]:
        """See the port."""
        return reread(self.open_as_is, folder, files, self._throttle)

    def read(self, folder: str, path: str, start: int = 0) -> AbstractContextManager[Iterator[bytes]]:
        """See the port."""
        return self.open_as_is(f"{folder}{path}", start)

    def where(self, folder: str) -> BucketPlace | None:
        """See the port."""
        return place_of(self._wire, folder)

    def lacking(self, folder: str) -> tuple[str, ...]:
        """See the port."""
        return lacking_rights(self._client, folder)

    def _write(self, place: Place, text: ManifestText) -> None:
        """Send a manifest as files are sent, under a name that nothing has. Raises as the uploader does."""
        file = ArtifactFile(MANIFEST_NAME, text.size, Digest("crc32c", text.crc32c))
        stream = VerifiedStream(file, text.read)
        uploader = replace(self._uploader, content_type="application/json")
        if text.size <= self._settings.one_request:
            made = uploader.at_once(place, stream)
        else:
            made = uploader.streamed(place, stream, watched=False)
        if (made.size, made.crc32c) != (text.size, text.crc32c):
            self._refuse_other_bytes(place, made)

    def _listed(self, folder: str) -> Iterator[storage.Blob]:
        bucket, prefix = split(folder)
        return iter(self._client.list_blobs(bucket, prefix=prefix, fields=FIELDS, timeout=TIMEOUT))

    def _blob(self, folder: str, path: str) -> storage.Blob:
        place = place_in(folder, path)
        blob: storage.Blob = self._client.bucket(place.bucket).blob(place.name)
        return blob
