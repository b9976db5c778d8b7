"""Two small servers: one that answers as a script says, and one that stands between the SDK and the stand-in."""

from __future__ import annotations

import json
import re
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar, Self

import requests

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    path: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def start(self) -> int:
        """The first byte that the header Range asks for."""
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("range", "bytes=0-"))
        assert found is not None
        return int(found[1])


@dataclass(frozen=True)
class Reply:
    """One answer; of the body only `cut` bytes are sent before the connection ends, if it is given."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    chunked: bool = False


HANG_UP = Reply(status=0)  # no answer at all


class ScriptedServer:
    """Answers every request by `script` and keeps what it was asked; a context manager."""

    def __init__(self, script: Callable[[Asked], Reply]) -> None:
        self.script = script
        self.asked: list[Asked] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"owner": self}))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def answer(self, asked: Asked) -> Reply:
        """Keep a request and answer it."""
        self.asked.append(asked)
        return self.script(asked)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes: with it each answer takes 40 ms
    owner: ClassVar[ScriptedServer]

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._send(self.owner.answer(Asked(self.path, headers, self.rfile.read(length))))

    do_HEAD = do_GET  # noqa: N815  http.server's name

    def do_POST(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        self.do_GET()

    def _send(self, reply: Reply) -> None:
        cut = reply.cut is not None or reply is HANG_UP
        self.close_connection = cut
        if reply is not HANG_UP:
            self._head(reply)
            with suppress(OSError):  # who asks may leave before the end
                self._body(reply)
        if cut:
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

    def _head(self, reply: Reply) -> None:
        self.send_response_only(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()

    def _body(self, reply: Reply) -> None:
        body = reply.body[: reply.cut]
        if reply.chunked:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(body), body))
            if reply.cut is None:
                self.wfile.write(b"0\r\n\r\n")
        else:
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serving(content: bytes, *cuts: int) -> Callable[[Asked], Reply]:
    """Serve `content`, ranges too; the n-th answer breaks after `cuts[n]` bytes, later ones are whole."""
    left = list(cuts)

    def script(asked: Asked) -> Reply:
        start = asked.start
        if start >= len(content) > 0:
            return Reply(416)
        status = 206 if "range" in asked.headers else 200
        return Reply(status, content[start:], cut=left.pop(0) if left else None)

    return script


class Between:
    """
    Passes GraphQL on to a stand-in, and does as it is told on the way.

    `answers`, by operation, are sent instead; `edits`, by operation, change the answer that came back. Both
    may be changed at any time. `asked` is what passed: operation and variables.
    """

    def __init__(self, url: str) -> None:
        self._to = url
        self.answers: dict[str, Reply] = {}
        self.edits: dict[str, Callable[[Any], None]] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self._server = ScriptedServer(self._pass)
        self.url = self._server.url

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.__exit__()

    def operations(self) -> list[str]:
        """List what was asked for, in order."""
        return [operation for operation, _ in self.asked]

    def _pass(self, asked: Asked) -> Reply:
        if asked.path != "/graphql":
            return Reply()  # the SDK's telemetry
        request = json.loads(asked.body)
        found = re.search(r"\b(?:query|mutation)\s*(\w+)", request["query"])
        operation = found[1] if found else ""
        self.asked.append((operation, request.get("variables") or {}))
        if (said := self.answers.get(operation) or self.answers.get("*")) is not None:
            return said
        headers = {"Authorization": asked.headers["authorization"], "Content-Type": "application/json"}
        answer = requests.post(f"{self._to}{asked.path}", asked.body, headers=headers, timeout=10)
        content = answer.content
        if operation in self.edits:
            parsed = json.loads(content)
            self.edits[operation](parsed["data"])
            content = json.dumps(parsed).encode()
        return Reply(answer.status_code, content, {"Content-Type": "application/json"})


def graphql_error(message: str) -> Reply:
    """Answer as a GraphQL server does that could not do what was asked."""
    return Reply(200, json.dumps({"data": None, "errors": [{"message": message}]}).encode())
