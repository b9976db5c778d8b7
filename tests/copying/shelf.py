"""A server of files that can suffer every fault of the sandbox, and a source that reads from it as real ones do."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from bridge.net.lines import Lines
from bridge.sandbox.serving import HttpServer
from bridge.sources.streams import open_url
from bridge.testing.source import MemorySource

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from starlette.requests import Request

    from bridge.core.model import ArtifactFile, Description, SourceVersion
    from bridge.sandbox.traffic import Traffic

SERVICE, METHOD = "wandb", "files.get"  # what its requests are counted as


class ShelfSource(MemorySource):
    """A source in memory whose files are behind a URL; or, if `located` says so, in Cloud Storage."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.located: dict[str, str] = {}  # path -> gs:// URI
        self.lines = Lines()
        self._url = url

    def describe(self, version: SourceVersion) -> Description:
        described = super().describe(version)
        files = (replace(file, location=self.located.get(file.path)) for file in described.files)
        return replace(described, files=tuple(files))

    @contextmanager
    def open(self, version: SourceVersion, file: ArtifactFile, start: int = 0) -> Iterator[Iterator[bytes]]:
        url, checked = f"{self._url}/{file.path}", file.digest is not None
        with open_url(self.lines, lambda _: url, f"{file.path!a} of {version}", start, checked=checked) as pieces:
            yield pieces


@contextmanager
def shelf(files: Mapping[str, bytes], traffic: Traffic) -> Iterator[str]:
    """Serve these files, ranges and strong ETags too; yield the URL."""

    def answer(request: Request) -> Response:
        traffic.note(SERVICE, METHOD, write=False)
        content = files[request.path_params["path"]]
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        asked = request.headers.get("range")
        if asked is None or request.headers.get("if-range", etag) != etag:
            return Response(content, headers={"ETag": etag})
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        if start >= len(content):
            return Response(status_code=416)
        return Response(content[start:], 206, headers={"ETag": etag})

    async def answered(request: Request) -> Response:
        return answer(request)  # in the loop's thread: the fault that strikes is known by the task

    server = HttpServer()
    server.start(Starlette(routes=[Route("/{path:path}", answered)]))
    try:
        yield server.url
    finally:
        server.stop()
