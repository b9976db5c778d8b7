"""
The source: an HTTP server of files that lie in memory, so that no disk is measured.

`/{files}x{size}/f{number}` is a slice of one random content, and `/{files}x{size}/` lists the files. Ranges are known.
How fast it is, beside nginx: README.md.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn

from benchmarks.copying.shapes import MIB
from benchmarks.copying.sink import ended

if TYPE_CHECKING:
    from collections.abc import Iterator

_ASKED = re.compile(rb"(GET|HEAD) /(\d+)x(\d+)/(?:f(\d+))? HTTP/1.1\r\n")
_RANGE = re.compile(rb"\r\nrange: bytes=(\d+)-(\d*)\r\n", re.IGNORECASE)


class Content:
    """Random bytes in memory that another process can be given."""

    def __init__(self, size: int) -> None:
        self.number = os.memfd_create("files")
        for _ in range(0, size, MIB):
            os.write(self.number, os.urandom(MIB))

    def close(self) -> None:
        """Give the memory back."""
        os.close(self.number)

    def digests(self, size: int, count: int) -> list[str]:
        """Return the md5 of that many slices, as Cloud Storage spells it."""
        return [base64.b64encode(self._md5(number * size, size)).decode() for number in range(count)]

    def _md5(self, start: int, size: int) -> bytes:
        md5 = hashlib.md5(usedforsecurity=False)
        for at in range(start, start + size, MIB):
            md5.update(os.pread(self.number, min(MIB, start + size - at), at))
        return md5.digest()


@contextmanager
def served(content: Content) -> Iterator[str]:
    """Serve slices of the content from a process of its own; yield its URL."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        numbers = (listener.fileno(), content.number)
        command = [sys.executable, "-m", "benchmarks.copying.files", *map(str, numbers)]
        with ended(subprocess.Popen(command, pass_fds=numbers)):  # noqa: S603  our own words
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def serve(listener: socket.socket, content: int) -> NoReturn:
    """Answer the requests that come, each connection in a thread."""
    while True:
        threading.Thread(target=_talk, args=(listener.accept()[0], content), daemon=True).start()


def _talk(peer: socket.socket, content: int) -> None:
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with peer, suppress(ConnectionError):  # who has enough of a file may hang up
        while request := peer.recv(65536):
            asked = _ASKED.match(request)
            assert asked, request
            assert request.endswith(b"\r\n\r\n")
            method, files, size, number = asked[1], int(asked[2]), int(asked[3]), asked[4]
            if number is None:
                links = b"".join(b'<a href="f%05d">f</a>\n' % each for each in range(files))
                head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(links)
                peer.sendall(head + links)
                continue
            status, start, end = b"200 OK", 0, size
            if part := _RANGE.search(request):
                status, start, end = b"206 Partial Content", int(part[1]), int(part[2] or size - 1) + 1
                status += b"\r\nContent-Range: bytes %d-%d/%d" % (start, end - 1, size)
            head = b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n" % (status, end - start)
            if method == b"HEAD":
                peer.sendall(head)
                continue
            peer.sendall(head, socket.MSG_MORE)
            at, last = int(number) * size + start, int(number) * size + end
            while at < last:
                at += os.sendfile(peer.fileno(), content, at, last - at)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]))
