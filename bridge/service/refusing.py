"""What is not done over HTTP, as JSON: `{"error": what was refused and why, "remedy": what to do}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from bridge.core.errors import BridgeError, NeedsPerson, TryAgain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI, Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST = 1 << 20  # bytes of a body

_OTHERWISE = {
    413: (f"the body is larger than {LARGEST} bytes", "send less; no request needs that much"),
    404: ("there is nothing at this path", "see what there is at /docs"),
    405: ("this path is not asked that way", "see how at /docs"),
}


class Refused(Exception):
    """A request that is not carried out."""

    def __init__(self, status: int, error: str, remedy: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{error}; {remedy}")
        self.answer = JSONResponse({"error": error, "remedy": remedy}, status, headers)


def speak_plainly(app: FastAPI) -> None:
    """Have an app answer all errors that way, and read no body that is too large."""

    @app.exception_handler(Refused)
    def refused(_: Request, problem: Refused) -> JSONResponse:
        return problem.answer

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, problem: RequestValidationError) -> JSONResponse:
        return Refused(422, "; ".join(map(_spelled, problem.errors())), "see what it takes at /docs").answer

    @app.exception_handler(HTTPException)
    def otherwise(_: Request, problem: HTTPException) -> JSONResponse:
        error, remedy = _OTHERWISE.get(problem.status_code, (problem.detail, "see how to ask at /docs"))
        return Refused(problem.status_code, error, remedy, problem.headers).answer

    @app.exception_handler(BridgeError)
    def unwell(_: Request, problem: BridgeError) -> JSONResponse:
        reason = problem.reason if isinstance(problem, NeedsPerson | TryAgain) else str(problem)
        return Refused(503, reason, problem.remedy if isinstance(problem, NeedsPerson) else "ask again later").answer

    app.add_middleware(BoundedBodies)


class BoundedBodies:
    """Reads no more of a body than LARGEST, whatever its sender says; hooks see to that themselves."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http" or scope["path"].startswith("/hooks/"):
            await self._app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if length.isdigit() and int(length) > LARGEST:
            await Refused(413, *_OTHERWISE[413]).answer(scope, receive, send)
            return
        read = 0

        async def bounded() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > LARGEST:
                raise HTTPException(413)  # FastAPI lets this one through while it reads a body, and no other
            return message

        await self._app(scope, bounded, send)


def _spelled(error: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in error["loc"])
    return f"{where}: {error['msg']}".replace("Value error, ", "")
