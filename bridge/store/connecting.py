"""From the `store:` of bridge.yaml to an engine: the address, and what is set on every connection."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import URL, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from bridge.core.errors import NeedsPerson
from bridge.store.faults import NoStoreYet

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

_SPELLINGS = "write sqlite:///bridge.db, or postgresql+psycopg://user@host/database"
_BUSY_SECONDS = 30  # every method is one short statement; only an upgrade may take this long
# Of libpq, which by default waits for ever for a server to answer a connection, and for hours for one that is cut off.
_PATIENCE = {
    "connect_timeout": "10",  # seconds
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",  # milliseconds
}


@dataclass(frozen=True, slots=True)
class Address:
    """Where the store is; made by `parse_address`."""

    url: URL  # of SQLite with the path of a file, or of PostgreSQL by psycopg
    place: str  # what people are shown: without password, and without options, which may hold one too

    @property
    def file(self) -> Path | None:
        """The file of a SQLite store; None for PostgreSQL."""
        return Path(self.url.database or "") if self.url.get_backend_name() == "sqlite" else None


def parse_address(text: str) -> Address:
    """Read a store's URL. Raises NeedsPerson if it is none, or names what the bridge cannot keep its memory in."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # the latter for a port that is no number
        # From None: the cause may quote the URL, and with it the password.
        raise NeedsPerson("the address of the store is not a URL", _SPELLINGS) from None
    match url.drivername:
        case "sqlite" | "sqlite+pysqlite":
            path = url.database or ":memory:"
            if path == ":memory:" or path.startswith("file:"):
                raise NeedsPerson("the address of the store names no file, so it would be forgotten", _SPELLINGS)
            return Address(URL.create("sqlite", database=path), path)
        case "postgresql" | "postgresql+psycopg":
            shown = url.set(query={}).render_as_string(hide_password=True)
            url = url.set(query={**_PATIENCE, **url.query})
            return Address(url.set(drivername="postgresql+psycopg"), shown)
        case other:
            raise NeedsPerson(f"the store cannot be kept in {other!r}, only in SQLite or PostgreSQL", _SPELLINGS)


def make_engine(address: Address, *, read_only: bool) -> Engine:
    """
    Return an engine; nothing is opened yet.

    Raises NeedsPerson if the folder of a SQLite file does not exist, or if it is to be read and does not exist.
    """
    if address.file is not None:
        return _sqlite_engine(address.file, address.place, read_only=read_only)
    engine = create_engine(
        address.url,
        hide_parameters=True,  # what an error's text would quote of them, a log would keep
        pool_pre_ping=True,  # a server that was restarted costs a reconnection, not a failed pass
        execution_options={"postgresql_readonly": True} if read_only else {},
    )
    event.listen(engine, "connect", _prepare_server)
    return engine


def _sqlite_engine(file: Path, place: str, *, read_only: bool) -> Engine:
    if not file.parent.is_dir():
        raise NeedsPerson(f"the folder of the store {place} does not exist", f"make it: mkdir -p {file.parent}")
    if not read_only:
        url, prepare = URL.create("sqlite", database=str(file)), _prepare_writer
    elif file.exists():
        # As a file: URI, in which a "?" or "%" of the path is escaped. mode=rw makes no file; writes are refused
        # by query_only. mode=ro would leave "-wal" and "-shm" files behind (SQLite 3.40.1: a connection that
        # may not write makes them to read a WAL database, and may not remove them when it closes).
        query = {"mode": "rw", "uri": "true"}
        url, prepare = URL.create("sqlite", database=file.absolute().as_uri(), query=query), _prepare_reader
    else:
        raise NoStoreYet(f"there is no store at {place} yet", "run bridge sync first")
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": _BUSY_SECONDS})  # sets busy_timeout
    event.listen(engine, "connect", prepare)
    return engine


def _prepare_server(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    """Have nobody wait for another's lock for longer than with SQLite."""
    connection.cursor().execute(f"SET lock_timeout = '{_BUSY_SECONDS}s'")
    connection.commit()  # or it is undone with the first transaction that is


def _prepare_reader(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    connection.cursor().execute("PRAGMA query_only = ON")


def _prepare_writer(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    # FULL, not NORMAL, which in WAL mode may lose the last commits when the power fails
    # (sqlite.org/pragma.html#pragma_synchronous): an intent that is lost after its request was sent is a
    # version registered twice. It costs one fsync per commit.
    cursor.execute("PRAGMA synchronous = FULL")
    try:
        cursor.execute("PRAGMA journal_mode = WAL")  # readers do not wait for a writer; it stays with the file
    except sqlite3.OperationalError as error:
        # The one switch that does not wait for busy_timeout (sqlite3BtreeSetVersion holds a read lock when it
        # asks for the write lock). Then another process has the file: it is correct without WAL, and the
        # next connection switches.
        if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
            raise
