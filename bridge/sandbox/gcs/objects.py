"""The table of objects: every check and its commit are one transaction."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bridge.sandbox.gcs.errors import not_found
from bridge.sandbox.gcs.hashes import Digests, md5_hex
from bridge.sandbox.gcs.preconditions import NONE, Preconditions

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.sandbox.clock import SandboxClock
    from bridge.sandbox.gcs.bodies import Bodies
    from bridge.sandbox.gcs.buckets import Buckets
    from bridge.sandbox.gcs.database import Database
    from bridge.sandbox.gcs.fields import Fields

COLUMNS = (
    "bucket, name, generation, metageneration, size, crc32c, md5, components, body, created, updated, deleted, fields"
)


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One generation of an object; its body never changes."""

    bucket: str
    name: str
    generation: int
    metageneration: int
    size: int  # bytes
    crc32c: str
    md5: str | None  # None: composed, or uploaded in XML parts
    components: int | None  # how many objects or parts it was put together from, if it was
    body: str
    created: float  # seconds since the epoch, like the next two
    updated: float
    deleted: float | None  # None: the live generation; else when it ceased to be
    fields: Fields

    @property
    def etag(self) -> str:
        """The JSON API's: opaque, another one for every generation and metageneration."""
        return base64.b64encode(f"{self.generation}/{self.metageneration}".encode()).decode()

    @property
    def xml_etag(self) -> str:
        """The XML API's, without its quotes: the hexadecimal MD5, something opaque where there is none."""
        return md5_hex(self.md5) if self.md5 else f"-{self.generation}"

    @property
    def etags(self) -> frozenset[str]:
        """Whatever a client may call it by."""
        return frozenset({self.etag, self.xml_etag})

    @property
    def digests(self) -> Digests:
        """Size and hashes of its body."""
        return Digests(self.size, self.crc32c, self.md5)


@dataclass(frozen=True, slots=True)
class NewObject:
    """What is to become the live generation of its name."""

    bucket: str
    name: str
    fields: Fields
    digests: Digests
    body: str
    components: int | None = None


def from_row(row: tuple[Any, ...]) -> StoredObject:
    """Read a row of COLUMNS."""
    *columns, fields = row
    return StoredObject(*[*columns, json.loads(fields)])


class Objects:
    """Find, put, change and delete objects."""

    def __init__(self, database: Database, bodies: Bodies, buckets: Buckets, clock: SandboxClock) -> None:
        self._database = database
        self._bodies = bodies
        self._buckets = buckets
        self._clock = clock
        newest = database.row("SELECT max(generation) FROM objects")
        self._last_generation: int = (newest and newest[0]) or 0

    def find(self, bucket: str, name: str, generation: int | None = None) -> StoredObject | None:
        """Return the live generation, or the one asked for, live or not; None if there is none."""
        which = "deleted IS NULL" if generation is None else "generation = ?"
        values = () if generation is None else (generation,)
        row = self._database.row(
            f"SELECT {COLUMNS} FROM objects WHERE bucket = ? AND name = ? AND {which}",  # noqa: S608  constants
            bucket,
            name,
            *values,
        )
        return from_row(row) if row else None

    def require(self, bucket: str, name: str, generation: int | None = None) -> StoredObject:
        """Return the live generation, or the one asked for; raises 404."""
        found = self.find(bucket, name, generation)
        if found is None:
            self._buckets.require(bucket)
            raise not_found(f"No such object: {bucket}/{name}" + (f"#{generation}" if generation else ""))
        return found

    def put(self, new: NewObject, conditions: Preconditions = NONE) -> StoredObject:
        """
        Make `new` the live generation, if the conditions hold now; raises 404 for the bucket, 412.

        The generation before it goes, or becomes noncurrent if the bucket keeps versions.
        """
        with self._database.transaction():
            bucket = self._buckets.require(new.bucket)
            current = self.find(new.bucket, new.name)
            conditions.check(current)
            now = self._clock.now()
            if current:
                self._retire(current, now, keep=bucket.versioned)
            digests = new.digests
            fields = {"storageClass": bucket.fields.get("storageClass", "STANDARD"), **new.fields}
            stored = StoredObject(
                new.bucket, new.name, self._next_generation(now), 1,
                digests.size, digests.crc32c, digests.md5, new.components, new.body, now, now, None, fields,
            )  # fmt: skip
            self._database.rows(
                f"INSERT INTO objects ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608  constants
                stored.bucket, stored.name, stored.generation, stored.metageneration, stored.size,
                stored.crc32c, stored.md5, stored.components, stored.body, now, now, None, json.dumps(fields),
            )  # fmt: skip
        return stored

    def change(
        self,
        bucket: str,
        name: str,
        generation: int | None,
        change: Callable[[Fields], Fields],
        conditions: Preconditions,
    ) -> StoredObject:
        """Replace the fields of one generation; its metageneration grows by one. Raises 404, 412."""
        with self._database.transaction():
            current = self.require(bucket, name, generation)
            conditions.check(current)
            changed = replace(
                current,
                metageneration=current.metageneration + 1,
                updated=self._clock.now(),
                fields=change(current.fields),
            )
            self._database.rows(
                "UPDATE objects SET metageneration = ?, updated = ?, fields = ? "
                "WHERE bucket = ? AND name = ? AND generation = ?",
                changed.metageneration,
                changed.updated,
                json.dumps(changed.fields),
                bucket,
                name,
                current.generation,
            )
        return changed

    def delete(self, bucket: str, name: str, generation: int | None, conditions: Preconditions) -> None:
        """
        Delete one generation for good, or the live one as the bucket's versioning has it.

        Raises 404, 412. That an absent object is 404 whatever the conditions say is a guess.
        """
        with self._database.transaction():
            current = self.require(bucket, name, generation)
            conditions.check(current)
            keep = generation is None and self._buckets.require(bucket).versioned
            self._retire(current, self._clock.now(), keep=keep)

    def _retire(self, current: StoredObject, now: float, *, keep: bool) -> None:
        key = (current.bucket, current.name, current.generation)
        if keep:
            self._database.rows(
                "UPDATE objects SET deleted = ? WHERE bucket = ? AND name = ? AND generation = ?", now, *key
            )
        else:
            self._database.rows("DELETE FROM objects WHERE bucket = ? AND name = ? AND generation = ?", *key)
            self._database.after_commit(lambda: self._bodies.remove(current.body))

    def _next_generation(self, now: float) -> int:
        # Microseconds, as the service's look like; never one twice.
        self._last_generation = max(self._last_generation + 1, int(now * 1_000_000))
        return self._last_generation
