"""
One file to one object, which must not be there yet: in one request, or in a session with one streamed body.

A session that breaks is gone on with from where the bucket is, by this process or by a later one. Addresses of
sessions are secrets: whoever has one may write the object. They are in no message and in no log.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import time
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from http import HTTPStatus
from itertools import chain
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from bridge.copying.gcs.client import MARK
from bridge.copying.gcs.wire import LONGEST_WAIT, Unwell
from bridge.copying.verifying import mismatch
from bridge.core.errors import IntegrityError, TryAgain
from bridge.core.records import Upload
from bridge.net.addresses import UNFIT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.copying.gcs.client import Place
    from bridge.copying.gcs.wire import Answer, Wire
    from bridge.copying.verifying import VerifiedStream
    from bridge.core.model import ArtifactFile
    from bridge.core.ports import Clock, Uploads
    from bridge.core.settings import CopySettings

TYPE = "application/octet-stream"
BREAKS, PAUSE = 5, 0.5  # times in a row that a session may break in vain; seconds after the second, then doubled
UNTIMED = 16 << 20  # first bytes of a session, which go into buffers on the way as fast as they come
TRIAL = 64 << 20  # bytes of a session after which its speed is believed

_LATER = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)  # a person mends it, and the session goes on
_LIVE = (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.PERMANENT_REDIRECT)
_KEPT = re.compile(r"bytes=0-(\d+)")
_DIGESTS = re.compile(rb"md5|crc32c|hash|digest", re.IGNORECASE)


class SlowStream(Exception):
    """A session's one stream is slower than it may be: parts at the same time would be faster."""


@dataclass(frozen=True, slots=True)
class Held:
    """An object as the bucket tells of it. A composed one, or one uploaded in parts, has no md5."""

    size: int
    crc32c: str
    md5: str | None
    generation: int


