"""What a store in memory knows of who may ask a service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.testing.copies import utc

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from bridge.core.records import Token


class MemoryTokens:
    """The Tokens port in a dict, under the lock of the store that it is part of."""

    _lock: AbstractContextManager[object]

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}  # by name

    def tokens(self) -> tuple[Token, ...]:
        """Return all tokens, by name."""
        with self._lock:
            return tuple(token for _, token in sorted(self._tokens.items()))

    def add_token(self, token: Token) -> bool:
        """Remember a token; False, and nothing happens, if one has its name."""
        utc(token.created)
        with self._lock:
            is_new = token.name not in self._tokens
            self._tokens.setdefault(token.name, token)
            return is_new

    def revoke_token(self, name: str) -> bool:
        """Forget a token; False if there is none of that name."""
        with self._lock:
            return self._tokens.pop(name, None) is not None
