"""
Requests to Cloud Storage without Google's client: the same credentials, over connections of our own.

Google's client spends about 2 ms of CPU on each request, and a round trip on each chunk of a large file. What is
sent once per file goes over this; all else stays with the client.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import requests
from google.api_core import exceptions as api
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.transport.requests import Request

from bridge.copying.gcs.client import RATES, reasons
from bridge.core.limits import UNLIMITED
from bridge.net.addresses import parts_of
from bridge.net.insisting import UNWELL, insist, retry_after
from bridge.net.lines import Broken, Lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bridge.copying.pace import Pace
    from bridge.core.ports import Limit

ATTEMPTS, PATIENCE = 6, 120  # tries of one request, and seconds for all of them
LONGEST_WAIT = 32  # seconds between two tries, whatever the server asks for

# Plain numbers: each look at a member of HTTPStatus costs as much as a comparison.
_BUSY, _FORBIDDEN = (429, 503), 403
_DONE = (200, 201)


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
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    def resource(self) -> dict[str, Any]:
        """Read the JSON of a success. Raises google.api_core's exception for any other status, Unwell for no JSON."""
        if self.status not in _DONE:
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
        phrase = HTTPStatus(self.status).phrase if known else "unknown"
        refusal: Exception = api.from_http_status(self.status, phrase, errors=[{"reason": why} for why in self.reasons])
        return refusal

    @property
    def reasons(self) -> set[str]:
        """The service's own words for a refusal."""
        return reasons(self.body.decode(errors="replace"))


@dataclass(frozen=True, slots=True)
class Paced:
    """The budget of Google's client, whose refusals slow down files that are copied inside the bucket, too."""

    limit: Limit
    pace: Pace

    def take(self) -> None:
        """Return when one more request may be made."""
        self.limit.take()

    def slow(self, after: float | None = None) -> None:
        """Have all who take from it ask less often."""
        self.limit.slow(after)

    def answered(self, status: int | None) -> None:
        """Learn how one request was answered."""
        self.limit.answered(status)
        if status in _BUSY:
            self.pace.refused()


class Wire:
    """One origin, many connections. Threads may share it. Redirects are not followed."""

    def __init__(
        self,
        origin: str,
        credentials: Credentials,
        pace: Pace,
        lines: Lines,
        limit: Limit = UNLIMITED,
    ) -> None:
        """
        Take an origin like "https://storage.googleapis.com", without a path.

        `lines` may be shared with others: `close` closes those of them that nobody uses. `pace` learns when it is too
        busy. `limit` learns every status, and is never told to slow down: it would halve once for each file on its way,
        of which a busy bucket may refuse all.
        """
        self._limit = limit
        self._origin = origin.rstrip("/")
        self._at, _ = parts_of(origin)
        self._lines = lines
        self._pace = pace
        self._credentials = credentials
        self._session = requests.Session()  # tokens are asked for as Google's client does it
        self._refresh = Request(self._session)
        self._guard = threading.Lock()  # or every thread would refresh the same token

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self._lines.close()
        self._session.close()

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: Iterable[bytes] = ()) -> Answer:
        """
        Ask once. `target` is path and query; `body` is sent piece by piece, and `headers` say how long it is.

        Raises Unwell, what `body` raises, and google.auth's exceptions.
        """
        self._limit.take()
        sent = dict(headers)
        with self._guard:
            self._credentials.before_request(self._refresh, method, self._origin + target, sent)
        try:
            reply = self._lines.ask_at(method, self._at, target, sent, body)
            answer = Answer(reply.status, reply.headers, reply.read())
        except Broken as broken:
            self._limit.answered(None)
            raise Unwell(str(broken)) from broken
        self._limit.answered(answer.status)
        is_busy = answer.status in _BUSY or (answer.status == _FORBIDDEN and not RATES.isdisjoint(answer.reasons))
        if is_busy:
            self._pace.refused()
        if is_busy or answer.status in UNWELL:
            raise Unwell(f"HTTP {answer.status}", retry_after(answer.headers))
        return answer

    def insist(self, method: str, target: str, headers: Mapping[str, str], body: tuple[bytes, ...] = ()) -> Answer:
        """Ask until there is an answer, a bounded number of times. Raises as `ask` does, at last."""
        answer = insist(
            lambda: self.ask(method, target, headers, body),
            wait_for,
            attempts=ATTEMPTS,
            patience=PATIENCE,
            pause=0.5,
        )
        if answer.status == HTTPStatus.UNAUTHORIZED and not isinstance(self._credentials, AnonymousCredentials):
            # A token can be revoked before its time. Google's client asks once more, too.
            with self._guard:
                self._credentials.refresh(self._refresh)
            return self.ask(method, target, headers, body)
        return answer


def wait_for(problem: Exception) -> bool | float:
    """Tell whether to ask again, and when if the bucket says so."""
    if not isinstance(problem, Unwell):
        return False
    return True if problem.after is None else min(problem.after, LONGEST_WAIT)
