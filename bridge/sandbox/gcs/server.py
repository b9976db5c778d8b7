"""The stand-in as one thing that starts and stops."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from bridge.sandbox.gcs.database import connect
from bridge.sandbox.gcs.routes import router
from bridge.sandbox.gcs.service import Service
from bridge.sandbox.serving import HttpServer

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import ASGIApp, Receive, Scope, Send

    from bridge.sandbox.clock import SandboxClock
    from bridge.sandbox.traffic import Traffic


class GcsServer:
    """
    A Google Cloud Storage on 127.0.0.1; `port` 0 takes a free one.

    Everything lives below `data`: buckets, objects and open upload sessions with their bytes are there again
    when a new server is given the same folder, also after kill -9. One server per folder at a time.
    """

    def __init__(self, data: Path, *, traffic: Traffic, clock: SandboxClock, port: int = 0) -> None:
        self._data = data
        self._http = HttpServer(port)
        self.service = Service(data, traffic, clock)
        self.service.app = self.front = Front(router(self.service))

    @property
    def url(self) -> str:
        """The base URL: `api_endpoint` of google.cloud.storage, STORAGE_EMULATOR_HOST of others."""
        return self._http.url

    @property
    def rewrite_chunk(self) -> int | None:
        """Bytes that one call of a rewrite moves at most; None (the default): all of them."""
        return self.service.rewrite_chunk

    @rewrite_chunk.setter
    def rewrite_chunk(self, size: int | None) -> None:
        self.service.rewrite_chunk = size

    def start(self) -> None:
        """Sweep what a crash left, then serve; returns when connections are accepted."""
        self.service.sweep()
        self._http.start(self.front)

    def stop(self) -> None:
        """Stop serving and close the files. Idempotent."""
        self._http.stop()
        self.service.close()

    def object_names(self, bucket: str, prefix: str = "") -> list[str]:
        """Return the names of the live objects, in the order of their UTF-8 bytes; from any thread."""
        with closing(connect(self._data / "metadata.sqlite")) as connection:
            rows = connection.execute(
                "SELECT name FROM objects WHERE bucket = ? AND deleted IS NULL AND substr(name, 1, ?) = ? "
                "ORDER BY name",
                (bucket, len(prefix), prefix),
            )
            return [name for (name,) in rows]

    def unfinished(self, bucket: str, prefix: str = "") -> list[str]:
        """Return the names of what is being uploaded in parts, as often as it is; from any thread."""
        with closing(connect(self._data / "metadata.sqlite")) as connection:
            rows = connection.execute(
                "SELECT name FROM multiparts WHERE bucket = ? AND substr(name, 1, ?) = ? ORDER BY name",
                (bucket, len(prefix), prefix),
            )
            return [name for (name,) in rows]

    def corrupt_object(self, bucket: str, name: str, *, offset: int = 0) -> None:
        """
        Flip one stored byte of a live object, whose digests stay what they were; copies made inside share its bytes.

        Raises LookupError if there is no such object, ValueError if it ends before `offset`.
        """
        with closing(connect(self._data / "metadata.sqlite")) as connection:
            row = connection.execute(
                "SELECT body, size FROM objects WHERE bucket = ? AND name = ? AND deleted IS NULL", (bucket, name)
            ).fetchone()
        if row is None:
            raise LookupError(f"there is no object gs://{bucket}/{name}")
        body, size = row
        if not 0 <= offset < size:
            raise ValueError(f"gs://{bucket}/{name} has {size} bytes, and none at {offset}")
        self.service.bodies.flip(body, offset)


class Front:
    """What the web server calls: undoes its decoding of the path, then lets `before_answer` have the request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Split the raw path first, decode after: names hold %2F."""
        await self.before_answer({**scope, "path": scope["raw_path"].decode("latin-1")}, receive, send)

    async def before_answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """
        Pass a request on: the one place all of them go through, parts of a batch one by one.

        Faults belong here. An answer instead of the app's is a status; a wrapped `receive` cuts or slows the
        body; a wrapped `send` loses or delays an answer after its commit.
        """
        await self._app(scope, receive, send)
