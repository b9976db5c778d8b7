"""
A very large file over a slow way: parts at the same time, under a temporary name, then a copy inside the bucket.

Uploads in parts know no preconditions, and their objects have no md5 (cloud.google.com/storage/docs/multipart-uploads),
so the name that counts is only given by a rewrite with ifGenerationMatch=0, after md5 and crc32c were compared here.
The source is still read as one stream: only so can its md5 be taken.
"""

from __future__ import annotations

import base64
import re
import secrets
import threading
from contextlib import closing
from dataclasses import dataclass
from html import unescape
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

import google_crc32c

from bridge.copying.gcs.client import MARK, Place
from bridge.copying.gcs.uploading import TYPE, Held, Uploader, is_of, is_of_digests, later, object_target
from bridge.copying.gcs.wire import Unwell
from bridge.copying.parallel import in_parallel
from bridge.core.errors import IntegrityError, TryAgain
from bridge.core.records import Upload

if TYPE_CHECKING:
    from collections.abc import Generator
    from threading import Event

    from bridge.copying.verifying import VerifiedStream
    from bridge.core.settings import CopySettings

AT_A_TIME = 4  # parts that are sent; one more is being read
MOST = 10_000  # parts of an upload
_STEP = 256 << 10
_GONE = (HTTPStatus.OK, HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND, HTTPStatus.PRECONDITION_FAILED)  # after a DELETE

_UPLOAD_ID = re.compile(rb"<UploadId>([^<]+)</UploadId>")
_PART = re.compile(rb"<Part>(.*?)</Part>", re.DOTALL)
_NUMBER, _ETAG, _SIZE = (re.compile(rb"<%s>([^<]+)</%s>" % (tag, tag)) for tag in (b"PartNumber", b"ETag", b"Size"))
_NEXT = re.compile(rb"<NextPartNumberMarker>(\d+)</NextPartNumberMarker>")
_MORE = b"<IsTruncated>true</IsTruncated>"


