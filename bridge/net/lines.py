"""
Connections that are kept open and shared by threads, made by the standard library's http.client.

How little a request costs decides how many small files are copied in a second: a third of what it costs over urllib3
(docs/decisions/0019-the-copy-engine.md). Redirects, retries and credentials are the caller's business. Proxies are
those that the environment names, certificates those that requests trusts.
"""

from __future__ import annotations

import base64
import os
import select
import ssl
import threading
import time
from collections import defaultdict
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from bridge.net.addresses import PORTS, Origin, parts_of
from bridge.net.messages import Response, request_head

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    Check = Callable[[str, str], None]  # see Lines.ask

PER_HOST = 64  # connections to one origin at a time
CONNECT, WAIT = 10, 60  # seconds to connect; to wait for the next bytes, or to have a piece taken
FIRST, QUICK = 128 << 10, 0.1  # bytes of a body's first piece; seconds of one after which the next may be larger
JOINED = 1 << 20  # bytes of a body that are sent in one piece with the head


class Broken(Exception):
    """A connection could not be made, or broke: why. What was asked for may have happened."""


class Reply:
    """
    An answer whose body is still to be read, by `pieces` or `read`; then, or by `close`, the connection is free again.

    Names of headers are in lower case. `peer` is the address that answered; behind a proxy, the host as the URL has it.
    """

    def __init__(self, response: Response, line: _Line, host: _Host) -> None:
        self._response = response
        self._line = line
        self._host: _Host | None = host
        self.peer = line.peer
        self.status = response.status
        self.headers: Mapping[str, str] = response.fields

    def pieces(self, size: int) -> Iterator[bytes]:
        """
        Read the body in pieces of at most that size. Raises Broken, also if it ends early.

        They begin small, and stay so where one takes long, so that who reads them can stop within a second. Large
        ones cost less: each hands the interpreter to other threads several times.
        """
        wanted = min(size, FIRST)
        try:
            began = time.monotonic()
            while piece := self._response.read(wanted):
                wanted = min(size, 2 * wanted) if time.monotonic() - began < QUICK else min(size, FIRST)
                yield piece
                began = time.monotonic()
        except (OSError, HTTPException) as broken:
            self.close()
            raise _broken(broken) from broken
        if self._response.length:  # read(n) says nothing of an early end (Python 3.11, http/client.py)
            self.close()
            raise Broken("IncompleteRead")
        self.close()

    def read(self) -> bytes:
        """Read the whole body. Raises Broken."""
        return b"".join(self.pieces(1 << 16))

    def close(self) -> None:
        """Let go of the connection; what is left of the body is not read. Idempotent."""
        host, self._host = self._host, None
        if host is not None:
            whole = self._response.isclosed() and not (self._response.will_close or self._response.length)
            self._response.close()
            host.give_back(self._line, reusable=whole)


class Lines:
    """
    Connections to any number of origins, at most `per_host` to each; who needs one more waits. Thread-safe.

    Without `verify`, certificates are not looked at.
    """

    def __init__(self, per_host: int = PER_HOST, *, verify: bool = True) -> None:
        self._verify = verify
        self._hosts: defaultdict[Origin, _Host] = defaultdict(lambda: _Host(per_host))
        self._guard = threading.Lock()
        self._trust: ssl.SSLContext | None = None

    def close(self) -> None:
        """Close all connections that nobody uses."""
        with self._guard:
            for host in self._hosts.values():
                host.close()

    def ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Iterable[bytes] = (),
        check: Check | None = None,
    ) -> Reply:
        """
        Ask, and return once the answer's head is there.

        `url` is spelled as it goes over the wire; `headers` say how long the body is. `check` is called with the URL's
        host and the address that is connected to (behind a proxy, the host), before anything is sent, and may refuse
        by raising; before, with the host twice, so that no address is connected to that the URL spells out. Raises
        Broken, what `body` and `check` raise, and ValueError for a URL that cannot be asked for.
        """
        return self.ask_at(method, *parts_of(url), headers, body, check=check)

    def ask_at(
        self,
        method: str,
        origin: Origin,
        target: str,
        headers: Mapping[str, str],
        body: Iterable[bytes] = (),
        *,
        check: Check | None = None,
    ) -> Reply:
        """Ask as `ask` does; `target` is path and query."""
        if check is not None:
            check(origin.host, origin.host)
        with self._guard:
            host = self._hosts[origin]
        line = host.take()
        try:
            if line is None:
                line = self._new(origin)
            if check is not None:
                check(origin.host, line.peer)
            _send(line, method, target, headers, body)
            try:
                response = Response(line.connection.sock, method)
            except (OSError, HTTPException) as broken:
                raise _broken(broken) from broken
        except BaseException:
            host.give_back(line, reusable=False)
            raise
        return Reply(response, line, host)

    def _new(self, origin: Origin) -> _Line:
        proxy = _proxy(origin)
        at = proxy or origin
        before, headers = "", {}
        name = origin.host if origin.host.isascii() else origin.host.encode("idna").decode()
        host = f"[{name}]" if ":" in name else name
        if origin.port != PORTS[origin.scheme]:
            host = f"{host}:{origin.port}"
        if origin.scheme == "https":
            connection: HTTPConnection = HTTPSConnection(at.host, at.port, timeout=CONNECT, context=self._trusted())
            if proxy is not None:
                connection.set_tunnel(origin.host, origin.port, proxy.headers)
        else:
            connection = HTTPConnection(at.host, at.port, timeout=CONNECT)
            if proxy is not None:  # which wants the whole URL of what it is to ask for
                before, headers = f"http://{host}", proxy.headers
        try:
            connection.connect()
            peer = origin.host if proxy else connection.sock.getpeername()[0]
        except BaseException as problem:
            connection.close()
            if isinstance(problem, OSError | HTTPException):
                raise _broken(problem) from problem
            raise
        connection.sock.settimeout(WAIT)
        return _Line(connection, host, before, headers, peer)

    def _trusted(self) -> ssl.SSLContext:
        with self._guard:
            if self._trust is None:
                named = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
                bundle = named or DEFAULT_CA_BUNDLE_PATH
                is_folder = Path(bundle).is_dir()
                try:
                    self._trust = ssl.create_default_context(
                        cafile=None if is_folder else bundle, capath=bundle if is_folder else None
                    )
                except OSError as unreadable:
                    raise Broken(f"no certificates can be read from {bundle!a}") from unreadable
                if not self._verify:
                    self._trust.check_hostname = False
                    self._trust.verify_mode = ssl.CERT_NONE
            return self._trust


