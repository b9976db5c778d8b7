"""Bytes of a file from a URL that may expire, over connections that may break. Nothing touches the disk."""

from __future__ import annotations

import logging
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn, Protocol

import requests
import stamina
import urllib3
from requests.adapters import HTTPAdapter

from bridge.core.errors import NeedsPerson, TryAgain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

log = logging.getLogger(__name__)

PIECE = 1 << 20  # bytes that are read at a time
TIMEOUT = (10, 60)  # seconds to connect, and to wait for the next bytes
CONNECTIONS = 64  # to one host that are kept open; files are read by many threads
STALLS = 3  # times that a connection may break before it brought a single byte

_DENIED = (401, 403)
_GONE = (404, 410)
UNWELL = (408, 429, 500, 502, 503, 504)  # answers that may be others the next time
_BROKEN = (urllib3.exceptions.HTTPError, OSError)


def download_session() -> requests.Session:
    """Make a session for downloads by many threads; one of ten connections would throw the others away, and say so."""
    made = requests.Session()
    for scheme in ("https://", "http://"):
        made.mount(scheme, HTTPAdapter(pool_maxsize=CONNECTIONS))
    return made


class Ask(Protocol):
    """How a file is asked for."""

    def __call__(self, headers: Mapping[str, str], *, renew: bool) -> requests.Response:
        """
        Ask with these headers, and take the body as a stream; with a new address or ticket if `renew`.

        Any status may be returned. Raises requests.RequestException, or a BridgeError, which goes through.
        """
        ...


@contextmanager
def open_url(
    session: requests.Session, url: Callable[[bool], str], what: str, start: int = 0
) -> Iterator[Iterator[bytes]]:
    """
    Stream what lies at a URL, from byte `start` on.

    `url(renew)` gives the address, a new one if `renew`; it is asked again when the server says 401 or 403.
    `what` names the file in messages. Raises TryAgain or NeedsPerson.
    """

    def ask(headers: Mapping[str, str], *, renew: bool) -> requests.Response:
        return session.get(url(renew), headers=headers, stream=True, timeout=TIMEOUT, allow_redirects=True)

    with open_stream(ask, what, start) as pieces:
        yield pieces


@contextmanager
def open_stream(ask: Ask, what: str, start: int = 0, *, renews: bool = True) -> Iterator[Iterator[bytes]]:
    """
    Stream what `ask` is answered, from byte `start` on; without `renews`, 401 and 403 are believed at once.

    Where ranges are ignored, the new answer is read from its beginning and what was passed on before is left
    out, once its checksum has shown that it is the same. Raises TryAgain or NeedsPerson.
    """
    stream = _Stream(ask, what, start, renews=renews)
    try:
        yield stream.pieces()
    finally:
        stream.close()


class _Stream:
    def __init__(self, ask: Ask, what: str, start: int, *, renews: bool) -> None:
        self._ask = ask
        self._what = what
        self._renews = renews
        self._start = start
        self._offset = start  # of the next byte to pass on
        self._checksum = 0  # CRC-32 of the bytes from `start` to `offset`
        self._etag: str | None = None  # of the first answer; strong, so it stands for the very bytes
        self._response: requests.Response | None = None

    def pieces(self) -> Iterator[bytes]:
        stalls = 0
        while True:
            began = self._offset
            response = self._open()
            if response is None:
                return
            try:
                for piece in self._from_offset(response):
                    self._checksum = zlib.crc32(piece, self._checksum)
                    self._offset += len(piece)
                    yield piece
            except _BROKEN as broken:
                stalls = stalls + 1 if self._offset == began else 0
                log.info("reading %s broke at byte %d: %s", self._what, self._offset, type(broken).__name__)
                if stalls >= STALLS:
                    raise TryAgain(f"the connection broke {stalls} times at byte {began} of {self._what}") from broken
            else:
                return

    def close(self) -> None:
        if self._response is not None:
            self._response.close()

    def _from_offset(self, response: requests.Response) -> Iterator[bytes]:
        pieces: Iterator[bytes] = response.raw.stream(PIECE, decode_content=False)
        if self._offset and response.status_code == requests.codes.ok:
            return self._rest(pieces, self._offset)
        return pieces

    def _rest(self, pieces: Iterator[bytes], offset: int) -> Iterator[bytes]:
        """Leave out all before `offset`, and make sure that what was passed on of it has not changed."""
        at, checksum = 0, 0
        for piece in pieces:
            known = piece[max(self._start - at, 0) : max(offset - at, 0)]
            rest = piece[max(offset - at, 0) :]
            checksum = zlib.crc32(known, checksum)
            at += len(piece)
            if at >= offset:
                if checksum != self._checksum:
                    break
                yield rest
                yield from pieces
                return
        if offset > self._start:
            raise TryAgain(f"{self._what} changed while it was read")

    def _open(self) -> requests.Response | None:
        """Ask for the rest of the file; None if there is none."""
        response = self._get(renew=False)
        if self._renews and response.status_code in _DENIED:
            response = self._get(renew=True)
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            return None
        if response.status_code not in (requests.codes.ok, requests.codes.partial_content):
            self._refuse(response)
        etag = response.headers.get("ETag", "")
        if self._etag is None and etag.startswith('"'):
            self._etag = etag
        return response

    def _get(self, *, renew: bool) -> requests.Response:
        self.close()
        # "identity": a compressed body would have other bytes, and other offsets, than the file.
        headers = {"Accept-Encoding": "identity"}
        if self._offset:
            headers["Range"] = f"bytes={self._offset}-"
            if self._etag is not None:
                headers["If-Range"] = self._etag
        try:
            for attempt in stamina.retry_context(on=requests.ConnectionError, attempts=4, timeout=30):
                with attempt:
                    self._response = self._ask(headers, renew=renew)
        except requests.RequestException as unwell:
            raise TryAgain(f"{self._what} cannot be read now: {type(unwell).__name__}") from unwell
        assert self._response is not None  # noqa: S101  the loop ends with a response or an error
        return self._response

    def _refuse(self, response: requests.Response) -> NoReturn:
        code = response.status_code
        if code in UNWELL:
            raise TryAgain(f"{self._what} cannot be read now (HTTP {code})", after=retry_after(response))
        if code in _DENIED:
            raise NeedsPerson(
                f"{self._what} may not be read{', even with a new URL' if self._renews else ''} (HTTP {code})",
                "give the connection's account the right to download artifacts",
            )
        if code in _GONE:
            raise NeedsPerson(
                f"{self._what} is not there, or no more (HTTP {code})", "log the version again if it was deleted"
            )
        raise NeedsPerson(
            f"{self._what} cannot be read (HTTP {code})", "check at the source that the file can be downloaded"
        )


def retry_after(response: requests.Response) -> float | None:
    """Return how many seconds a server wants to be left alone, if it says so in seconds."""
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() else None
