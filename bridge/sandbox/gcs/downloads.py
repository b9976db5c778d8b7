"""Answers that carry an object's bytes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from bridge.sandbox.gcs.bodies import PIECE
from bridge.sandbox.gcs.errors import not_offered
from bridge.sandbox.gcs.ranges import wanted_slice
from bridge.sandbox.gcs.resources import object_headers
from bridge.sandbox.gcs.streams import INLINE

if TYPE_CHECKING:
    from io import BufferedReader

    from starlette.types import Receive, Scope, Send

    from bridge.sandbox.gcs.objects import StoredObject
    from bridge.sandbox.gcs.service import Service


def download(gcs: Service, request: Request, stored: StoredObject, etag: str) -> Response:
    """Answer with the body, or with the part of it that Range asks for: 200, 206, 416."""
    unpacks = "gzip" not in request.headers.get("accept-encoding", "")
    if stored.fields.get("contentEncoding") == "gzip" and unpacks:
        raise not_offered("decompressive transcoding: ask with Accept-Encoding: gzip")
    wanted = wanted_slice(request.headers.get("range"), stored.size)
    headers = object_headers(stored, etag)
    status = 200
    if wanted is not None:
        status = 206
        headers["content-range"] = f"bytes {wanted.start}-{wanted.stop - 1}/{stored.size}"
    return FileAnswer(gcs, stored, wanted or range(stored.size), status, headers)


class FileAnswer(Response):
    """Streams a slice of a body, 1 MiB at a time; who hangs up is not read for any longer."""

    def __init__(self, gcs: Service, stored: StoredObject, wanted: range, status: int, headers: dict[str, str]) -> None:
        super().__init__(status_code=status, headers={**headers, "content-length": str(len(wanted))})
        self._gcs = gcs
        self._stored = stored
        self._wanted = wanted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it. There is no await between finding the object and opening its file, so it is there."""
        with self._gcs.bodies.path(self._stored.body).open("rb") as file:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if scope["method"] == "HEAD" or not self._wanted:
                await send({"type": "http.response.body", "body": b""})
            else:
                await self._send_slice(file, Request(scope, receive), send)

    async def _send_slice(self, file: BufferedReader, request: Request, send: Send) -> None:
        file.seek(self._wanted.start)
        left = len(self._wanted)
        while left and (piece := await self._read(file, min(left, PIECE))):
            left -= len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": left > 0})
            if left and await request.is_disconnected():
                return

    async def _read(self, file: BufferedReader, size: int) -> bytes:
        return file.read(size) if size <= INLINE else await self._gcs.in_thread(partial(file.read, size))
