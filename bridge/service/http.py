"""What the service answers over HTTP."""

from __future__ import annotations

import errno
import socket
import threading
from typing import TYPE_CHECKING, Any

import uvicorn
from fastapi import FastAPI, Response, status

from bridge.core.errors import NeedsPerson
from bridge.service.refusing import speak_plainly

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastapi import APIRouter

    from bridge.service.health import Health

_BACKLOG = 128
_PATIENCE = 5.0  # seconds for the thread to end


def make_app(health: Health, routers: Iterable[APIRouter] = ()) -> FastAPI:
    """Return the app: health, which anybody may ask for, and a router for each topic."""
    app = FastAPI(title="registry-bridge", docs_url="/docs", redoc_url=None)
    speak_plainly(app)
    for router in routers:
        app.include_router(router)

    @app.get("/livez")
    def livez() -> dict[str, bool]:
        """Say that the process answers."""
        return {"alive": True}

    @app.get("/readyz")
    def readyz(response: Response) -> dict[str, Any]:
        """Say whether the service does its work, and what it cannot read meanwhile: 503 if it does not."""
        report = health.report()
        if not report["ready"]:
            response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
        return report

    return app


class Listener:
    """
    An app on a port, served from a thread.

    The constructor takes the port, so that one that is taken is known before anything else has begun.
    """

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, port))
            self._socket.listen(_BACKLOG)
        except OSError as refused:
            self._socket.close()
            taken = refused.errno == errno.EADDRINUSE
            reason = "another process has it" if taken else refused.strerror
            raise NeedsPerson(
                f"the service cannot listen on {_spelled(host, port)}: {reason}",
                "stop what has it, or write another 'listen' under 'service' in bridge.yaml",
            ) from refused
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end."""
        host, port, *_ = self._socket.getsockname()
        return f"http://{_spelled(host, port)}"

    def start(self, app: FastAPI) -> None:
        """Serve the app. Requests that come before it is ready to are kept waiting, not refused."""
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", ws="none", timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="http", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Answer no more. Idempotent."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(_PATIENCE)
        self._socket.close()


def _spelled(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
