"""What failed is tried again when its time comes, what needs a person is not, and a quiet pass writes nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from bridge.core.errors import NeedsPerson, TryAgain
from bridge.core.model import Alias, Freeze, Hold, ModelKey, State
from bridge.testing.store import MemoryStore
from tests.worlds import FRAUD, KEY, REGISTRY, World, mapping, pattern


def due(world: World) -> dict[ModelKey, str | None]:
    """Look, and say why each model that is not settled is due."""
    before = world.passes.known()
    look = world.passes.look(world.specs, before)
    return {order.key: why for order, why in world.passes.unsettled(look.orders, before)}


def synced() -> World:
    world = World()
    world.publish("production")
    world.sync()
    return world


def failed(times: int = 1, after: float | None = None) -> World:
    world = synced()
    world.publish("production")
    world.registry.problems["observe"] = TryAgain("Vertex AI is unwell", after)
    for _ in range(times):
        world.sync()
    return world


def test_a_quiet_look_finds_nothing_due_and_writes_nothing() -> None:
    world = synced()
    world.fuse.left = 0  # the first effect would be the death of it
    world.clock.advance(60)

    assert due(world) == {}


def test_what_failed_is_tried_again_after_pauses_that_grow() -> None:
    world = failed(times=3)

    status = world.status()
    assert (status.state, status.attempt) == (State.FAILED, 3)
    assert status.next_try == (world.clock.now() + timedelta(seconds=20)).isoformat()
    assert due(world) == {KEY: None}
    world.clock.advance(20)
    assert due(world) == {KEY: "try 4"}


def test_a_new_process_waits_for_the_same_time() -> None:
    world = failed(times=2)
    again = World(specs=world.specs, clock=world.clock, source=world.source, store=world.store)

    assert due(again) == {KEY: None}
    again.clock.advance(10)
    assert due(again) == {KEY: "try 3"}


def test_what_failed_and_has_changed_since_is_due_at_once_and_counts_from_one() -> None:
    world = failed(times=3)
    world.publish("production")

    assert due(world) == {KEY: "it has changed"}
    world.sync()
    assert world.status().attempt == 1


def test_a_service_that_says_when_to_come_back_is_not_asked_before() -> None:
    world = failed(after=300)

    assert world.status().next_try == (world.clock.now() + timedelta(seconds=300)).isoformat()


def test_success_forgets_that_it_failed() -> None:
    world = failed(times=3)
    world.registry.problems.clear()
    world.sync()

    assert (world.status().state, world.status().attempt, world.status().next_try) == (State.SYNCED, 0, None)


def test_an_unexpected_error_is_tried_again_too() -> None:
    world = World()
    version = world.publish("production")
    world.source.serve(version, "model.bin", None)  # type: ignore[arg-type]  # the bug
    world.sync()

    assert world.status().next_try == (world.clock.now() + timedelta(seconds=5)).isoformat()


def test_what_needs_a_person_is_not_tried_again_by_the_time_alone() -> None:
    world = World()
    version = world.publish("production")
    world.source.serve(version, "model.bin", b"corrupted")
    world.sync()
    world.clock.advance(timedelta(days=365))

    assert (world.status().state, world.status().attempt, due(world)) == (State.FAILED, 1, {KEY: None})
    world.publish("production")
    assert due(world) == {KEY: "it has changed"}


def test_a_source_that_refuses_for_good_in_the_middle_waits_for_a_person() -> None:
    world = synced()
    world.publish("production")
    world.registry.problems["observe"] = NeedsPerson("access is refused", "grant it")
    world.sync()

    assert (world.status().state, world.status().next_try, due(world)) == (State.FAILED, None, {KEY: None})


def test_an_alias_that_waits_for_another_listing_is_looked_at_with_the_next() -> None:
    world = World()
    world.publish("production", "staging")
    world.sync()
    world.source.unalias(FRAUD, "staging")
    world.sync()

    assert (world.status().state, due(world)) == (State.PENDING, {KEY: "it has changed"})


def test_what_a_person_holds_is_due_when_the_hold_ends() -> None:
    world = synced()
    until = (world.clock.now() + timedelta(hours=8)).isoformat()
    world.store.save_hold(KEY, Hold(Alias("production"), "ann", "an incident", until))
    world.publish("production")
    world.sync()

    assert (world.status().state, world.status().next_try, due(world)) == (State.HELD, until, {KEY: None})
    world.clock.advance(timedelta(hours=8))
    assert due(world) == {KEY: "what held it has ended"}


def test_a_mapping_that_is_frozen_is_planned_and_shown_and_nothing_is_applied() -> None:
    world = synced()
    world.publish("production")
    world.frozen_until = world.clock.now() + timedelta(hours=62)
    before = world.ends()

    (planned,) = world.passes.plan(world.specs)
    (report,) = world.sync()

    assert planned.plan is not None
    assert [refusal.about for refusal in planned.plan.refusals] == ["version v1", "version v1", "alias production"]
    assert (report.status.state, report.status.next_try) == (State.HELD, world.frozen_until.isoformat())
    assert {**world.ends(), "statuses": None} == {**before, "statuses": None}
    world.frozen_until = None
    world.clock.advance(timedelta(hours=62))
    assert due(world) == {KEY: "what held it has ended"}
    world.sync()
    assert world.names()["production"] == "v1"


def test_a_freeze_that_begins_while_files_are_copied_keeps_the_alias_where_it_is() -> None:
    world = synced()
    world.publish("production")

    class Begins(MemoryStore):
        def begin(self, *told: object, **named: object) -> object:  # type: ignore[override]  # only passes them on
            world.frozen_until = world.clock.now() + timedelta(hours=1)
            return super().begin(*told, **named)  # type: ignore[arg-type]  # the same

    vars(begins := Begins()).update(vars(world.store))
    world.store = begins
    (report,) = world.sync()

    assert report.plan is not None
    assert [type(change).__name__ for change in report.plan.changes] == ["CopyFiles"]
    assert (report.status.state, world.names()["production"]) == (State.HELD, "v0")


def test_a_mapping_whose_freezes_change_is_not_compared_again() -> None:
    world = synced()
    world.specs = [replace(world.specs[0], freezes=(Freeze("0 18 * * 5", timedelta(hours=62)),))]

    assert due(world) == {}


# sources that cannot be read


def test_models_whose_source_was_away_are_well_when_it_is_back_and_vertex_is_not_asked() -> None:
    world = synced()
    world.source.problem = TryAgain("W&B is unwell")
    world.sync()
    assert world.status().state is State.DEGRADED
    world.source.problem = None
    world.registry.calls.clear()

    (report,) = world.sync()

    assert (report.status.state, report.status.message) == (State.SYNCED, "")
    assert (world.status().state, world.status().message, world.registry.calls) == (State.SYNCED, "", [])


def test_a_source_that_stays_away_is_written_down_once() -> None:
    world = synced()
    world.source.problem = TryAgain("W&B is unwell")
    world.sync()
    first = world.status()
    world.clock.advance(60)
    world.fuse.left = 0

    assert due(world) == {}
    assert world.status() == first


def test_a_model_that_needed_a_person_before_its_source_was_away_is_looked_at_again() -> None:
    world = World()
    version = world.publish("production")
    world.source.serve(version, "model.bin", b"corrupted")
    world.sync()
    world.source.problem = TryAgain("W&B is unwell")
    due(world)
    world.source.problem = None

    assert due(world) == {KEY: "it has changed"}


def test_two_connections_that_land_on_one_model_are_refused_though_they_are_swept_apart() -> None:
    fraud, other = mapping(), mapping("other", "fraud-detector")
    world = World([fraud, replace(other, source=replace(other.source, connection="second"))])
    world.publish("production")
    first = world.passes.look(world.specs[:1], {})
    second = world.passes.look(world.specs[1:], world.passes.known(), first.orders)

    assert (second.orders, len(second.rivals)) == ((), 2)
    assert {status.key.mapping: status.state for status in world.store.statuses()} == {
        "fraud": State.BLOCKED,
        "other": State.BLOCKED,
    }


def test_what_is_as_it_was_is_not_reckoned_again() -> None:
    world = World([pattern()])
    for task in ("ocr", "faces"):
        world.publish("production", collection=f"{REGISTRY}/vision-{task}")
    first = world.passes.look(world.specs, {})
    world.publish("production", collection=f"{REGISTRY}/vision-ocr")
    second = world.passes.look(world.specs, {}, first.orders)

    (faces, ocr), (faces_was, ocr_was) = second.orders, first.orders
    assert faces.fingerprint is faces_was.fingerprint
    assert ocr.fingerprint != ocr_was.fingerprint


def test_a_person_who_syncs_does_not_wait_for_the_next_try() -> None:
    world = failed(times=2)
    world.registry.problems.clear()

    (report,) = world.sync()

    assert report.status.state is State.SYNCED


def test_a_plan_of_a_model_whose_vertex_is_unwell_says_so_and_writes_nothing() -> None:
    world = failed()
    before = world.status()

    (report,) = world.passes.plan(world.specs)

    assert (report.status.state, report.status.message, report.plan) == (State.FAILED, "Vertex AI is unwell", None)
    assert world.status() == before
