"""Since when a model is behind its source, as passes, pauses and restarts leave it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bridge.core.errors import TryAgain
from bridge.core.model import EVERY, ModelKey, State
from bridge.reconcile.pausing import Pauses, due
from tests.worlds import World

FRAUD = ModelKey("fraud", EVERY)
HOUR = timedelta(hours=1)
NINE, TEN, ELEVEN = (f"2026-01-05T{hour}:00:00+00:00" for hour in ("09", "10", "11"))


def synced() -> World:
    """Return a world where all was well at eight, and it is nine."""
    world = World()
    world.clock.advance(-HOUR)
    world.publish("production")
    world.sync()
    world.clock.advance(HOUR)
    return world


def stands(world: World) -> tuple[State, str | None]:
    return world.status().state, world.status().behind_since


def pauses(world: World) -> Pauses:
    return Pauses(world.store, world.clock)


def an_hour_later(world: World) -> None:
    world.clock.advance(HOUR)
    world.sync()


def test_a_model_is_behind_since_the_first_pass_that_failed_until_one_succeeds() -> None:
    world = synced()
    assert stands(world) == (State.SYNCED, None)
    world.publish("production")
    world.registry.problems["observe"] = TryAgain("Vertex AI is unwell")
    world.sync()
    an_hour_later(world)
    assert stands(world) == (State.FAILED, NINE)

    world.registry.problems.clear()
    an_hour_later(world)
    assert stands(world) == (State.SYNCED, None)


def test_while_a_change_is_made_the_model_is_behind() -> None:
    world = synced()
    version = world.publish("production")
    seen: list[tuple[State, str | None]] = []
    world.source.meanwhile = lambda: seen.append(stands(world))
    world.sync()

    assert version.label == "v1"
    assert set(seen) == {(State.COPYING, NINE)}
    assert stands(world) == (State.SYNCED, None)


def test_another_trouble_does_not_begin_another_lag() -> None:
    world = synced()
    world.source.problem = TryAgain("W&B is unwell")
    world.sync()
    assert stands(world) == (State.DEGRADED, NINE)
    world.source.problem = None
    world.publish("production")
    world.registry.problems["observe"] = TryAgain("Vertex AI is unwell")
    an_hour_later(world)

    assert stands(world) == (State.FAILED, NINE)


def test_a_source_that_is_back_and_says_the_same_ends_it() -> None:
    world = synced()
    world.source.problem = TryAgain("W&B is unwell")
    world.sync()
    world.source.problem = None
    an_hour_later(world)

    assert stands(world) == (State.SYNCED, None)


def test_a_change_that_waits_for_its_turn_is_late_since_it_was_seen() -> None:
    world = synced()
    world.publish("production")
    before = world.passes.known()
    orders = world.passes.look(world.specs, before).orders
    world.passes.announce(orders, before)
    assert stands(world) == (State.PENDING, NINE)
    world.registry.problems["observe"] = TryAgain("Vertex AI is unwell")
    an_hour_later(world)

    assert stands(world) == (State.FAILED, NINE)


def test_a_new_process_counts_from_the_same_time() -> None:
    world = synced()
    world.source.problem = TryAgain("W&B is unwell")
    world.sync()
    again = World(specs=world.specs, clock=world.clock, source=world.source, store=world.store)
    again.source.problem = TryAgain("W&B has another trouble")
    an_hour_later(again)

    assert stands(again) == (State.DEGRADED, NINE)


# pauses


def test_a_pause_that_holds_nothing_back_is_no_lag() -> None:
    world = synced()
    pauses(world).begin(FRAUD, "ann", "incident 7", None)
    assert stands(world) == (State.HELD, None)
    world.sync()
    assert stands(world) == (State.HELD, None)
    pauses(world).end(FRAUD, "ann")
    assert stands(world) == (State.PENDING, None)


def test_what_a_pause_holds_back_is_late_since_it_was_first_seen_and_until_it_is_made() -> None:
    world = synced()
    pauses(world).begin(FRAUD, "ann", "incident 7", None)
    world.publish("production")
    world.clock.advance(HOUR)
    world.sync()
    assert stands(world) == (State.HELD, TEN)

    world.clock.advance(HOUR)
    pauses(world).end(FRAUD, "ann")
    assert stands(world) == (State.PENDING, TEN)
    world.sync()
    assert stands(world) == (State.SYNCED, None)


def test_what_was_late_before_a_pause_is_late_since_then() -> None:
    world = synced()
    world.publish("production")
    world.registry.problems["observe"] = TryAgain("Vertex AI is unwell")
    world.sync()
    world.clock.advance(HOUR)
    pauses(world).begin(FRAUD, "ann", "incident 7", None)

    assert stands(world) == (State.HELD, NINE)


@pytest.mark.parametrize("since", [None, ELEVEN])
def test_a_word_of_a_person_who_read_too_early_brings_no_old_lag_back(since: str | None) -> None:
    world = synced()
    read = replace(world.status(), state=State.FAILED, behind_since=NINE)
    if since is not None:
        world.store.save_status(replace(read, behind_since=since))
    world.store.save_status(replace(due(read), state=State.HELD))

    assert stands(world) == (State.HELD, since)
