"""The ObjectStore port over Google Cloud Storage: what a source keeps there is listed and read, never changed."""

from __future__ import annotations

import base64
from contextlib import contextmanager
from typing import TYPE_CHECKING

import google_crc32c
from google.api_core import exceptions as api
from google.cloud.storage.retry import DEFAULT_RETRY  # noqa: TID251  this is its room

from bridge.copying.gcs.client import SCHEME, THEIRS, TIMEOUT, connect, limit_to, split, translated
from bridge.core.errors import NeedsPerson, TryAgain
from bridge.core.limits import UNLIMITED
from bridge.core.model import ArtifactFile, Digest
from bridge.core.packed import pack_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from google.cloud import storage  # noqa: TID251  this is its room

    from bridge.core.packed import Packed
    from bridge.core.ports import Limit

PIECE = 8 << 20  # bytes per request of a download, and about twice as many in memory
FIELDS = "items(name,size,md5Hash,crc32c,generation,metadata,timeCreated),nextPageToken"


class GcsObjects:
    """Buckets of any project; `project` pays nothing and only names the caller. `endpoint`: the sandbox's URL."""

    def __init__(self, project: str, endpoint: str | None = None, limit: Limit = UNLIMITED) -> None:
        self._client = connect(project, endpoint)
        limit_to(self._client, limit)

    def close(self) -> None:
        """Close the client's connections."""
        self._client.close()

    def list(self, folder: str) -> Packed[ArtifactFile]:
        """See the port. "Directories" that a console or a mount has made, empty objects named "…/", are left out."""
        bucket, prefix = split(folder)
        with _reading(folder):
            return pack_files(
                _file(blob, prefix)
                for blob in self._client.list_blobs(bucket, prefix=prefix, fields=FIELDS, timeout=TIMEOUT)
                if blob.size or not blob.name.endswith("/")
            )

    @contextmanager
    def open(self, uri: str, start: int = 0) -> Iterator[Iterator[bytes]]:
        """
        See the port. The bytes are those that are stored: gzip is not undone, as size and digests are of them, too.

        All of them are of the generation that is live at the opening: if it is replaced meanwhile, TryAgain.
        """
        blob = self._live(uri)
        yield self._pieces(blob, uri, start, crc32c=blob.crc32c)

    @contextmanager
    def open_as_is(self, uri: str, start: int = 0) -> Iterator[Iterator[bytes]]:
        """Stream an object as `open` does, whether or not its bytes are those that the bucket has digests of."""
        yield self._pieces(self._live(uri), uri, start, crc32c=None)

    def _live(self, uri: str) -> storage.Blob:
        bucket, name = split(uri)
        blob: storage.Blob = self._client.bucket(bucket).blob(name)
        with _reading(uri):
            try:
                blob.reload(timeout=TIMEOUT)
            except api.NotFound as absent:
                raise gone(uri) from absent
        return blob

    def _pieces(self, blob: storage.Blob, uri: str, start: int, *, crc32c: str | None) -> Iterator[bytes]:
        # A blob whose metadata is loaded is read from the mediaLink of the answer, wherever that leads
        # (google-cloud-storage 3.17.1, blob.py:916), so another one is asked for.
        pinned = self._client.bucket(blob.bucket.name).blob(blob.name, generation=blob.generation)
        taken = google_crc32c.Checksum()
        for at in range(start, blob.size, PIECE):
            end = min(at + PIECE, blob.size)
            with _reading(uri):
                try:
                    piece = download(pinned, start=at, end=end - 1)
                except api.NotFound as replaced:
                    raise changed(uri) from replaced
            taken.update(piece)
            is_checked = crc32c is not None and start == 0 and end == blob.size
            if len(piece) != end - at or (is_checked and base64.b64encode(taken.digest()).decode() != crc32c):
                raise TryAgain(f"{uri!a}: other bytes arrived than are stored")
            yield piece


def gone(uri: str) -> NeedsPerson:
    """Say that there is no object, or no bucket: the service answers both alike."""
    return NeedsPerson(
        f"the object {uri!a} is gone, or never was", "put it back, or log the version again from files that exist"
    )


def changed(uri: str) -> TryAgain:
    """Say that an object was replaced or deleted in the middle."""
    return TryAgain(f"{uri!a} was replaced or deleted while it was read")


def download_whole(blob: storage.Blob, uri: str, first: int = PIECE) -> Iterator[bytes]:
    """
    Read an object whose size nobody knows in pieces, the first of `first` bytes at most; compared with its crc32c.

    What is smaller than that takes one request. Raises api.NotFound if the object is not there, or no more.
    """
    crc32c, at, wanted = google_crc32c.Checksum(), 0, first
    ended = False
    while not ended:
        try:
            # From the first answer on the blob has a generation, and only that one is asked for.
            piece = download(blob, start=at, end=at + wanted - 1)
        except api.RequestRangeNotSatisfiable:
            piece = b""
        crc32c.update(piece)
        at += len(piece)
        ended = len(piece) < wanted
        wanted = PIECE
        if ended and blob.crc32c is None:
            blob.reload(timeout=TIMEOUT)  # an answer of 416 has no hashes, and GCS promises none for a range
        if ended and base64.b64encode(crc32c.digest()).decode() != blob.crc32c:
            raise TryAgain(f"{uri!a}: other bytes arrived than are stored")
        yield piece


def download(blob: storage.Blob, *, start: int, end: int) -> bytes:
    """Read the bytes of an object from `start` to `end`, fewer if it ends before."""
    return DEFAULT_RETRY(_download)(blob, start=start, end=end)


def _download(blob: storage.Blob, **part: int) -> bytes:
    try:
        return bytes(blob.download_as_bytes(**part, checksum=None, raw_download=True, timeout=TIMEOUT, retry=None))
    except api.GoogleAPICallError as refused:
        # The client's own retries would leave the connection of each refusal open
        # (google-cloud-storage 3.17.1, _media/requests/download.py asks with stream=True).
        if refused.response is not None:
            refused.response.close()
        raise


def _reading(uri: str) -> AbstractContextManager[None]:
    return translated(f"{uri!a}", rights=THEIRS, absent="check at the source where the files are said to be")


def _file(blob: storage.Blob, prefix: str) -> ArtifactFile:
    # A composed object has no MD5.
    digest = Digest("md5", blob.md5_hash) if blob.md5_hash else Digest("crc32c", blob.crc32c)
    location = f"{SCHEME}{blob.bucket.name}/{blob.name}"
    return ArtifactFile(blob.name.removeprefix(prefix), blob.size, digest, location)