@dataclass(frozen=True, slots=True)
class Uploader:
    """Sends files; what is not finished is kept in `uploads`."""

    wire: Wire
    uploads: Uploads
    clock: Clock
    settings: CopySettings
    content_type: str = TYPE

    def at_once(self, place: Place, stream: VerifiedStream) -> Held:
        """
        Send metadata and content in one request; the content is held in memory, so it can be sent again.

        Raises as `streamed` does.
        """
        # Not put together: one large block after the other, in many threads, is memory that malloc does not give back.
        content = tuple(stream.pieces())
        described = {**self._described(place, stream.file), "crc32c": stream.seal().crc32c}
        boundary = secrets.token_hex(16)  # 128 random bits are in no content
        head = (
            f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{json.dumps(described)}\r\n"
            f"--{boundary}\r\nContent-Type: {self.content_type}\r\n\r\n"
        ).encode()
        tail = f"\r\n--{boundary}--".encode()
        headers = {
            "Content-Type": f'multipart/related; boundary="{boundary}"',
            "Content-Length": str(len(head) + stream.file.size + len(tail)),
        }
        with later(place):
            answer = self.wire.insist("POST", _target(place, "multipart"), headers, (head, *content, tail))
            if is_of_digests(answer):
                raise _differ(place, stream.file, content)
            return held(answer)

    def streamed(self, place: Place, stream: VerifiedStream, *, watched: bool) -> Held:
        """
        Send all in one body as it comes; where that breaks, ask how far the bucket has come and go on from there.

        If `watched`, and the bucket takes the first bytes of a session slowly, the session is ended with SlowStream.
        Raises PreconditionFailed if something has the name, IntegrityError, TryAgain, what `stream` raises, and
        google.api_core's exceptions for any other refusal. After TryAgain another call goes on with the session.
        """
        with later(place):
            try:
                answer = self._brought_to_its_end(place, stream, watched=watched)
            except (IntegrityError, SlowStream):
                self._give_up(place)
                raise
            if answer.status not in _LATER:
                self.uploads.forget_upload(str(place))
            if is_of_digests(answer):
                raise _differ(place, stream.file, None)
            return held(answer)

    def _brought_to_its_end(self, place: Place, stream: VerifiedStream, *, watched: bool) -> Answer:
        size = stream.file.size
        address, answer = self._taken_up(place, stream.file)
        at, breaks = 0, 0
        while True:
            if answer is None or answer.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
                if breaks >= BREAKS:
                    raise TryAgain(f"{place}: the bucket has forgotten the upload {breaks} times")
                address, at, breaks = self._begun(place, stream.file), 0, breaks + (answer is not None)
            elif answer.status == HTTPStatus.PERMANENT_REDIRECT:  # 308: "go on where I am"
                kept = _kept(answer)
                breaks = 0 if kept > at else breaks + 1
                if breaks >= BREAKS:
                    raise TryAgain(f"{place}: the bucket does not get beyond {kept} of {size} bytes")
                at = kept
            elif answer.status == HTTPStatus.UNAUTHORIZED and breaks < BREAKS:  # asking has renewed the token
                breaks += 1
            else:
                return answer
            if breaks > 1:  # what broke after it got on is gone on with at once
                self.clock.sleep(PAUSE * 2 ** (breaks - 2))
            answer = self._sent(address, stream, at, watched=watched and at == 0)

    def _sent(self, address: str, stream: VerifiedStream, at: int, *, watched: bool) -> Answer:
        size = stream.file.size
        if at >= size:
            return self._asked(address, size)
        headers = {"Content-Length": str(size - at), "Content-Range": f"bytes {at}-{size - 1}/{size}"}
        # The bucket compares the md5 of the whole, whoever has sent the beginning.
        answer, after = None, 0.0
        with closing(stream.pieces(at, blind=_bucket_compares(stream.file))) as pieces:
            # The source's connection first, and given back before the bucket's is asked for again: copies that have the
            # one should not wait for those that have the other. One whose source breaks in the middle still does.
            body = chain((next(pieces, b""),), pieces)
            try:
                answer = self.wire.ask("PUT", address, headers, self._timed(body) if watched else body)
            except Unwell as unwell:
                after = min(unwell.after or 0.0, LONGEST_WAIT)
        if answer is None:
            self.clock.sleep(after)
        return self._asked(address, size) if answer is None or answer.status == HTTPStatus.UNAUTHORIZED else answer

    def _asked(self, address: str, size: int) -> Answer:
        return self.wire.insist("PUT", address, {"Content-Length": "0", "Content-Range": f"bytes */{size}"})

    def _taken_up(self, place: Place, file: ArtifactFile) -> tuple[str, Answer | None]:
        """Ask after a session that was begun before, for the same bytes; no answer if there is none."""
        upload = self.uploads.upload(str(place))
        if upload is None or upload.kind != "session" or not is_of(upload, file):
            return "", None
        self.go_on(upload)
        answer = self._asked(upload.address, file.size)
        return (upload.address, answer) if answer.status in _LIVE else ("", None)

    def _begun(self, place: Place, file: ArtifactFile) -> str:
        """Begin a session; return its path and query. Its host is not looked at: there is one we speak to."""
        headers = {
            "Content-Type": "application/json; charset=UTF-8",
            "X-Upload-Content-Type": self.content_type,
            "X-Upload-Content-Length": str(file.size),
        }
        text = json.dumps(self._described(place, file)).encode()
        headers["Content-Length"] = str(len(text))
        answer = self.wire.insist("POST", _target(place, "resumable"), headers, (text,))
        if answer.status != HTTPStatus.OK:
            raise answer.refusal()
        said = answer.headers.get("location", "")
        location = urlsplit(said if said.isascii() and not UNFIT.search(said) else "")
        if not location.path.startswith("/") or not location.query:
            raise Unwell("it began an upload and did not say where")
        address = f"{location.path}?{location.query}"
        begun = self.clock.now().isoformat()
        self.uploads.save_upload(Upload(str(place), address, "session", file.size, file.digest, begun))
        return address

    def go_on(self, upload: Upload) -> None:
        """Say that an upload is gone on with, so that nobody removes it."""
        self.uploads.save_upload(replace(upload, begun=self.clock.now().isoformat()))

    def _described(self, place: Place, file: ArtifactFile) -> dict[str, object]:
        described: dict[str, object] = {"name": place.name, "contentType": self.content_type, "metadata": MARK}
        if _bucket_compares(file):
            assert file.digest is not None  # noqa: S101  for mypy
            described["md5Hash"] = file.digest.value
        return described

    def _give_up(self, place: Place) -> None:
        upload = self.uploads.upload(str(place))
        if upload is not None:
            with suppress(Unwell):
                self.end(upload)
            self.uploads.forget_upload(str(place))

    def end(self, upload: Upload) -> None:
        """End a session; the bucket forgets what it was sent. Idempotent. Raises Unwell."""
        if upload.address:
            self.wire.insist("DELETE", upload.address, {"Content-Length": "0"})

    def lying(self, place: Place) -> Held | None:
        """Return what the bucket has under a name. Raises Unwell, and google.api_core's exceptions for a refusal."""
        answer = self.wire.insist("GET", object_target(place), {})
        return None if answer.status == HTTPStatus.NOT_FOUND else held(answer)

    def _timed(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Pass on what is sent, and end it if the other side takes it slowly; waiting for the source does not count."""
        sent, spent = 0, 0.0
        for piece in pieces:
            began = time.perf_counter()
            yield piece
            if UNTIMED <= sent < TRIAL:
                spent += time.perf_counter() - began
                if sent + len(piece) >= TRIAL and spent * self.settings.slow_stream > TRIAL - UNTIMED:
                    raise SlowStream
            sent += len(piece)


@contextmanager
def later(place: Place | str) -> Iterator[None]:
    """Turn Unwell into TryAgain."""
    try:
        yield
    except Unwell as unwell:
        raise TryAgain(f"{place}: Google Cloud Storage is unwell ({unwell.reason})", unwell.after) from unwell


def held(answer: Answer) -> Held:
    """Read an object's resource. Raises google.api_core's exceptions, and Unwell for what is none."""
    said = answer.resource()
    try:
        md5 = said.get("md5Hash")
        return Held(int(said["size"]), str(said["crc32c"]), None if md5 is None else str(md5), int(said["generation"]))
    except (KeyError, TypeError, ValueError) as torn:
        raise Unwell("its answer tells of no object") from torn


def object_target(place: Place) -> str:
    """Spell path and query of an object's own resource."""
    return f"/storage/v1/b/{quote(place.bucket, safe='')}/o/{quote(place.name, safe='')}"


def is_of(upload: Upload, file: ArtifactFile) -> bool:
    """Whether an upload was begun for these bytes."""
    return (upload.size, upload.digest) == (file.size, file.digest)


def _bucket_compares(file: ArtifactFile) -> bool:
    """Whether the bucket itself refuses bytes that are not the file's."""
    return file.digest is not None and file.digest.algorithm == "md5"


def _target(place: Place, kind: str) -> str:
    return f"/upload/storage/v1/b/{quote(place.bucket, safe='')}/o?ifGenerationMatch=0&uploadType={kind}"


def _kept(answer: Answer) -> int:
    found = _KEPT.fullmatch(answer.headers.get("range", ""))
    return int(found[1]) + 1 if found else 0


def is_of_digests(answer: Answer) -> bool:
    """Whether the bucket has refused bytes since they are not those that were promised."""
    # Only the text of a 400 says so, and that may say anything.
    return answer.status == HTTPStatus.BAD_REQUEST and _DIGESTS.search(answer.body) is not None


def _differ(place: Place, file: ArtifactFile, content: tuple[bytes, ...] | None) -> IntegrityError:
    """Say whose fault it is that the bucket refused bytes, as far as that can be known."""
    if content is not None and file.digest is not None:
        md5 = hashlib.md5(usedforsecurity=False)
        for piece in content:
            md5.update(piece)
        found = base64.b64encode(md5.digest()).decode()
        if file.digest.algorithm == "md5" and found != file.digest.value:
            return mismatch(file, f"md5 {file.digest.value}", found)
    promised = f"the md5 {file.digest.value} that the source promises" if file.digest else "the digests they had here"
    return IntegrityError(
        f"{place}: the bucket refused it, since the bytes that arrived do not have {promised}",
        "run the sync again; if it happens again, log the version again, or look for what changes bytes on the way",
    )
