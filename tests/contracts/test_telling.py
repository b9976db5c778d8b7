"""What every end of the Store port promises to those who look on, and of what people were told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from bridge.core.model import ModelKey, State
from bridge.core.records import Status, Tally

if TYPE_CHECKING:
    from bridge.core.ports import Store

KEY, OTHER = ModelKey("fraud", "fraud"), ModelKey("vision", "vision-ocr")
NINE = "2026-01-05T09:00:00+00:00"


def status(key: ModelKey, state: State, attempt: int = 0) -> Status:
    return Status(key, state, "", "", "a-collection", NINE, None, attempt)


def test_models_are_counted_by_mapping_and_state_with_the_worst_attempt(store: Store) -> None:
    assert store.tally() == ()
    for name, state, attempt in (("a", State.FAILED, 2), ("b", State.FAILED, 5), ("c", State.SYNCED, 0)):
        store.save_status(status(ModelKey("vision", name), state, attempt))
    store.save_status(status(KEY, State.BLOCKED))

    assert store.tally() == (
        Tally("fraud", State.BLOCKED, 1, 0),
        Tally("vision", State.FAILED, 2, 5),
        Tally("vision", State.SYNCED, 1, 0),
    )


def test_what_people_were_told_last_is_not_told_again(store: Store) -> None:
    assert store.tell(KEY, "state", "failed")
    assert not store.tell(KEY, "state", "failed")
    assert store.tell(KEY, "state", "blocked")
    assert store.tell(KEY, "state", "failed")
    assert store.tell(KEY, "another topic", "failed")
    assert store.tell(OTHER, "state", "failed")


def test_what_was_told_is_forgotten_once(store: Store) -> None:
    assert not store.untell(KEY, "state")
    store.tell(KEY, "state", "failed")
    store.tell(KEY, "another topic", "failed")
    store.tell(OTHER, "state", "failed")
    assert store.untell(KEY, "state")
    assert not store.untell(KEY, "state")
    assert store.tell(KEY, "state", "failed")


def test_of_many_who_would_tell_at_once_one_does(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda _: store.tell(KEY, "state", "failed"), range(8)))
        forgot = list(pool.map(lambda _: store.untell(KEY, "state"), range(8)))

    assert (told.count(True), forgot.count(True)) == (1, 1)
