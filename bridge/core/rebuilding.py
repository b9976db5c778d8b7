"""What a store that was lost had known, told from Vertex, the bucket and the source. Pure: reconcile writes it down."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from bridge.core.model import DEFAULT, MappingRecord, SourceVersion

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bridge.core.desired import Desired
    from bridge.core.model import Alias, ManifestHeader, ModelKey, ModelVersion, TargetState


@dataclass(frozen=True, slots=True)
class Left:
    """Something of a model that is not known again: of what, and why."""

    about: str  # "version @3", "alias beta"
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.about}: {self.reason}; {self.remedy}"


@dataclass(frozen=True, slots=True)
class Rebuilding:
    """What is known again of one model, and what is not."""

    records: tuple[MappingRecord, ...] = ()
    mirrored: Mapping[Alias, str] = field(default_factory=dict)  # alias -> Vertex version id
    left: tuple[Left, ...] = ()


@dataclass(frozen=True, slots=True)
class Remains:
    """What there is to tell it from."""

    key: ModelKey
    connection: str  # of the mapping's source
    actual: TargetState
    headers: Mapping[str, ManifestHeader | str]  # by artifact_uri; a text: why there is none
    published: Sequence[SourceVersion]  # what the source lists, newest names and addresses
    desired: Desired | None  # None: the source could not be asked, or has the collection no longer
    records: Sequence[MappingRecord]  # this and the next two: what the store knows by now
    mirrored: Mapping[Alias, str] = field(default_factory=dict)
    pending: frozenset[str] = frozenset()  # folders with an open intent: a pass settles those


def rebuild(remains: Remains, now: str) -> Rebuilding:
    """
    Tell records and aliases from what is there; what the store knows already stays as it is.

        version in Vertex                                   record
        with our mark and a manifest                        from the manifest; the lowest id, if a folder has several
        with our mark, its folder without a manifest        none: it is left, and told
        without our mark                                    none: it is left, and told
        of a folder that has a record, or an open intent    none: the store knows more than this

        alias on a version that has a record    what the mapping wants there      set by us
        production on v7                        production on v7                  yes
        production on v7                        production on v6, or nowhere      no: left, and told
        production on v7                        (the source could not be asked)   no: left, and told
        default                                 (nothing)                         no: Vertex demands one
    """
    known = {record.artifact_uri for record in remains.records} | remains.pending
    records: list[MappingRecord] = []
    left: list[Left] = []
    for version in sorted(remains.actual.versions, key=lambda version: int(version.id)):
        if version.artifact_uri in known:
            continue
        made = _record(version, remains, now)
        if isinstance(made, Left):
            left.append(made)
        else:
            records.append(made)
            known = known | {version.artifact_uri}
    ours = {record.version_id: record.source for record in (*remains.records, *records)}
    mirrored: dict[Alias, str] = {}
    for alias, version_id in _aliases(remains.actual):
        if version_id not in ours or alias in remains.mirrored:
            continue
        wanted = remains.desired.aliases.get(alias) if remains.desired else None
        if wanted is not None and wanted.id == ours[version_id].id:
            mirrored[alias] = version_id
        elif alias != DEFAULT or wanted is not None:
            left.append(_left_alias(alias, f"@{version_id} ({ours[version_id].label})", wanted, remains))
    return Rebuilding(tuple(records), mirrored, tuple(left))


def _record(version: ModelVersion, remains: Remains, now: str) -> MappingRecord | Left:
    about, folder = f"version @{version.id}", version.artifact_uri
    header = remains.headers.get(folder, f"{folder} has no manifest")
    if not version.marked:
        return Left(
            about, "it does not carry the bridge's mark", f"if it is to: bridge adopt {remains.key.model}@{version.id}"
        )
    if isinstance(header, str):
        return Left(about, header, "nothing says which source version it is; delete it in Vertex if nothing uses it")
    source = SourceVersion(
        remains.connection, header.collection, header.label, header.source_id, header.source_digest, url=""
    )
    source = next((each for each in remains.published if each.id == source.id and header.is_of(each)), source)
    return MappingRecord(remains.key, source, folder, version.id, _since(header.created, now), header.facts)


def _aliases(actual: TargetState) -> Iterator[tuple[Alias, str]]:
    yield from sorted((alias, version.id) for version in actual.versions for alias in version.aliases)


def _left_alias(alias: Alias, where: str, wanted: SourceVersion | None, remains: Remains) -> Left:
    about = f"alias {alias}"
    if remains.desired is None:
        reason = f"it is on {where}, and the source could not say whether it belongs there"
    elif wanted is None:
        reason = f"it is on {where}, and the mapping brings no such alias"
    else:
        reason = f"it is on {where}, and the mapping brings it to {wanted.label}"
    return Left(about, reason, "it does not count as set by the bridge, which so does not remove it")


def _since(created: str, now: str) -> str:
    """Return when the manifest was made, the nearest to when the version was first seen; now, if it does not say."""
    try:
        is_utc = datetime.fromisoformat(created).utcoffset() == timedelta(0)
    except ValueError:
        is_utc = False
    return created if is_utc else now
