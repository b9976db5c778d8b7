"""Bytes of a file from a URL that may expire, over connections that may break. Nothing touches the disk."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import requests
import stamina
import urllib3

from bridge.core.errors import NeedsPerson, TryAgain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)

PIECE = 1 << 20  # bytes that are read at a time
TIMEOUT = (10, 60)  # seconds to connect, and to wait for the next bytes
STALLS = 3  # times that a connection may break before it brought a single byte

_EXPIRED = (401, 403)
_UNWELL = (408, 429, 500, 502, 503, 504)
_BROKEN = (urllib3.exceptions.HTTPError, OSError)


@contextmanager
def open_url(
    session: requests.Session, url: Callable[[bool], str], what: str, start: int = 0
) -> Iterator[Iterator[bytes]]:
    """
    Stream what lies at a URL, from byte `start` on.

    `url(renew)` gives the address, a new one if `renew`; it is asked again when the server says 401 or 403.
    `what` names the file in messages. Raises TryAgain or NeedsPerson.
    """
    stream = _Stream(session, url, what, start)
    try:
        yield stream.pieces()
    finally:
        stream.close()


class _Stream:
    def __init__(self, session: requests.Session, url: Callable[[bool], str], what: str, start: int) -> None:
        self._session = session
        self._url = url
        self._what = what
        self._offset = start
        self._response: requests.Response | None = None

    def pieces(self) -> Iterator[bytes]:
        stalls = 0
        while True:
            began = self._offset
            response = self._open()
            if response is None:
                return
            try:
                for piece in response.raw.stream(PIECE, decode_content=False):
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

    def _open(self) -> requests.Response | None:
        """Ask for the rest of the file; None if there is none."""
        response = self._get(renew=False)
        if response.status_code in _EXPIRED:
            response = self._get(renew=True)
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            return None
        if response.status_code not in (requests.codes.ok, requests.codes.partial_content):
            self._refuse(response)
        if self._offset and response.status_code == requests.codes.ok:
            raise NeedsPerson(
                f"the server of {self._what} ignores ranges, so a broken copy cannot be taken up",
                "report it: the bridge needs a source that serves ranges",
            )
        return response

    def _get(self, *, renew: bool) -> requests.Response:
        self.close()
        url = self._url(renew)
        # "identity": a compressed body would have other bytes, and other offsets, than the file.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={self._offset}-"} if self._offset else {})
        try:
            for attempt in stamina.retry_context(on=requests.ConnectionError, attempts=4, timeout=30):
                with attempt:
                    self._response = self._session.get(
                        url, headers=headers, stream=True, timeout=TIMEOUT, allow_redirects=True
                    )
        except requests.RequestException as unwell:
            raise TryAgain(f"{self._what} cannot be read now: {type(unwell).__name__}") from unwell
        assert self._response is not None  # noqa: S101  the loop ends with a response or an error
        return self._response

    def _refuse(self, response: requests.Response) -> NoReturn:
        code = response.status_code
        if code in _UNWELL:
            raise TryAgain(f"{self._what} cannot be read now (HTTP {code})", after=_retry_after(response))
        if code in _EXPIRED:
            raise NeedsPerson(
                f"{self._what} may not be read, even with a new URL (HTTP {code})",
                "give the connection's account the right to download artifacts",
            )
        raise NeedsPerson(
            f"{self._what} cannot be read (HTTP {code})", "check at the source that the file can be downloaded"
        )


def _retry_after(response: requests.Response) -> float | None:
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() else None
