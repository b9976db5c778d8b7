"""The database: one connection per thread, short transactions, one writer at a time."""

from __future__ import annotations

import contextlib
import re
import secrets
import sqlite3
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.sandbox.clock import SandboxClock

TABLES = Path(__file__).with_name("tables.sql")


class Store:
    """One SQLite file, in WAL mode: readers see the last commit and never wait."""

    def __init__(self, path: Path, clock: SandboxClock) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._clock = clock
        self._own = threading.local()
        self._all: list[sqlite3.Connection] = []
        self._writer = threading.Lock()
        self._connection().executescript(TABLES.read_text(encoding="utf-8"))

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection that sees one snapshot until the block ends."""
        database = self._connection()
        database.execute("BEGIN")
        try:
            yield database
        finally:
            database.execute("ROLLBACK")

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection that may write; what it wrote is kept if the block ends well, else undone."""
        database = self._connection()
        with self._writer:
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
            except BaseException:
                database.execute("ROLLBACK")
                raise
            database.execute("COMMIT")

    def secret(self) -> bytes:
        """Return the key that URLs are signed with; made once, kept with the data."""
        with self.writing() as database:
            database.execute("INSERT OR IGNORE INTO settings VALUES ('secret', ?)", (secrets.token_bytes(32),))
            [value] = database.execute("SELECT value FROM settings WHERE name = 'secret'").fetchone()
        return bytes(value)

    def close(self) -> None:
        """Close every thread's connection. Nobody may use the store afterwards."""
        for database in self._all:
            database.close()

    def _connection(self) -> sqlite3.Connection:
        database: sqlite3.Connection | None = getattr(self._own, "database", None)
        if database is None:
            database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=30)
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute("PRAGMA foreign_keys = ON")
            database.create_function("regexp", 2, _matches, deterministic=True)
            database.create_function("sandbox_now", 0, self._clock.now)
            self._own.database = database
            self._all.append(database)
        return database


def _matches(pattern: str, value: object) -> bool:
    """Answer SQL's `value REGEXP pattern`."""
    return value is not None and re.search(pattern, str(value)) is not None
