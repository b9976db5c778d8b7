"""What a mapping does where a version that is not ours has what one of ours should have."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bridge.core.changes import AdoptVersion, MoveAlias
from bridge.core.errors import TryAgain
from bridge.core.model import Layout, OnConflict, Policy, Serving, State, VersionRef
from bridge.core.records import Intent
from tests.worlds import BASE, CONTAINER, FRAUD, KEY, World, mapping

if TYPE_CHECKING:
    from bridge.core.model import MappingSpec

THEIRS = "gs://team/models/fraud/july/"


def spec(on_conflict: OnConflict, *, layout: Layout = Layout.MIRROR) -> MappingSpec:
    serving = Serving(CONTAINER.image, layout=layout)
    return replace(mapping(), on_conflict=on_conflict, serving=serving, default_from="production")


def by_hand(world: World, content: bytes, *aliases: str, folder: str = THEIRS, owner: str | None = None) -> str:
    """Have a person upload a file and register its folder."""
    world.storage.place(f"{folder}model.bin", content)
    return world.registry.add_by_hand("fraud", folder, aliases, owner=owner)


def foreign_model(on_conflict: OnConflict, content: bytes = b"weights") -> World:
    """Make a model of somebody else's, with the alias that the mapping brings."""
    world = World([spec(on_conflict)])
    world.publish("production", content=b"weights")
    by_hand(world, content, "production")
    return world


def refusals(world: World) -> list[str]:
    return [str(refusal).split(":")[0] for plan in world.plans() for refusal in plan.refusals]


def test_by_default_all_is_held() -> None:
    world = foreign_model(OnConflict.HOLD)
    world.sync()
    assert world.status().state is State.BLOCKED
    assert world.registry.aliases("fraud") == {"default": "1", "production": "1"}
    assert list(world.registry.versions("fraud")) == ["1"]


# overwrite


def test_an_overwriting_mapping_takes_the_alias_and_leaves_the_version() -> None:
    world = foreign_model(OnConflict.OVERWRITE)
    [theirs] = world.registry.observe("fraud").versions

    world.sync()

    assert world.status().state is State.SYNCED
    assert world.registry.aliases("fraud") == {"default": "2", "production": "2"}
    kept = world.registry.observe("fraud").versions[0]
    assert kept == replace(theirs, aliases=frozenset())
    assert [plan.changes for plan in world.plans()] == [()]


def test_the_journal_says_why_it_was_taken_and_from_whom() -> None:
    world = foreign_model(OnConflict.OVERWRITE)
    world.sync()
    moves = [entry for entry in world.store.journal(KEY) if isinstance(entry.change, MoveAlias)]
    assert {(e.why, e.change.why, e.change.previous) for e in moves if isinstance(e.change, MoveAlias)} == {
        ("test", "on_conflict: overwrite", VersionRef("1", None))
    }


def test_an_alias_that_a_person_moved_to_their_version_is_taken_back() -> None:
    world = World([spec(OnConflict.OVERWRITE)])
    world.publish("production")
    world.sync()
    at = by_hand(world, b"theirs")
    world.registry.move_by_hand("fraud", "production", at)
    world.sync(full=True)
    assert world.registry.aliases("fraud") == {"default": "1", "production": "1"}


def test_where_vertex_refuses_to_take_an_alias_it_is_taken_all_the_same() -> None:
    world = foreign_model(OnConflict.OVERWRITE)
    world.registry.alias_conflict = "reject"
    world.sync()
    assert world.registry.aliases("fraud") == {"default": "2", "production": "2"}


def test_a_policy_that_moves_nothing_takes_nothing() -> None:
    world = foreign_model(OnConflict.OVERWRITE)
    world.specs = [replace(world.specs[0], policy=Policy.CREATE_ONLY)]
    world.sync()
    assert world.registry.aliases("fraud") == {"default": "1", "production": "1"}
    assert world.status().state is State.SYNCED


# adopt


def test_an_adopting_mapping_takes_the_version_with_the_bytes_and_copies_nothing() -> None:
    world = foreign_model(OnConflict.ADOPT)

    [report] = world.sync()

    assert report.plan is not None
    assert [str(change) for change in report.plan.changes] == ["+ adopted  @1 = v0 (on_conflict: adopt)"]
    assert world.status().state is State.SYNCED
    assert list(world.registry.versions("fraud")) == ["1"]
    assert "put" not in world.storage.calls
    newer = world.publish("production")
    world.sync()
    assert world.registry.aliases("fraud") == {"default": "2", "production": "2"}
    assert newer.label == "v1"


def test_the_journal_says_that_the_mapping_had_it_adopted() -> None:
    world = foreign_model(OnConflict.ADOPT)
    world.sync()
    [entry] = world.store.journal(KEY)
    assert isinstance(entry.change, AdoptVersion)
    assert (entry.why, entry.change.why) == ("test", "on_conflict: adopt")


