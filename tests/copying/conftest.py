"""A bucket in the stand-in, folders that nobody else uses, and faults at its front door."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import requests
from google.api_core.retry import retry_base, retry_unary

from bridge.copying.budget import Budget
from bridge.copying.gcs import GcsStorage
from bridge.core.limits import UNLIMITED
from bridge.sandbox.address import BUCKET, PROJECT
from bridge.testing.clock import FakeClock
from bridge.testing.store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.core.ports import Limit, Uploads
    from bridge.core.settings import CopySettings
    from bridge.sandbox.world import World

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_numbers = count(1)


@dataclass(frozen=True)
class Bucket:
    """The stand-in's bucket as somebody else sees it, without our code."""

    url: str

    def write(self, uri: str, content: bytes, **parameters: str) -> None:
        asked = {"uploadType": "media", "name": uri.removeprefix(f"gs://{BUCKET}/"), **parameters}
        answer = requests.post(f"{self.url}/upload/storage/v1/b/{BUCKET}/o", content, params=asked, timeout=10)
        answer.raise_for_status()

    def delete(self, uri: str) -> None:
        name = quote(uri.removeprefix(f"gs://{BUCKET}/"), safe="")
        requests.delete(f"{self.url}/storage/v1/b/{BUCKET}/o/{name}", timeout=10).raise_for_status()

    def read(self, uri: str) -> bytes:
        name = quote(uri.removeprefix(f"gs://{BUCKET}/"), safe="")
        answer = requests.get(f"{self.url}/storage/v1/b/{BUCKET}/o/{name}", {"alt": "media"}, timeout=10)
        answer.raise_for_status()
        return answer.content


@dataclass
class Arrived:
    """One request, and how many bytes have come along with it."""

    method: str
    query: str
    size: int = 0


class Faults:
    """Stands at the server's front door. `next_answers` are sent instead of its own to those requests that fit."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self._pass_on = world.gcs.front.before_answer
        self._status: int | None = None
        self._body = b""
        self._headers: dict[str, str] = {}
        self._left = 0
        self._fits = ("", "")
        self._late = False
        self._flips = False
        self._meanwhile: Callable[[], object] | None = None
        self._meanwhile_fits = ("", "")
        self.seen: list[str] = []  # the methods of all requests
        self.arrived: list[Arrived] = []
        monkeypatch.setattr(world.gcs.front, "before_answer", self._before_answer)

    def answer(
        self,
        status: int,
        *,
        times: int = 1 << 30,
        method: str = "",
        query: str = "",
        body: bytes = b"",
        **headers: str,
    ) -> None:
        """Answer the next requests by a status, without telling the server of them."""
        self._body = body
        self._status, self._left, self._fits, self._late = status, times, (method, query), False
        self._headers = headers

    def lose_answer(self, *, method: str = "", query: str = "") -> None:
        """Let the server do what the next request asks, and answer 503."""
        self.answer(503, times=1, method=method, query=query)
        self._late = True

    def meanwhile(self, act: Callable[[], object], *, method: str, query: str) -> None:
        """Have somebody else act just before the next request that fits is worked on."""
        self._meanwhile, self._meanwhile_fits = act, (method, query)

    def flip_bodies_of_chunks(self) -> None:
        """Change the first byte of each part of a chunk that comes from now on."""
        self._flips = True

    async def _before_answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, query = scope["method"], scope["query_string"].decode()
        self.seen.append(method)
        act = self._meanwhile
        if act is not None and method == self._meanwhile_fits[0] and self._meanwhile_fits[1] in query:
            self._meanwhile = None
            await asyncio.to_thread(act)
        receive = self._counted(receive, method, query)
        fits = self._fits[0] in ("", method) and self._fits[1] in query
        if self._status is None or not fits or self._left <= 0:
            await self._pass_on(scope, self._flipped(receive) if self._flips and method == "PUT" else receive, send)
            return
        self._left -= 1
        if self._late:
            await self._pass_on(scope, receive, _nowhere)
        else:
            while (await receive()).get("more_body"):
                pass
        headers = [(name.lower().encode(), value.encode()) for name, value in self._headers.items()]
        headers += [(b"content-length", str(len(self._body)).encode())]
        await send({"type": "http.response.start", "status": self._status, "headers": headers})
        await send({"type": "http.response.body", "body": self._body})

    def _counted(self, receive: Receive, method: str, query: str) -> Receive:
        arrived = Arrived(method, query)
        self.arrived.append(arrived)

        async def counted() -> MutableMapping[str, Any]:
            message = await receive()
            arrived.size += len(message.get("body") or b"")
            return message

        return counted

    def _flipped(self, receive: Receive) -> Receive:
        async def flipped() -> MutableMapping[str, Any]:
            message = await receive()
            body = message.get("body") or b""
            return {**message, "body": bytes([body[0] ^ 1]) + body[1:]} if body else message

        return flipped


async def _nowhere(_: MutableMapping[str, Any]) -> None:
    """Send nothing."""


class _PassingTime:
    """The vendor's retries wait for minutes; here their time passes at once."""

    def __init__(self) -> None:
        self._now = 0.0

    def monotonic(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += seconds


@pytest.fixture(autouse=True)
def _google_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    passing = _PassingTime()
    for module in (retry_unary, retry_base):
        monkeypatch.setattr(module, "time", passing)
    monkeypatch.setenv("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")


def bucket_at(
    url: str | None = None,
    uploads: Uploads | None = None,
    settings: CopySettings | None = None,
    clock: FakeClock | None = None,
    limit: Limit = UNLIMITED,
    *,
    budget: Budget | None = None,
) -> GcsStorage:
    """Make what stores files at a URL, with everything else in memory."""
    clock, uploads = clock or FakeClock(), uploads or MemoryStore()
    budget = budget or Budget(clock, settings)
    return GcsStorage(PROJECT, url, clock=clock, uploads=uploads, budget=budget, limit=limit)


@pytest.fixture
def storage(world: World) -> Iterator[GcsStorage]:
    with closing(bucket_at(world.gcs.url)) as opened:
        yield opened


@pytest.fixture
def folder() -> str:
    return f"gs://{BUCKET}/copying/{next(_numbers)}/"


@pytest.fixture
def bucket(world: World) -> Bucket:
    return Bucket(world.gcs.url)


@pytest.fixture
def faults(world: World, monkeypatch: pytest.MonkeyPatch) -> Faults:
    return Faults(world, monkeypatch)
