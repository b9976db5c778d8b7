"""
One file to one object, which must not be there yet: in one request, or in a session with one streamed body.

Names of sessions are secrets: whoever has one may write the object. They are in no message and in no log.
"""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from bridge.copying.gcs.wire import Unwell
from bridge.core.errors import TryAgain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.copying.gcs.wire import Answer, Wire
    from bridge.copying.verifying import VerifiedStream
    from bridge.core.model import ArtifactFile

MULTIPART_LIMIT = 8 << 20  # bytes that are sent in one request, and held in memory for that

_KEPT = re.compile(r"bytes=0-(\d+)")
_DIGESTS = re.compile(rb"md5|crc32c|hash|digest", re.IGNORECASE)
_COMPARED = {"md5": "md5Hash", "crc32c": "crc32c"}  # digests that the bucket compares, and refuses the object
_TYPE = "application/octet-stream"


class DigestsDiffer(Exception):
    """The bucket refused an object since the bytes that arrived are not those of its digests."""


class _Torn(Exception):
    """The session cannot be brought to its end from here: why."""


@dataclass(frozen=True, slots=True)
class Uploaded:
    """An object as the bucket tells of it."""

    size: int
    crc32c: str
    generation: int


def upload(
    wire: Wire, bucket: str, name: str, file: ArtifactFile, stream: VerifiedStream, *, content_type: str = _TYPE
) -> Uploaded:
    """
    Store a file under a name that nothing has.

    Raises PreconditionFailed if something has it, DigestsDiffer, TryAgain, what `stream` raises, and
    google.api_core's exceptions for any other refusal.
    """
    described = {"name": name, "contentType": content_type}
    if file.digest is not None and file.digest.algorithm in _COMPARED:
        described[_COMPARED[file.digest.algorithm]] = file.digest.value
    uri = f"gs://{bucket}/{name}"
    target = f"/upload/storage/v1/b/{quote(bucket, safe='')}/o?ifGenerationMatch=0&uploadType="
    try:
        if file.size <= MULTIPART_LIMIT:
            return _uploaded(_at_once(wire, target + "multipart", described, stream))
        return _uploaded(_streamed(wire, target + "resumable", described, file.size, stream))
    except Unwell as unwell:
        raise TryAgain(f"{uri}: Google Cloud Storage is unwell ({unwell.reason})", unwell.after) from unwell
    except _Torn as torn:
        raise TryAgain(f"{uri}: {torn}") from torn


def _at_once(wire: Wire, target: str, described: dict[str, str], stream: VerifiedStream) -> Answer:
    """Send metadata and content in one request; the content is held in memory, so it can be sent again."""
    content = b"".join(stream.pieces())
    described["crc32c"] = stream.seal().crc32c
    boundary = secrets.token_hex(16)  # 128 random bits are in no content
    head = (
        f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{json.dumps(described)}\r\n"
        f"--{boundary}\r\nContent-Type: {described['contentType']}\r\n\r\n"
    ).encode()
    tail = f"\r\n--{boundary}--".encode()
    headers = {
        "Content-Type": f'multipart/related; boundary="{boundary}"',
        "Content-Length": str(len(head) + len(content) + len(tail)),
    }
    return wire.insist("POST", target, headers, (head, content, tail))


def _streamed(wire: Wire, target: str, described: dict[str, str], size: int, stream: VerifiedStream) -> Answer:
    """Begin a session and send all in one body as it comes; if that breaks, ask what has become of it."""
    session = _begin(wire, target, described, size)
    body = _Body(stream)
    headers = {"Content-Length": str(size), "Content-Range": f"bytes 0-{size - 1}/{size}"}
    try:
        answer = wire.ask("PUT", session, headers, body.pieces())
    except Unwell:
        if body.problem is not None:
            raise body.problem from None
        answer = wire.insist("PUT", session, {"Content-Length": "0", "Content-Range": f"bytes */{size}"}, b"")
    if answer.status == HTTPStatus.PERMANENT_REDIRECT:  # 308: "go on where I am"
        kept = _KEPT.fullmatch(answer.headers.get("Range", ""))
        raise _Torn(
            f"the bucket kept {int(kept[1]) + 1 if kept else 0} of {size} bytes, and what was sent cannot be sent again"
        )
    if answer.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        raise _Torn("the bucket has forgotten the upload in the middle")
    return answer


def _begin(wire: Wire, target: str, described: dict[str, str], size: int) -> str:
    """Begin a session; return its path and query. Its host is not looked at: there is one we speak to."""
    headers = {
        "Content-Type": "application/json; charset=UTF-8",
        "X-Upload-Content-Type": described["contentType"],
        "X-Upload-Content-Length": str(size),
    }
    answer = wire.insist("POST", target, headers, json.dumps(described).encode())
    if answer.status != HTTPStatus.OK:
        raise _refusal(answer)
    location = urlsplit(answer.headers.get("Location", ""))
    if not location.path.startswith("/") or not location.query:
        raise Unwell("it began an upload and did not say where")
    return f"{location.path}?{location.query}"


class _Body:
    """The pieces of a stream; `problem` is what the stream raised, which urllib3 may take for its own."""

    def __init__(self, stream: VerifiedStream) -> None:
        self._stream = stream
        self.problem: Exception | None = None

    def pieces(self) -> Iterator[bytes]:
        try:
            yield from self._stream.pieces()
        except Exception as problem:
            self.problem = problem
            raise


def _uploaded(answer: Answer) -> Uploaded:
    if answer.status not in (HTTPStatus.OK, HTTPStatus.CREATED):
        raise _refusal(answer)
    said = answer.resource()
    try:
        return Uploaded(int(said["size"]), str(said["crc32c"]), int(said["generation"]))
    except (KeyError, TypeError, ValueError) as torn:
        raise Unwell("its answer tells of no object") from torn


def _refusal(answer: Answer) -> Exception:
    # Whether a 400 is of digests, only its text says, and that may say anything.
    if answer.status == HTTPStatus.BAD_REQUEST and _DIGESTS.search(answer.body):
        return DigestsDiffer()
    return answer.refusal()
