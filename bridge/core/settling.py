"""What a crash left open, settled by looking at what is there now. Pure: reconcile writes the result down."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bridge.core.changes import MoveAlias, RegisterVersion, RemoveAlias
from bridge.core.model import MappingRecord
from bridge.core.planner import took_effect
from bridge.core.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.core.changes import Change
    from bridge.core.model import Alias, Known, TargetState
    from bridge.core.records import EntryId, Intent, JournalEntry


@dataclass(frozen=True, slots=True)
class Settlement:
    """What has become known, and so must be written down; `known` is what the plan is made from."""

    known: Known
    landed: tuple[MappingRecord, ...]  # their intents are over
    mirrored: Mapping[Alias, str | None]  # aliases whose last setting changed; None: gone
    outcomes: Mapping[EntryId, Outcome]
    still_open: Mapping[Change, EntryId] = field(default_factory=dict)  # registrations whose end is not known yet


def settle(
    known: Known, unfinished: Sequence[JournalEntry], intents: Sequence[Intent], actual: TargetState, now: str
) -> Settlement:
    """
    Settle intents and journal entries that were never finished.

        open                 visible in Vertex  outcome
        intent               yes                a record: the lowest version id, if there are several
        intent               no                 stays open: the version may still come
        register             yes                applied
        register             no                 stays open while its intent does, else abandoned
        adopt                a record is        applied: it is written last
        move, remove alias   yes                applied, and remembered as set by us
        move alias           on nobody          abandoned, and forgotten as set: we may have taken it away ourselves
        anything else        no                 abandoned: the plan will say whether it is still wanted
    """
    landed = tuple(record for intent in intents if (record := _record(intent, actual, now)) is not None)
    landed_uris = {record.artifact_uri for record in landed}
    waiting = {intent.artifact_uri for intent in intents} - landed_uris
    outcomes: dict[EntryId, Outcome] = {}
    mirrored: dict[Alias, str | None] = {}
    still_open: dict[Change, EntryId] = {}
    for entry in unfinished:
        change = entry.change
        if took_effect(change, actual, known.records):
            outcomes[entry.id] = Outcome.APPLIED
            if isinstance(change, MoveAlias | RemoveAlias):
                holder = actual.holder(change.alias)
                mirrored[change.alias] = holder.id if holder else None
        elif isinstance(change, RegisterVersion) and change.artifact_uri in waiting:
            still_open[change] = entry.id
        else:
            outcomes[entry.id] = Outcome.ABANDONED
            if isinstance(change, MoveAlias) and actual.holder(change.alias) is None:
                mirrored[change.alias] = None
    records = (*(record for record in known.records if record.artifact_uri not in landed_uris), *landed)
    set_by_us = {alias: version for alias, version in {**known.mirrored, **mirrored}.items() if version is not None}
    return Settlement(replace(known, records=records, mirrored=set_by_us), landed, mirrored, outcomes, still_open)


def _record(intent: Intent, actual: TargetState, now: str) -> MappingRecord | None:
    matches = [v for v in actual.versions if v.artifact_uri == intent.artifact_uri and v.marked]
    if not matches:
        return None
    first = min(matches, key=lambda version: int(version.id))
    return MappingRecord(intent.key, intent.version, intent.artifact_uri, first.id, now)
