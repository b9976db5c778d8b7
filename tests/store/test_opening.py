"""Addresses, refusals, and use for reading only."""

from __future__ import annotations

import socket
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, make_url, text

from bridge.core.changes import RemoveAlias
from bridge.core.errors import NeedsPerson, TryAgain
from bridge.core.model import Alias, ModelKey, State, VersionRef
from bridge.core.records import Status
from bridge.store import connecting
from bridge.store.connecting import make_engine, parse_address
from bridge.store.faults import NoStoreYet, translated
from bridge.store.schema import ready
from bridge.store.sql import SqlStore, open_store
from tests.store.databases import postgres_schema

if TYPE_CHECKING:
    from pathlib import Path

KEY = ModelKey("fraud", "fraud")
NINE = datetime(2026, 1, 5, 9, tzinfo=UTC)
REMOVE = RemoveAlias(Alias("production"), VersionRef("6", "v6"))


# addresses
@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("bridge.db", "the address of the store is not a URL; write sqlite:///bridge.db"),
        ("postgresql://u:hunter2@host:port/x", "the address of the store is not a URL; write sqlite:///bridge.db"),
        ("sqlite://", "the address of the store names no file, so it would be forgotten; write"),
        ("sqlite:///:memory:", "the address of the store names no file, so it would be forgotten; write"),
        ("sqlite:///file:x?mode=memory&uri=true", "the address of the store names no file"),
        ("mysql://u:hunter2@host/x", "the store cannot be kept in 'mysql', only in SQLite or PostgreSQL; write"),
        ("postgres://u:hunter2@host/x", "the store cannot be kept in 'postgres', only in SQLite or PostgreSQL; write"),
    ],
)
def test_an_address_that_cannot_be_meant_is_refused_without_its_password(url: str, said: str) -> None:
    with pytest.raises(NeedsPerson) as caught:
        open_store(url)

    assert str(caught.value).startswith(said)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg"])
def test_postgresql_is_spoken_to_by_psycopg_with_a_limit_of_time(scheme: str) -> None:
    url = parse_address(f"{scheme}://ada@db.test/bridge").url

    assert (url.drivername, url.query["connect_timeout"]) == ("postgresql+psycopg", "10")
    assert (url.query["keepalives_idle"], url.query["tcp_user_timeout"]) == ("10", "30000")
    assert parse_address(f"{scheme}://ada@db.test/bridge?connect_timeout=3").url.query["connect_timeout"] == "3"


def test_a_password_is_shown_neither_before_the_host_nor_among_the_options() -> None:
    address = parse_address("postgresql://ada:hunter2@db.test/bridge?password=hunter3&sslpassword=hunter4")

    assert address.place == "postgresql://ada:***@db.test/bridge"
    assert "hunter" not in repr(address).replace("password=hunter3", "").replace("sslpassword=hunter4", "")


def test_a_lock_of_another_in_postgresql_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "_BUSY_SECONDS", 0.05)
    with postgres_schema() as url, closing(open_store(url)) as store:
        engine = create_engine(url)
        with engine.begin() as other:
            other.execute(text("LOCK TABLE statuses IN ACCESS EXCLUSIVE MODE"))
            with pytest.raises(TryAgain, match="SQLSTATE 55P03"):
                store.statuses()
        engine.dispose()
        assert store.statuses() == ()


# files
def test_a_store_in_a_folder_that_does_not_exist_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(NeedsPerson) as caught:
        open_store(f"sqlite:///{tmp_path}/no/bridge.db")

    assert caught.value.reason == f"the folder of the store {tmp_path}/no/bridge.db does not exist"
    assert caught.value.remedy == f"make it: mkdir -p {tmp_path}/no"


@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path, *, read_only: bool) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("Dear diary, " * 100)

    with pytest.raises(NeedsPerson, match=r"notes.txt is not a SQLite database; name another file"):
        open_store(f"sqlite:///{file}", read_only=read_only)
    assert file.read_text() == "Dear diary, " * 100


@pytest.mark.parametrize("read_only", [False, True])
def test_a_folder_is_no_store(tmp_path: Path, *, read_only: bool) -> None:
    with pytest.raises(NeedsPerson, match="cannot be opened; check that it is a file, and that this user may read"):
        open_store(f"sqlite:///{tmp_path}", read_only=read_only)


def test_a_damaged_store_is_for_a_person(tmp_path: Path) -> None:
    file = tmp_path / "bridge.db"
    with closing(open_store(f"sqlite:///{file}")) as store:
        store.save_mirrored(KEY, Alias("production"), "7")
    whole = file.read_bytes()
    file.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))

    with (
        pytest.raises(NeedsPerson, match="is damaged; restore it from a backup"),
        closing(open_store(f"sqlite:///{file}")) as store,
    ):
        store.mirrored(KEY)


