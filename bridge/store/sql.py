"""The Store port in SQL."""

from __future__ import annotations

from copy import copy
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import and_, delete, insert, or_, select, update

from bridge.core.model import EVERY, Alias, State
from bridge.core.records import EntryId, Outcome
from bridge.store.connecting import make_engine, parse_address
from bridge.store.copies import SqlCopies
from bridge.store.faults import translated
from bridge.store.leases import HELD, claimed, lease_of, refuse_if_lost, released, renewed
from bridge.store.rows import (
    behind,
    entry_of,
    entry_row,
    hold_of,
    hold_row,
    intent_of,
    intent_row,
    key_row,
    record_of,
    record_row,
    status_of,
    status_row,
    tombstone_of,
    tombstone_row,
    utc,
)
from bridge.store.schema import ready
from bridge.store.sealing import choose_key
from bridge.store.tables import holds, intents, journal, leases, mirrored, records, snapshots, statuses, tombstones
from bridge.store.telling import SqlTelling
from bridge.store.tokens import SqlTokens

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Table

    from bridge.core.changes import Change
    from bridge.core.deeds import Word
    from bridge.core.model import Hold, MappingRecord, ModelKey, Tombstone
    from bridge.core.records import Intent, JournalEntry, Lease, Status


def open_store(url: str, *, read_only: bool = False, secret_key: str | None = None) -> SqlStore:
    """
    Open the store at a `sqlite:///` or `postgresql+psycopg://` URL, and bring its schema up to date.

    With `read_only` nothing is made or upgraded, and every write fails; NoStoreYet if nobody has written yet.
    `secret_key` seals the addresses of uploads; what is done without one, bridge.store.sealing says.
    Raises NeedsPerson if the store cannot be opened, a newer bridge made it, or `secret_key` is too short;
    TryAgain if its server does not answer.
    """
    address = parse_address(url)
    key = choose_key(address.file, secret_key, read_only=read_only)
    engine = make_engine(address, read_only=read_only)
    try:
        with translated(address.place):
            ready(engine, address.place, read_only=read_only)
    except BaseException:
        engine.dispose()
        raise
    return SqlStore(engine, address.place, key)


