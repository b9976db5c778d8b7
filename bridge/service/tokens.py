"""
Who may ask over HTTP.

A token is 32 random bytes, shown once. The store keeps its SHA-256: there is nothing to guess, so neither salt nor a
slow digest would add anything. This machine itself needs no token, as long as the service listens to nobody else.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING

from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from bridge.config.addresses import is_loopback
from bridge.core.errors import NeedsPerson
from bridge.core.records import Scope, Token
from bridge.service.refusing import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from datetime import datetime
    from typing import Any

    from fastapi import Request
    from starlette.responses import Response

    from bridge.core.ports import Tokens

PREFIX = "bridge_"  # by which scanners of repositories and logs know one
LOCAL = "somebody on this machine"


def issue(tokens: Tokens, name: str, scope: Scope, at: datetime) -> str:
    """Make a token and remember its digest; return it, for nobody can tell it again. Raises NeedsPerson."""
    text = f"{PREFIX}{secrets.token_urlsafe(32)}"
    if not tokens.add_token(Token(name, scope, digest_of(text), at.isoformat())):
        raise NeedsPerson(
            f"there is a token {name!a} already", f"choose another name, or revoke it: bridge token revoke {name}"
        )
    return text


def digest_of(text: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(text.encode()).hexdigest()


def find(text: str, tokens: Sequence[Token]) -> Token | None:
    """Return the token that a text is; it takes as long whichever it is, and if it is none."""
    digest, found = digest_of(text), None
    for token in tokens:
        if hmac.compare_digest(token.digest, digest):
            found = token
    return found


class Keeper:
    """Lets requests in."""

    def __init__(self, tokens: Callable[[], Tokens], *, local: bool) -> None:
        self._tokens = tokens
        self._local = local  # the service listens to this machine alone

    def admit(self, needed: Scope, request: Request) -> str:
        """Return who asks, or raise Refused: 401 if that is not known, 403 if they may not."""
        authorization = request.headers.get("authorization")
        if authorization is None and self._local:
            _refuse_strangers(request)
            return LOCAL
        kind, _, text = (authorization or "").partition(" ")
        token = find(text.strip(), self._tokens().tokens()) if kind.lower() == "bearer" else None
        if token is None:
            error = "the token is not known, or was revoked" if authorization else "a token is needed here"
            remedy = "send 'Authorization: Bearer TOKEN'; a token is made with: bridge token create"
            raise Refused(401, error, remedy, {"WWW-Authenticate": "Bearer"})
        if not token.scope.includes(needed):
            error = f"the token {token.name!a} has the scope {token.scope}, and this needs {needed}"
            raise Refused(403, error, f"use another token: bridge token create --scope {needed}")
        return f"token {token.name}"

    def route(self, needed: Scope) -> type[APIRoute]:
        """Return the class of routes that need a scope. Who asked is then `request.state.who`."""
        keeper = self

        class Guarded(APIRoute):
            scope = needed

            def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
                handle = super().get_route_handler()

                async def admitted(request: Request) -> Response:
                    request.state.who = await run_in_threadpool(keeper.admit, needed, request)
                    return await handle(request)

                return admitted

        return Guarded


def _refuse_strangers(request: Request) -> None:
    """
    Refuse what a browser on this machine asks for another page, whose author nobody has given a token.

    Such a page can send requests here, under any name that it has made to lead to this address.
    """
    host, origin = request.headers.get("host", ""), request.headers.get("origin")
    if not is_loopback(host) or origin not in (None, f"http://{host}"):
        raise Refused(
            403,
            "a request that comes by another name than this machine's, or from a page of another site, needs a token",
            "ask at 127.0.0.1, or send 'Authorization: Bearer TOKEN'",
        )
