"""Request bodies on their way to disk: gathered into large pieces, taken out of their multipart wrapping."""

from __future__ import annotations

import asyncio
import json
from email.message import Message
from email.parser import HeaderParser
from typing import TYPE_CHECKING, Any

from bridge.sandbox.gcs.bodies import PIECE
from bridge.sandbox.gcs.errors import GcsError, invalid

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from concurrent.futures import Executor

    from starlette.requests import Request

INLINE = 256 << 10  # bytes: below this, writing and hashing cost less than handing over to a thread
SMALL = 8 << 20  # bytes: the largest body that is held in memory (JSON, XML, batch)


async def pour(chunks: AsyncIterator[bytes], sink: Callable[[bytes], None], workers: Executor) -> None:
    """
    Give `sink` all chunks in order, in pieces of at least 1 MiB (the last may be smaller).

    While a thread works on one piece the next one is gathered; at most two are in memory. If the stream
    breaks, `sink` still gets what had arrived before the exception goes on.
    """
    loop = asyncio.get_running_loop()
    gathered: list[bytes] = []
    size = 0
    busy: asyncio.Future[None] | None = None
    try:
        async for chunk in chunks:
            gathered.append(chunk)
            size += len(chunk)
            if size >= PIECE:
                if busy is not None:
                    await busy
                busy = loop.run_in_executor(workers, _join_into, sink, gathered)
                gathered, size = [], 0
    finally:
        if busy is not None:
            await busy
        if size > INLINE:
            await loop.run_in_executor(workers, _join_into, sink, gathered)
        elif size:
            _join_into(sink, gathered)


def _join_into(sink: Callable[[bytes], None], gathered: list[bytes]) -> None:
    sink(b"".join(gathered))


async def small_body(request: Request) -> bytes:
    """Read a body that is meant to fit into memory; raises 413 if it does not."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > SMALL:
            raise GcsError(413, "uploadTooLarge", f"this request's body may have {SMALL} bytes at most")
    return bytes(body)


async def json_body(request: Request) -> dict[str, Any]:
    """Read a JSON object; an empty body is an empty one. Raises 400 if it is something else."""
    return json_object(await small_body(request))


def json_object(text: bytes) -> dict[str, Any]:
    """Parse a JSON object; nothing at all is an empty one. Raises 400 if it is something else."""
    if not text.strip():
        return {}
    try:
        value = json.loads(text)
    except ValueError:
        raise invalid("Parse Error: the body is not JSON") from None
    if not isinstance(value, dict):
        raise invalid("Parse Error: the body is not a JSON object")
    return value


def boundary_of(content_type: str | None) -> bytes:
    """Find the boundary in a multipart Content-Type, quoted or not; raises 400 without one."""
    message = Message()
    message["content-type"] = content_type or ""
    boundary = message.get_boundary()
    if not boundary:
        raise invalid("a multipart body needs a boundary in its Content-Type")
    return boundary.encode()


class Related:
    """
    A multipart/related upload: the resource as JSON, then the data, which may hold anything.

    Read `resource()` first, then `data()` to its end. Lines end in CRLF or in LF; the first one decides,
    since the data itself may end in either.
    """

    def __init__(self, request: Request) -> None:
        self._chunks = request.stream()
        self._dashes = b"--" + boundary_of(request.headers.get("content-type"))
        self._buffer = b""
        self._newline = b"\r\n"

    async def resource(self) -> tuple[dict[str, Any], str | None]:
        """Return the JSON part and the Content-Type of the data part."""
        first = await self._through(b"\n")
        if first.rstrip(b"\r\n") != self._dashes:
            raise invalid("the multipart body does not begin with its boundary")
        self._newline = b"\r\n" if first.endswith(b"\r\n") else b"\n"
        await self._part_headers()
        end = self._newline + self._dashes + self._newline
        resource = json_object((await self._through(end))[: -len(end)])
        return resource, (await self._part_headers())["content-type"]

    async def data(self) -> AsyncIterator[bytes]:
        """Yield the data part; raises 400 if the closing boundary never comes."""
        end = self._newline + self._dashes + b"--"
        while (found := self._buffer.find(end)) < 0:
            safe = len(self._buffer) - len(end) + 1  # what follows may be the beginning of the boundary
            if safe > 0:
                yield self._buffer[:safe]
                self._buffer = self._buffer[safe:]
            await self._more()
        yield self._buffer[:found]
        async for _ in self._chunks:
            pass

    async def _part_headers(self) -> Message:
        lines = b""
        while not lines.endswith(self._newline * 2) and lines != self._newline:
            lines += await self._through(self._newline)
        return HeaderParser().parsestr(lines.decode(errors="replace"))

    async def _through(self, mark: bytes) -> bytes:
        while (found := self._buffer.find(mark)) < 0:
            if len(self._buffer) > SMALL:
                raise invalid("the resource of a multipart upload is too large")
            await self._more()
        text, self._buffer = self._buffer[: found + len(mark)], self._buffer[found + len(mark) :]
        return text

    async def _more(self) -> None:
        chunk = await anext(self._chunks, b"")
        if not chunk:
            raise invalid("the multipart body ends before its closing boundary")
        self._buffer += chunk
