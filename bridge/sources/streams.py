"""Bytes of a file from a URL that may expire, over connections that may break. Nothing touches the disk."""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn, Protocol
from urllib.parse import urljoin

import requests
import urllib3
import xxhash
from requests.utils import requote_uri

from bridge.core.errors import NeedsPerson, TryAgain
from bridge.net.insisting import UNWELL, insist, retry_after
from bridge.net.lines import Broken
from bridge.sources.leading import led_by_peer, led_by_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from bridge.net.lines import Check, Lines, Reply

log = logging.getLogger(__name__)

PIECE = 1 << 20  # bytes that are read at a time, at most: see benchmarks/README.md
STALLS = 3  # times that a connection may break before it brought a single byte
ATTEMPTS, PATIENCE = 4, 30  # times that a file is asked for, and seconds for all of them
LONGEST_WAIT = 16  # seconds between two of them, whatever the server asks for
REDIRECTS = 5

# Plain numbers: each look at a member of HTTPStatus costs as much as a comparison.
_WHOLE, _PARTIAL, _BEYOND = 200, 206, 416
_DENIED = (401, 403)
_EXPIRED = (*_DENIED, 400)  # of Cloud Storage, of S3 with temporary credentials: "ExpiredToken"
_GONE = (404, 410)
_MOVED = (301, 302, 303, 307, 308)
_BEGIN = re.compile(r"bytes (\d+)-")  # of the header Content-Range
_SPELLED = re.compile(r"[!#-;=?-\[\]_a-z~%]+")


class Answer(Protocol):
    """An answer whose body comes as a stream."""

    status: int
    headers: Mapping[str, str]  # asked for by names in lower case

    def pieces(self, size: int) -> Iterator[bytes]:
        """Read the body in pieces of at most that size. Raises Broken."""
        ...

    def close(self) -> None:
        """Let go of it. Idempotent."""
        ...


class Ask(Protocol):
    """How a file is asked for."""

    def __call__(self, headers: Mapping[str, str], *, renew: bool) -> Answer:
        """
        Ask with these headers; with a new address or ticket if `renew`.

        Any status may be returned. Raises Broken, or a BridgeError, which goes through.
        """
        ...


