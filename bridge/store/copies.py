"""The Uploads and Contents ports in SQL."""

from __future__ import annotations

import json
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Text, cast, func, select, update
from sqlalchemy.dialects.postgresql import JSONB

from bridge.core.records import STALE, Upload
from bridge.store import tables
from bridge.store.database import Database
from bridge.store.rows import content_of, content_row, upload_of, upload_row, utc
from bridge.store.sealing import passing_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Engine, Select

    from bridge.core.model import Digest
    from bridge.core.records import Content
    from bridge.store.sealing import Key

T = TypeVar("T")

_BATCH = 1000  # rows saved or digests asked for in one statement; SQLite takes 32,766 values, PostgreSQL 65,535
_IDENTITY = ("bucket", "digest", "algorithm", "size")
_PLACE = tuple(column.name for column in tables.contents.c if column.name not in _IDENTITY)


class SqlCopies(Database):
    """Open uploads, their addresses sealed with `key`, and known contents."""

    def __init__(self, engine: Engine, place: str, key: Key | None = None) -> None:
        super().__init__(engine, place)
        self._key = key or passing_key()

    # uploads
    @property
    def lasting(self) -> bool:
        """Whether a later process can read addresses."""
        return self._key.lasts

    def upload(self, uri: str) -> Upload | None:
        """Return the upload of the object with that URI; None if there is none, or its address cannot be read."""
        rows = self._rows(select(tables.uploads).where(tables.uploads.c.uri == uri))
        found = next((upload_of(row, self._key.find()) for row in rows), None)
        return found if found is not None and found.address else None

    def save_upload(self, upload: Upload) -> None:
        """Remember an upload, in place of one of the same URI."""
        self._put(tables.uploads, upload_row(upload, self._key.make()), by=("uri",))

    def forget_upload(self, uri: str) -> None:
        """Forget an upload."""
        self._drop(tables.uploads, tables.uploads.c.uri == uri)

    def uploads(self, before: datetime) -> tuple[Upload, ...]:
        """Return what was begun before that time, oldest first; addresses that cannot be read are empty."""
        secret = self._key.find()
        found = (upload_of(row, secret) for row in self._rows(select(tables.uploads)))
        # Compared as times, not as texts, which may end in a "Z"; there are never many.
        return tuple(sorted((each for each in found if _begun(each) < before), key=_begun))

    def begin_removal(self, folder: str, at: datetime) -> None:
        """Begin to remove a folder, or go on with it."""
        self.save_upload(Upload(folder, "", "removal", 0, None, at.isoformat()))

    def enter(self, folder: str, at: datetime) -> bool:
        """Begin the copy to a folder, unless somebody is removing it."""
        row = upload_row(Upload(folder, "", "folder", 0, None, at.isoformat()), self._key.make())
        statement = self._insert(tables.uploads).values(row)
        there = tables.uploads.c
        # Times in UTC that isoformat() has spelled sort as texts.
        free = (there.kind != "removal") | (there.begun < (at - STALE).isoformat())
        changed = {name: statement.excluded[name] for name in row if name != "uri"}
        statement = statement.on_conflict_do_update(index_elements=("uri",), set_=changed, where=free)
        with self._transaction() as connection:
            return connection.execute(statement.returning(there.uri)).first() is not None

    def stay(self, folder: str, since: datetime, at: datetime) -> bool:
        """Say that a copy goes on."""
        return self._take(folder, utc(since), "folder", at)

    def claim(self, upload: Upload, at: datetime) -> bool:
        """Take what is left of an upload for removal."""
        return self._take(upload.uri, upload.begun, "removal" if upload.kind == "folder" else upload.kind, at)

    def _take(self, uri: str, begun: str, kind: str, at: datetime) -> bool:
        there = tables.uploads.c
        as_seen = (there.uri == uri, there.begun == begun)
        statement = update(tables.uploads).where(*as_seen).values(kind=kind, begun=utc(at))
        with self._transaction() as connection:
            return connection.execute(statement).rowcount == 1

    # contents
    def contents(self, bucket: str, wanted: Sequence[tuple[Digest, int]]) -> Mapping[tuple[Digest, int], Content]:
        """Return what is known of these digests and sizes."""
        asked = dict.fromkeys(wanted)
        known = (
            content_of(row)
            for batch in _batches(asked)
            for row in self._rows(self._with_digests(bucket, [digest.value for digest, _ in batch]))
        )
        found = {(content.digest, content.file.size): content for content in known}
        return {identity: found[identity] for identity in asked if identity in found}

    def _with_digests(self, bucket: str, digests: list[str]) -> Select[Any]:
        """
        Look for digests of whatever algorithm and size; they are one value, a list in JSON.

        Listed one by one, PostgreSQL without statistics compared 1,000 with each of 100,000, in 2.5 s; joined to the
        table, SQLite did the same.
        """
        listed = json.dumps(digests)
        if self._engine.dialect.name == "postgresql":
            asked = func.jsonb_array_elements_text(cast(cast(listed, Text), JSONB)).table_valued("value")
        else:
            asked = func.json_each(listed).table_valued("value")
        row = tables.contents.c
        return select(tables.contents).where(row.bucket == bucket, row.digest.in_(select(asked.c.value)))

    def save_contents(self, contents: Iterable[Content]) -> None:
        """Remember where bytes lie, a batch per transaction, none of which is open while the next one is read."""
        statement = self._insert(tables.contents)
        changed = {name: statement.excluded[name] for name in _PLACE}
        statement = statement.on_conflict_do_update(
            index_elements=_IDENTITY, set_=changed, where=tables.contents.c.uri == statement.excluded.uri
        )
        for batch in _batches(contents):
            # In one order, so that no two processes wait for one another's rows; the sort is stable: first stays first.
            rows = sorted(map(content_row, batch), key=lambda row: [row[name] for name in _IDENTITY])
            with self._transaction() as connection:
                connection.execute(statement, rows)

    def forget_content(self, uri: str) -> None:
        """Forget an object, under all its digests."""
        self._drop(tables.contents, tables.contents.c.uri == uri)

    def forget_folder(self, folder: str) -> None:
        """Forget all objects below a folder: what sorts from it up to what "0" would be in place of its last "/"."""
        uri = tables.contents.c.uri
        self._drop(tables.contents, uri >= folder, uri < f"{folder.removesuffix('/')}0")


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, _BATCH)):
        yield batch


def _begun(upload: Upload) -> datetime:
    return datetime.fromisoformat(upload.begun)
