"""The table of XML multipart uploads and their parts."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.sandbox.gcs.errors import not_found
from bridge.sandbox.gcs.hashes import Digests, md5_hex

if TYPE_CHECKING:
    from bridge.sandbox.gcs.bodies import Bodies
    from bridge.sandbox.gcs.database import Database
    from bridge.sandbox.gcs.fields import Fields


@dataclass(frozen=True, slots=True)
class Multipart:
    """One upload in parts, which nothing but its completion or its abortion ends."""

    id: str
    bucket: str
    name: str
    fields: Fields


@dataclass(frozen=True, slots=True)
class Part:
    """The bytes that were sent last for a number."""

    number: int
    digests: Digests
    body: str

    @property
    def etag(self) -> str:
        """The hexadecimal MD5; its quotes are the header's."""
        return md5_hex(self.digests.md5 or "")


class Multiparts:
    """Start, find and end uploads in parts."""

    def __init__(self, database: Database, bodies: Bodies) -> None:
        self._database = database
        self._bodies = bodies

    def start(self, bucket: str, name: str, fields: Fields) -> Multipart:
        """Begin an upload without parts."""
        upload = Multipart(uuid.uuid4().hex, bucket, name, fields)
        with self._database.transaction():
            self._database.rows(
                "INSERT INTO multiparts VALUES (?, ?, ?, ?)", upload.id, bucket, name, json.dumps(fields)
            )
        return upload

    def require(self, upload_id: str, bucket: str, name: str) -> Multipart:
        """Return the upload of that object; raises 404 if it is unknown, completed or aborted."""
        row = self._database.row(
            "SELECT id, bucket, name, fields FROM multiparts WHERE id = ? AND bucket = ? AND name = ?",
            upload_id,
            bucket,
            name,
        )
        if row is None:
            raise not_found("The requested upload was not found.", xml_code="NoSuchUpload")
        return Multipart(row[0], row[1], row[2], json.loads(row[3]))

    def parts(self, upload: Multipart) -> dict[int, Part]:
        """Return the parts by number."""
        rows = self._database.rows("SELECT number, size, crc32c, md5, body FROM parts WHERE upload = ?", upload.id)
        return {number: Part(number, Digests(size, crc, md5), body) for number, size, crc, md5, body in rows}

    def put_part(self, upload: Multipart, part: Part) -> None:
        """Keep a part, instead of an earlier one of its number; raises 404 if the upload has ended."""
        with self._database.transaction():
            self.require(upload.id, upload.bucket, upload.name)
            earlier = self._database.row(
                "SELECT body FROM parts WHERE upload = ? AND number = ?", upload.id, part.number
            )
            digests = part.digests
            self._database.rows(
                "INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?, ?)",
                upload.id, part.number, digests.size, digests.crc32c, digests.md5, part.body,
            )  # fmt: skip
            if earlier:
                self._forget(earlier[0])

    def end(self, upload: Multipart) -> None:
        """Forget the upload and its parts; raises 404 if it has ended already."""
        with self._database.transaction():
            self.require(upload.id, upload.bucket, upload.name)
            for part in self.parts(upload).values():
                self._forget(part.body)
            self._database.rows("DELETE FROM multiparts WHERE id = ?", upload.id)

    def _forget(self, body: str) -> None:
        self._database.after_commit(lambda: self._bodies.remove(body))