def test_a_relative_path_is_shown_as_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NeedsPerson) as caught:
        open_store("sqlite:///bridge.db", read_only=True)

    assert (caught.value.reason, caught.value.remedy) == ("there is no store at bridge.db yet", "run bridge sync first")
    open_store("sqlite:///bridge.db").close()
    open_store("sqlite:///bridge.db", read_only=True).close()


def test_a_path_may_hold_what_means_something_in_a_url(tmp_path: Path) -> None:
    folder = tmp_path / "100% #1 ü"
    folder.mkdir()
    url = f"sqlite:///{folder}/bridge.db"
    with closing(open_store(url)) as store:
        store.save_mirrored(KEY, Alias("production"), "7")
    with closing(open_store(url, read_only=True)) as store:
        assert store.mirrored(KEY) == {"production": "7"}
    assert [path.name for path in folder.iterdir()] == ["bridge.db"]


def test_every_connection_waits_is_durable_and_lets_readers_pass(tmp_path: Path) -> None:
    engine = make_engine(parse_address(f"sqlite:///{tmp_path}/bridge.db"), read_only=False)
    with engine.connect() as one, engine.connect() as other:
        for connection in (one, other):
            settings = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "busy_timeout", "foreign_keys", "synchronous")
            }
            assert settings == {"journal_mode": "wal", "busy_timeout": 30_000, "foreign_keys": 1, "synchronous": 2}
    engine.dispose()


def test_a_database_that_is_written_to_just_now_is_switched_to_wal_later(tmp_path: Path) -> None:
    file = tmp_path / "bridge.db"
    engine = make_engine(parse_address(f"sqlite:///{file}"), read_only=False)
    with closing(sqlite3.connect(file)) as writer:
        writer.execute("CREATE TABLE notes (note)")
        writer.execute("BEGIN IMMEDIATE")
        with engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "delete"
    engine.dispose()
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    engine.dispose()


