"""The table of buckets."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bridge.sandbox.gcs.errors import GcsError, invalid, not_found

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.sandbox.clock import SandboxClock
    from bridge.sandbox.gcs.database import Database
    from bridge.sandbox.gcs.fields import Fields
    from bridge.sandbox.gcs.preconditions import Preconditions

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
COLUMNS = "name, metageneration, created, updated, fields"


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket and what was set on it."""

    name: str
    metageneration: int
    created: float  # seconds since the epoch
    updated: float
    fields: Fields

    @property
    def generation(self) -> int:
        """Buckets have one too; nothing asks for it."""
        return int(self.created * 1_000_000)

    @property
    def etag(self) -> str:
        """Opaque; another one for every metageneration."""
        return base64.b64encode(f"bucket/{self.generation}/{self.metageneration}".encode()).decode()

    @property
    def etags(self) -> frozenset[str]:
        """Its one ETag."""
        return frozenset({self.etag})

    @property
    def versioned(self) -> bool:
        """Whether generations that are overwritten or deleted are kept."""
        return bool((self.fields.get("versioning") or {}).get("enabled"))


def from_row(row: tuple[Any, ...]) -> Bucket:
    """Read a row of COLUMNS."""
    *columns, fields = row
    return Bucket(*[*columns, json.loads(fields)])


class Buckets:
    """Create, find, change and delete buckets; there is one project, whatever clients call it."""

    def __init__(self, database: Database, clock: SandboxClock) -> None:
        self._database = database
        self._clock = clock

    def create(self, name: object, fields: Fields) -> Bucket:
        """Make a bucket; raises 409 if there is one of that name."""
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise invalid(f"Invalid bucket name: {name!r}")
        now = self._clock.now()
        bucket = Bucket(name, 1, now, now, fields)
        with self._database.transaction():
            if self.find(name):
                raise GcsError(
                    409, "conflict", f"The bucket {name} exists already and you own it.", xml_code="BucketExists"
                )
            self._database.rows(
                f"INSERT INTO buckets ({COLUMNS}) VALUES (?, 1, ?, ?, ?)",  # noqa: S608  constants
                name, now, now, json.dumps(fields),
            )  # fmt: skip
        return bucket

    def find(self, name: str) -> Bucket | None:
        """Return the bucket, or None."""
        row = self._database.row(f"SELECT {COLUMNS} FROM buckets WHERE name = ?", name)  # noqa: S608  constants
        return from_row(row) if row else None

    def require(self, name: str) -> Bucket:
        """Return the bucket; raises 404."""
        bucket = self.find(name)
        if bucket is None:
            raise not_found(f"The specified bucket does not exist: {name}", xml_code="NoSuchBucket")
        return bucket

    def page(self, prefix: str, after: str, limit: int) -> list[Bucket]:
        """Return up to `limit` buckets whose name begins with `prefix` and comes behind `after`."""
        rows = self._database.rows(
            f"SELECT {COLUMNS} FROM buckets WHERE name > ? AND substr(name, 1, ?) = ? ORDER BY name LIMIT ?",  # noqa: S608  constants
            after, len(prefix), prefix, limit,
        )  # fmt: skip
        return [from_row(row) for row in rows]

    def change(self, name: str, change: Callable[[Fields], Fields], conditions: Preconditions) -> Bucket:
        """Replace the fields; the metageneration grows by one. Raises 404, 412."""
        with self._database.transaction():
            bucket = self.require(name)
            conditions.check(bucket)
            changed = replace(
                bucket,
                metageneration=bucket.metageneration + 1,
                updated=self._clock.now(),
                fields=change(bucket.fields),
            )
            self._database.rows(
                "UPDATE buckets SET metageneration = ?, updated = ?, fields = ? WHERE name = ?",
                changed.metageneration,
                changed.updated,
                json.dumps(changed.fields),
                name,
            )
        return changed

    def delete(self, name: str, conditions: Preconditions) -> None:
        """Delete an empty bucket; raises 404, 412, and 409 if any generation of any object is in it."""
        with self._database.transaction():
            conditions.check(self.require(name))
            if self._database.row("SELECT 1 FROM objects WHERE bucket = ? LIMIT 1", name):
                raise GcsError(
                    409, "conflict", "The bucket you tried to delete is not empty.", xml_code="BucketNotEmpty"
                )
            self._database.rows("DELETE FROM buckets WHERE name = ?", name)