def part_size(size: int, settings: CopySettings) -> int:
    """Return how large the parts of a file are: as set, or larger if there would be too many."""
    return max(settings.part, -(-size // (MOST - 1) // _STEP) * _STEP)


def memory_for_parts(size: int, settings: CopySettings) -> int:
    """Return how many bytes of a file are in memory while it goes in parts."""
    return (AT_A_TIME + 1) * part_size(size, settings)


@dataclass(frozen=True, slots=True)
class _Started:
    """An upload in parts: for which object, where, and what the bucket has of it: number -> (size, ETag)."""

    place: Place
    address: str
    has: dict[int, tuple[int, str]]


@dataclass(frozen=True, slots=True)
class PartsUploader:
    """Sends a file in parts to a name that nothing counts on; `uploader` asks, and keeps what is unfinished."""

    uploader: Uploader

    def send(self, place: Place, aside: str, stream: VerifiedStream) -> tuple[Place, Held]:
        """
        Send a file; return where it lies now, verified, below `aside`, from where it is to be copied to its place.

        Goes on with an upload that was begun before: what the bucket has of it is read again and not sent again.
        `stream` takes the md5. Raises as Uploader.streamed does.
        """
        with later(place):
            started = self._taken_up(place, stream)
            try:
                if started is None:
                    started = self._begun(place, aside, stream)
                temporary = _temporary(started.address)
                there = self.uploader.lying(temporary)
                if there is None:
                    self._complete(started, self._sent(started, stream))
                    there = self.uploader.lying(temporary)
                if there is None:
                    raise _ended(place)
                sealed = stream.seal()
            except IntegrityError:
                self.forget(place)
                raise
            if (there.size, there.crc32c) != (sealed.size, sealed.crc32c):
                self.forget(place)
                raise IntegrityError(
                    f"{place}: other bytes arrived in the bucket than were sent; they are removed again",
                    "run the sync again; if it happens again, look for what changes bytes on the way",
                )
            return temporary, there

    def forget(self, place: Place) -> None:
        """End the upload for that place, if there is one, and remove what lies under its temporary name."""
        upload = self._begun_before(place)
        if upload is not None:
            self.remove(upload.address)
            self.uploader.uploads.forget_upload(str(place))

    def remove(self, address: str) -> int:
        """
        Abort an upload, and remove the object that it may have become, if any: how many.

        Raises Unwell, and google.api_core's exceptions for any refusal.
        """
        self._delete(address)
        temporary = _temporary(address)
        there = self.uploader.lying(temporary)
        if there is not None:
            self._delete(f"{object_target(temporary)}?ifGenerationMatch={there.generation}")
        return int(there is not None)

    def _delete(self, target: str) -> None:
        answer = self.uploader.wire.insist("DELETE", target, {"Content-Length": "0"})
        if answer.status not in _GONE:
            raise answer.refusal()

    def _begun_before(self, place: Place) -> Upload | None:
        upload = self.uploader.uploads.upload(str(place))
        return upload if upload is not None and upload.kind == "parts" else None

    def _taken_up(self, place: Place, stream: VerifiedStream) -> _Started | None:
        upload = self._begun_before(place)
        if upload is None:
            return None
        if not is_of(upload, stream.file):
            self.forget(place)
            return None
        self.uploader.go_on(upload)
        has: dict[int, tuple[int, str]] = {}
        after = 0
        while True:
            answer = self.uploader.wire.insist("GET", f"{upload.address}&part-number-marker={after}", {})
            if answer.status == HTTPStatus.NOT_FOUND:  # it was completed, or is gone
                return _Started(place, upload.address, {}) if self.uploader.lying(_temporary(upload.address)) else None
            if answer.status != HTTPStatus.OK:
                raise answer.refusal()
            for text in _PART.findall(answer.body):
                number, size, etag = (_first(which, text) for which in (_NUMBER, _SIZE, _ETAG))
                has[int(number)] = (int(size), etag)
            if _MORE not in answer.body:
                return _Started(place, upload.address, has)
            after = int(_first(_NEXT, answer.body))

    def _begun(self, place: Place, aside: str, stream: VerifiedStream) -> _Started:
        temporary = Place(place.bucket, f"{aside}{secrets.token_hex(16)}")
        target = f"/{quote(temporary.bucket, safe='')}/{quote(temporary.name)}"
        headers = {"Content-Type": TYPE, "Content-Length": "0"} | {f"x-goog-meta-{key}": MARK[key] for key in MARK}
        answer = self.uploader.wire.insist("POST", f"{target}?uploads", headers)
        if answer.status != HTTPStatus.OK:
            raise answer.refusal()
        address = f"{target}?uploadId={quote(_first(_UPLOAD_ID, answer.body), safe='')}"
        begun = self.uploader.clock.now().isoformat()
        file = stream.file
        self.uploader.uploads.save_upload(Upload(str(place), address, "parts", file.size, file.digest, begun))
        return _Started(place, address, {})

    def _sent(self, started: _Started, stream: VerifiedStream) -> list[str]:
        """Send the parts that the bucket has not; return the ETags of all. Nothing new is sent after an error."""
        places = threading.Semaphore(AT_A_TIME)

        def send(numbered: tuple[int, tuple[bytes, ...]], _: Event) -> tuple[int, str]:
            number, part = numbered
            size, tag = started.has.get(number, (-1, ""))
            if size == sum(map(len, part)):
                return number, tag
            with places:  # what is on its way when a process dies is sent again
                return number, self._send_part(started, number, part)

        with closing(_parts(stream, part_size(stream.file.size, self.uploader.settings))) as parts:
            return [tag for _, tag in sorted(in_parallel(send, enumerate(parts, 1), parallel=lambda: AT_A_TIME + 1))]

    def _send_part(self, started: _Started, number: int, part: tuple[bytes, ...]) -> str:
        checksum = google_crc32c.Checksum()
        for piece in part:
            checksum.update(piece)
        headers = {
            "Content-Length": str(sum(map(len, part))),
            "X-Goog-Hash": f"crc32c={base64.b64encode(checksum.digest()).decode()}",
        }
        answer = self.uploader.wire.insist("PUT", f"{started.address}&partNumber={number}", headers, part)
        if answer.status == HTTPStatus.NOT_FOUND:
            raise _ended(started.place)
        if is_of_digests(answer):
            raise IntegrityError(
                f"{started.place}: the bucket refused a part of it, since other bytes arrived than were sent",
                "run the sync again; if it happens again, look for what changes bytes on the way",
            )
        if answer.status != HTTPStatus.OK:
            raise answer.refusal()
        return answer.headers.get("etag", "")

    def _complete(self, started: _Started, tags: list[str]) -> None:
        listed = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>" for number, tag in enumerate(tags, 1)
        )
        text = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
        answer = self.uploader.wire.insist(
            "POST", started.address, {"Content-Type": "application/xml", "Content-Length": str(len(text))}, (text,)
        )
        # A second asking, after a lost answer, finds the upload ended: whether it is whole, the object tells.
        if answer.status not in (HTTPStatus.OK, HTTPStatus.NOT_FOUND):
            raise answer.refusal()


def _parts(stream: VerifiedStream, size: int) -> Generator[tuple[bytes, ...]]:
    """Cut what passes into parts of exactly that size, but for the last."""
    part: list[bytes] = []
    room = size
    with closing(stream.pieces()) as pieces:
        for piece in pieces:
            rest = piece
            while len(rest) >= room:
                yield (*part, rest[:room])
                rest, part, room = rest[room:], [], size
            if rest:
                part.append(rest)
                room -= len(rest)
    if part:
        yield tuple(part)


def _temporary(address: str) -> Place:
    """Return the object that an upload is to become."""
    bucket, _, name = unquote(address.partition("?")[0]).removeprefix("/").partition("/")
    return Place(bucket, name)


def _ended(place: Place) -> TryAgain:
    return TryAgain(f"{place}: somebody has ended its upload; it is begun anew the next time")


def _first(which: re.Pattern[bytes], text: bytes) -> str:
    found = which.search(text)
    if found is None:
        raise Unwell("its answer about an upload in parts cannot be read")
    return unescape(found[1].decode())
