"""The stand-in's data: one SQLite file, written before a call is answered; nothing is kept in memory."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

from bridge.sandbox.vertex.messages import types

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (        -- serialized messages, in the order in which they were first put here
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL, name TEXT NOT NULL, parent TEXT NOT NULL, body BLOB NOT NULL,
    UNIQUE (kind, name)
);
CREATE INDEX IF NOT EXISTS records_by_parent ON records (kind, parent);
-- "unique within a model" is the primary key; rowid order is the order in which aliases were set
CREATE TABLE IF NOT EXISTS aliases (
    model TEXT NOT NULL, alias TEXT NOT NULL, version INTEGER NOT NULL,
    PRIMARY KEY (model, alias)
);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS operations (     -- times in seconds since the epoch, of the SandboxClock
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    method TEXT NOT NULL, resource TEXT NOT NULL, request BLOB NOT NULL, metadata BLOB NOT NULL,
    begun_at REAL NOT NULL, commit_at REAL NOT NULL, done_at REAL NOT NULL,
    outcome BLOB                            -- an Operation with its response or error; NULL until it took effect
);
CREATE INDEX IF NOT EXISTS operations_not_yet_in_effect ON operations (commit_at) WHERE outcome IS NULL;
"""

Record = TypeVar("Record")


class Storage:
    """All that the stand-in knows. Not safe for threads by itself: the dispatcher lets one call in at a time."""

    def __init__(self, path: Path) -> None:
        # isolation_level None: transactions begin and end where transaction() says, not where the module guesses
        self.database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.database.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;" + _SCHEMA)
        self.models = Shelf(self.database, "model", types.Model)  # what a model's versions share
        self.versions = Shelf(self.database, "version", types.Model)  # what a version has of its own; "MODEL@ID"
        self.evaluations = Shelf(self.database, "evaluation", types.ModelEvaluation)
        self.endpoints = Shelf(self.database, "endpoint", types.Endpoint)

    def close(self) -> None:
        """Close the file. Idempotent."""
        self.database.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep all of what is written inside, or nothing if it raises. One inside another is undone by itself."""
        outermost = not self.database.in_transaction
        self.database.execute("BEGIN" if outermost else "SAVEPOINT inner")
        try:
            yield
        except BaseException:
            self.database.execute("ROLLBACK" if outermost else "ROLLBACK TO inner")
            raise
        finally:
            if not outermost:
                self.database.execute("RELEASE inner")
        if outermost:
            self.database.execute("COMMIT")

    def count(self, counter: str) -> int:
        """Return 1, 2, 3, ... for the counter of this name; a number is never given twice."""
        row = self.database.execute(
            "INSERT INTO counters VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
            (counter,),
        ).fetchone()
        return int(row[0])

    def new_id(self) -> str:
        """Return 19 digits that were not given before: the next of a fixed walk that looks random."""
        walk = self.count("id") * 5_832_674_958_371_649_281  # prime to 8 * 10**18, so the walk meets every number
        return str(10**18 + walk % (8 * 10**18))

    def forget_counter(self, counter: str) -> None:
        """Let a counter start at 1 again."""
        self.database.execute("DELETE FROM counters WHERE name = ?", (counter,))

    def aliases(self, model: str) -> dict[str, int]:
        """Return alias -> version id, in the order in which they were set."""
        rows = self.database.execute("SELECT alias, version FROM aliases WHERE model = ? ORDER BY rowid", (model,))
        return dict(rows.fetchall())

    def set_alias(self, model: str, alias: str, version: int) -> None:
        """Make an alias name this version and no other; it becomes the last in the order if it was not here."""
        if self.aliases(model).get(alias) != version:
            self.remove_alias(model, alias)
            self.database.execute("INSERT INTO aliases VALUES (?, ?, ?)", (model, alias, version))

    def remove_alias(self, model: str, alias: str) -> None:
        """Forget an alias, if it is there."""
        self.database.execute("DELETE FROM aliases WHERE model = ? AND alias = ?", (model, alias))


class Shelf(Generic[Record]):
    """The messages of one kind, by name."""

    def __init__(self, database: sqlite3.Connection, kind: str, record: type[Record]) -> None:
        self._database = database
        self._kind = kind
        self._record = record

    def get(self, name: str) -> Record | None:
        """Return a copy that the caller may change, or None if there is none of this name."""
        row = self._database.execute(
            "SELECT body FROM records WHERE kind = ? AND name = ?", (self._kind, name)
        ).fetchone()
        return None if row is None else self._load(row[0])

    def names(self, parent: str) -> list[str]:
        """Return the names alone of all of one parent, oldest first."""
        rows = self._database.execute(
            "SELECT name FROM records WHERE kind = ? AND parent = ? ORDER BY seq", (self._kind, parent)
        )
        return [name for (name,) in rows]

    def list(self, parent: str) -> list[Record]:
        """Return all of one parent, oldest first."""
        rows = self._database.execute(
            "SELECT body FROM records WHERE kind = ? AND parent = ? ORDER BY seq", (self._kind, parent)
        )
        return [self._load(body) for (body,) in rows]

    def put(self, name: str, parent: str, record: Record) -> None:
        """Add or replace; one that is replaced keeps its place in the order."""
        body: bytes = self._record.serialize(record)  # type: ignore[attr-defined]  # every message of the SDK has it
        self._database.execute(
            "INSERT INTO records (kind, name, parent, body) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (kind, name) DO UPDATE SET body = excluded.body",
            (self._kind, name, parent, body),
        )

    def delete(self, name: str) -> None:
        """Remove one, if it is there."""
        self._database.execute("DELETE FROM records WHERE kind = ? AND name = ?", (self._kind, name))

    def _load(self, body: bytes) -> Record:
        record: Record = self._record.deserialize(body)  # type: ignore[attr-defined]  # every message of the SDK has it
        return record
