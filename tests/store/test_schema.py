"""The schema: made once, upgraded under a lock, refused if it is newer."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import IntegrityError

from bridge.core.errors import NeedsPerson
from bridge.core.model import Alias, ModelKey
from bridge.store.connecting import make_engine, parse_address
from bridge.store.schema import HEAD, config
from bridge.store.sql import open_store
from bridge.store.tables import METADATA
from tests.store.databases import postgres_schema

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection, Engine

KEY = ModelKey("fraud", "fraud")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return the URL of a database that nobody has used."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/bridge.db"
    else:
        with postgres_schema() as made:
            yield made


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """Look behind the store's back."""
    engine = make_engine(parse_address(url), read_only=False)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def shape(engine: Engine) -> dict[str, Any]:
    """Describe all tables but Alembic's, with what compare_metadata does not compare."""
    found = inspect(engine)
    return {
        name: {
            "columns": [{**column, "type": str(column["type"])} for column in found.get_columns(name)],
            "key": found.get_pk_constraint(name)["constrained_columns"],
            "unique": found.get_unique_constraints(name),
            "checks": found.get_check_constraints(name),
            "indexes": [
                {**index, "dialect_options": {name: str(value) for name, value in index["dialect_options"].items()}}
                for index in found.get_indexes(name)
            ],
        }
        for name in sorted(found.get_table_names())
        if name != "alembic_version"
    }


def test_head_is_the_newest_step_and_the_only_one() -> None:
    assert ScriptDirectory.from_config(config()).get_heads() == [HEAD]


def test_a_new_database_gets_the_schema_of_the_tables(url: str) -> None:
    open_store(url).close()

    with connected(url) as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_the_steps_make_what_the_tables_say_down_to_checks_and_indexes(url: str, tmp_path: Path) -> None:
    def made_from_the_tables(at: str) -> dict[str, Any]:
        engine = create_engine(at)
        try:
            METADATA.create_all(engine)
            return shape(engine)
        finally:
            engine.dispose()

    open_store(url).close()
    with connected(url) as connection:
        migrated = shape(connection.engine)
    if url.startswith("sqlite"):
        assert migrated == made_from_the_tables(f"sqlite:///{tmp_path}/tables.db")
    else:
        with postgres_schema() as other:
            assert _without_schema(migrated, url) == _without_schema(made_from_the_tables(other), other)
    assert {check["name"] for check in migrated["journal"]["checks"]} == {"an_outcome_has_a_time", "outcome_is_known"}


def _without_schema(shape: dict[str, Any], url: str) -> str:
    return str(shape).replace(url.rpartition("%3D")[2], "schema")  # the one that search_path names


# Of a store at 0007: what is in trouble is behind since its last look; of the others the next pass says so.
BEHIND = {
    "SYNCED": False,
    "PENDING": False,
    "COPYING": False,
    "REGISTERING": False,
    "BLOCKED": True,
    "FAILED": True,
    "HELD": False,  # by a person's word: its look may be older than that
    "DEGRADED": True,
    "DRIFTED": True,
}


def test_what_was_behind_before_a_store_could_tell_is_so_since_its_last_look(url: str) -> None:
    nine = "2026-01-05T09:00:00+00:00"
    row = {"mapping": "fraud", "message": "", "remedy": "", "collection": "c", "looked_at": nine}
    older = METADATA.tables["statuses"].insert()
    with connected(url) as connection:
        settings = config()
        settings.attributes["connection"] = connection
        command.upgrade(settings, "0007")
        for state in BEHIND:
            connection.execute(older.values(**row, model=state, state=state))
        connection.execute(older.values(**row, model="held by a pass", state="HELD", tried="f"))

    with closing(open_store(url)) as store:
        found = {status.key.model: status.behind_since for status in store.statuses()}
    assert found == {state: nine if behind else None for state, behind in BEHIND.items()} | {"held by a pass": nine}


def test_a_store_that_is_opened_again_has_kept_everything(url: str) -> None:
    with closing(open_store(url)) as store:
        store.save_mirrored(KEY, Alias("production"), "7")
    with closing(open_store(url)) as store:
        assert store.mirrored(KEY) == {"production": "7"}


