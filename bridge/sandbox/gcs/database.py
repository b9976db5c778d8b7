"""The metadata: one SQLite file, spoken to from the event loop's thread only."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor
    from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS buckets (
    name TEXT PRIMARY KEY, metageneration INTEGER NOT NULL, created REAL NOT NULL, updated REAL NOT NULL,
    fields TEXT NOT NULL  -- JSON: what a client may set, in the API's spelling; in all tables
) WITHOUT ROWID;

-- deleted IS NULL: the live generation. The others exist in versioned buckets only.
-- TEXT compares by its UTF-8 bytes, which is the order GCS lists in.
CREATE TABLE IF NOT EXISTS objects (
    bucket TEXT NOT NULL, name TEXT NOT NULL, generation INTEGER NOT NULL, metageneration INTEGER NOT NULL,
    size INTEGER NOT NULL, crc32c TEXT NOT NULL, md5 TEXT, components INTEGER,
    body TEXT NOT NULL, created REAL NOT NULL, updated REAL NOT NULL, deleted REAL, fields TEXT NOT NULL,
    PRIMARY KEY (bucket, name, generation)
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS one_live_generation ON objects (bucket, name) WHERE deleted IS NULL;

-- A resumable upload. How many bytes it holds is the size of its body's file.
CREATE TABLE IF NOT EXISTS sessions (
    id TEXT PRIMARY KEY, bucket TEXT NOT NULL, name TEXT NOT NULL, fields TEXT NOT NULL,
    preconditions TEXT NOT NULL, claims TEXT NOT NULL, total INTEGER, body TEXT NOT NULL,
    created REAL NOT NULL, state TEXT NOT NULL CHECK (state IN ('open', 'done', 'over')),
    result TEXT  -- JSON of the object as it was committed, once done
) WITHOUT ROWID;

-- An XML multipart upload and its parts.
CREATE TABLE IF NOT EXISTS multiparts (
    id TEXT PRIMARY KEY, bucket TEXT NOT NULL, name TEXT NOT NULL, fields TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parts (
    upload TEXT NOT NULL REFERENCES multiparts (id) ON DELETE CASCADE, number INTEGER NOT NULL,
    size INTEGER NOT NULL, crc32c TEXT NOT NULL, md5 TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (upload, number)
) WITHOUT ROWID;
"""
CHECKPOINT_EVERY = 1000  # commits


class Database:
    """
    One connection, one thread: what happens between two awaits happens at once.

    Statements are short (at most one page of a listing), so they run on the event loop. Moving the log into
    the database is the slow part, for it syncs; that is done in a thread, over a connection of its own.
    """

    def __init__(self, path: Path, workers: Executor) -> None:
        self._path = path
        self._workers = workers
        self._connection = connect(path)
        self._connection.execute("PRAGMA wal_autocheckpoint = 0")
        self._connection.executescript(SCHEMA)
        self._in_transaction = False
        self._commits = 0
        self._after_commit: list[Callable[[], object]] = []

    def rows(self, statement: str, *values: object) -> sqlite3.Cursor:
        """Run one statement; its rows are tuples."""
        return self._connection.execute(statement, values)

    def row(self, statement: str, *values: object) -> tuple[Any, ...] | None:
        """Run one statement and return its first row."""
        row: tuple[Any, ...] | None = self._connection.execute(statement, values).fetchone()
        return row

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. One inside another is part of it. No await in the block, or others join in."""
        if self._in_transaction:
            yield
            return
        self._connection.execute("BEGIN IMMEDIATE")
        self._in_transaction = True
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            self._after_commit.clear()
            raise
        else:
            self._connection.execute("COMMIT")
        finally:
            self._in_transaction = False
        actions, self._after_commit = self._after_commit, []
        for action in actions:
            action()
        self._commits += 1
        if self._commits % CHECKPOINT_EVERY == 0:
            self._workers.submit(self._checkpoint)

    def after_commit(self, action: Callable[[], object]) -> None:
        """Do something (delete a file) once this transaction is committed; nothing if it is not."""
        self._after_commit.append(action)

    def _checkpoint(self) -> None:
        connection = connect(self._path)
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        connection.close()

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._connection.close()


def connect(path: Path) -> sqlite3.Connection:
    """Open the file: write-ahead log, so that readers and the writer do not wait for each other."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection
