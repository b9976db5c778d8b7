"""Serves an ASGI app on a loopback port from a thread of its own."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bridge.sandbox.breaking import TRANSPORT, FaultyApp

if TYPE_CHECKING:
    from starlette.types import ASGIApp

LOOPBACK = "127.0.0.1"


class _Protocol(HttpToolsProtocol):
    """uvicorn's, with the transport in each request's scope: only who has it can break a connection."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast("dict[str, Any]", self.scope)["extensions"] = {TRANSPORT: self.transport}


class PortTakenError(OSError):
    """Somebody else has the port."""

    def __init__(self, port: int) -> None:
        super().__init__(f"port {port} of {LOOPBACK} is taken")


class HttpServer:
    """
    One app on one port of 127.0.0.1; `port` 0 takes a free one.

    The constructor binds the port: `url` is known, and nobody else can take it, before the app starts.
    """

    def __init__(self, port: int = 0) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((LOOPBACK, port))
        except OSError as taken:
            self._socket.close()
            raise PortTakenError(port) from taken
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port that clients connect to."""
        port: int = self._socket.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end."""
        return f"http://{LOOPBACK}:{self.port}"

    def start(self, app: ASGIApp) -> None:
        """
        Serve `app`, through the faults that are armed; return when connections are accepted.

        Raises RuntimeError if it cannot start.
        """
        self._socket.listen(1024)
        config = uvicorn.Config(
            FaultyApp(app),
            http=_Protocol,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_keep_alive=60,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(ready,), name=f"http-{self.port}", daemon=True)
        self._thread.start()
        ready.wait()
        if not self._server.started:
            message = f"the server on port {self.port} did not start"
            raise RuntimeError(message)

    def _serve(self, ready: threading.Event) -> None:
        server = self._server
        assert server is not None  # noqa: S101  set by start() just before this thread
        startup = server.startup

        async def startup_then_tell(sockets: list[socket.socket] | None = None) -> None:
            try:
                await startup(sockets=sockets)
            finally:
                ready.set()

        server.startup = startup_then_tell  # type: ignore[method-assign]  # uvicorn has no "started" event to wait on
        try:
            server.run(sockets=[self._socket])
        finally:
            ready.set()

    def stop(self) -> None:
        """Close the port; requests under way get a second to end. Idempotent."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(timeout=5)
        self._socket.close()
