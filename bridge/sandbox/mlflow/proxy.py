"""The ASGI app before the real server: notes each request, then passes it on, and the answer back, in pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse

from bridge.sandbox.mlflow.names import is_write, method_name

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import Receive, Scope, Send

    from bridge.sandbox.traffic import Traffic

HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection"}
    | {b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)
NOT_ASKED = HOP_BY_HOP | {b"expect"}  # "100-continue" is answered by the web server that we run in
NOT_ANSWERED = HOP_BY_HOP | {b"date", b"server"}  # our web server says these itself
NO_LIMITS = dict.fromkeys(("connect", "read", "write", "pool"))  # the caller has limits of its own


class Proxy:
    """
    Everything asked of it is asked of the server at `upstream`, and nothing is kept of it.

    No connection to that server is used twice: one that it has closed meanwhile would fail a request that
    must not be sent again. `log` is named in the answer if the server has died.
    """

    def __init__(self, upstream: str, traffic: Traffic, log: Path) -> None:
        self._upstream = upstream
        self._traffic = traffic
        self._log = log
        # The transport below httpx.AsyncClient, which would add headers, keep cookies and log each request.
        self._transport = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_keepalive_connections=0))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Note the request, and pass it on unless its fault is that the caller may see nothing."""
        request = Request(scope, receive)
        name = method_name(request.method, scope["path"])
        fault = self._traffic.note("mlflow", name, write=is_write(request.method, name))
        if fault is not None and fault.kind == "empty":
            await JSONResponse({})(scope, receive, send)  # as if without permission: facts-mlflow.md, section 8
            return
        try:
            answer = await self._transport.handle_async_request(self._passed_on(request))
        except ClientDisconnect:
            return  # in mid-upload: the server has been cut off too, and nobody waits for an answer
        except httpx.TransportError as error:
            died = f"the sandbox's MLflow server does not answer ({error!r}); see {self._log}\n"
            await PlainTextResponse(died, status_code=502)(scope, receive, send)
            return
        try:
            response = StreamingResponse(answer.aiter_raw(), status_code=answer.status_code)
            response.raw_headers = _without(NOT_ANSWERED, answer.headers.raw)
            await response(scope, receive, send)
        finally:
            await answer.aclose()

    def _passed_on(self, request: Request) -> httpx.Request:
        """
        Build the server's request from ours, with the path and the query as they came on the wire.

        The Host stays the caller's, 127.0.0.1 with our port: MLflow refuses others than loopback and private ones.
        """
        target: bytes = request.scope["raw_path"]
        if query := request.scope["query_string"]:
            target += b"?" + query
        has_body = "content-length" in request.headers or "transfer-encoding" in request.headers
        return httpx.Request(
            request.method,
            self._upstream,
            headers=_without(NOT_ASKED, request.headers.raw),
            content=request.stream() if has_body else None,
            extensions={"target": target, "timeout": NO_LIMITS},
        )


def _without(names: frozenset[bytes], headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers if name.lower() not in names]
