"""
Webhooks: W&B and MLflow say that something has changed, and are believed no more than that.

    request                                                answer
    genuine, of a collection that a mapping may follow     202; it is looked at soon
    genuine, of any other, or delivered before             202; nothing happens
    genuine, and its body is not what webhooks say         400
    not signed as the connection asks, or signed long ago  401
    to a connection that takes no webhooks of that kind    404, after the same work
    slower than ten seconds                                408
    longer than 1 MiB                                      413; the rest is read and thrown away, up to 32 MiB
    genuine, and one of too many                           429; when to try again

Before the answer nobody is asked and nothing is written. What is looked at is what a mapping selects, whatever a
request says.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, NamedTuple

from fastapi import APIRouter, Request, status
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from bridge.core import webhooks
from bridge.service.allowance import Allowance
from bridge.service.once import Once

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge.core.ports import Clock

log = logging.getLogger(__name__)

Kind = Literal["wandb", "mlflow"]

MOST_BYTES = 1 << 20
MOST_IN_VAIN = 32 << 20  # bytes read of what is too long, so that its sender hears the answer
READ_WITHIN = 10.0  # seconds
LONGEST_NAME = 1024  # characters; neither source has longer ones


class Heard(StrEnum):
    """What became of a webhook."""

    HEEDED = "heeded"
    UNKNOWN = "unknown"  # no mapping follows what it is about
    REPEATED = "repeated"
    MALFORMED = "malformed"
    FORGED = "forged"
    STALE = "stale"
    TOO_LONG = "too_long"
    TOO_SLOW = "too_slow"
    TOO_MANY = "too_many"


_STATUS = {
    Heard.HEEDED: status.HTTP_202_ACCEPTED,
    Heard.UNKNOWN: status.HTTP_202_ACCEPTED,
    Heard.REPEATED: status.HTTP_202_ACCEPTED,
    Heard.MALFORMED: status.HTTP_400_BAD_REQUEST,
    Heard.FORGED: status.HTTP_401_UNAUTHORIZED,
    Heard.STALE: status.HTTP_401_UNAUTHORIZED,
    Heard.TOO_LONG: 413,
    Heard.TOO_SLOW: status.HTTP_408_REQUEST_TIMEOUT,
    Heard.TOO_MANY: status.HTTP_429_TOO_MANY_REQUESTS,
}
_WHY = {
    Heard.HEEDED: "it will be looked at",
    Heard.UNKNOWN: "no mapping of this connection follows it",
    Heard.REPEATED: "this delivery was heard before",
    Heard.MALFORMED: "the body is not what a webhook of this kind says: a JSON object that names a model",
    Heard.FORGED: "it does not show what 'webhook' of this connection asks for in bridge.yaml: a token, or a signature",
    Heard.STALE: "it was signed more than 300 s ago, or in the future; check both clocks",
    Heard.TOO_LONG: "a webhook has at most 1 MiB",
    Heard.TOO_SLOW: "it took more than 10 s to arrive",
    Heard.TOO_MANY: "too many webhooks of this connection; models are looked at by and by all the same",
}


@dataclass(frozen=True, slots=True)
class Door:
    """How a connection takes webhooks, and what one of them sets off; neither call waits for anything."""

    kind: Kind
    token: str | None
    secret: str | None
    selected: Callable[[str], bool]  # whether a mapping may follow a collection of that name
    give: Callable[[str | None], str]  # has a collection looked at, or all of them if None; returns the look's id


_NOBODY = Door("wandb", "nobody knows this", "nor this", lambda _name: False, lambda _name: "")


class Word(NamedTuple):
    """What a webhook gets for an answer."""

    heard: Heard
    wait: float | None = None  # seconds until it may come again
    id: str | None = None  # which the log has of all that comes of it


class Hooks:
    """The doors of the configuration in force, and what came through them. Safe from several threads."""

    def __init__(self, clock: Clock, patience: float = READ_WITHIN) -> None:
        self._clock = clock
        self._patience = patience
        self._lock = threading.Lock()
        self._doors: Mapping[str, Door] = {}
        self._allowances: dict[str, Allowance] = {}
        self._delivered = Once(clock, 2 * webhooks.FRESH)
        self._heard: Counter[tuple[str, Heard]] = Counter()
        self._told: set[tuple[str, Heard]] = set()
        self.router = APIRouter(prefix="/hooks", tags=["hooks"])
        # The answers are made here, so that FastAPI neither reads nor judges a body.
        self.router.add_api_route("/wandb/{connection}", self._wandb, methods=["POST"], status_code=202)
        self.router.add_api_route("/mlflow/{connection}", self._mlflow, methods=["POST"], status_code=202)

    def open(self, doors: Mapping[str, Door]) -> None:
        """Take webhooks of these connections, and of no others any more."""
        with self._lock:
            self._doors = dict(doors)
            self._allowances = {name: self._allowances.get(name) or Allowance(self._clock) for name in doors}

    @property
    def heard(self) -> dict[tuple[str, Heard], int]:
        """How many webhooks each connection had, by what became of them."""
        with self._lock:
            return dict(self._heard)

    async def _wandb(self, connection: str, request: Request) -> JSONResponse:
        """Take a webhook of one of W&B's automations."""
        return await self._take("wandb", connection, request)

    async def _mlflow(self, connection: str, request: Request) -> JSONResponse:
        """Take a webhook of an MLflow server."""
        return await self._take("mlflow", connection, request)

    async def _take(self, kind: Kind, connection: str, request: Request) -> JSONResponse:
        try:
            async with asyncio.timeout(self._patience):
                body = await _body(request)
        except (TimeoutError, ClientDisconnect):  # the answer to the second reaches nobody
            return self._answer(connection, Word(Heard.TOO_SLOW))
        if body is None:
            return self._answer(connection, Word(Heard.TOO_LONG))
        with self._lock:
            door = self._doors.get(connection)
        headers = request.headers
        if door is None or door.kind != kind:
            self._is_genuine(kind, _NOBODY, headers, body)
            return JSONResponse({"detail": "no connection takes webhooks here"}, status.HTTP_404_NOT_FOUND)
        if not self._is_genuine(kind, door, headers, body):
            return self._answer(connection, Word(Heard.FORGED))
        return self._answer(connection, self._heed(connection, door, headers, body))

    def _is_genuine(self, kind: Kind, door: Door, headers: Mapping[str, str], body: bytes) -> bool:
        if kind == "wandb":
            return webhooks.is_of_wandb(headers, body, token=door.token, secret=door.secret)
        return webhooks.is_of_mlflow(headers, body, secret=door.secret or "") and door.secret is not None

    def _heed(self, connection: str, door: Door, headers: Mapping[str, str], body: bytes) -> Word:
        delivery = None
        if door.kind == "mlflow":
            delivery = f"{connection} {headers.get(webhooks.DELIVERY, '')}"
            if not webhooks.is_fresh(headers.get(webhooks.TIMESTAMP), self._clock.now()):
                return Word(Heard.STALE)
            if delivery in self._delivered:
                return Word(Heard.REPEATED)
        with self._lock:
            allowance = self._allowances.get(connection)
            wait = allowance.take() if allowance is not None else None
        if wait is not None:
            return Word(Heard.TOO_MANY, wait)
        if delivery is not None:
            self._delivered.add(delivery)
        try:
            name = (_name_of_wandb if door.kind == "wandb" else _name_of_mlflow)(body)
        except (ValueError, RecursionError):
            return Word(Heard.MALFORMED)
        if name is not None and not (len(name) <= LONGEST_NAME and name.isprintable() and door.selected(name)):
            return Word(Heard.UNKNOWN)
        return Word(Heard.HEEDED, id=door.give(name))

    def _answer(self, connection: str, word: Word) -> JSONResponse:
        heard = word.heard
        with self._lock:
            if connection in self._doors:  # others would fill the memory
                self._heard[connection, heard] += 1
                self._tell(connection, heard)
        headers = {"Retry-After": str(int(word.wait) + 1)} if word.wait is not None else {}
        if heard is Heard.FORGED:
            headers["WWW-Authenticate"] = "Bearer"
        said = {"heard": heard, "detail": _WHY[heard]} | ({"id": word.id} if word.id is not None else {})
        return JSONResponse(said, _STATUS[heard], headers)

    def _tell(self, connection: str, heard: Heard) -> None:
        """Say what is refused, each kind once until something is heeded: whoever forges writes no log of ours."""
        if heard is Heard.HEEDED:
            self._told -= {(connection, each) for each in Heard}
        elif _STATUS[heard] != status.HTTP_202_ACCEPTED and (connection, heard) not in self._told:
            self._told.add((connection, heard))
            log.warning("a webhook of connection %s is refused (%s): %s", connection, _STATUS[heard], _WHY[heard])


async def _body(request: Request) -> bytes | None:
    """Read what was sent; None if it is too long."""
    kept = bytearray()
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > MOST_IN_VAIN:
            return None
        if size <= MOST_BYTES:
            kept += piece
    return bytes(kept) if size <= MOST_BYTES else None


def _name_of_wandb(body: bytes) -> str | None:
    """Return the collection, as our own payload names it; None if a payload of somebody else names none."""
    name = _object(json.loads(body)).get("collection")
    if name is not None and not isinstance(name, str):
        raise ValueError("a collection's name is a text")
    return name or None


def _name_of_mlflow(body: bytes) -> str:
    """Return the registered model."""
    name = _object(_object(json.loads(body)).get("data")).get("name")
    if not isinstance(name, str):
        raise ValueError("a model's name is a text")  # noqa: TRY004  what a caller catches
    return name


def _object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004  the same
    return value
