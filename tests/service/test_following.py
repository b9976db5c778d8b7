"""What a service submits, and when; everything in memory, and no time passes by itself."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bridge.core.errors import TryAgain
from bridge.core.model import Alias, ModelKey, State
from bridge.reconcile.leasing import LASTS
from bridge.service.following import Following
from bridge.service.health import Health
from bridge.testing.runner import InlineQueue
from bridge.testing.source import MemorySource
from tests.service.happenings import Waiting
from tests.worlds import FRAUD, KEY, REGISTRY, World, mapping, pattern

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.core.model import CollectionSelector, Sweep

SIX_HOURS = timedelta(hours=6)
OCR, FACES = ModelKey("vision", "vision-ocr"), ModelKey("vision", "vision-faces")


def following(world: World) -> Following:
    """Return one that works at once."""
    made = Following(world.passes, world.specs, Health(), world.clock, SIX_HOURS)
    made.queue = InlineQueue(made.work)
    made.health.configured(made.connections)
    return made


def waiting(world: World) -> tuple[Following, Waiting]:
    """Return one whose work waits in a queue."""
    made, queue = following(world), Waiting()
    made.queue = queue
    return made, queue


def synced(world: World | None = None) -> tuple[World, Following]:
    world = world or World()
    world.publish("production")
    made = following(world)
    made.sweep("wandb")
    assert world.status().state is State.SYNCED
    return world, made


def test_a_sweep_brings_what_has_changed_and_says_why_it_did() -> None:
    world, made = synced()
    world.publish("production")

    made.sweep("wandb")

    assert world.names()["production"] == "v1"
    assert {entry.why for entry in world.store.journal()} == {"bridge run: it is new", "bridge run: it has changed"}


def test_a_quiet_cycle_asks_vertex_nothing_and_writes_nothing() -> None:
    world, _ = synced()
    made, queue = waiting(world)
    world.registry.calls.clear()
    world.fuse.left = 0  # the first effect, in the store too, would be the death of it
    for _ in range(3):
        world.clock.advance(60)
        made.sweep("wandb")
        made.retry()
        made.compare(timedelta(minutes=1))

    assert (world.registry.calls, queue.submitted) == ([], [])


def test_what_failed_is_submitted_when_its_time_has_come_and_not_by_every_sweep() -> None:
    world, _ = synced()
    world.publish("production")
    world.registry.problems["observe"] = TryAgain("Vertex AI is unwell")
    made, queue = waiting(world)
    made.sweep("wandb")
    queue.work(made)
    world.clock.advance(1)
    made.sweep("wandb")
    made.retry()
    assert queue.submitted == []

    world.clock.advance(4)
    made.retry()
    made.retry()
    assert queue.submitted == [(KEY, "its time to be tried again has come", False)]
    world.registry.problems.clear()
    queue.work(made)
    assert world.status().state is State.SYNCED


def test_a_restart_keeps_to_the_time_that_the_store_knows() -> None:
    world, made = synced()
    world.publish("production")
    world.registry.problems["observe"] = TryAgain("Vertex AI is unwell")
    made.sweep("wandb")
    again, queue = waiting(world)
    again.sweep("wandb")
    assert queue.submitted == []
    world.clock.advance(5)
    again.retry()

    assert queue.submitted == [(KEY, "its time to be tried again has come", False)]


def test_a_model_that_was_settled_meanwhile_is_not_worked_on() -> None:
    world, _ = synced()
    world.publish("production")
    made, queue = waiting(world)
    made.sweep("wandb")
    world.sync()
    world.registry.calls.clear()

    queue.work(made)

    assert world.registry.calls == []


def test_the_latest_order_is_carried_out_whenever_it_was_submitted() -> None:
    world, _ = synced()
    made, queue = waiting(world)
    for _ in range(3):
        world.publish("production")
        made.sweep("wandb")
    queue.work(made)

    assert len(queue.submitted) == 0
    assert (world.names()["production"], len(world.registry.versions("fraud"))) == ("v3", 2)


def test_a_model_that_another_process_has_is_asked_for_again_soon_and_its_word_stands() -> None:
    world = World()
    world.publish("production")
    world.store.take_lease(KEY, "another", world.clock.now(), world.clock.now() + LASTS)
    made, queue = waiting(world)
    made.sweep("wandb")
    at_work = replace(world.status(), state=State.COPYING, message="copying v0")
    world.store.save_status(at_work)
    made.sweep("wandb")
    queue.work(made)
    assert world.status() == at_work
    world.clock.advance(5)
    made.retry()

    assert queue.submitted == [(KEY, "its time to be tried again has come", False)]


def one_is_gone() -> tuple[World, Following]:
    """Follow two collections by a pattern, and see that one of them is gone."""
    world = World([pattern()])
    for name in ("ocr", "faces"):
        world.publish("production", collection=f"{REGISTRY}/vision-{name}")
    made = following(world)
    made.sweep("wandb")
    world.source.delete_collection(f"{REGISTRY}/vision-ocr")
    made.sweep("wandb")
    return world, made


# what waits is shown


def told(made: Following) -> list[tuple[ModelKey, State]]:
    """Return what watchers will have been told."""
    heard: list[tuple[ModelKey, State]] = []
    made.watchers.append(lambda status: heard.append((status.key, status.state)))
    return heard


def test_a_change_that_waits_is_shown_once_of_new_models_too() -> None:
    world, _ = synced(World([mapping(), pattern()]))
    was = world.status()
    world.publish("production")
    world.publish("production", collection=f"{REGISTRY}/vision-ocr")
    made, queue = waiting(world)
    heard = told(made)
    made.sweep("wandb")
    said = "a change is known and waits"
    since = world.clock.now().isoformat()
    assert world.status() == replace(was, state=State.PENDING, message=said, behind_since=since)
    assert [(each.key, each.state, each.message) for each in world.store.statuses()] == [
        (KEY, State.PENDING, said),
        (OCR, State.PENDING, said),
    ]
    assert heard == [(KEY, State.PENDING), (OCR, State.PENDING)]

    world.fuse.left = 0  # the first effect would be the death of it
    made.sweep("wandb")
    world.fuse.left = None
    queue.work(made)
    assert {each.state for each in world.store.statuses()} == {State.SYNCED}
    assert set(heard[2:]) == {(KEY, State.SYNCED), (OCR, State.SYNCED)}


def test_what_waits_when_the_process_dies_is_worked_on_by_the_next() -> None:
    world, _ = synced()
    world.publish("production")
    world.publish("production", collection=f"{REGISTRY}/vision-ocr")
    world.specs.append(pattern())
    waiting(world)[0].sweep("wandb")
    following(world).sweep("wandb")

    assert {each.key: each.state for each in world.store.statuses()} == {KEY: State.SYNCED, OCR: State.SYNCED}
    assert (world.names()["production"], world.names("vision-ocr")["production"]) == ("v1", "v0")


def test_a_change_that_goes_back_before_its_turn_leaves_all_well_and_vertex_unasked() -> None:
    world = World()
    first = world.publish("production")
    following(world).sweep("wandb")
    was = world.status()
    world.publish("production")
    made, queue = waiting(world)
    heard = told(made)
    made.sweep("wandb")
    world.registry.calls.clear()
    world.source.alias(first, "production")
    made.sweep("wandb")
    queue.work(made)

    assert world.status() == replace(was, tried=None)
    assert (set(heard[1:]), world.registry.calls) == ({(KEY, State.SYNCED)}, [])


def test_what_another_process_did_while_it_waited_is_told() -> None:
    world, _ = synced()
    world.publish("production")
    made, queue = waiting(world)
    heard = told(made)
    made.sweep("wandb")
    world.sync()
    queue.work(made)

    assert heard == [(KEY, State.PENDING), (KEY, State.SYNCED)]


def test_what_is_in_trouble_keeps_its_word_while_a_change_waits() -> None:
    world = World()
    world.registry.add_by_hand("fraud")
    world.publish("production")
    following(world).sweep("wandb")
    blocked = world.status()
    world.publish("production")
    made, queue = waiting(world)
    heard = told(made)
    made.sweep("wandb")

    assert (blocked.state, len(queue.submitted)) == (State.BLOCKED, 1)
    assert (world.status(), heard) == (blocked, [])


def test_a_model_that_was_gone_and_is_back_is_gone_again_if_it_goes_before_its_turn() -> None:
    world, made = one_is_gone()
    gone = world.store.status(OCR)
    world.publish("production", collection=f"{REGISTRY}/vision-ocr")
    made, queue = waiting(world)
    made.sweep("wandb")
    assert [key for key, _, _ in queue.submitted] == [OCR]
    world.source.delete_collection(f"{REGISTRY}/vision-ocr")
    made.sweep("wandb")

    assert world.store.status(OCR) == gone


# connections that cannot be read


def test_a_connection_that_cannot_be_read_is_told_once_and_so_is_its_return(caplog: pytest.LogCaptureFixture) -> None:
    world, made = synced()
    caplog.set_level(logging.INFO, "bridge.service")
    caplog.clear()
    world.source.problem = TryAgain("W&B is unwell")
    made.sweep("wandb")
    made.sweep("wandb")
    assert made.health.report()["degraded"] == {"connection wandb": "W&B is unwell"}
    world.source.problem = None
    made.sweep("wandb")
    made.sweep("wandb")

    assert caplog.messages == ["connection wandb cannot be read: W&B is unwell", "connection wandb can be read again"]
    assert made.health.report()["degraded"] == {}


def test_models_of_a_connection_that_cannot_be_read_are_not_worked_on() -> None:
    world, made = synced()
    world.publish("production")
    world.source.problem = TryAgain("W&B is unwell")
    made.sweep("wandb")
    before = world.ends()
    made.work(KEY, "a person asks", full=True)

    assert world.ends() == before


def test_only_the_mappings_of_a_connection_are_swept() -> None:
    world = World()
    other = replace(mapping("other", "scores", "scores"), source=replace(mapping().source, connection="second"))
    world.specs.append(other)
    world.publish("production")
    made = following(world)

    class Unasked(MemorySource):
        def sweep(self, selectors: Sequence[CollectionSelector]) -> Sweep:  # noqa: ARG002  it is not to be called
            pytest.fail("nobody asked for this connection")

    sources = {"wandb": world.source, "second": Unasked()}
    made.passes = replace(made.passes, source=sources.__getitem__)
    made.sweep("wandb")

    assert made.connections == ["second", "wandb"]
    assert made.health.report()["unready"]["sweeps"] == "not yet of second"
    assert made.lane(KEY) == "wandb"
    assert made.lane(ModelKey("other", "scores")) == ""


def test_a_sweep_that_is_under_way_is_not_begun_again() -> None:
    world, made = synced()
    count = 0

    class Slow(MemorySource):
        def sweep(self, selectors: Sequence[CollectionSelector]) -> Sweep:  # noqa: ARG002  it only counts
            nonlocal count
            count += 1
            made.sweep("wandb")
            raise TryAgain("unwell")

    made.passes = replace(world.passes, source=lambda _connection: Slow())
    made.sweep("wandb")
    made.sweep("wandb")

    assert count == 2


def test_who_asks_for_a_look_gets_one_that_began_after_they_asked() -> None:
    world, made = synced()
    under_way, goes_on = threading.Event(), threading.Event()
    count = 0

    class Slow(MemorySource):
        def sweep(self, selectors: Sequence[CollectionSelector]) -> Sweep:
            nonlocal count
            count += 1
            under_way.set()
            goes_on.wait()
            return world.source.sweep(selectors)

    made.passes = replace(world.passes, source=lambda _connection: Slow())
    made.queue = Waiting()
    sweep = threading.Thread(target=made.sweep, args=("wandb",))
    sweep.start()
    under_way.wait()
    look = threading.Thread(target=made.look, args=("fraud", "a person asks"), kwargs={"full": True})
    look.start()
    goes_on.set()
    for thread in (sweep, look):
        thread.join()

    assert count == 2
    assert made.queue.submitted == [(KEY, "a person asks", True)]


def test_a_look_for_a_mapping_that_is_no_more_does_nothing() -> None:
    _, made = synced()
    made.look("gone", "a person asks", full=True)


# comparing with Vertex


def test_models_are_compared_with_vertex_once_in_a_while_a_few_at_a_time() -> None:
    world = World([pattern()])
    for number in range(12):
        world.publish("production", collection=f"{REGISTRY}/vision-m{number}")
    following(world).sweep("wandb")
    made, queue = waiting(world)
    made.sweep("wandb")
    world.clock.advance(SIX_HOURS - timedelta(seconds=1))
    made.compare(timedelta(hours=1))
    assert queue.submitted == []

    world.clock.advance(1)
    compared = []
    for _ in range(6):
        made.compare(timedelta(hours=1))
        compared += [key for key, _, full in queue.submitted if full]
        world.registry.calls.clear()
        queue.work(made)
        assert world.registry.calls == ["observe"] * 2
        world.clock.advance(timedelta(hours=1))
    assert len(set(compared)) == 12
    made.compare(timedelta(hours=1))
    assert len(queue.submitted) == 2, "those that were compared six hours ago"


def test_what_somebody_changed_in_vertex_is_found_by_comparing() -> None:
    world, made = synced()
    world.publish()
    world.registry.remove_alias("fraud", Alias("production"), "1")  # by hand
    made.sweep("wandb")
    assert world.status().state is State.SYNCED
    world.clock.advance(SIX_HOURS)
    made.compare(timedelta(minutes=1))

    assert world.status().state is State.DRIFTED


def test_what_needs_a_person_is_looked_at_again_by_comparing() -> None:
    world = World()
    world.registry.add_by_hand("fraud")
    world.publish("production")
    made, queue = waiting(world)
    made.sweep("wandb")
    queue.work(made)
    assert (world.status().state, world.status().next_try) == (State.BLOCKED, None)
    world.clock.advance(timedelta(hours=1))
    made.sweep("wandb")
    made.retry()
    assert queue.submitted == []
    world.clock.advance(SIX_HOURS)
    made.compare(timedelta(minutes=1))

    assert queue.submitted == [(KEY, "it is time to compare it with Vertex", True)]


# rivals, removals, and what is gone


def test_models_of_two_connections_that_land_on_one_are_refused_and_neither_is_worked_on() -> None:
    world = World()
    rival = mapping("rival", "fraud-detector")
    world.specs.append(replace(rival, source=replace(rival.source, connection="second")))
    world.publish("production")
    made, queue = waiting(world)
    made.sweep("wandb")
    assert len(queue.submitted) == 1
    made.sweep("second")
    queue.work(made)
    made.work(KEY, "a person asks", full=True)

    assert {status.key.mapping: status.state for status in world.store.statuses()} == {
        "fraud": State.BLOCKED,
        "rival": State.BLOCKED,
    }
    assert world.registry.versions("fraud") == {}


def test_removals_over_many_models_are_too_many_together_though_each_is_worked_on_alone() -> None:
    world = World([pattern()])
    collections = [f"{REGISTRY}/vision-m{number}" for number in range(4)]
    for collection in collections:
        world.publish("production", "staging", collection=collection)
    made = following(world)
    made.sweep("wandb")
    for collection in collections:
        world.source.unalias(collection, "staging")
    for _ in range(3):
        made.sweep("wandb")
    for number in range(4):
        made.work(ModelKey("vision", f"vision-m{number}"), "comparing", full=True)

    assert {status.state for status in world.store.statuses()} == {State.BLOCKED}
    assert all("staging" in world.names(f"vision-m{number}") for number in range(4))


def test_a_collection_that_is_gone_is_not_worked_on_any_more() -> None:
    world, made = one_is_gone()
    world.registry.calls.clear()
    made.work(OCR, "comparing", full=True)
    assert world.registry.calls == []
    made.work(FACES, "comparing", full=True)
    assert world.registry.calls == ["observe"]


def test_what_became_of_a_model_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    world, made = synced()
    caplog.set_level(logging.INFO, "bridge.service")
    caplog.clear()
    world.publish("production")
    made.sweep("wandb")
    world.publish("production")
    world.registry.problems["observe"] = TryAgain("Vertex AI is unwell")
    made.sweep("wandb")
    again = "2026-01-05T09:00:05+00:00"

    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "fraud/fraud is SYNCED"),
        (
            "WARNING",
            f"fraud/fraud is FAILED: Vertex AI is unwell; {world.status().remedy}; tried in vain: 1; again at {again}",
        ),
    ]


def test_an_alias_that_is_gone_twice_is_removed_by_the_second_sweep() -> None:
    world = World()
    world.publish("production", "staging")
    made = following(world)
    made.sweep("wandb")
    world.source.unalias(FRAUD, "staging")
    made.sweep("wandb")
    assert "staging" in world.names()
    made.sweep("wandb")

    assert world.names() == {"default": "v0", "production": "v0"}
