"""How the store's values are spelled as rows, and read back."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import case, func

from bridge.core.deeds import deed_kind, deed_to_json
from bridge.core.model import (
    Alias,
    Digest,
    Facts,
    Hold,
    MappingRecord,
    ModelKey,
    SourceVersion,
    State,
    StoredFile,
    Tombstone,
)
from bridge.core.records import Content, EntryId, Intent, JournalEntry, Outcome, Status, Upload, behind_since
from bridge.store.changes import deed_from_json
from bridge.store.sealing import seal, unseal
from bridge.store.tables import statuses

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, RowMapping
    from sqlalchemy.sql import ColumnCollection

    from bridge.core.deeds import Deed

Row = dict[str, Any]
New: TypeAlias = "ColumnCollection[str, ColumnElement[Any]]"  # a row that an upsert would have inserted


def utc(at: datetime | str) -> str:
    """Return a time as ISO 8601 text; a text stays as it is. Raises ValueError unless its zone is UTC."""
    text = at if isinstance(at, str) else at.isoformat()
    if datetime.fromisoformat(text).utcoffset() != timedelta(0):
        raise ValueError(f"{text!r} is not a time in UTC")
    return text


def key_row(key: ModelKey) -> Row:
    """Spell a key."""
    return {"mapping": key.mapping, "model": key.model}


def record_row(record: MappingRecord) -> Row:
    """Spell a record."""
    return {
        **key_row(record.key),
        **_source_row(record.source),
        "artifact_uri": record.artifact_uri,
        "version_id": record.version_id,
        "first_seen": utc(record.first_seen),
        "facts": asdict(record.facts),
    }


def record_of(row: RowMapping) -> MappingRecord:
    """Read a record."""
    facts = Facts(**(row["facts"] or {}))
    return MappingRecord(key_of(row), _source_of(row), row["artifact_uri"], row["version_id"], row["first_seen"], facts)


def tombstone_row(record: MappingRecord, why: str, at: datetime) -> Row:
    """Spell a tombstone that is new."""
    return {**record_row(record), "removed": utc(at), "why": why}


def tombstone_of(row: RowMapping) -> Tombstone:
    """Read a tombstone."""
    return Tombstone(record_of(row), row["removed"], row["why"], row["files_removed"])


def intent_row(intent: Intent) -> Row:
    """Spell an intent."""
    return {
        **key_row(intent.key),
        **_source_row(intent.version),
        "artifact_uri": intent.artifact_uri,
        "sent_at": intent.sent_at and utc(intent.sent_at),
        "operation": intent.operation,
    }


def intent_of(row: RowMapping) -> Intent:
    """Read an intent."""
    return Intent(key_of(row), _source_of(row), row["artifact_uri"], row["sent_at"], row["operation"])


def entry_row(key: ModelKey, change: Deed, why: str, at: datetime) -> Row:
    """Spell the beginning of a journal entry."""
    return {
        **key_row(key),
        "kind": deed_kind(change),
        "change": deed_to_json(change),
        "why": why,
        "begun": utc(at),
        "detail": "",
    }


def entry_of(row: RowMapping) -> JournalEntry:
    """Read a journal entry."""
    return JournalEntry(
        id=EntryId(row["id"]),
        key=key_of(row),
        change=deed_from_json(row["change"]),
        why=row["why"],
        begun=row["begun"],
        outcome=None if row["outcome"] is None else Outcome(row["outcome"]),
        detail=row["detail"],
        finished=row["finished"],
    )


def status_row(status: Status) -> Row:
    """Spell the first status of a model; `behind` says what becomes of the one that is there."""
    since = behind_since(status, None)
    return {
        **key_row(status.key),
        "state": status.state.value,
        "message": status.message,
        "remedy": status.remedy,
        "collection": status.collection,
        "looked_at": utc(status.looked_at),
        "fingerprint": status.fingerprint,
        "attempt": status.attempt,
        "next_try": status.next_try and utc(status.next_try),
        "tried": status.tried,
        "behind_since": since and utc(since),
    }


def behind(new: New) -> dict[str, ColumnElement[str | None]]:
    """Say core.records.behind_since in SQL, of a `new` row and the one that is there."""
    since = func.coalesce(statuses.c.behind_since, new["behind_since"])
    return {"behind_since": case((new["state"] != State.SYNCED, since))}


def status_of(row: RowMapping) -> Status:
    """Read a status."""
    return Status(
        key=key_of(row),
        state=State(row["state"]),
        message=row["message"],
        remedy=row["remedy"],
        collection=row["collection"],
        looked_at=row["looked_at"],
        fingerprint=row["fingerprint"],
        attempt=row["attempt"],
        next_try=row["next_try"],
        tried=row["tried"],
        behind_since=row["behind_since"],
    )


def hold_row(key: ModelKey, hold: Hold) -> Row:
    """Spell a hold."""
    until = hold.until and utc(hold.until)
    return {**key_row(key), "alias": hold.alias, "who": hold.who, "why": hold.why, "until": until}


def hold_of(row: RowMapping) -> Hold:
    """Read a hold."""
    return Hold(Alias(row["alias"]), row["who"], row["why"], row["until"], row["model"])


def upload_row(upload: Upload, secret: bytes) -> Row:
    """Spell an upload, its address sealed."""
    return {
        "uri": upload.uri,
        "sealed_address": seal(secret, upload.uri, upload.address),
        "kind": upload.kind,
        "size": upload.size,
        "algorithm": upload.digest and upload.digest.algorithm,
        "digest": upload.digest and upload.digest.value,
        "begun": utc(upload.begun),
    }


def upload_of(row: RowMapping, secret: bytes | None) -> Upload:
    """Read an upload; the address is empty if the secret is not the one that it was sealed with."""
    return Upload(
        uri=row["uri"],
        address=unseal(secret, row["uri"], row["sealed_address"]),
        kind=row["kind"],
        size=row["size"],
        digest=None if row["digest"] is None else Digest(row["algorithm"], row["digest"]),
        begun=row["begun"],
    )


def content_row(content: Content) -> Row:
    """Spell a content."""
    file = content.file
    return {
        "bucket": content.bucket,
        "algorithm": content.digest.algorithm,
        "digest": content.digest.value,
        "size": file.size,
        "uri": content.uri,
        "path": file.path,
        "crc32c": file.crc32c,
        "md5": file.md5,
        "xxh128": file.xxh128,
        "sha256": file.sha256,
    }


def content_of(row: RowMapping) -> Content:
    """Read a content."""
    file = StoredFile(row["path"], row["size"], row["crc32c"], row["md5"], row["xxh128"], row["sha256"])
    return Content(Digest(row["algorithm"], row["digest"]), file, row["uri"])


def key_of(row: RowMapping) -> ModelKey:
    """Read a key."""
    return ModelKey(row["mapping"], row["model"])


def _source_row(version: SourceVersion) -> Row:
    return {
        "connection": version.connection,
        "collection": version.collection,
        "label": version.label,
        "source_id": version.id,
        "digest": version.digest,
        "url": version.url,
    }


def _source_of(row: RowMapping) -> SourceVersion:
    return SourceVersion(
        connection=row["connection"],
        collection=row["collection"],
        label=row["label"],
        id=row["source_id"],
        digest=row["digest"],
        url=row["url"],
    )
