"""
Which schema a store has, and how it gets the one that this bridge needs.

    found         opened to write         opened to read only
    none          upgraded                NoStoreYet
    older         upgraded                NeedsPerson: run bridge sync, which upgrades it
    HEAD          (nothing; no Alembic)   (nothing; no Alembic)
    unknown       NeedsPerson: a newer bridge made it
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import column, inspect, select, table

from bridge.core.errors import NeedsPerson
from bridge.store.faults import NoStoreYet
from bridge.store.tables import METADATA

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection, Engine

HEAD = "0008"  # the newest step in migrations/versions; a test compares the two
_VERSION = table("alembic_version", column("version_num"))
_LOCK = 0x6272_6964_6765  # "bridge": PostgreSQL's advisory locks are numbers that all users of a database share


def ready(engine: Engine, place: str, *, read_only: bool) -> None:
    """Bring the schema to HEAD, or refuse: see the table above. Safe if several processes start at once."""
    with engine.connect() as connection:
        found = revision(connection)
    if found == HEAD:
        return
    if read_only:
        _refuse_unknown(found, place)
        if found is None:
            raise NoStoreYet(f"there is no store at {place} yet", "run bridge sync first")
        raise NeedsPerson(
            f"the store at {place} has the schema {found}, and this bridge reads {HEAD}",
            "run bridge sync, which upgrades it",
        )
    with engine.begin() as connection:
        _lock(connection)
        found = revision(connection)  # asked again: whoever had the lock may have upgraded it
        _refuse_unknown(found, place)
        if found is None:
            _refuse_foreign(connection, place)
        _upgrade(connection)


def revision(connection: Connection) -> str | None:
    """Ask for the schema's revision; None if there is no schema."""
    if not inspect(connection).has_table(_VERSION.name):
        return None
    return connection.scalar(select(_VERSION.c.version_num))


def config() -> Config:
    """Make Alembic's configuration: there is no alembic.ini."""
    from alembic.config import Config  # noqa: PLC0415  0.3 s, spent only when there is something to upgrade

    made = Config()
    folder = Path(__file__).parent / "migrations"
    made.set_main_option("script_location", str(folder).replace("%", "%%"))  # Alembic interpolates
    return made


def _lock(connection: Connection) -> None:
    """Let one process at a time pass, until the end of the transaction."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # Python's sqlite3 begins only at the first INSERT by itself
    else:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")


def _refuse_unknown(found: str | None, place: str) -> None:
    from alembic.script import ScriptDirectory  # noqa: PLC0415  the same

    known = {step.revision for step in ScriptDirectory.from_config(config()).walk_revisions()}
    if found is not None and found not in known:
        raise NeedsPerson(
            f"the store at {place} has the schema {found!r}, and this bridge knows none after {HEAD!r}",
            "a newer bridge made it: upgrade this one, or name another store",
        )


def _refuse_foreign(connection: Connection, place: str) -> None:
    taken = sorted(METADATA.tables.keys() & set(inspect(connection).get_table_names()))
    if taken:
        raise NeedsPerson(
            f"the database at {place} has a table {taken[0]!r} that the bridge did not make",
            "name a database of the bridge's own as the store",
        )


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415  the same

    ours = config()
    ours.attributes["connection"] = connection
    command.upgrade(ours, "head")
