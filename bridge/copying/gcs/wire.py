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

import requests
import stamina
import urllib3
from google.api_core import exceptions as api
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.transport.requests import Request
from requests.utils import DEFAULT_CA_BUNDLE_PATH

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
        self._http = _manager(self._origin)
        self._credentials = credentials
        self._session = requests.Session()  # tokens are asked for as Google's client does it
        self._refresh = Request(self._session)
        self._guard = threading.Lock()  # or every thread would refresh the same token

    def close(self) -> None:
        """Close all connections."""
        self._http.clear()
        self._session.close()

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes | Iterable[bytes]) -> Answer:
        """
        Ask once. `target` is path and query; `body` is sent piece by piece, and `headers` say how long it is.

        Raises Unwell, what `body` raises, and google.auth's exceptions.
        """
        sent = dict(headers)
        with self._guard:
            self._credentials.before_request(self._refresh, method, self._origin + target, sent)
        try:
            response = self._http.urlopen(
                method,
                self._origin + target,
                redirect=False,
                body=body,
                headers=sent,
                retries=False,
                timeout=TIMEOUT,
            )
        except urllib3.exceptions.HTTPError as broken:
            raise Unwell(type(broken).__name__) from broken
        if response.status in _UNWELL:
            raise Unwell(f"HTTP {response.status}", _seconds(response.headers.get("Retry-After", "")))
        return Answer(response.status, response.headers, response.data)

    def insist(self, method: str, target: str, headers: Mapping[str, str], body: bytes | Sequence[bytes]) -> Answer:
        """Ask until there is an answer, a bounded number of times. Raises as `ask` does, at last."""
        for attempt in stamina.retry_context(
            on=wait_for, attempts=ATTEMPTS, timeout=PATIENCE, wait_initial=0.5, wait_max=LONGEST_WAIT
        ):
            with attempt:
                answer = self.ask(method, target, headers, body)
        if answer.status == HTTPStatus.UNAUTHORIZED and not isinstance(self._credentials, AnonymousCredentials):
            # A token can be revoked before its time. Google's client asks once more, too.
            with self._guard:
                self._credentials.refresh(self._refresh)
            return self.ask(method, target, headers, body)
        return answer


def wait_for(problem: Exception) -> bool | float:
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


def _manager(origin: str) -> urllib3.PoolManager:
    """Go through the proxy that the environment names, and trust whom requests trusts: so does Google's client."""
    how: dict[str, Any] = {
        "maxsize": CONNECTIONS,
        "ca_certs": os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or DEFAULT_CA_BUNDLE_PATH,
    }
    parts, proxies = urllib3.util.parse_url(origin), getproxies()
    proxy = proxies.get(parts.scheme or "", proxies.get("all"))
    if not proxy or proxy_bypass(parts.netloc or ""):
        return urllib3.PoolManager(**how)
    return urllib3.ProxyManager(proxy, **how)