class _Line(NamedTuple):
    """A connection, and what each request on it says."""

    connection: HTTPConnection
    host: str  # in its head
    before: str  # what a proxy on its way wants before the target
    headers: Mapping[str, str]  # that it wants
    peer: str  # the address that it leads to


class _Host:
    """The connections to one origin."""

    def __init__(self, most: int) -> None:
        self._room = threading.Semaphore(most)
        self._idle: list[_Line] = []  # the last one used is the first one used again

    def take(self) -> _Line | None:
        """Wait for room; return an open connection, None if there is none."""
        self._room.acquire()
        while self._idle:
            try:
                line = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            if not _is_readable(line.connection):  # else the server has closed its end, or says what nobody asked for
                return line
            line.connection.close()
        return None

    def give_back(self, line: _Line | None, *, reusable: bool) -> None:
        if reusable and line is not None:
            self._idle.append(line)
        elif line is not None:
            line.connection.close()
        self._room.release()

    def close(self) -> None:
        with suppress(IndexError):  # another thread may take the last one
            while True:
                self._idle.pop().connection.close()


class _Proxy(NamedTuple):
    host: str
    port: int
    headers: dict[str, str]


def _is_readable(connection: HTTPConnection) -> bool:
    asked = select.poll()
    asked.register(connection.sock, select.POLLIN)
    return bool(asked.poll(0))


def _send(line: _Line, method: str, target: str, headers: Mapping[str, str], body: Iterable[bytes]) -> None:
    """Send a request, or what the other side takes of it: if it closes before the end, it may have answered before."""
    head = request_head(method, line.before + target, line.host, {**line.headers, **headers})
    is_small = isinstance(body, tuple) and sum(map(len, body)) <= JOINED
    pieces: Iterable[bytes] = (b"".join((head, *body)),) if is_small else chain((head,), body)
    for piece in pieces:  # whose own errors are none of the connection
        try:
            line.connection.sock.sendall(piece)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
            return
        except OSError as broken:
            raise _broken(broken) from broken


def _broken(problem: Exception) -> Broken:
    return Broken(type(problem).__name__)  # its text may name an address that is a secret


def _proxy(origin: Origin) -> _Proxy | None:
    proxies = getproxies()
    named = proxies.get(origin.scheme, proxies.get("all"))
    if not named or proxy_bypass(f"{origin.host}:{origin.port}"):
        return None
    try:
        parts = urlsplit(named if "://" in named else f"http://{named}")
        at, port = parts.hostname, parts.port or PORTS["http"]
    except ValueError as none:
        raise Broken("the proxy that the environment names has no address") from none
    if parts.scheme != "http" or not at:
        raise Broken("only proxies whose address begins with http:// can be used")
    headers = {}
    if parts.username is not None:
        who = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        headers["Proxy-Authorization"] = f"Basic {base64.b64encode(who).decode()}"
    return _Proxy(at, port, headers)
