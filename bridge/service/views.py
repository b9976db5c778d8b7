"""What the store knows of models, as JSON values: the same for the command line and over HTTP."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bridge.core.deeds import deed_to_json
from bridge.core.records import status_to_json

if TYPE_CHECKING:
    from datetime import datetime

    from bridge.core.model import MappingSpec, Tombstone
    from bridge.core.ports import Store
    from bridge.core.records import JournalEntry, Status


def mapping_row(spec: MappingSpec) -> dict[str, Any]:
    """Return a mapping: what follows what."""
    source = spec.source
    return {
        "name": spec.name,
        "source": {"connection": source.connection, "collection": f"{source.place}/{source.name}"},
        "target": asdict(spec.target),
        "policy": spec.policy,
        "origin": str(spec.origin),
    }


def model_row(store: Store, status: Status) -> dict[str, Any]:
    """Return how a model is, since when it is behind its source (None: it is not), and where its aliases are."""
    labels = {record.version_id: record.source.label for record in store.records(status.key)}
    aliases = {
        alias: {"version": version_id, "label": labels.get(version_id)}
        for alias, version_id in sorted(store.mirrored(status.key).items())
    }
    return status_to_json(status) | {
        "looked_at": status.looked_at,
        "attempt": status.attempt,
        "next_try": status.next_try,
        "behind_since": status.behind_since,
        "aliases": aliases,
    }


def grave_row(grave: Tombstone) -> dict[str, Any]:
    """Return what is left of a version that the bridge has deleted."""
    return {
        "source": str(grave.record.source),
        "url": grave.record.source.url,
        "folder": grave.record.artifact_uri,
        "model": grave.record.key.model,
        "version": grave.record.version_id,
        "mapping": grave.record.key.mapping,
        "first_seen": grave.record.first_seen,
        "removed": grave.removed,
        "why": grave.why,
        "files_removed": grave.files_removed,
    }


def grave_line(grave: Tombstone) -> str:
    """Say the same in one line."""
    files = f"its files on {grave.files_removed}" if grave.files_removed else "its files may still be there"
    return f"{grave.record.key.model}@{grave.record.version_id} on {grave.removed}, {files}: {grave.why}"


def model_page(store: Store, status: Status, now: datetime) -> dict[str, Any]:
    """Return all that is known of one model."""
    versions = [
        {
            "source": str(record.source),
            "url": record.source.url,
            "folder": record.artifact_uri,
            "version": record.version_id,
            "first_seen": record.first_seen,
        }
        for record in store.records(status.key)
    ]
    holds = [asdict(hold) for _, hold in sorted(store.holds(status.key, now).items())]
    deleted = [grave_row(grave) for grave in store.tombstones(status.key)]
    return model_row(store, status) | {"versions": versions, "holds": holds, "deleted": deleted}


def entry_row(entry: JournalEntry) -> dict[str, Any]:
    """Return a line of the journal."""
    return (
        deed_to_json(entry.change)
        | {"mapping": entry.key.mapping, "model": entry.key.model, "why": entry.why, "begun": entry.begun}
        | {"outcome": entry.outcome, "detail": entry.detail, "finished": entry.finished}
    )
