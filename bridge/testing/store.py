"""A store in memory."""

from __future__ import annotations

from collections import defaultdict
from copy import copy
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from bridge.core.model import EVERY, ModelKey, State, Tombstone
from bridge.core.records import EntryId, JournalEntry, Lease, Outcome, Tally, behind_since, taken_elsewhere
from bridge.testing.copies import MemoryCopies, utc
from bridge.testing.tokens import MemoryTokens

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from bridge.core.changes import Change
    from bridge.core.deeds import Word
    from bridge.core.model import Alias, Hold, MappingRecord
    from bridge.core.records import Intent, Status


class MemoryStore(MemoryCopies, MemoryTokens):
    """
    The Store port in dicts, which keep the order in which their keys first came.

    Safe from several threads. It lives as long as the object: a test of a restart passes it on.
    """

    def __init__(self) -> None:
        MemoryCopies.__init__(self)
        MemoryTokens.__init__(self)
        self._records: defaultdict[ModelKey, dict[str, MappingRecord]] = defaultdict(dict)  # by folder
        self._mirrored: defaultdict[ModelKey, dict[Alias, str]] = defaultdict(dict)
        self._journal: list[JournalEntry] = []  # an entry's id is its place, counted from 1
        self._unfinished: dict[EntryId, ModelKey] = {}
        self._intents: defaultdict[ModelKey, dict[str, Intent]] = defaultdict(dict)  # by artifact_uri
        self._seen: dict[ModelKey, frozenset[Alias]] = {}
        self._absent: dict[ModelKey, frozenset[str]] = {}
        self._tombstones: list[Tombstone] = []
        self._statuses: dict[ModelKey, Status] = {}
        self._holds: defaultdict[ModelKey, dict[Alias, Hold]] = defaultdict(dict)
        self._told: dict[tuple[ModelKey, str], str] = {}
        self._leases: dict[ModelKey, Lease] = {}  # the last one of each; no owner: it was given back

    # records and aliases
    def records(self, key: ModelKey) -> tuple[MappingRecord, ...]:
        """Return a key's records, oldest first."""
        with self._lock:
            return _by_age(self._records[key])

    def all_records(self) -> tuple[MappingRecord, ...]:
        """Return every record, by key and age."""
        with self._lock:
            return tuple(record for key in sorted(self._records) for record in _by_age(self._records[key]))

    def save_record(self, record: MappingRecord) -> None:
        """Remember a registered version, in place of an earlier record of it; that one's `first_seen` stays."""
        utc(record.first_seen)
        with self._lock:
            of_key = self._records[record.key]
            earlier = of_key.get(record.artifact_uri, record)
            of_key[record.artifact_uri] = replace(record, first_seen=earlier.first_seen)

    def bury(self, record: MappingRecord, why: str, at: datetime) -> None:
        """Have a tombstone take the place of a record."""
        removed = utc(at)
        with self._lock:
            there = self._records[record.key].get(record.artifact_uri)
            if there is not None and there.version_id == record.version_id:
                del self._records[record.key][record.artifact_uri]
                self._tombstones.append(Tombstone(there, removed, why))

    def tombstones(self, key: ModelKey | None = None) -> tuple[Tombstone, ...]:
        """Return a key's tombstones, or all, oldest first."""
        with self._lock:
            return tuple(grave for grave in self._tombstones if key in (None, grave.record.key))

    def files_removed(self, key: ModelKey, artifact_uri: str, at: datetime) -> None:
        """Write down that a folder is removed."""
        removed = utc(at)
        with self._lock:
            for place, grave in enumerate(self._tombstones):
                if (grave.record.key, grave.record.artifact_uri) == (key, artifact_uri) and not grave.files_removed:
                    self._tombstones[place] = replace(grave, files_removed=removed)

    def mirrored(self, key: ModelKey) -> Mapping[Alias, str]:
        """Return the aliases as last set: alias -> Vertex version id."""
        with self._lock:
            return dict(self._mirrored[key])

    def save_mirrored(self, key: ModelKey, alias: Alias, version_id: str | None) -> None:
        """Remember where an alias was set; None forgets it."""
        with self._lock:
            if version_id is None:
                self._mirrored[key].pop(alias, None)
            else:
                self._mirrored[key][alias] = version_id

    # journal and intents
    def begin(self, key: ModelKey, change: Change, why: str, at: datetime) -> EntryId:
        """Write down that a change is about to be made."""
        begun = utc(at)
        with self._lock:
            entry = EntryId(len(self._journal) + 1)
            self._journal.append(JournalEntry(entry, key, change, why, begun, outcome=None, detail="", finished=None))
            self._unfinished[entry] = key
            return entry

    def finish(self, entry: EntryId, outcome: Outcome, detail: str, at: datetime) -> None:
        """Write down how it ended, once. Raises LookupError if there is no such entry, or it has ended."""
        finished = utc(at)
        with self._lock:
            if self._unfinished.pop(entry, None) is None:
                raise LookupError(f"the journal has no unfinished entry {entry}")
            begun = self._journal[entry - 1]
            self._journal[entry - 1] = replace(begun, outcome=outcome, detail=detail, finished=finished)

    def jot(self, key: ModelKey, word: Word, who: str, at: datetime) -> None:
        """Write down what a person has said, as a line that is finished."""
        said = utc(at)
        with self._lock:
            entry = EntryId(len(self._journal) + 1)
            self._journal.append(JournalEntry(entry, key, word, who, said, Outcome.APPLIED, "", said))

    def unfinished(self, key: ModelKey) -> tuple[JournalEntry, ...]:
        """Return what was begun and never finished, oldest first."""
        with self._lock:
            return tuple(self._journal[entry - 1] for entry, of in self._unfinished.items() if of == key)

    def journal(
        self, key: ModelKey | None = None, limit: int = 100, before: EntryId | None = None
    ) -> tuple[JournalEntry, ...]:
        """Return the newest entries, of one key or of all, newest first; with `before`, only older ones."""
        with self._lock:
            older = self._journal if before is None else self._journal[: before - 1]
            return tuple(entry for entry in reversed(older) if key in (None, entry.key))[:limit]

    def intent(self, key: ModelKey, artifact_uri: str) -> Intent | None:
        """Return the open intent to register that folder, if there is one."""
        with self._lock:
            return self._intents[key].get(artifact_uri)

    def intents(self, key: ModelKey) -> tuple[Intent, ...]:
        """Return a key's open intents, oldest first."""
        with self._lock:
            return tuple(self._intents[key].values())

    def save_intent(self, intent: Intent) -> None:
        """Write an intent, or what has become known of it."""
        if intent.sent_at is not None:
            utc(intent.sent_at)
        with self._lock:
            self._intents[intent.key][intent.artifact_uri] = intent

    def close_intent(self, key: ModelKey, artifact_uri: str) -> None:
        """Forget an intent."""
        with self._lock:
            self._intents[key].pop(artifact_uri, None)

    # snapshots, status, holds
    def seen_before(self, key: ModelKey) -> frozenset[Alias] | None:
        """Return the aliases desired in the last complete listing; None if there was none."""
        with self._lock:
            return self._seen.get(key)

    def absent_before(self, key: ModelKey) -> frozenset[str]:
        """Return the ids of recorded versions that the last complete listing did not hold."""
        with self._lock:
            return self._absent.get(key, frozenset())

    def save_seen(self, key: ModelKey, aliases: frozenset[Alias], absent: frozenset[str] = frozenset()) -> None:
        """Remember the aliases desired in a complete listing, and what it did not hold."""
        with self._lock:
            self._seen[key] = aliases
            self._absent[key] = absent

    def status(self, key: ModelKey) -> Status | None:
        """Return what is known of a model; None if it was never looked at."""
        with self._lock:
            return self._statuses.get(key)

    def statuses(self) -> tuple[Status, ...]:
        """Return every model's status, by key."""
        with self._lock:
            return tuple(self._statuses[key] for key in sorted(self._statuses))

    def save_status(self, status: Status) -> None:
        """Remember a model's state."""
        utc(status.looked_at)
        with self._lock:
            self._remember(status)

    def save_states(self, found: Sequence[Status]) -> None:
        """Remember what a look at the source alone says of models; their fingerprints stay."""
        for status in found:
            utc(status.looked_at)
        with self._lock:
            for status in found:
                before = self._statuses.get(status.key, status)
                self._remember(replace(status, fingerprint=before.fingerprint, attempt=0, next_try=None, tried=None))

    def save_waiting(self, found: Sequence[Status]) -> None:
        """Remember of models that a change waits for them, unless they are not as they were any more."""
        for status in found:
            utc(status.looked_at)
        with self._lock:
            for status in found:
                before = self._statuses.get(status.key)
                if before is None:
                    self._remember(status)
                elif before.state is State.SYNCED and before.fingerprint == status.fingerprint:
                    since = status.behind_since
                    said = replace(before, state=status.state, message=status.message, remedy=status.remedy)
                    self._remember(replace(said, behind_since=since))

    def _remember(self, status: Status) -> None:
        since = behind_since(status, self._statuses.get(status.key))
        self._statuses[status.key] = replace(status, behind_since=since and utc(since))

    def holds(self, key: ModelKey, at: datetime) -> Mapping[Alias, Hold]:
        """Return the holds in force at that time; one `until` t is over at t."""
        with self._lock:
            of_key = (*self._holds[ModelKey(key.mapping, EVERY)].values(), *self._holds[key].values())
        return {hold.alias: hold for hold in of_key if hold.until is None or datetime.fromisoformat(hold.until) > at}

    def save_hold(self, key: ModelKey, hold: Hold) -> None:
        """Put a hold on an alias; it replaces an earlier one."""
        if hold.until is not None:
            utc(hold.until)
        with self._lock:
            self._holds[key][hold.alias] = replace(hold, model=key.model)

    def lift_hold(self, key: ModelKey, alias: Alias) -> None:
        """End a hold."""
        with self._lock:
            self._holds[key].pop(alias, None)

    # for those who look on
    def tally(self) -> tuple[Tally, ...]:
        """Count the models by mapping and state."""
        with self._lock:
            found: defaultdict[tuple[str, State], list[int]] = defaultdict(list)
            for status in self._statuses.values():
                found[status.key.mapping, status.state].append(status.attempt)
            return tuple(Tally(*group, len(tried), max(tried)) for group, tried in sorted(found.items()))

    def tell(self, key: ModelKey, about: str, word: str) -> bool:
        """Remember what people are told; False: it is what they were told last."""
        with self._lock:
            before = self._told.get((key, about))
            self._told[key, about] = word
            return before != word

    def untell(self, key: ModelKey, about: str) -> bool:
        """Forget what they were told; False: there was nothing."""
        with self._lock:
            return self._told.pop((key, about), None) is not None

    # leases
    def take_lease(self, key: ModelKey, owner: str, now: datetime, until: datetime) -> Lease | None:
        """Take the lease of a model if nobody has it, its time is over, or it is the owner's own."""
        with self._lock:
            last = self._leases.get(key, Lease(key, "", 0, utc(now)))
            if last.owner not in ("", owner) and datetime.fromisoformat(last.until) > now:
                return None
            self._leases[key] = Lease(key, owner, last.epoch + 1, utc(until))
            return self._leases[key]

    def renew_lease(self, lease: Lease, until: datetime) -> bool:
        """Have a lease last until that time; False if it is not its owner's any more."""
        with self._lock:
            if self._is_held(lease):
                self._leases[lease.key] = replace(lease, until=utc(until))
            return self._is_held(lease)

    def release_lease(self, lease: Lease) -> None:
        """Give a lease back, if it still is its owner's."""
        with self._lock:
            if self._is_held(lease):
                self._leases[lease.key] = replace(lease, owner="")

    def leases(self) -> tuple[Lease, ...]:
        """Return the leases that were not given back, by key."""
        with self._lock:
            return tuple(lease for _, lease in sorted(self._leases.items()) if lease.owner)

    def fenced(self, lease: Lease) -> MemoryStore:
        """Return this store for as long as the lease is its owner's."""
        made = copy(self)  # the dicts are the same
        made._lock = _Fence(self._lock, lambda: self._is_held(lease), lease)  # noqa: SLF001  its own kind
        return made

    def _is_held(self, lease: Lease) -> bool:
        last = self._leases[lease.key]
        return (last.owner, last.epoch) == (lease.owner, lease.epoch)


class _Fence:
    """A lock that only opens while a lease is held."""

    def __init__(self, lock: AbstractContextManager[object], is_held: Callable[[], bool], lease: Lease) -> None:
        self._lock = lock
        self._is_held = is_held
        self._lease = lease

    def __enter__(self) -> object:
        self._lock.__enter__()
        if not self._is_held():
            self._lock.__exit__(None, None, None)
            raise taken_elsewhere(self._lease.key)
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.__exit__(None, None, None)


def _by_age(of_key: Mapping[str, MappingRecord]) -> tuple[MappingRecord, ...]:
    return tuple(sorted(of_key.values(), key=lambda record: record.first_seen))
