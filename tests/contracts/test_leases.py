"""What every end of the Store port promises about leases, and about what was tried."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from bridge.core.changes import RemoveAlias
from bridge.core.errors import TakenElsewhere
from bridge.core.model import Alias, ModelKey, State, VersionRef
from bridge.core.records import Lease, Outcome, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.core.ports import Store

KEY, OTHER = ModelKey("fraud", "fraud"), ModelKey("vision", "vision-ocr")
NINE = datetime(2026, 1, 5, 9, tzinfo=UTC)
SOON, LATER = NINE + timedelta(seconds=30), NINE + timedelta(seconds=60)
PRODUCTION = Alias("production")
CHANGE = RemoveAlias(PRODUCTION, VersionRef("6", "v6"))


def claimed(store: Store, owner: str = "a", now: datetime = NINE, until: datetime = SOON) -> Lease:
    lease = store.take_lease(KEY, owner, now, until)
    assert lease is not None
    return lease


def status(key: ModelKey = KEY, state: State = State.SYNCED, fingerprint: str | None = "f") -> Status:
    return Status(key, state, "", "", "acme_org/model/fraud", NINE.isoformat(), fingerprint)


# claims


def test_a_lease_that_somebody_has_is_not_given_to_another(store: Store) -> None:
    lease = claimed(store)

    assert store.take_lease(KEY, "b", NINE, LATER) is None
    assert store.take_lease(OTHER, "b", NINE, SOON) is not None
    assert [each.owner for each in store.leases()] == ["a", "b"]
    assert (lease.key, lease.owner, lease.epoch, datetime.fromisoformat(lease.until)) == (KEY, "a", 1, SOON)


def test_a_lease_whose_time_is_over_is_given_to_another_with_a_higher_epoch(store: Store) -> None:
    claimed(store)

    assert claimed(store, "b", now=SOON, until=LATER).epoch == 2


def test_a_fraction_of_a_second_before_its_end_a_lease_is_not_given_away(store: Store) -> None:
    claimed(store)

    assert store.take_lease(KEY, "b", SOON - timedelta(microseconds=1), LATER) is None


def test_an_owner_that_claims_again_gets_a_higher_epoch_and_loses_the_first(store: Store) -> None:
    first, second = claimed(store), claimed(store)

    assert second.epoch == first.epoch + 1
    assert not store.renew_lease(first, LATER)
    assert store.renew_lease(second, LATER)


def test_a_lease_that_was_given_back_is_free_and_its_epoch_is_not_used_again(store: Store) -> None:
    lease = claimed(store)
    store.release_lease(lease)
    store.release_lease(lease)

    assert store.leases() == ()
    assert claimed(store, "b").epoch == 2


def test_a_lease_that_is_lost_is_neither_renewed_nor_given_back(store: Store) -> None:
    lost = claimed(store)
    taken = claimed(store, "b", now=SOON, until=LATER)

    assert not store.renew_lease(lost, LATER + timedelta(hours=1))
    store.release_lease(lost)
    assert store.leases() == (taken,)


def test_a_lease_that_is_renewed_lasts(store: Store) -> None:
    lease = claimed(store)

    assert store.renew_lease(lease, LATER)
    assert store.take_lease(KEY, "b", SOON, LATER) is None
    assert [datetime.fromisoformat(each.until) for each in store.leases()] == [LATER]


def test_of_many_that_claim_at_once_one_has_it(store: Store) -> None:
    together = threading.Barrier(8, timeout=20)

    def claim(owner: str) -> Lease | None:
        together.wait()
        return store.take_lease(KEY, owner, NINE, SOON)

    with ThreadPoolExecutor(8) as pool:
        found = [lease for lease in pool.map(claim, "abcdefgh") if lease is not None]

    assert store.leases() == tuple(found)
    assert len(found) == 1


# fences

WRITES: list[Callable[[Store], object]] = [
    lambda store: store.begin(KEY, CHANGE, "late", NINE),
    lambda store: store.save_mirrored(KEY, PRODUCTION, "7"),
    lambda store: store.save_mirrored(KEY, PRODUCTION, None),
    lambda store: store.save_status(status(state=State.FAILED)),
    lambda store: store.save_seen(KEY, frozenset()),
]


@pytest.mark.parametrize("write", WRITES, ids=["begin", "set", "forget", "status", "seen"])
def test_a_write_behind_a_lost_lease_is_refused_and_leaves_nothing(
    store: Store, write: Callable[[Store], object]
) -> None:
    store.save_mirrored(KEY, PRODUCTION, "6")
    store.save_status(status())
    fenced = store.fenced(claimed(store))
    claimed(store, "b", now=SOON, until=LATER)

    with pytest.raises(TakenElsewhere, match="another process has taken fraud/fraud over"):
        write(fenced)

    assert store.mirrored(KEY) == {PRODUCTION: "6"}
    assert (store.status(KEY), store.journal(), store.seen_before(KEY)) == (status(), (), None)


def test_a_fence_is_open_while_the_lease_is_held_even_if_its_time_is_over_and_nobody_took_it(store: Store) -> None:
    fenced = store.fenced(claimed(store))

    entry = fenced.begin(KEY, CHANGE, "in time", NINE)
    fenced.finish(entry, Outcome.APPLIED, "", LATER)

    assert [each.why for each in store.journal()] == ["in time"]
    assert fenced.journal() == store.journal()


def test_a_fence_closes_when_the_lease_is_given_back(store: Store) -> None:
    lease = claimed(store)
    store.release_lease(lease)

    with pytest.raises(TakenElsewhere):
        store.fenced(lease).save_seen(KEY, frozenset())


# what was tried


def test_a_status_keeps_what_was_tried_and_when_it_is_tried_again(store: Store) -> None:
    tried = replace(status(state=State.FAILED, fingerprint=None), attempt=3, next_try=SOON.isoformat(), tried="f")
    store.save_status(tried)

    assert store.status(KEY) == tried
    assert store.statuses() == (tried,)


def test_what_a_look_at_the_source_says_leaves_fingerprints_and_forgets_what_was_tried(store: Store) -> None:
    store.save_status(replace(status(), attempt=2, next_try=SOON.isoformat(), tried="f"))
    unread = [status(key, State.DEGRADED, fingerprint=None) for key in (KEY, OTHER)]
    store.save_states(unread)
    store.save_states([])

    assert store.statuses() == (replace(unread[0], fingerprint="f"), unread[1])


def test_that_a_change_waits_is_said_of_what_is_new_or_as_it_was_and_nothing_else_of_it_changes(store: Store) -> None:
    was = replace(status(), attempt=2, next_try=SOON.isoformat(), tried="f")
    store.save_status(was)
    waits = [replace(status(key), state=State.PENDING, message="a change waits") for key in (KEY, OTHER)]
    later = [replace(each, looked_at=SOON.isoformat()) for each in waits]
    store.save_waiting(later)
    store.save_waiting([])

    assert store.statuses() == (replace(was, state=State.PENDING, message="a change waits"), later[1])


@pytest.mark.parametrize(
    "by_now",
    [status(fingerprint="another"), status(fingerprint=None), status(state=State.COPYING), status(state=State.HELD)],
)
def test_that_a_change_waits_is_not_said_of_what_somebody_has_worked_on_meanwhile(store: Store, by_now: Status) -> None:
    store.save_status(by_now)
    store.save_waiting([status(state=State.PENDING)])

    assert store.status(by_now.key) == by_now
