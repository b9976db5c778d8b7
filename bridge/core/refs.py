"""
References, written the way people already write them, and what the store knows under them.

    fraud@production, fraud@7                            a version in Vertex, by alias or id
    wandb-registry-model/fraud-detector:v7               a version at the source, by its label
    wandb-registry-model/fraud-detector:production       the same, by an alias as it is spelled in Vertex
    fraud                                                every version of a model or a mapping
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from bridge.core.changes import CopyFiles, MoveAlias, RegisterVersion, RemoveAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bridge.core.changes import Change
    from bridge.core.model import Alias, MappingRecord, ModelKey


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference: a name, and which version of it; None means all."""

    name: str
    version: str | None
    at_source: bool  # `name` is a collection's; else a model's or a mapping's


def parse_ref(text: str) -> Ref:
    """Read a reference; any text is one, if only the name of a model."""
    if "/" in text and ":" in text:
        name, _, version = text.rpartition(":")
        return Ref(name, version or None, at_source=True)
    name, at, version = text.rpartition("@")
    return Ref(name, version or None, at_source=False) if at else Ref(text, None, at_source="/" in text)


def find(
    ref: Ref, records: Iterable[MappingRecord], mirrored: Mapping[ModelKey, Mapping[Alias, str]]
) -> list[MappingRecord]:
    """Return the records that a reference means, in the order given; several mappings may have one model."""
    return [
        record
        for record in records
        if _named(ref, record) and (ref.version is None or _is_version(ref, record, mirrored.get(record.key, {})))
    ]


def concerns(change: Change, records: Iterable[MappingRecord]) -> bool:
    """Tell whether a change made one of these versions, or moved an alias to or from one."""
    folders = {record.artifact_uri for record in records}
    ids = {record.version_id for record in records}
    match change:
        case CopyFiles(artifact_uri=folder) | RegisterVersion(artifact_uri=folder):
            return folder in folders
        case MoveAlias(artifact_uri=folder, previous=previous):
            return folder in folders or (previous is not None and previous.version_id in ids)
        case RemoveAlias(previous=previous):
            return previous.version_id in ids
        case _:
            assert_never(change)


def _named(ref: Ref, record: MappingRecord) -> bool:
    if ref.at_source:
        collection = record.source.collection
        return collection == ref.name or collection.endswith(f"/{ref.name}")
    return ref.name in (record.key.model, record.key.mapping, str(record.key))


def _is_version(ref: Ref, record: MappingRecord, aliases: Mapping[Alias, str]) -> bool:
    by_name = record.source.label if ref.at_source else record.version_id
    return ref.version == by_name or any(
        alias == ref.version and version_id == record.version_id for alias, version_id in aliases.items()
    )
