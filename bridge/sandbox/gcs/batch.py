"""Many requests in one: multipart/mixed, one part per request, answered in order."""

from __future__ import annotations

import asyncio
import uuid
from email.parser import BytesParser
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.responses import Response

from bridge.sandbox.gcs.errors import invalid
from bridge.sandbox.gcs.streams import boundary_of, small_body

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request
    from starlette.types import Message, Scope

    from bridge.sandbox.gcs.service import Service

LIMIT = 1000  # what google-cloud-storage packs; the documentation says 100 (whether it refuses more is a guess)
NEWLINE = b"\r\n"


async def batch(gcs: Service, request: Request) -> Response:
    """
    Send each part through the whole app, one after the other, and pack the answers.

    A part that fails does not keep the next ones from being tried. Uploads and downloads are refused, as
    the service does.
    """
    boundary = boundary_of(request.headers.get("content-type"))
    parts = list(_parts(await small_body(request), boundary))
    if len(parts) > LIMIT:
        raise invalid(f"a batch has {LIMIT} requests at most, not {len(parts)}")
    mark = f"batch_{uuid.uuid4().hex}".encode()
    answer = b""
    for content_id, part in parts:
        status, headers, body = await _answered(gcs, _scope(request, part), part.partition(NEWLINE * 2)[2])
        reference = [b"Content-ID: <response-" + content_id.strip(b"<>") + b">"] if content_id else []
        answer += NEWLINE.join(
            [
                b"--" + mark,
                b"Content-Type: application/http",
                *reference,
                b"",
                f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode(),
                *(name + b": " + value for name, value in headers),
                b"",
                body,
                b"",
            ]
        )
        await asyncio.sleep(0)  # a long batch of quick requests would hold up everybody else
    answer += b"--" + mark + b"--" + NEWLINE
    return Response(answer, media_type=f"multipart/mixed; boundary={mark.decode()}")


def _parts(body: bytes, boundary: bytes) -> Iterator[tuple[bytes, bytes]]:
    # Yields Content-ID and the request, with CRLF as line end: the Python client writes LF. Bodies are JSON, in
    # which a line end means nothing.
    text = NEWLINE + body.replace(NEWLINE, b"\n").replace(b"\n", NEWLINE)
    for part in text.split(NEWLINE + b"--" + boundary)[1:]:
        if part.startswith(b"--"):
            return
        headers, _, inner = part.removeprefix(NEWLINE).partition(NEWLINE * 2)
        content_id = BytesParser().parsebytes(headers, headersonly=True).get("content-id", "")
        yield content_id.encode(), inner
    raise invalid("the batch has no closing boundary")


def _scope(request: Request, part: bytes) -> Scope:
    line, _, headers = part.partition(NEWLINE * 2)[0].partition(NEWLINE)
    try:
        method, target, _ = line.decode("ascii").split(" ", 2)
    except ValueError:
        raise invalid(f"{line!r} in the batch is no request line") from None
    url = urlsplit(target)
    if not url.path.startswith("/storage/v1/") or "alt=media" in url.query:
        raise invalid(f"{method} {url.path} is not possible in a batch")
    given = BytesParser().parsebytes(headers + NEWLINE, headersonly=True)
    named = {name.lower().encode(): str(value).encode() for name, value in given.items()}
    return {
        **{key: value for key, value in request.scope.items() if key not in {"path_params", "endpoint"}},
        "method": method,
        "raw_path": url.path.encode(),
        "query_string": url.query.encode(),
        "headers": list({**named, b"host": request.headers["host"].encode()}.items()),
    }


async def _answered(gcs: Service, scope: Scope, body: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body.strip()}

    async def send(message: Message) -> None:
        sent.append(message)

    await gcs.app(scope, receive, send)
    return sent[0]["status"], sent[0]["headers"], b"".join(message["body"] for message in sent[1:])
