"""A database that is open, and the statements that all parts of a store are made of."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete
from sqlalchemy.dialects import postgresql, sqlite

from bridge.store.faults import translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import ColumnElement, Connection, Engine, RowMapping, Select, Table

    from bridge.store.rows import New, Row


class Database:
    """
    An engine and its place, as people are shown it; the base of what keeps something in there.

    Every statement is a transaction, so there is no state in between that another thread (the pool gives each
    a connection) or process could see. Errors are TryAgain or NeedsPerson.
    """

    def __init__(self, engine: Engine, place: str) -> None:
        self._engine = engine
        self._place = place
        self._refuse: Callable[[Connection], None] = lambda _connection: None  # what a transaction ends with

    def close(self) -> None:
        """Close all connections. Idempotent."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with translated(self._place), self._engine.begin() as connection:
            yield connection
            self._refuse(connection)

    def _rows(self, query: Select[Any]) -> Sequence[RowMapping]:
        with self._transaction() as connection:
            return connection.execute(query).mappings().all()

    def _put(self, table: Table, row: Row, by: tuple[str, ...], keep: tuple[str, ...] = ()) -> None:
        """Insert a row, or update the one that equals it in the columns `by`, but for those to `keep`."""
        self._put_all(table, [row], by, keep)

    def _put_all(
        self,
        table: Table,
        rows: Sequence[Row],
        by: tuple[str, ...],
        keep: tuple[str, ...] = (),
        but: Callable[[New], dict[str, ColumnElement[Any]]] = lambda _new: {},
    ) -> None:
        """Do that with many rows of the same columns, in one transaction; `but` says what some columns get instead."""
        if not rows:
            return
        statement = self._insert(table)
        new = statement.excluded
        changed = {name: new[name] for name in rows[0] if name not in {*by, *keep}} | but(new)
        with self._transaction() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=by, set_=changed), rows)

    def _insert(self, table: Table) -> postgresql.Insert | sqlite.Insert:
        return (postgresql.insert if self._engine.dialect.name == "postgresql" else sqlite.insert)(table)

    def _drop(self, table: Table, *where: ColumnElement[bool]) -> None:
        """Delete the rows that meet all of these; there need be none."""
        with self._transaction() as connection:
            connection.execute(delete(table).where(*where))
