"""What a person pauses stays as it is in Vertex, whoever works on it meanwhile, and follows when it is resumed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest

from bridge.cli.printing import say_reports
from bridge.core.changes import Kind
from bridge.core.errors import NeedsPerson
from bridge.core.model import EVERY, ModelKey, State
from bridge.core.records import Outcome
from bridge.reconcile.pausing import Pauses
from tests.worlds import KEY, REGISTRY, World, pattern

if TYPE_CHECKING:
    from datetime import datetime

    from bridge.core.model import MappingSpec

FRAUD = ModelKey("fraud", EVERY)
OCR, FACES = ModelKey("vision", "vision-ocr"), ModelKey("vision", "vision-faces")
EIGHT_HOURS = timedelta(hours=8)


def synced() -> World:
    world = World()
    world.publish("production")
    world.sync()
    return world


def pauses(world: World) -> Pauses:
    return Pauses(world.store, world.clock)


def due(world: World) -> dict[ModelKey, str | None]:
    before = world.passes.known()
    orders = world.passes.look(world.specs, before).orders
    return {order.key: why for order, why in world.passes.unsettled(orders, before)}


def test_a_pause_is_shown_at_once() -> None:
    world = synced()
    pauses(world).begin(FRAUD, "ann", "incident 7", EIGHT_HOURS)

    status = world.status()
    assert (status.state, status.next_try) == (State.HELD, "2026-01-05T17:00:00+00:00")
    assert status.message == "model fraud: ann paused it until 2026-01-05T17:00:00+00:00: incident 7"
    assert status.remedy == "it follows then; sooner: bridge resume fraud"


def test_a_model_that_is_paused_does_not_change_in_any_way() -> None:
    world = synced()
    pauses(world).begin(FRAUD, "ann", "incident 7", None)
    world.publish("production", "staging")
    before = world.registry.versions("fraud"), world.registry.aliases("fraud"), world.storage.objects.copy()

    (plan,) = world.plans()
    (report,) = world.sync()

    assert (plan.changes, {refusal.kind for refusal in plan.refusals}) == ((), {Kind.PAUSED})
    assert (report.status.state, report.status.next_try) == (State.HELD, None)
    assert (world.registry.versions("fraud"), world.registry.aliases("fraud"), world.storage.objects) == before


def test_a_model_that_is_paused_and_where_it_should_be_is_held_in_plan_sync_and_status() -> None:
    world = synced()
    pauses(world).begin(FRAUD, "ann", "incident 7", None)

    assert [each.status.state for each in world.passes.plan(world.specs)] == [State.HELD]
    assert [each.status.state for each in world.sync()] == [State.HELD]
    assert world.status().state is State.HELD
    assert due(world) == {KEY: None}, "nobody looks again before it is resumed"


def test_a_model_that_is_paused_is_held_whatever_else_would_need_a_person_and_blocked_when_it_is_resumed() -> None:
    world = World()
    world.publish("production")
    world.registry.add_by_hand("fraud", aliases=["production"])
    (blocked,) = world.sync()
    assert blocked.status.state is State.BLOCKED

    pauses(world).begin(FRAUD, "ann", "incident 7", None)
    (plan,) = world.plans()
    assert {refusal.kind for refusal in plan.refusals} == {Kind.CONFLICT, Kind.PAUSED}, "a plan shows both"
    (report,) = world.sync()
    assert (report.status.state, report.status.remedy) == (State.HELD, "it follows then; sooner: bridge resume fraud")

    pauses(world).end(FRAUD, "ann")
    (report,) = world.sync()
    assert (report.status.state, report.status.message) == (State.BLOCKED, blocked.status.message)


def test_what_was_planned_before_a_pause_is_not_applied_in_it() -> None:
    world = synced()
    world.publish("production")
    (plan,) = world.plans()
    pauses(world).begin(FRAUD, "ann", "incident 7", None)

    with pytest.raises(NeedsPerson, match="the world has moved"):
        world.passes.apply(world.specs, {KEY: plan.checksum}, why="test")


def test_a_pause_ends_by_itself() -> None:
    world = synced()
    pauses(world).begin(FRAUD, "ann", "incident 7", EIGHT_HOURS)
    world.publish("production")
    world.sync()
    assert due(world) == {KEY: None}
    world.clock.advance(EIGHT_HOURS)
    assert due(world) == {KEY: "what held it has ended"}
    world.sync()

    assert (world.names()["production"], world.status().state) == ("v1", State.SYNCED)


def test_what_is_resumed_is_looked_at_again_and_follows() -> None:
    world = synced()
    pauses(world).begin(FRAUD, "ann", "incident 7", EIGHT_HOURS)
    world.publish("production")
    world.sync()

    assert pauses(world).end(FRAUD, "ben")
    assert (world.status().state, due(world)) == (State.PENDING, {KEY: "it has changed"})
    world.sync()
    assert (world.names()["production"], world.status().state) == ("v1", State.SYNCED)
    assert not pauses(world).end(FRAUD, "ben")


def test_a_pause_that_begins_while_files_are_copied_holds_all_that_would_come_after() -> None:
    world = synced()
    world.publish("production")
    world.source.meanwhile = lambda: pauses(world).begin(FRAUD, "ann", "incident 7", None)

    (report,) = world.sync()

    assert (world.names()["production"], len(world.registry.versions("fraud"))) == ("v0", 1)
    assert report.status.state is State.HELD
    assert due(world) == {KEY: "it has changed"}, "the pass began without the pause: what it wrote is looked at again"


def test_a_pause_that_ends_while_a_pass_still_goes_by_it_is_not_taken_for_one_that_goes_on() -> None:
    world = synced()
    pauses(world).begin(FRAUD, "ann", "incident 7", None)
    world.publish("production")

    def resumed(_spec: MappingSpec, _now: datetime) -> None:
        pauses(world).end(FRAUD, "ben")  # the plan goes by the pause already, and the pass has not said how it went

    slow = replace(world.passes, reconciler=lambda spec: replace(world.reconciler(spec), frozen=resumed))
    (report,) = slow.sync(world.specs, why="test")

    assert report.status.state is State.HELD
    assert due(world) == {KEY: "it has changed"}


def test_one_model_of_a_mapping_is_paused_and_resumed_alone_or_with_all() -> None:
    world = World([pattern()])
    for name in ("ocr", "faces"):
        world.publish("production", collection=f"{REGISTRY}/vision-{name}")
    world.sync()
    pauses(world).begin(OCR, "ann", "a comparison", None)
    for name in ("ocr", "faces"):
        world.publish("production", collection=f"{REGISTRY}/vision-{name}")
    world.sync()
    assert (world.names(OCR.model)["production"], world.names(FACES.model)["production"]) == ("v0", "v1")
    assert not pauses(world).end(FACES, "ben")
    world.sync()
    assert world.names(OCR.model)["production"] == "v0"

    assert pauses(world).end(ModelKey("vision", EVERY), "ben")
    world.sync()
    assert world.names(OCR.model)["production"] == "v1"


def test_one_model_is_not_resumed_while_all_of_its_mapping_is_paused() -> None:
    world = synced()
    pauses(world).begin(KEY, "ann", "a comparison", None)
    pauses(world).begin(FRAUD, "ben", "incident 7", None)

    with pytest.raises(NeedsPerson) as refused:
        pauses(world).end(KEY, "ann")
    assert str(refused.value) == (
        "fraud/fraud is not resumed alone: ben paused the whole mapping: incident 7; "
        "resume all of it: bridge resume fraud"
    )
    assert world.status().state is State.HELD
    assert pauses(world).end(FRAUD, "ben")
    assert not pauses(world).end(KEY, "ann")


def test_a_sync_of_one_model_leaves_the_others() -> None:
    world = World([pattern()])
    for name in ("ocr", "faces"):
        world.publish("production", collection=f"{REGISTRY}/vision-{name}")

    reports = world.passes.sync(world.specs, why="test", full=True, only=(OCR,))

    assert [report.key for report in reports] == [OCR]
    assert (list(world.names(OCR.model)), world.names(FACES.model)) == (["default", "production"], {})


def test_the_journal_tells_who_paused_what_and_why_and_who_resumed_it() -> None:
    world = synced()
    made = len(world.store.journal())
    pauses(world).begin(FRAUD, "ann", "incident 7", EIGHT_HOURS)
    pauses(world).begin(KEY, "ann", "incident 8", None)
    pauses(world).end(FRAUD, "ben")
    assert not pauses(world).end(FRAUD, "ben"), "nothing was paused, so nothing is told"
    world.sync()

    said = list(reversed(world.store.journal()))[made:]
    assert [(entry.key, str(entry.change), entry.why) for entry in said] == [
        (FRAUD, "| pause    until 2026-01-05T17:00:00+00:00: incident 7", "ann"),
        (KEY, "| pause    until it is resumed: incident 8", "ann"),
        (FRAUD, "> resume", "ben"),
    ]
    assert {entry.outcome for entry in said} == {Outcome.APPLIED}


# one alias

HELD = "alias production: ann holds it until somebody resumes it: rolled back"


@pytest.mark.parametrize(("of", "scope"), [(FRAUD, "fraud"), (KEY, "fraud/fraud")], ids=["mapping", "model"])
def test_an_alias_that_is_held_stays_where_it_is_and_the_others_follow(of: ModelKey, scope: str) -> None:
    world = synced()
    pauses(world).begin(of, "ann", "rolled back", None, "production")
    world.publish("production", "staging")

    (report,) = world.sync()

    assert (world.names()["production"], world.names()["staging"]) == ("v0", "v1")
    assert (report.status.state, report.status.message) == (State.HELD, HELD)
    assert report.plan is not None
    assert report.plan.holds == ()

    assert report.status.remedy == f"it follows then; sooner: bridge resume {scope} --alias production"
    assert pauses(world).end(of, "ben", "production")
    world.sync()
    assert (world.names()["production"], world.status().state) == ("v1", State.SYNCED)
    assert not pauses(world).end(of, "ben", "production")


def test_every_plan_shows_which_aliases_are_held_though_nothing_would_change_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = synced()
    pauses(world).begin(FRAUD, "ann", "rolled back", None, "production")

    (report,) = world.passes.plan(world.specs)

    assert report.plan is not None
    assert (report.plan.changes, report.plan.refusals, report.plan.holds) == ((), (), (HELD,))
    assert report.status.state is State.SYNCED
    say_reports([report])
    assert capsys.readouterr().out == (f"fraud -> model fraud  [SYNCED]\n  i {HELD}\n0 changes (1 model)\n")


def test_a_rollback_by_hand_is_no_drift_while_the_alias_is_held() -> None:
    world = synced()
    world.publish("production")
    world.sync()
    world.registry.move_by_hand("fraud", "production", "1")
    (report,) = world.sync(full=True)
    assert report.status.state is State.DRIFTED

    pauses(world).begin(FRAUD, "ann", "rolled back", None, "production")
    assert due(world) == {KEY: "it has changed"}
    (report,) = world.sync()
    story = "the bridge set it on @2, and somebody has moved it to @1 in Vertex since"
    assert (report.status.state, report.status.message) == (State.HELD, f"{HELD}; {story}")
    remedy = "move it back in Vertex, or set 'drift: heal' in the mapping to have it follow v1"
    resume = "bridge resume fraud --alias production"
    assert report.status.remedy == f"it stays there then, too: {remedy}; and {resume}"

    pauses(world).end(FRAUD, "ben", "production")
    (report,) = world.sync()
    assert (report.status.state, world.names()["production"]) == (State.DRIFTED, "v0")


def test_a_hold_that_is_given_another_end_ends_then() -> None:
    world = synced()
    pauses(world).begin(FRAUD, "ann", "rolled back", None, "production")
    world.publish("production")
    world.sync()
    pauses(world).begin(FRAUD, "ann", "rolled back", EIGHT_HOURS, "production")
    assert due(world) == {KEY: "it has changed"}
    world.sync()
    world.clock.advance(EIGHT_HOURS)
    assert due(world) == {KEY: "what held it has ended"}
    world.sync()

    assert world.names()["production"] == "v1"


def test_who_resumes_an_alias_does_not_say_that_a_pause_has_ended() -> None:
    world = synced()
    pauses(world).begin(FRAUD, "ann", "rolled back", None, "production")
    pauses(world).begin(FRAUD, "ann", "incident 7", None)
    before = world.status()

    assert pauses(world).end(FRAUD, "ben", "production")
    assert not pauses(world).end(FRAUD, "ben", "staging")
    assert world.status() == before


def test_a_held_alias_that_is_gone_at_the_source_stays_until_it_is_resumed() -> None:
    world = synced()
    pauses(world).begin(FRAUD, "ann", "rolled back", EIGHT_HOURS, "production")
    world.source.unalias(f"{REGISTRY}/fraud-detector", "production")
    world.sync()
    world.sync()
    assert world.names()["production"] == "v0"
    world.clock.advance(EIGHT_HOURS)
    world.sync()

    assert "production" not in world.names()


def test_the_journal_tells_which_alias_was_held() -> None:
    world = synced()
    pauses(world).begin(FRAUD, "ann", "rolled back", None, "production")
    pauses(world).end(FRAUD, "ben", "production")

    told = [(str(entry.change), entry.why) for entry in world.store.journal()]

    assert told[:2] == [
        ("> resume   alias production", "ben"),
        ("| pause    alias production until it is resumed: rolled back", "ann"),
    ]


def test_an_alias_that_its_mapping_holds_is_not_resumed_for_one_model() -> None:
    world = synced()
    pauses(world).begin(FRAUD, "ann", "rolled back", None, "production")

    with pytest.raises(NeedsPerson, match="ann paused alias production of the whole mapping: rolled back") as refused:
        pauses(world).end(KEY, "ben", "production")

    assert refused.value.remedy == "resume all of it: bridge resume fraud --alias production"


@pytest.mark.parametrize("name", ["Prod_1", "*", ""])
def test_what_vertex_would_not_have_for_an_alias_is_neither_held_nor_resumed(name: str) -> None:
    world = synced()
    pauses(world).begin(FRAUD, "ann", "incident 7", None)
    for refused in (partial(pauses(world).begin, FRAUD, "ann", "x", None), partial(pauses(world).end, FRAUD, "ann")):
        with pytest.raises(NeedsPerson, match="is no alias of Vertex AI") as problem:
            refused(name)
        assert problem.value.remedy == "name it as Vertex has it"
    assert world.status().state is State.HELD