class SqlStore(SqlCopies, SqlTelling, SqlTokens):
    """What the bridge remembers, in SQLite or PostgreSQL; made by `open_store`."""

    # records and aliases
    def records(self, key: ModelKey) -> tuple[MappingRecord, ...]:
        """Return a key's records, oldest first."""
        query = select(records).where(_at(records, key)).order_by(records.c.first_seen, records.c.id)
        return tuple(record_of(row) for row in self._rows(query))

    def all_records(self) -> tuple[MappingRecord, ...]:
        """Return every record, by key and age."""
        order = (records.c.mapping, records.c.model, records.c.first_seen, records.c.id)
        return tuple(record_of(row) for row in self._rows(select(records).order_by(*order)))

    def save_record(self, record: MappingRecord) -> None:
        """Remember a registered version, in place of an earlier record of it; that one's `first_seen` stays."""
        self._put(records, record_row(record), by=("mapping", "model", "artifact_uri"), keep=("first_seen",))

    def bury(self, record: MappingRecord, why: str, at: datetime) -> None:
        """Have a tombstone take the place of a record, in one transaction."""
        of_it = (records.c.artifact_uri == record.artifact_uri, records.c.version_id == record.version_id)
        removed = delete(records).where(_at(records, record.key), *of_it).returning(*records.c)
        with self._transaction() as connection:
            for row in connection.execute(removed).mappings().all():
                connection.execute(insert(tombstones).values(tombstone_row(record_of(row), why, at)))

    def tombstones(self, key: ModelKey | None = None) -> tuple[Tombstone, ...]:
        """Return a key's tombstones, or all, oldest first."""
        query = select(tombstones).order_by(tombstones.c.id)
        return tuple(map(tombstone_of, self._rows(query if key is None else query.where(_at(tombstones, key)))))

    def files_removed(self, key: ModelKey, artifact_uri: str, at: datetime) -> None:
        """Write down that a folder is removed."""
        there = tombstones.c
        statement = update(tombstones).where(_at(tombstones, key), there.artifact_uri == artifact_uri)
        with self._transaction() as connection:
            connection.execute(statement.where(there.files_removed.is_(None)).values(files_removed=utc(at)))

    def mirrored(self, key: ModelKey) -> Mapping[Alias, str]:
        """Return the aliases as last set: alias -> Vertex version id."""
        rows = self._rows(select(mirrored).where(_at(mirrored, key)))
        return {Alias(row["alias"]): row["version_id"] for row in rows}

    def save_mirrored(self, key: ModelKey, alias: Alias, version_id: str | None) -> None:
        """Remember where an alias was set; None forgets it."""
        if version_id is None:
            self._drop(mirrored, _at(mirrored, key), mirrored.c.alias == alias)
        else:
            row = {**key_row(key), "alias": alias, "version_id": version_id}
            self._put(mirrored, row, by=("mapping", "model", "alias"))

    # journal and intents
    def begin(self, key: ModelKey, change: Change, why: str, at: datetime) -> EntryId:
        """Write down that a change is about to be made."""
        statement = insert(journal).values(entry_row(key, change, why, at)).returning(journal.c.id)
        with self._transaction() as connection:
            return EntryId(connection.execute(statement).scalar_one())

    def finish(self, entry: EntryId, outcome: Outcome, detail: str, at: datetime) -> None:
        """Write down how it ended, once. Raises LookupError if there is no such entry, or it has ended."""
        statement = (
            update(journal)
            .where(journal.c.id == entry, journal.c.outcome.is_(None))
            .values(outcome=outcome.value, detail=detail, finished=utc(at))
        )
        with self._transaction() as connection:
            if connection.execute(statement).rowcount != 1:
                raise LookupError(f"the journal has no unfinished entry {entry}")

    def jot(self, key: ModelKey, word: Word, who: str, at: datetime) -> None:
        """Write down what a person has said, as a line that is finished."""
        row = entry_row(key, word, who, at) | {"outcome": Outcome.APPLIED.value, "finished": utc(at)}
        with self._transaction() as connection:
            connection.execute(insert(journal).values(row))

    def unfinished(self, key: ModelKey) -> tuple[JournalEntry, ...]:
        """Return what was begun and never finished, oldest first."""
        query = select(journal).where(_at(journal, key), journal.c.outcome.is_(None)).order_by(journal.c.id)
        return tuple(entry_of(row) for row in self._rows(query))

    def journal(
        self, key: ModelKey | None = None, limit: int = 100, before: EntryId | None = None
    ) -> tuple[JournalEntry, ...]:
        """Return the newest entries, of one key or of all, newest first; with `before`, only older ones."""
        query = select(journal).order_by(journal.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(journal.c.id < before)
        return tuple(entry_of(row) for row in self._rows(query if key is None else query.where(_at(journal, key))))

    def intent(self, key: ModelKey, artifact_uri: str) -> Intent | None:
        """Return the open intent to register that folder, if there is one."""
        rows = self._rows(select(intents).where(_at(intents, key), intents.c.artifact_uri == artifact_uri))
        return next(map(intent_of, rows), None)

    def intents(self, key: ModelKey) -> tuple[Intent, ...]:
        """Return a key's open intents, oldest first."""
        return tuple(map(intent_of, self._rows(select(intents).where(_at(intents, key)).order_by(intents.c.id))))

    def save_intent(self, intent: Intent) -> None:
        """Write an intent, or what has become known of it."""
        self._put(intents, intent_row(intent), by=("mapping", "model", "artifact_uri"))

    def close_intent(self, key: ModelKey, artifact_uri: str) -> None:
        """Forget an intent."""
        self._drop(intents, _at(intents, key), intents.c.artifact_uri == artifact_uri)

    # snapshots, status, holds
    def seen_before(self, key: ModelKey) -> frozenset[Alias] | None:
        """Return the aliases desired in the last complete listing; None if there was none."""
        rows = self._rows(select(snapshots).where(_at(snapshots, key)))
        return next((frozenset(map(Alias, row["aliases"])) for row in rows), None)

    def absent_before(self, key: ModelKey) -> frozenset[str]:
        """Return the ids of recorded versions that the last complete listing did not hold."""
        rows = self._rows(select(snapshots).where(_at(snapshots, key)))
        return next((frozenset(row["absent"] or ()) for row in rows), frozenset())

    def save_seen(self, key: ModelKey, aliases: frozenset[Alias], absent: frozenset[str] = frozenset()) -> None:
        """Remember the aliases desired in a complete listing, and what it did not hold."""
        row = {**key_row(key), "aliases": sorted(aliases), "absent": sorted(absent)}
        self._put(snapshots, row, by=("mapping", "model"))

    def status(self, key: ModelKey) -> Status | None:
        """Return what is known of a model; None if it was never looked at."""
        return next(map(status_of, self._rows(select(statuses).where(_at(statuses, key)))), None)

    def statuses(self) -> tuple[Status, ...]:
        """Return every model's status, by key."""
        query = select(statuses).order_by(statuses.c.mapping, statuses.c.model)
        return tuple(status_of(row) for row in self._rows(query))

    def save_status(self, status: Status) -> None:
        """Remember a model's state."""
        self._put_all(statuses, [status_row(status)], by=("mapping", "model"), but=behind)

    def save_states(self, found: Sequence[Status]) -> None:
        """Remember what a look at the source alone says of models; their fingerprints stay."""
        rows = [{**status_row(status), "attempt": 0, "next_try": None, "tried": None} for status in found]
        self._put_all(statuses, rows, by=("mapping", "model"), keep=("fingerprint",), but=behind)

    def save_waiting(self, found: Sequence[Status]) -> None:
        """Remember of models that a change waits for them, unless they are not as they were any more."""
        if not found:
            return
        statement = self._insert(statuses)
        excluded = statement.excluded
        as_it_was = and_(
            statuses.c.state == State.SYNCED, statuses.c.fingerprint.is_not_distinct_from(excluded["fingerprint"])
        )
        said = {name: excluded[name] for name in ("state", "message", "remedy")} | behind(excluded)
        with self._transaction() as connection:
            connection.execute(
                statement.on_conflict_do_update(index_elements=("mapping", "model"), set_=said, where=as_it_was),
                [status_row(status) for status in found],
            )

    def holds(self, key: ModelKey, at: datetime) -> Mapping[Alias, Hold]:
        """Return the holds in force at that time; one `until` t is over at t."""
        both = and_(holds.c.mapping == key.mapping, or_(holds.c.model == key.model, holds.c.model == EVERY))
        # EVERY sorts before all names, so a model's own holds come last, and stay.
        found = map(hold_of, self._rows(select(holds).where(both).order_by(holds.c.model)))
        # Compared as times, not as texts: a person may have written a "Z".
        return {hold.alias: hold for hold in found if hold.until is None or datetime.fromisoformat(hold.until) > at}

    def save_hold(self, key: ModelKey, hold: Hold) -> None:
        """Put a hold on an alias; it replaces an earlier one."""
        self._put(holds, hold_row(key, hold), by=("mapping", "model", "alias"))

    def lift_hold(self, key: ModelKey, alias: Alias) -> None:
        """End a hold."""
        self._drop(holds, _at(holds, key), holds.c.alias == alias)

    # leases
    def take_lease(self, key: ModelKey, owner: str, now: datetime, until: datetime) -> Lease | None:
        """Take the lease of a model if nobody has it, its time is over, or it is the owner's own."""
        statement = claimed(self._insert(leases), key, owner, now, until)
        with self._transaction() as connection:
            return next(map(lease_of, connection.execute(statement).mappings()), None)

    def renew_lease(self, lease: Lease, until: datetime) -> bool:
        """Have a lease last until that time; False if it is not its owner's any more."""
        with self._transaction() as connection:
            return connection.execute(renewed(lease, until)).rowcount == 1

    def release_lease(self, lease: Lease) -> None:
        """Give a lease back, if it still is its owner's."""
        with self._transaction() as connection:
            connection.execute(released(lease))

    def leases(self) -> tuple[Lease, ...]:
        """Return the leases that were not given back, by key."""
        return tuple(map(lease_of, self._rows(HELD)))

    def fenced(self, lease: Lease) -> SqlStore:
        """Return this store for as long as the lease is its owner's; the connections are the same."""
        made = copy(self)
        made._refuse = partial(refuse_if_lost, lease=lease)  # noqa: SLF001  its own kind
        return made


def _at(table: Table, key: ModelKey) -> ColumnElement[bool]:
    return and_(table.c.mapping == key.mapping, table.c.model == key.model)
