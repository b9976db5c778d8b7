"""What a crash left open, settled by looking at what is there now. Pure: reconcile writes the result down."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, assert_never

from bridge.core.changes import (
    AdoptVersion,
    ArrangeFiles,
    CopyFiles,
    DeleteFiles,
    DeleteVersion,
    MarkDuplicate,
    MoveAlias,
    RegisterVersion,
    RemoveAlias,
)
from bridge.core.deeds import Paused, Resumed
from bridge.core.model import MappingRecord, Tombstone
from bridge.core.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import timedelta

    from bridge.core.changes import Change
    from bridge.core.deeds import Deed
    from bridge.core.model import Alias, Known, SourceVersion, TargetState
    from bridge.core.records import EntryId, Intent, JournalEntry


@dataclass(frozen=True, slots=True)
class Settlement:
    """What has become known, and so must be written down; `known` is what the plan is made from."""

    known: Known
    landed: tuple[MappingRecord, ...]  # their intents are over
    mirrored: Mapping[Alias, str | None]  # aliases whose last setting changed; None: gone
    outcomes: Mapping[EntryId, Outcome]
    still_open: Mapping[Change, EntryId] = field(default_factory=dict)  # those whose end is not known yet
    buried: tuple[Tombstone, ...] = ()  # whose versions Vertex has no more, since we deleted them
    awaited: datetime | None = None  # until when a change of an alias may still take effect, or turn out not to have

    def lines_of(self, change: Change) -> tuple[EntryId, ...]:
        """Return the open lines whose place a change takes: its own, and a removal's if it sets the alias again."""
        return tuple(
            entry
            for each, entry in self.still_open.items()
            if each == change
            or (isinstance(each, RemoveAlias) and isinstance(change, MoveAlias) and each.alias == change.alias)
        )


def settle(
    known: Known,
    unfinished: Sequence[JournalEntry],
    intents: Sequence[Intent],
    actual: TargetState,
    *,
    now: datetime,
    window: timedelta,
) -> Settlement:
    """
    Settle intents and journal entries that were never finished.

    A request outlives the process that sent it: within `window` of its beginning, what does not show yet may come.

        open                 visible in Vertex  outcome
        intent               yes                a record: the lowest version id, if there are several
        intent               no                 stays open: the version may still come
        register             yes                applied
        register             no                 stays open while its intent does, else abandoned
        adopt                a record is        applied: it is written last
        move alias           yes                applied, and remembered as set by us
        move alias           no                 stays open within the window, then abandoned
        move alias           on nobody          besides, forgotten as set, unless we have set it elsewhere since: we
                                                may have taken it away ourselves
        remove alias         yes                forgotten as set, unless we have set it elsewhere since; but what
                                                shows may be older than the alias, so it stays open within the
                                                window, then it is applied
        remove alias         no                 stays open within the window, then abandoned
        remove alias         forgotten, and     besides, remembered as set by us again: an older list had hidden it
                             there after all
        delete version       gone               applied, and a tombstone in place of its record
        delete files         -                  applied if its tombstone says that they are removed, else abandoned
        anything else        no                 abandoned: the plan will say whether it is still wanted
    """
    at = now.isoformat()
    landed = tuple(record for intent in intents if (record := _record(intent, actual, at)) is not None)
    landed_uris = {record.artifact_uri for record in landed}
    waiting = {intent.artifact_uri for intent in intents} - landed_uris
    outcomes: dict[EntryId, Outcome] = {}
    mirrored: dict[Alias, str | None] = {}
    still_open: dict[Change, EntryId] = {}
    buried: dict[str, Tombstone] = {}
    awaited: list[datetime] = []
    for entry in unfinished:
        change = entry.change
        if isinstance(change, MoveAlias | RemoveAlias):
            end = datetime.fromisoformat(entry.begun) + window
            outcome, now_set = _alias_settled(change, known, actual, is_early=now < end)
            mirrored |= now_set
            if outcome is None:
                still_open[change] = entry.id
                awaited.append(end)
            else:
                outcomes[entry.id] = outcome
        elif isinstance(change, DeleteFiles):
            left = any(grave.record.artifact_uri == change.artifact_uri for grave in known.tombstones)
            outcomes[entry.id] = Outcome.ABANDONED if left else Outcome.APPLIED
        elif took_effect(change, actual, known.records):
            outcomes[entry.id] = Outcome.APPLIED
            if isinstance(change, DeleteVersion):
                of_it = (each for each in known.records if each.version_id == change.version_id)
                buried |= {each.artifact_uri: Tombstone(each, at, gone_at_source(each.source)) for each in of_it}
        elif isinstance(change, RegisterVersion) and change.artifact_uri in waiting:
            still_open[change] = entry.id
        else:
            outcomes[entry.id] = Outcome.ABANDONED
    replaced = landed_uris | buried.keys()
    records = (*(record for record in known.records if record.artifact_uri not in replaced), *landed)
    set_by_us = {alias: version for alias, version in {**known.mirrored, **mirrored}.items() if version is not None}
    graves = (*known.tombstones, *buried.values())
    settled = replace(known, records=records, mirrored=set_by_us, tombstones=graves)
    until = max(awaited, default=None)
    return Settlement(settled, landed, mirrored, outcomes, still_open, tuple(buried.values()), until)