@pytest.mark.parametrize("layout", [Layout.MIRROR, Layout.AUTO])
def test_a_version_with_other_bytes_is_held(layout: Layout) -> None:
    world = foreign_model(OnConflict.ADOPT, b"WEIGHTS")
    world.specs = [spec(OnConflict.ADOPT, layout=layout)]
    world.sync()
    assert refusals(world) == ["! conflict model fraud"]
    assert world.registry.observe("fraud").versions[0].marked is False


@pytest.mark.parametrize("layout", [Layout.MIRROR, Layout.AUTO])
def test_beside_what_is_ours_a_version_with_other_bytes_keeps_its_alias(layout: Layout) -> None:
    world = World([replace(spec(OnConflict.ADOPT, layout=layout), default_from=None)])
    world.publish("staging")
    world.sync()
    by_hand(world, b"theirs", "production")
    world.publish("production")
    world.sync()
    assert refusals(world) == ["! conflict alias production"]
    assert world.registry.aliases("fraud") == {"default": "1", "staging": "1", "production": "2"}
    assert len(world.registry.versions("fraud")) == 3


def test_bytes_that_no_digest_tells_are_held() -> None:
    world = World([spec(OnConflict.ADOPT)])
    world.source.publish(FRAUD, {"model.bin": b"weights"}, "production", algorithm=None)
    by_hand(world, b"weights", "production")
    assert refusals(world) == ["! conflict model fraud"]


def test_the_version_of_another_bridge_is_held() -> None:
    world = World([spec(OnConflict.ADOPT)])
    world.publish("production", content=b"weights")
    by_hand(world, b"weights", "production", owner="another")
    assert refusals(world) == ["! conflict model fraud"]


def test_of_two_with_the_same_bytes_one_is_adopted() -> None:
    world = foreign_model(OnConflict.ADOPT)
    by_hand(world, b"weights", folder="gs://team/models/fraud/june/")
    world.publish("staging", content=b"weights")
    world.sync()
    assert [record.version_id for record in world.store.records(KEY)] == ["1", "2"]
    assert world.registry.aliases("fraud") == {"default": "1", "production": "1", "staging": "2"}


def test_an_alias_that_came_with_what_is_adopted_moves_in_the_same_pass() -> None:
    world = World([replace(spec(OnConflict.ADOPT), default_from=None)])
    world.publish("staging", content=b"weights")
    by_hand(world, b"weights", "production")
    world.publish("production")
    world.sync()
    assert world.status().state is State.SYNCED
    assert world.registry.aliases("fraud") == {"default": "1", "production": "2", "staging": "1"}


def test_a_source_that_is_unwell_is_tried_again() -> None:
    world = foreign_model(OnConflict.ADOPT)
    [version] = world.source.sweep([mapping().source]).found[mapping().source][0].versions
    world.source.describing[version.id] = TryAgain("the source is unwell")
    world.sync()
    assert (world.status().state, world.status().message) == (State.FAILED, "the source is unwell")
    assert world.status().next_try is not None


def test_a_version_whose_registration_is_under_way_is_not_adopted_besides() -> None:
    world = World([spec(OnConflict.ADOPT)])
    world.publish("staging")
    world.sync()
    version = world.publish("production", content=b"weights")
    by_hand(world, b"weights")
    world.store.save_intent(Intent(KEY, version, f"{BASE}/fraud/v1/", world.clock.now().isoformat(), None))
    [plan] = world.plans()
    assert not any(isinstance(change, AdoptVersion) for change in plan.changes)


def test_a_version_of_ours_that_lost_its_mark_is_marked_again() -> None:
    world = World([spec(OnConflict.ADOPT)])
    world.registry.label_scope = "version"
    world.publish("production")
    world.sync()
    world.registry._models["fraud"].versions[0].marked = False  # noqa: SLF001  a person takes the label away
    world.sync(full=True)
    assert world.status().state is State.SYNCED
    assert world.registry.observe("fraud").versions[0].marked


def test_bytes_that_change_after_the_plan_are_not_adopted() -> None:
    world = foreign_model(OnConflict.ADOPT)
    reconciler = world.reconciler(world.specs[0])
    look = world.passes.look(world.specs, {})
    plan = reconciler.plan(look.orders[0]).plan
    world.storage.place(f"{THEIRS}model.bin", b"WEIGHTS")
    held = replace(reconciler, copier=reconciler.copier)
    [report] = world.sync()
    assert [type(change) for change in plan.changes] == [AdoptVersion]
    assert held == reconciler
    assert report.plan is not None
    assert report.plan.changes == ()
    assert world.store.records(KEY) == ()


# both


@pytest.mark.parametrize("on_conflict", [OnConflict.OVERWRITE, OnConflict.ADOPT])
def test_a_pass_recovers_from_death_at_any_point(on_conflict: OnConflict) -> None:
    calm = foreign_model(on_conflict)
    calm.sync()
    calm.sync(full=True)
    for point in itertools.count():
        world = foreign_model(on_conflict)
        if not world.dies_in_a_pass(point):
            assert point > 10
            return
        world.clock.advance(timedelta(hours=1))
        world.sync()
        world.sync(full=True)
        assert world.ends() == calm.ends(), f"died at point {point}"
