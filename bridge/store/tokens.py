"""The Tokens port in SQL."""

from __future__ import annotations

from sqlalchemy import delete, select

from bridge.core.records import Scope, Token
from bridge.store.database import Database
from bridge.store.rows import utc
from bridge.store.tables import tokens


class SqlTokens(Database):
    """What is kept of tokens."""

    def tokens(self) -> tuple[Token, ...]:
        """Return all tokens, by name."""
        rows = self._rows(select(tokens).order_by(tokens.c.name))
        return tuple(Token(row["name"], Scope(row["scope"]), row["digest"], row["created"]) for row in rows)

    def add_token(self, token: Token) -> bool:
        """Remember a token; False, and nothing happens, if one has its name."""
        row = {
            "name": token.name,
            "scope": token.scope.value,
            "digest": token.digest,
            "created": utc(token.created),
        }
        with self._transaction() as connection:
            new = self._insert(tokens).values(row).on_conflict_do_nothing().returning(tokens.c.name)
            return connection.execute(new).first() is not None

    def revoke_token(self, name: str) -> bool:
        """Forget a token; False if there is none of that name."""
        with self._transaction() as connection:
            return connection.execute(delete(tokens).where(tokens.c.name == name)).rowcount == 1