# for reading only
def test_a_store_that_is_only_read_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(NoStoreYet, match=r"there is no store at .*bridge.db yet; run bridge sync first"):
        open_store(f"sqlite:///{tmp_path}/bridge.db", read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_a_schema_is_no_store_yet_and_stays_empty(tmp_path: Path) -> None:
    file = tmp_path / "bridge.db"
    file.touch()
    with pytest.raises(NoStoreYet, match=r"there is no store at .*bridge.db yet; run bridge sync first"):
        open_store(f"sqlite:///{file}", read_only=True)
    assert file.read_bytes() == b""


def test_a_schema_of_postgresql_without_tables_is_no_store_yet_and_stays_empty() -> None:
    with postgres_schema() as url:
        for _ in range(2):
            with pytest.raises(NoStoreYet, match=r"there is no store at postgresql.* yet; run bridge sync first"):
                open_store(url, read_only=True)


def test_reading_sees_what_a_writer_has_just_written_and_leaves_no_files(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/bridge.db"
    with closing(open_store(url)) as writer, closing(open_store(url, read_only=True)) as reader:
        writer.save_mirrored(KEY, Alias("production"), "7")
        assert reader.mirrored(KEY) == {"production": "7"}
    with closing(open_store(url, read_only=True)) as reader:
        assert reader.mirrored(KEY) == {"production": "7"}
    assert [path.name for path in tmp_path.iterdir()] == ["bridge.db"]


def _write_nothing(url: str) -> None:
    with closing(open_store(url)) as store:
        entry = store.begin(KEY, REMOVE, "poll", NINE)
    with closing(open_store(url, read_only=True)) as store:
        for write in (
            lambda: store.begin(KEY, REMOVE, "poll", NINE),
            lambda: store.save_mirrored(KEY, Alias("production"), "7"),
            lambda: store.close_intent(KEY, "gs://b/"),
        ):
            with pytest.raises(NeedsPerson, match="cannot be written; check that"):
                write()
        assert [found.id for found in store.journal()] == [entry]
        assert store.mirrored(KEY) == {}


def test_writes_through_a_store_that_is_only_read_fail_in_sqlite(tmp_path: Path) -> None:
    _write_nothing(f"sqlite:///{tmp_path}/bridge.db")


def test_writes_through_a_store_that_is_only_read_fail_in_postgresql() -> None:
    with postgres_schema() as url:
        _write_nothing(url)


# while it is used
def test_a_writer_that_takes_too_long_is_waited_for_and_then_it_is_try_again(tmp_path: Path) -> None:
    file = tmp_path / "bridge.db"
    open_store(f"sqlite:///{file}").close()
    engine = create_engine(f"sqlite:///{file}", connect_args={"timeout": 0.01})
    with closing(SqlStore(engine, "bridge.db")) as store, closing(sqlite3.connect(file)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(TryAgain, match=r"the store at bridge\.db is busy: another process"):
            store.save_mirrored(KEY, Alias("production"), "7")
        assert store.mirrored(KEY) == {}
        writer.rollback()
        store.save_mirrored(KEY, Alias("production"), "7")
        assert store.mirrored(KEY) == {"production": "7"}


def test_a_disk_that_is_full_is_for_a_person(tmp_path: Path) -> None:
    with closing(open_store(f"sqlite:///{tmp_path}/bridge.db")) as store:
        engine = create_engine(f"sqlite:///{tmp_path}/bridge.db", pool_size=1, max_overflow=0, pool_timeout=0.01)
        full = SqlStore(engine, "bridge.db")
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1")  # SQLite raises it to what there is
        with pytest.raises(NeedsPerson, match=r"the disk refuses to read or write the store at bridge\.db"):
            full.save_mirrored(KEY, Alias("a" * 10_000), "7" * 100_000)
        with engine.connect(), pytest.raises(TryAgain, match="all of its connections are in use"):
            full.mirrored(KEY)
        full.close()
        assert store.mirrored(KEY) == {}


def test_words_that_no_database_holds_are_stored_with_a_mark_in_their_place() -> None:
    with postgres_schema() as url, closing(open_store(url)) as store:
        entry = store.begin(KEY, REMOVE, "poll \udcff", NINE)
        store.save_status(Status(KEY, State.FAILED, "W&B said '\x00'", "", "c", NINE.isoformat(), None))

        assert store.unfinished(KEY)[0].id == entry
        assert store.unfinished(KEY)[0].why == "poll \ufffd"
        found = store.status(KEY)
        assert found is not None
        assert found.message == "W&B said '\ufffd'"


def test_a_defect_of_ours_is_not_dressed_up_as_a_fault_of_the_database(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/bridge.db")
    with pytest.raises(Exception, match="no_such_table"), translated("x"), engine.begin() as connection:
        connection.execute(text("SELECT * FROM no_such_table"))
    engine.dispose()


# PostgreSQL
def test_a_server_that_does_not_answer_is_try_again_without_the_password() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(TryAgain) as caught:
        open_store(f"postgresql+psycopg://ada:hunter2@127.0.0.1:{port}/bridge")

    assert str(caught.value) == (
        f"the store at postgresql+psycopg://ada:***@127.0.0.1:{port}/bridge does not answer; "
        "check that PostgreSQL runs there and can be reached"
    )


def test_a_server_that_turns_us_away_says_why() -> None:
    with postgres_schema() as url:
        elsewhere = make_url(url).set(database="no_such_database").render_as_string(hide_password=False)
        with pytest.raises(NeedsPerson, match='away: database "no_such_database" does not exist; check user, password'):
            open_store(elsewhere)


def test_an_option_that_nobody_knows_is_for_a_person() -> None:
    with pytest.raises(NeedsPerson, match="has an option that PostgreSQL's client does not know; compare"):
        open_store("postgresql+psycopg://ada:hunter2@127.0.0.1/bridge?sssl=1")


@pytest.mark.parametrize("grant", ["SELECT 1", "GRANT USAGE ON SCHEMA {} TO pg_monitor"], ids=["nothing", "usage"])
def test_a_user_who_may_not_make_tables_is_told_what_to_grant(grant: str) -> None:
    with postgres_schema() as url:
        engine = make_engine(parse_address(url), read_only=False)
        with engine.begin() as connection:
            connection.execute(text(grant.format(url.rpartition("%3D")[2])))
        engine.dispose()
        less = url + "%20-crole%3Dpg_monitor"  # a role of every server, without rights here
        with pytest.raises(NeedsPerson, match="does not let the bridge in; grant its user CREATE and USAGE"):
            open_store(less)


def test_a_connection_that_the_server_ends_is_try_again_and_the_next_call_has_a_new_one() -> None:
    with postgres_schema() as url:
        engine = make_engine(parse_address(url), read_only=False)
        ready(engine, "x", read_only=False)
        end = text("SELECT pg_terminate_backend(pg_backend_pid())")
        with closing(SqlStore(engine, "x")) as store:
            with pytest.raises(TryAgain, match=r"SQLSTATE 57P01"), translated("x"), engine.begin() as connection:
                connection.execute(end)
            assert store.mirrored(KEY) == {}


def test_a_bug_in_a_statement_for_postgresql_stays_what_it_is() -> None:
    with postgres_schema() as url:
        engine = make_engine(parse_address(url), read_only=False)
        with pytest.raises(Exception, match="no_such_table"), translated("x"), engine.begin() as connection:
            connection.execute(text("SELECT * FROM no_such_table"))
        engine.dispose()
