"""What a database says when it is unwell, as one of the bridge's two kinds of error."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError, TimeoutError as PoolTimeout

from bridge.core.errors import NeedsPerson, TryAgain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.core.errors import BridgeError

_NOT_OPENED = (
    "the store at {} cannot be opened",
    "check that it is a file, and that this user may read and write it and its folder",
)
_DISK = ("the disk refuses to read or write the store at {}", "check that it has space and is healthy")
_SQLITE = {  # result code: reason and remedy of a NeedsPerson
    sqlite3.SQLITE_CANTOPEN: _NOT_OPENED,
    sqlite3.SQLITE_PERM: _NOT_OPENED,
    sqlite3.SQLITE_READONLY: (
        "the store at {} cannot be written",
        "check that this user may write the file and its folder, and that it was not opened for reading only",
    ),
    sqlite3.SQLITE_NOTADB: (
        "the file at {} is not a SQLite database",
        "name another file as the store, or move this one away",
    ),
    sqlite3.SQLITE_CORRUPT: (
        "the store at {} is damaged",
        "restore it from a backup",
    ),
    sqlite3.SQLITE_FULL: _DISK,
    sqlite3.SQLITE_IOERR: _DISK,
}

# SQLSTATE by class or in full (postgresql.org/docs/current/errcodes-appendix.html).
_PASSING = (
    "08",  # connection exception
    "40",  # transaction rollback: deadlock, serialization
    "53",  # insufficient resources: connections, memory, disk
    "55P03",  # lock not available
    "57",  # operator intervention: shutting down, starting up, cancelled
)
_STARTING = ("the database system is", "too many", "remaining connection slots")


class NoStoreYet(NeedsPerson):
    """Nobody has written to this store yet, so there is nothing to read."""


@contextmanager
def translated(place: str) -> Iterator[None]:
    """
    Raise what goes wrong with the store at `place` as TryAgain or NeedsPerson.

    Neither text quotes the driver's, which may hold parts of the address; a server's own FATAL line holds none.
    What only a defect of the bridge can cause (a broken constraint, bad SQL) passes as it is.
    """
    try:
        yield
    except PoolTimeout as error:
        raise TryAgain(f"the store at {place} is busy: all of its connections are in use") from error
    except DBAPIError as error:
        known = (
            _sqlite_fault(place, error.orig) if isinstance(error.orig, sqlite3.Error) else _server_fault(place, error)
        )
        if known is None:
            raise
        raise known from error


def _sqlite_fault(place: str, error: sqlite3.Error) -> BridgeError | None:
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK)  # only errors of the library itself have one
    primary = code & 0xFF  # the rest says more, of the same kind (sqlite.org/rescode.html)
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return TryAgain(f"the store at {place} is busy: another process has been writing for too long")
    if primary in _SQLITE:
        reason, remedy = _SQLITE[primary]
        return NeedsPerson(reason.format(place), remedy)
    return None


def _server_fault(place: str, error: DBAPIError) -> BridgeError | None:
    """
    Translate by SQLSTATE, or by the server's FATAL line: psycopg has no SQLSTATE for a failed connection.

        no answer, or the connection broke      TryAgain
        starting up, too many connections, ...  TryAgain
        turned away: user, password, database   NeedsPerson, with the server's line
        permission denied, read-only            NeedsPerson
        an option that no driver knows          NeedsPerson
    """
    state: str | None = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return _server_state(place, state)
    if isinstance(error, OperationalError):
        return _no_connection(place, str(error.orig))
    if isinstance(error, ProgrammingError) and error.statement is None:
        return NeedsPerson(
            f"the address of the store at {place} has an option that PostgreSQL's client does not know",
            "compare what follows the '?' with PostgreSQL's list of connection parameters",
        )
    return None


def _server_state(place: str, state: str) -> BridgeError | None:
    if state.startswith(_PASSING):
        return TryAgain(f"the store at {place} is unwell (SQLSTATE {state})")
    if state in ("42501", "3F000"):  # insufficient privilege; no schema of the search_path that this user may use
        return NeedsPerson(
            f"the store at {place} does not let the bridge in",
            "grant its user CREATE and USAGE on the schema, and all rights on the bridge's tables",
        )
    if state == "25006":
        return NeedsPerson(
            f"the store at {place} cannot be written",
            "check that the server is not a standby, and that the store was not opened for reading only",
        )
    return None


def _no_connection(place: str, said: str) -> BridgeError:
    fatal = said.partition("FATAL:")[2].strip().partition("\n")[0]
    if fatal and not any(words in fatal for words in _STARTING):
        return NeedsPerson(
            f"the store at {place} turned the bridge away: {fatal}", "check user, password and database in its address"
        )
    return TryAgain(f"the store at {place} does not answer; check that PostgreSQL runs there and can be reached")
