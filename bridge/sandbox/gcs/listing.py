"""Listing objects: by name, a page at a time, with everything below a delimiter folded into a prefix."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bridge.sandbox.gcs.errors import invalid
from bridge.sandbox.gcs.objects import COLUMNS, StoredObject, from_row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.sandbox.gcs.database import Database

PAGE = 1000  # items and prefixes together; the service allows no more either
Place = tuple[bytes, int]  # a name in UTF-8 and a generation; a page begins behind it


@dataclass(frozen=True, slots=True)
class Query:
    """What to list; `start` is included, `end` is not, and both are compared by UTF-8 bytes."""

    bucket: str
    prefix: str = ""
    delimiter: str = ""
    start: str = ""
    end: str = ""
    versions: bool = False
    limit: int = PAGE
    page_token: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """One page; without `next_token` it is the last."""

    items: list[StoredObject]
    prefixes: list[str]
    next_token: str


def list_objects(database: Database, query: Query) -> Page:
    """
    List one page.

    A folded prefix is jumped over with a new query, so the work is in proportion to what is returned, not
    to what lies below the prefixes.
    """
    items: list[StoredObject] = []
    prefixes: list[str] = []
    place: Place = max((query.prefix.encode(), -1), (query.start.encode(), -1), _place(query.page_token))
    while True:
        for row in _rows(database, query, place):
            if len(items) + len(prefixes) == query.limit:
                return Page(items, prefixes, _token(place))
            found = from_row(row)
            folded = _folded(found.name, query)
            if folded is not None:
                prefixes.append(folded)
                place = (_behind(folded.encode()), -1)
                break
            items.append(found)
            # Without versions a name is listed once, even if it gets a new generation between two pages.
            place = (found.name.encode(), found.generation) if query.versions else (found.name.encode() + b"\0", -1)
        else:
            return Page(items, prefixes, "")


def _rows(database: Database, query: Query, place: Place) -> Iterator[tuple[Any, ...]]:
    # Read as they are needed. Names are given as bytes and cast, because the bound behind a prefix need not
    # be valid UTF-8.
    where = "bucket = ? AND (name, generation) > (CAST(? AS TEXT), ?)"
    values: list[object] = [query.bucket, *place]
    ends = [end for end in (query.end.encode(), _behind(query.prefix.encode())) if end]
    if ends:
        where += " AND name < CAST(? AS TEXT)"
        values.append(min(ends))
    if not query.versions:
        where += " AND deleted IS NULL"
    statement = f"SELECT {COLUMNS} FROM objects WHERE {where} ORDER BY name, generation"  # noqa: S608  constants
    return database.rows(statement, *values)


def _folded(name: str, query: Query) -> str | None:
    if not query.delimiter:
        return None
    found = name.find(query.delimiter, len(query.prefix))
    return None if found < 0 else name[: found + len(query.delimiter)]


def _behind(prefix: bytes) -> bytes:
    """Return the least byte string behind all that begin with `prefix`; UTF-8 has no byte 0xFF."""
    return prefix[:-1] + bytes([prefix[-1] + 1]) if prefix else b""


def _token(place: Place) -> str:
    return base64.urlsafe_b64encode(json.dumps([place[0].hex(), place[1]]).encode()).decode()


def _place(token: str) -> Place:
    if not token:
        return (b"", -1)
    try:
        name, generation = json.loads(base64.urlsafe_b64decode(token))
        return bytes.fromhex(name), int(generation)
    except (binascii.Error, ValueError, TypeError):
        raise invalid(f"Invalid page token: {token!r}") from None