def test_opening_a_store_that_is_up_to_date_does_not_touch_the_schema(url: str) -> None:
    """Whoever may read and write rows, but not make tables, can use it; and it is quick."""
    open_store(url).close()
    with connected(url) as connection:
        connection.execute(text("DROP TABLE holds"))
    open_store(url).close()

    with connected(url) as connection:
        assert not inspect(connection).has_table("holds")


@pytest.mark.parametrize("read_only", [False, True])
def test_a_store_of_a_newer_bridge_is_refused(url: str, *, read_only: bool) -> None:
    open_store(url).close()
    with connected(url) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0999'"))

    with pytest.raises(NeedsPerson, match=f"schema '0999', and this bridge knows none after '{HEAD}'; a newer bridge"):
        open_store(url, read_only=read_only)


def test_a_database_with_somebody_elses_tables_is_refused(url: str) -> None:
    with connected(url) as connection:
        connection.execute(text("CREATE TABLE records (title text)"))

    with pytest.raises(NeedsPerson, match="has a table 'records' that the bridge did not make; name a database"):
        open_store(url)
    with connected(url) as connection:
        assert inspect(connection).get_table_names() == ["records"]


def test_an_upgrade_that_fails_leaves_nothing_behind(url: str) -> None:
    with connected(url) as connection:
        connection.execute(text("CREATE VIEW statuses AS SELECT 1 AS one"))  # the last table but one

    with pytest.raises(Exception, match="statuses"):
        open_store(url)
    with connected(url) as connection:
        assert inspect(connection).get_table_names() == []


@pytest.mark.parametrize(
    ("table", "wrong"),
    [
        ("journal", {"outcome": "lost", "finished": "2026"}),
        ("journal", {"outcome": "applied"}),
        ("statuses", {"state": "HAPPY"}),
        ("uploads", {"size": "1", "digest": "x"}),
    ],
    ids=["an unknown outcome", "an outcome without a time", "an unknown state", "a digest of no kind"],
)
def test_the_database_itself_refuses(url: str, table: str, wrong: dict[str, str]) -> None:
    open_store(url).close()
    row: dict[str, str] = {
        column.name: "{}"
        for column in METADATA.tables[table].columns
        if not column.nullable and column.name != "id" and column.server_default is None
    }

    with pytest.raises(IntegrityError), connected(url) as connection:
        connection.execute(METADATA.tables[table].insert().values({**row, **wrong}))


STARTER = """
import sys
from datetime import UTC, datetime
from bridge.core.changes import RemoveAlias
from bridge.core.model import ModelKey, VersionRef
from bridge.store.sql import open_store

print("ready", flush=True)
sys.stdin.readline()
store = open_store(sys.argv[1])
change = RemoveAlias("a", VersionRef("1", None))
for _ in range(10):
    store.begin(ModelKey("m", "x"), change, sys.argv[2], datetime(2026, 1, 5, tzinfo=UTC))
store.close()
"""


def test_processes_that_start_at_once_make_one_schema_and_lose_nothing(url: str) -> None:
    processes = [
        subprocess.Popen(  # noqa: S603  our own interpreter and text
            [sys.executable, "-W", "error", "-c", STARTER, url, str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    errors = [process.communicate(timeout=60)[1] for process in processes]

    assert errors == [""] * 4
    with closing(open_store(url)) as store:
        assert sorted(entry.why for entry in store.journal()) == sorted("0123" * 10)


def test_alembic_is_imported_only_to_upgrade(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/bridge.db"
    open_store(url).close()
    script = (
        "import sys; from bridge.store.sql import open_store; open_store(sys.argv[1]).close();"
        "print({'alembic', 'pydantic', 'psycopg'} & sys.modules.keys())"
    )
    ran = subprocess.run([sys.executable, "-c", script, url], capture_output=True, text=True, check=True)  # noqa: S603  the same

    assert ran.stdout == "set()\n"
