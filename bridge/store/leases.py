"""
The statements of leases.

A row is never deleted, so that the epoch of a model only grows; a lease that was given back has no owner. Times
are written with all six digits of a second, so that the database itself can compare them as texts.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, or_, select, update

from bridge.core.records import Lease, taken_elsewhere
from bridge.store.rows import key_of, key_row, utc
from bridge.store.tables import leases

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, RowMapping, Select, Update
    from sqlalchemy.dialects import postgresql, sqlite
    from sqlalchemy.sql.dml import ReturningInsert

    from bridge.core.model import ModelKey

HELD = select(leases).where(leases.c.owner != "").order_by(leases.c.mapping, leases.c.model)


def claimed(
    upsert: postgresql.Insert | sqlite.Insert, key: ModelKey, owner: str, now: datetime, until: datetime
) -> ReturningInsert[Any]:
    """Say how a lease is taken; no row comes back if another owner has it."""
    row = {**key_row(key), "owner": owner, "epoch": 1, "until": _time(until)}
    free = or_(leases.c.owner.in_(("", owner)), leases.c.until <= _time(now))
    changed = {"owner": owner, "epoch": leases.c.epoch + 1, "until": _time(until)}
    statement = upsert.values(row).on_conflict_do_update(index_elements=("mapping", "model"), set_=changed, where=free)
    return statement.returning(leases)


def renewed(lease: Lease, until: datetime) -> Update:
    """Say how a lease is made longer; no row is changed if it is not its owner's any more."""
    return update(leases).where(_is(lease)).values(until=_time(until))


def released(lease: Lease) -> Update:
    """Say how a lease is given back."""
    return update(leases).where(_is(lease)).values(owner="")


def refuse_if_lost(connection: Connection, lease: Lease) -> None:
    """
    Raise TakenElsewhere unless the lease is its owner's, and stays so until this transaction ends.

    In SQLite that is so because the transaction has written already, which no other may meanwhile.
    """
    query: Select[tuple[int]] = select(leases.c.epoch).where(_is(lease)).with_for_update(read=True)
    if connection.execute(query).first() is None:
        raise taken_elsewhere(lease.key)


def lease_of(row: RowMapping) -> Lease:
    """Read a lease."""
    return Lease(key_of(row), row["owner"], row["epoch"], row["until"])


def _is(lease: Lease) -> ColumnElement[bool]:
    key = and_(leases.c.mapping == lease.key.mapping, leases.c.model == lease.key.model)
    return and_(key, leases.c.owner == lease.owner, leases.c.epoch == lease.epoch)


def _time(at: datetime) -> str:
    return datetime.fromisoformat(utc(at)).isoformat(timespec="microseconds")
