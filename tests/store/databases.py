"""Databases that live as long as a test."""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from sqlalchemy import MetaData, create_engine, inspect, make_url, select, text
from sqlalchemy.exc import OperationalError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL

VARIABLE = "BRIDGE_TEST_POSTGRES_URL"


@contextmanager
def postgres_schema() -> Iterator[str]:
    """
    Yield the URL of a schema of its own.

    If no server answers, skip; but fail if BRIDGE_TEST_POSTGRES_URL says that there is one, or BRIDGE_RACES needs one.
    """
    server = _server()
    if not _answers(server):
        no_server = pytest.fail if {VARIABLE, "BRIDGE_RACES"} & os.environ.keys() else pytest.skip
        no_server(f"no PostgreSQL answers at {server!r}; {VARIABLE} is the URL of one for tests")
    schema = f"bridge_{uuid4().hex}"
    _execute(server, f"CREATE SCHEMA {schema}")
    try:
        url = server.update_query_dict({"options": f"-csearch_path={schema}"})
        yield url.render_as_string(hide_password=False)
    finally:
        _execute(server, f"DROP SCHEMA {schema} CASCADE")


def made_by_a_newer_bridge(url: str) -> None:
    """Have a store say that it has a schema that nobody knows yet."""
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    finally:
        engine.dispose()


def has_tables(url: str) -> bool:
    engine = create_engine(url)
    try:
        return bool(inspect(engine).get_table_names())
    finally:
        engine.dispose()


def lose_tables(url: str) -> None:
    engine = create_engine(url)
    tables = MetaData()
    try:
        tables.reflect(engine)
        tables.drop_all(engine)
    finally:
        engine.dispose()


def all_rows(url: str) -> str:
    """Spell whatever is in a database."""
    engine = create_engine(url)
    tables = MetaData()
    try:
        tables.reflect(engine)
        with engine.connect() as connection:
            return "\n".join(
                repr(tuple(row)) for table in tables.sorted_tables for row in connection.execute(select(table))
            )
    finally:
        engine.dispose()


def _server() -> URL:
    default = "postgresql+psycopg://postgres@127.0.0.1:5432/test"
    return make_url(os.environ.get(VARIABLE, default)).update_query_dict({"connect_timeout": "2"})


@cache
def _answers(server: URL) -> bool:
    try:
        _execute(server, "SELECT 1")
    except OperationalError:
        return False
    return True


def _execute(server: URL, statement: str) -> None:
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(text(statement))
    finally:
        engine.dispose()