def took_effect(change: Deed, actual: TargetState, records: Iterable[MappingRecord] = ()) -> bool:  # noqa: PLR0911  one kind a case
    """Tell whether a change is visible in *actual*, or is recorded: how a pass settles what a crash left open."""
    match change:
        case CopyFiles(artifact_uri=uri) | ArrangeFiles(artifact_uri=uri):
            return uri in actual.committed
        case RegisterVersion(artifact_uri=uri):
            return any(version.artifact_uri == uri and version.marked for version in actual.versions)
        case AdoptVersion(artifact_uri=uri, version_id=version_id):
            return any((record.artifact_uri, record.version_id) == (uri, version_id) for record in records)
        case MoveAlias(alias, artifact_uri=uri):
            holder = actual.holder(alias)
            return holder is not None and holder.artifact_uri == uri and holder.marked
        case RemoveAlias(alias):
            return actual.holder(alias) is None
        case MarkDuplicate(version_id):
            return any(version.id == version_id and version.duplicate for version in actual.versions)
        case DeleteVersion(version_id=version_id):
            return all(version.id != version_id for version in actual.versions)
        case DeleteFiles():
            return False  # not to be seen in it: a tombstone says so
        case Paused() | Resumed():
            return False  # it is never open: it is written down with its end
        case _:
            assert_never(change)


def gone_at_source(version: SourceVersion) -> str:
    """Say why a version was deleted in Vertex."""
    return f"{version} is gone at the source (on_source_delete: delete)"


def _alias_settled(
    change: MoveAlias | RemoveAlias, known: Known, actual: TargetState, *, is_early: bool
) -> tuple[Outcome | None, dict[Alias, str | None]]:
    """Say how a change of an alias ended, None if that may not show yet, and where the alias is last set then."""
    alias, holder, shows = change.alias, actual.holder(change.alias), took_effect(change, actual)
    pending = None if is_early else Outcome.ABANDONED
    if isinstance(change, MoveAlias):
        if holder is not None:
            return (Outcome.APPLIED, {alias: holder.id}) if shows else (pending, {})
        return pending, {alias: None} if _last_set(change, known) else {}
    was_set, on_it = known.mirrored.get(alias), change.previous.version_id
    if shows:
        waits = is_early and was_set in (None, on_it)
        return None if waits else Outcome.APPLIED, {alias: None} if was_set == on_it else {}
    is_back = was_set is None and holder is not None and holder.id == on_it
    return pending, {alias: on_it} if is_back else {}


def _last_set(change: MoveAlias, known: Known) -> bool:
    """Tell whether an alias was last set where this change took it from, or was to set it."""
    was_set = known.mirrored.get(change.alias)
    ends = {record.version_id for record in known.records if record.artifact_uri == change.artifact_uri}
    return was_set in ends or (change.previous is not None and was_set == change.previous.version_id)


def _record(intent: Intent, actual: TargetState, now: str) -> MappingRecord | None:
    matches = [v for v in actual.versions if v.artifact_uri == intent.artifact_uri and v.marked]
    if not matches:
        return None
    first = min(matches, key=lambda version: int(version.id))
    return MappingRecord(intent.key, intent.version, intent.artifact_uri, first.id, now)
