"""
Requests to Cloud Storage without Google's client: one pool of connections, the same credentials.

Google's client spends about 2 ms of CPU on each request, and a round trip on each chunk of a large file. What is
sent once per file goes over this; all else stays with the client.
"""

from __future__ import annotations

import json
import logging
import os
import re
import threading
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies, proxy_bypass

import certifi
import stamina
import urllib3
from google.api_core import exceptions as api
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.transport.urllib3 import Request

from bridge.core.errors import TryAgain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

TIMEOUT = urllib3.Timeout(connect=10, read=60)  # seconds; `read` is also how long a piece may take to be sent
CONNECTIONS = 128  # that are kept open for the next request
ATTEMPTS, PATIENCE = 6, 120  # tries of one request, and seconds for all of them
LONGEST_WAIT = 32  # seconds between two tries, whatever the server asks for

_UNWELL = (408, 429, 500, 502, 503, 504)  # answers that may be others the next time
_SECRET = re.compile(r"upload_id=[^&\s]*")


class Unwell(Exception):
    """The bucket, or the way to it, failed once. What was asked for may have happened. `after` is in seconds."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after


@dataclass(frozen=True, slots=True)
class Answer:
    """Any answer but one that says "later". The body may hold anything, so it is in no message."""

    status: int
    headers: Mapping[str, str]  # names in any case
    body: bytes

    def resource(self) -> dict[str, Any]:
        """Read the JSON of a success. Raises google.api_core's exception for any other status, Unwell for no JSON."""
        if self.status not in (HTTPStatus.OK, HTTPStatus.CREATED):
            raise self.refusal()
        try:
            read = json.loads(self.body)
        except ValueError as torn:
            raise Unwell("its answer is no JSON") from torn
        if not isinstance(read, dict):
            raise Unwell("its answer is no JSON object")
        return read

    def refusal(self) -> Exception:
        """Say what the status means in the words of Google's client, which are translated in one place."""
        known = self.status in HTTPStatus._value2member_map_
        refusal: Exception = api.from_http_status(self.status, HTTPStatus(self.status).phrase if known else "unknown")
        return refusal


class Wire:
    """One origin, many connections. Threads may share it. Redirects are not followed."""

    def __init__(self, origin: str, credentials: Credentials) -> None:
        """Take an origin like "https://storage.googleapis.com", without a path."""
        logging.getLogger("urllib3.connectionpool").addFilter(_hide_sessions)  # adding it twice is adding it once
        self._origin = origin.rstrip("/")
        self._proxy = _proxy(self._origin)
        self._pool = (self._proxy or urllib3.PoolManager(maxsize=CONNECTIONS, **_trusted())).connection_from_url(
            self._origin
        )
        self._credentials = credentials
        self._refreshes = urllib3.PoolManager(**_trusted())
        self._guard = threading.Lock()  # or every thread would refresh the same token

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()
        self._refreshes.clear()
        if self._proxy is not None:
            self._proxy.clear()

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes | Iterable[bytes]) -> Answer:
        """
        Ask once. `target` is path and query; `body` is sent piece by piece, and `headers` say how long it is.

        Raises Unwell, what `body` raises, and google.auth's exceptions.
        """
        sent = dict(headers)
        with self._guard:
            self._credentials.before_request(Request(self._refreshes), method, self._origin + target, sent)
        try:
            response = self._pool.urlopen(method, target, body, sent, retries=False, redirect=False, timeout=TIMEOUT)
        except urllib3.exceptions.HTTPError as broken:
            raise Unwell(type(broken).__name__) from broken
        if response.status in _UNWELL:
            raise Unwell(f"HTTP {response.status}", _seconds(response.headers.get("Retry-After", "")))
        return Answer(response.status, response.headers, response.data)

    def insist(self, method: str, target: str, headers: Mapping[str, str], body: bytes | Sequence[bytes]) -> Answer:
        """Ask until there is an answer, a bounded number of times. Raises TryAgain, and as `ask` does."""
        try:
            for attempt in stamina.retry_context(
                on=_wait, attempts=ATTEMPTS, timeout=PATIENCE, wait_initial=0.5, wait_max=LONGEST_WAIT
            ):
                with attempt:
                    answer = self.ask(method, target, headers, body)
        except Unwell as unwell:
            raise unwell_for_now(unwell) from unwell
        if answer.status == HTTPStatus.UNAUTHORIZED and not isinstance(self._credentials, AnonymousCredentials):
            # A token can be revoked before its time. Google's client asks once more, too.
            with self._guard:
                self._credentials.refresh(Request(self._refreshes))
            try:
                return self.ask(method, target, headers, body)
            except Unwell as unwell:
                raise unwell_for_now(unwell) from unwell
        return answer


def unwell_for_now(unwell: Unwell) -> TryAgain:
    """Say that it is for another time."""
    return TryAgain(f"Google Cloud Storage is unwell ({unwell.reason})", unwell.after)


def _wait(problem: Exception) -> bool | float:
    """Tell stamina whether to try again, and when if the server says so."""
    if not isinstance(problem, Unwell):
        return False
    return True if problem.after is None else min(problem.after, LONGEST_WAIT)


def _seconds(value: str) -> float | None:
    return float(value) if value.isascii() and value.isdigit() else None


def _hide_sessions(record: logging.LogRecord) -> bool:
    """Take the names of upload sessions out of urllib3's lines: whoever has one may write to the bucket."""
    if isinstance(record.args, tuple):
        record.args = tuple(_SECRET.sub("upload_id=…", each) if isinstance(each, str) else each for each in record.args)
    return True


def _trusted() -> dict[str, Any]:
    """Trust whom requests trusts, and so Google's client."""
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or certifi.where()
    return {"ca_certs": bundle}


def _proxy(origin: str) -> urllib3.ProxyManager | None:
    """Return the proxy that the environment names for an origin."""
    parts = urllib3.util.parse_url(origin)
    found = getproxies()
    url = found.get(parts.scheme or "", found.get("all"))
    if url is None or proxy_bypass(parts.host or ""):
        return None
    return urllib3.ProxyManager(url, maxsize=CONNECTIONS, **_trusted())
