"""Carries out, on the wire, the faults that struck an HTTP request."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from bridge.sandbox.answers import Answers
from bridge.sandbox.faults import Struck
from bridge.sandbox.traffic import Exchange, exchange

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from bridge.sandbox.faults import Fault

TRANSPORT = "bridge.transport"  # in a scope's extensions: the asyncio transport of the connection
DRIPS = 8  # pieces of a slow answer
REMEMBERED = 32  # questions whose last two answers are kept, for stale_list
LONGEST_REMEMBERED = 1 << 20  # bytes of such an answer


class FaultyApp:
    """An ASGI app whose requests may go wrong, as Traffic.note says of each while it is worked on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._answers: Answers[list[Message]] = Answers(REMEMBERED)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the app answer; keep its answer back until it is known whether it is to be spoiled."""
        under_way = Exchange()
        token = exchange.set(under_way)
        wire = _Wire(scope, receive, send, under_way)
        try:
            await self._app(scope, wire.receive, wire.send)
        except Struck:
            pass
        except Exception:
            if under_way.fault is None:
                raise
        finally:
            exchange.reset(token)
        fault = under_way.fault
        if fault is None:
            if wire.kept and wire.kept_bytes <= LONGEST_REMEMBERED:
                self._answers.remember(wire.question, wire.kept)
        elif fault.kind == "stale_list":
            await wire.replay(self._answers.older(wire.question, wire.kept))
        else:
            await wire.spoil(fault)


class _Wire:
    """One request's way to its client. Messages go straight through until a fault has struck."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, under_way: Exchange) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._under_way = under_way
        self._asked = bytearray()
        self._is_cut = False  # half of the upload was handed on, and no more will be
        self.kept: list[Message] = []
        self.kept_bytes = 0

    @property
    def question(self) -> tuple[str, bytes]:
        """What was asked: method, path and query; body."""
        path = self._scope.get("raw_path", b"") + b"?" + self._scope.get("query_string", b"")
        return f"{self._scope.get('method')} {path.decode('latin-1')}", bytes(self._asked)

    async def receive(self) -> Message:
        """Hand on what the client sends; half of its first piece and then no more, if that is the fault."""
        if self._is_cut:
            return {"type": "http.disconnect"}
        message = await self._receive()
        body: bytes = message.get("body", b"")
        if len(self._asked) + len(body) <= LONGEST_REMEMBERED:
            self._asked += body
        fault = self._under_way.fault
        if fault is not None and fault.kind == "half_body" and body:
            self._is_cut = True
            return {"type": "http.request", "body": body[: len(body) // 2], "more_body": True}
        return message

    async def send(self, message: Message) -> None:
        """Send a message of the app's, or keep it for `spoil` if a fault has struck."""
        self.kept_bytes += len(message.get("body", b""))
        if self._under_way.fault is not None:
            self.kept.append(message)
            return
        if self.kept_bytes <= LONGEST_REMEMBERED:
            self.kept.append(message)
        await self._send(message)

    async def replay(self, messages: list[Message]) -> None:
        """Send messages that were kept."""
        for message in messages:
            await self._send(message)

    async def spoil(self, fault: Fault) -> None:
        """Answer as the fault has it."""
        match fault.kind:
            case "status":
                await self._answer(fault.status, fault.retry_after)
            case "expired_url":
                await self._answer(403)
            case "timeout_before" | "timeout_after":
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._gone(), fault.seconds)
                await self._break()
            case "reset":
                await self._break()
            case "half_body":
                await self._half()
            case "corrupt_byte":
                await self.replay(_corrupted(self.kept))
            case "slow":
                await self._drip(fault.seconds)
            case _:  # the service itself has done it
                await self.replay(self.kept)

    async def _answer(self, status: int, retry_after: int | None = None) -> None:
        body = json.dumps({"error": {"code": status, "message": "the sandbox was told to fail here"}}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        if retry_after is not None:
            headers.append((b"retry-after", str(retry_after).encode()))
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    async def _half(self) -> None:
        """Send half of the answer, if it is not the upload that was cut, and break off."""
        if not self._is_cut:
            for message in self.kept:
                body: bytes = message.get("body", b"")
                more = message["type"] == "http.response.body"
                await self._send({**message, "body": body[: len(body) // 2], "more_body": True} if more else message)
                if body:
                    break
        await self._break()

    async def _drip(self, seconds: float) -> None:
        for message in self.kept:
            body: bytes = message.get("body", b"")
            step = len(body) // DRIPS + 1
            for at in range(0, len(body), step):
                await self._send({"type": "http.response.body", "body": body[at : at + step], "more_body": True})
                await asyncio.sleep(seconds)
            await self._send({**message, "body": b""} if body else message)

    async def _break(self) -> None:
        """Break the connection, without an answer; a part of a batch has none of its own, and gets a 503."""
        transport: Any = self._scope.get("extensions", {}).get(TRANSPORT)
        if transport is None:
            await self._answer(503)
            return
        transport.abort()
        await self._gone()

    async def _gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


def _corrupted(messages: list[Message]) -> list[Message]:
    """Flip the lowest bit of the middle byte of the first piece that has one."""
    spoiled = list(messages)
    for index, message in enumerate(spoiled):
        if body := bytearray(message.get("body", b"")):
            body[len(body) // 2] ^= 1
            spoiled[index] = {**message, "body": bytes(body)}
            break
    return spoiled
