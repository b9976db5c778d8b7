"""
The heads of requests and of answers, as they go over the wire.

http.client has an answer's head parsed by `email`, and sends a request's apart from its body; the interpreter spends a
quarter of its time for a small file on that (measured: docs/decisions/0019-the-copy-engine.md). So heads are written
here, and read by httptools; bodies are http.client's.
"""

from __future__ import annotations

import re
from http.client import HTTPException, HTTPResponse, RemoteDisconnected
from typing import TYPE_CHECKING

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from bridge.net.addresses import UNFIT

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

LONGEST, MOST = 1 << 16, 100  # bytes of a line of an answer's head; such lines
EARLY = 10  # answers before the one that counts, at most

_FINAL = 200  # answers below are followed by others (RFC 9110, 15.2)
_BODILESS = (204, 304)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.1
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?\r?\n")  # RFC 9112, 7.1
_LENIENT = {  # where the wire between only two can be read in one way, as http.client reads it too
    "lenient_headers": True,
    "lenient_chunked_length": True,
    "lenient_transfer_encoding": True,
    "lenient_version": True,
    "lenient_optional_cr_before_lf": True,
}
_ENDS = re.compile(r"[\r\n\0]")  # what would end a line


def request_head(method: str, target: str, host: str, headers: Mapping[str, str]) -> bytes:
    """Spell the head of a request. Raises ValueError for what cannot be said, or would say something else."""
    if UNFIT.search(target):
        raise ValueError("what is asked for would end before its end")
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or _ENDS.search(value):
            raise ValueError("a header would be two")
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    return f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n".encode("ascii") + lines.encode("latin-1") + b"\r\n"


class Response(HTTPResponse):
    """
    An answer whose head was read when it is made; names in `fields` are in lower case.

    Raises OSError and HTTPException. What `read` of http.client goes by is set as its own `begin` sets it (Python 3.11
    to 3.14).
    """

    def __init__(self, connection: socket.socket, method: str) -> None:
        super().__init__(connection, method=method)
        try:
            head = self._final_head()
        except BaseException:
            self.close()
            raise
        self.status, self.fields = head.status, head.fields
        bodiless = method == "HEAD" or head.status in _BODILESS
        self.chunked = head.fields.get("transfer-encoding", "").lower() == "chunked" and not bodiless
        self.chunk_left = None
        self.length = 0 if bodiless else None if self.chunked else head.length
        self.will_close = not head.lasts or (self.length is None and not self.chunked)

    def _read_next_chunk_size(self) -> int:
        """
        Read the line before a chunk. Raises ValueError, of which http.client makes IncompleteRead.

        Its own takes negative sizes, too, and reads without end then.
        """
        found = _CHUNK.fullmatch(self.fp.readline(LONGEST))
        if found is None:
            raise ValueError("what should be the size of a chunk is none")
        return int(found[1], 16)

    def _final_head(self) -> _Head:
        for _ in range(EARLY):
            if (head := self._head()).status >= _FINAL:
                return head
        raise UnreadableAnswer("an answer does not come to its end")

    def _head(self) -> _Head:
        lines = []
        while (line := self.fp.readline(LONGEST)) not in (b"\r\n", b"\n", b""):
            lines.append(line)
            if len(lines) > MOST or len(line) == LONGEST:
                raise UnreadableAnswer("the head of an answer is too long")
        if not line:
            raise RemoteDisconnected("the other side closed the connection")
        return _Head(b"".join(lines) + b"\r\n")


class UnreadableAnswer(HTTPException):
    """What came is no answer as HTTP has them."""


class _Head:
    """What httptools finds in the head of an answer; of a header that comes again, the first value."""

    def __init__(self, text: bytes) -> None:
        self.fields: dict[str, str] = {}
        self._parser = HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(**_LENIENT)
        try:
            self._parser.feed_data(text)
        except (HttpParserError, HttpParserUpgrade) as torn:
            raise UnreadableAnswer("what came is no answer") from torn
        self.status = self._parser.get_status_code()
        del self._parser  # which knows us: a circle would stay in memory until the collector finds it

    def on_headers_complete(self) -> None:
        """Ask whether the connection lasts while the parser knows: it forgets with an answer that ends here."""
        self.lasts = self._parser.should_keep_alive()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take note of a header."""
        self.fields.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))

    @property
    def length(self) -> int | None:
        """How many bytes follow, if the answer says so."""
        said = self.fields.get("content-length")
        return int(said) if said else None  # a number, or httptools would have refused it