class Answered:
    """An Answer out of a `requests.Response` that was asked for as a stream."""

    def __init__(self, response: requests.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers

    def pieces(self, size: int) -> Iterator[bytes]:
        """See Answer."""
        try:
            yield from self._response.raw.stream(size, decode_content=False)
        except (urllib3.exceptions.HTTPError, OSError) as broken:
            raise Broken(type(broken).__name__) from broken

    def close(self) -> None:
        """See Answer."""
        self._response.close()


def open_url(
    lines: Lines,
    url: Callable[[bool], str],
    what: str,
    start: int = 0,
    *,
    checked: bool = False,
    source: str | None = None,
) -> AbstractContextManager[Iterator[bytes]]:
    """
    Stream what lies at a URL, from byte `start` on; no credentials go along.

    `url(renew)` gives the address, a new one if `renew`; it is asked again when the server says 400, 401 or 403.
    Redirects are followed, as far as `led_by_peer` lets them. `source` is the URL of who gave the address, if it is not
    ours. `what` names the file in messages; for `checked` see open_stream. Raises TryAgain or NeedsPerson.
    """

    def ask(headers: Mapping[str, str], *, renew: bool) -> Answer:
        address, first = url(renew), ""
        check = led_by_source(source, what) if source else None
        for _ in range(REDIRECTS):
            reply = fetch(lines, address, headers, what, check)
            target = reply.headers.get("location")
            if reply.status not in _MOVED or not target:
                return reply
            reply.close()
            with _spelled(what):
                address, first = urljoin(address, target), first or reply.peer
            check = led_by_peer(first, what)
        raise NeedsPerson(f"{what} cannot be read: its address leads in circles", "look where the source keeps it")

    return open_stream(ask, what, start, checked=checked)


def fetch(lines: Lines, url: str, headers: Mapping[str, str], what: str, check: Check | None = None) -> Reply:
    """Ask for a URL once, as it is. Raises Broken, what `check` raises, and NeedsPerson for what is no URL."""
    with _spelled(what):
        return lines.ask("GET", url if _SPELLED.fullmatch(url) else requote_uri(url), headers, check=check)


@contextmanager
def _spelled(what: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, requests.RequestException) as wrong:
        raise NeedsPerson(f"{what} cannot be read: its address is no URL", "look where the source keeps it") from wrong


@contextmanager
def open_stream(
    ask: Ask, what: str, start: int = 0, *, checked: bool = False, renews: bool = True
) -> Iterator[Iterator[bytes]]:
    """
    Stream what `ask` is answered, from byte `start` on; without `renews`, 401 and 403 are believed at once.

    Say that it is `checked` if all of it is compared with a digest in the end. What is not, and has no strong ETag
    either, is asked for whole after a break, as nobody would notice that its rest is another file's.

    Where ranges are ignored or not asked for, the new answer is read from its beginning and what was passed on before
    is left out, once its checksum has shown that it is the same. Raises TryAgain or NeedsPerson.
    """
    stream = _Stream(ask, what, start, checked=checked, renews=renews)
    try:
        yield stream.pieces()
    finally:
        stream.close()


class _Unwell(Exception):
    """The server says that another time may be better."""

    def __init__(self, status: int, after: float | None) -> None:
        super().__init__(status)
        self.status = status
        self.after = after


class _Stream:
    def __init__(self, ask: Ask, what: str, start: int, *, checked: bool, renews: bool) -> None:
        self._ask = ask
        self._what = what
        self._checked = checked
        self._renews = renews
        self._start = start
        self._offset = start  # of the next byte to pass on
        self._passed = xxhash.xxh3_64()  # over the bytes from `start` to `offset`; the fastest there is
        self._etag: str | None = None  # of the first answer; strong, so it stands for the very bytes
        self._answer: Answer | None = None

    def pieces(self) -> Iterator[bytes]:
        stalls = 0
        while True:
            began = self._offset
            answer = self._open()
            if answer is None:
                return
            try:
                for piece in self._from_offset(answer):
                    self._passed.update(piece)
                    self._offset += len(piece)
                    yield piece
            except Broken as broken:
                stalls = stalls + 1 if self._offset == began else 0
                log.info("reading %s broke at byte %d: %s", self._what, self._offset, broken)
                if stalls >= STALLS:
                    raise TryAgain(f"the connection broke {stalls} times at byte {began} of {self._what}") from broken
            else:
                return

    def close(self) -> None:
        if self._answer is not None:
            self._answer.close()

    def _from_offset(self, answer: Answer) -> Iterator[bytes]:
        pieces = answer.pieces(PIECE)
        if self._offset and answer.status == _WHOLE:
            return self._rest(pieces, self._offset)
        return pieces

    def _rest(self, pieces: Iterator[bytes], offset: int) -> Iterator[bytes]:
        """Leave out all before `offset`, and make sure that what was passed on of it has not changed."""
        at, known = 0, xxhash.xxh3_64()
        for piece in pieces:
            known.update(piece[max(self._start - at, 0) : max(offset - at, 0)])
            rest = piece[max(offset - at, 0) :]
            at += len(piece)
            if at >= offset:
                if known.digest() != self._passed.digest():
                    break
                yield rest
                yield from pieces
                return
        if offset > self._start:
            raise TryAgain(f"{self._what} changed while it was read")

    def _open(self) -> Answer | None:
        """Ask for the rest of the file; None if there is none."""
        answer = self._get(renew=False)
        if self._renews and answer.status in _EXPIRED:
            answer = self._get(renew=True)
        if answer.status == _BEYOND:
            return None
        if answer.status not in (_WHOLE, _PARTIAL):
            self._refuse(answer.status)
        begin = _BEGIN.match(answer.headers.get("content-range", ""))
        if answer.status == _PARTIAL and begin and int(begin[1]) != self._offset:
            # Without a digest nobody would notice.
            raise TryAgain(f"{self._what} cannot be read now: from byte {self._offset} was asked for, not {begin[1]}")
        etag = answer.headers.get("etag", "")
        if self._etag is None and etag.startswith('"'):
            self._etag = etag
        if answer.status == _PARTIAL and etag and self._etag not in (None, etag):
            raise TryAgain(f"{self._what} changed while it was read")  # some servers do not know If-Range
        return answer

    def _get(self, *, renew: bool) -> Answer:
        # "identity": a compressed body would have other bytes, and other offsets, than the file.
        headers = {"Accept-Encoding": "identity"}
        is_first = self._offset == self._start
        if self._offset and (is_first or self._checked or self._etag is not None):
            headers["Range"] = f"bytes={self._offset}-"
            if self._etag is not None:
                headers["If-Range"] = self._etag
        try:
            return insist(
                lambda: self._ask_once(headers, renew=renew),
                _wait_for,
                attempts=ATTEMPTS,
                patience=PATIENCE,
                pause=0.2,
            )
        except Broken as broken:
            raise TryAgain(f"{self._what} cannot be read now: {broken}") from broken
        except _Unwell as unwell:
            raise TryAgain(f"{self._what} cannot be read now (HTTP {unwell.status})", after=unwell.after) from unwell

    def _ask_once(self, headers: Mapping[str, str], *, renew: bool) -> Answer:
        self.close()
        self._answer = self._ask(headers, renew=renew)
        if self._answer.status in UNWELL:
            raise _Unwell(self._answer.status, retry_after(self._answer.headers))
        return self._answer

    def _refuse(self, code: int) -> NoReturn:
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


def _wait_for(problem: Exception) -> bool | float:
    """Tell whether to ask again, and when if the server says so."""
    if isinstance(problem, _Unwell) and problem.after is not None:
        return min(problem.after, LONGEST_WAIT)
    return isinstance(problem, Broken | _Unwell)
