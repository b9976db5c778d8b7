"""Which source version a record stands for: by the folder's name, or because a person's version was adopted for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.core.naming import folders, is_our_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bridge.core.model import Layout, MappingRecord, ModelVersion, SourceVersion


def is_adopted(record: MappingRecord) -> bool:
    """Tell whether a person filled the folder: nothing in it is ever written or removed; its manifest is elsewhere."""
    return not is_our_name(record.artifact_uri, record.key.model, record.source)


def homes(
    base: str, model: str, version: SourceVersion, layout: Layout, records: Iterable[MappingRecord]
) -> tuple[str, ...]:
    """Return the folders that Vertex may have a version from, best first: the bridge's, then those adopted for it."""
    same = (each for each in records if (each.source.id, each.source.digest) == (version.id, version.digest))
    return *folders(base, model, version, layout), *(each.artifact_uri for each in same if is_adopted(each))


def whose(records: Iterable[MappingRecord], model: str, version: ModelVersion) -> MappingRecord | None:
    """Return the record of a version of a model in Vertex, whatever mapping it is of."""
    at = (model, version.artifact_uri, version.id)
    return next((each for each in records if (each.key.model, each.artifact_uri, each.version_id) == at), None)


def alive(records: Iterable[MappingRecord], versions: Iterable[ModelVersion]) -> list[MappingRecord]:
    """Return the records whose version is in Vertex and carries our mark: those are ours."""
    there = {(version.artifact_uri, version.id) for version in versions if version.marked}
    return [record for record in records if (record.artifact_uri, record.version_id) in there]


def one_too_many(
    records: Iterable[MappingRecord], versions: Sequence[ModelVersion]
) -> Iterator[tuple[ModelVersion, MappingRecord]]:
    """Return the versions that show our mark beside ours of the same folder; a person may register theirs at will."""
    ours = {record.artifact_uri: record for record in alive(records, versions) if not is_adopted(record)}
    for version in versions:
        record = ours.get(version.artifact_uri)
        if record is not None and record.version_id != version.id and version.marked:
            yield version, record
