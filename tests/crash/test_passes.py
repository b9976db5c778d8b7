"""A process that dies anywhere in a pass over three models, and once more in the pass after it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

import pytest

from bridge.core.errors import TryAgain
from bridge.core.model import Facts, Layout, ModelKey, OnDrift, OnSourceDelete, Serving, State, VersionRule
from tests.stateful import SOAK
from tests.worlds import CONTAINER, FRAUD, KEY, REGISTRY, World, mapping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.core.model import MappingSpec

CHURN, SCORES = f"{REGISTRY}/churn", f"{REGISTRY}/scores"

XGBOOST = Facts({"xgboost": {"xgb_version": "2.1.4", "data": "model.bin"}})  # for a prebuilt container

Conflict = Literal["move", "reject"]


def three_models(conflict: Conflict = "move") -> World:
    """Make a world before a pass that makes a model, moves an alias, and moves and removes others."""
    churn = replace(mapping("churn", "churn", "churn"), serving=Serving(layout=Layout.PREBUILT))
    specs = [churn, mapping(), mapping("scores", "scores", "scores")]
    world = World([replace(spec, default_from="production") for spec in specs])
    world.registry.alias_conflict = conflict
    world.registry.commit_delay = 0.1  # so that operations are waited for
    world.source.collection(CHURN)
    world.publish("production")
    world.publish("production", "staging", collection=SCORES)
    world.sync()
    world.publish("production", collection=SCORES)
    world.source.unalias(SCORES, "staging")
    world.sync()  # the first of two listings without it
    world.publish("staging", collection=CHURN, facts=XGBOOST)
    world.publish("production", collection=CHURN, facts=XGBOOST)
    world.publish("production")
    return world


def one_model() -> World:
    """Make a world before a pass that copies, registers, and moves one alias and removes another."""
    world = World([replace(mapping(), default_from="production")])
    world.registry.alias_conflict = "reject"
    world.registry.commit_delay = 0.1
    world.publish("production", "staging")
    world.sync()
    world.source.unalias(FRAUD, "staging")
    world.sync()
    world.publish("production")
    return world


def deaths(make: Callable[[], World], least: int = 1) -> Iterator[tuple[int, World]]:
    """Yield a world that died at its nth effect, for every n that a pass reaches: `least` of them at the least."""
    for point in itertools.count():
        world = make()
        if not world.dies_in_a_pass(point):
            assert point >= least
            return
        yield point, world


def world_key(spec: MappingSpec) -> ModelKey:
    return ModelKey(spec.name, spec.target.model)


def calm_ends(make: Callable[[], World]) -> dict[str, object]:
    world = make()
    world.quiet_pass()
    world.sync(full=True)
    return world.ends()


def broken_promises(world: World) -> list[str]:
    """Return what is never true, not even between a death and the pass after it."""
    wrong = []
    for spec in world.specs:
        uris = world.registry.versions(spec.target.model)
        if len(set(uris.values())) < len(uris):
            wrong.append("P2: a folder is registered twice")
        wrong += [
            f"P3: {uri} is registered and not whole" for uri in uris.values() if uri not in world.storage.manifests
        ]
    for folder, manifest in world.storage.manifests.items():
        if any(folder + file.path not in world.storage.objects for file in manifest.files):
            wrong.append(f"P3: {folder} has a manifest and not all its files")
    return wrong


def assert_calm(world: World, ends: dict[str, object], story: str) -> None:
    assert broken_promises(world) == [], story
    world.quiet_pass()
    assert [report.plan.changes for report in world.sync(full=True) if report.plan] == [()] * len(world.specs), story
    assert world.ends() == ends, story


@pytest.mark.parametrize("conflict", ["move", "reject"])
def test_a_pass_recovers_from_death_at_any_point(conflict: Conflict) -> None:
    ends = calm_ends(lambda: three_models(conflict))

    for point, world in deaths(lambda: three_models(conflict)):
        assert_calm(world, ends, f"died at point {point}")


def test_a_restart_at_once_does_no_harm_and_the_pass_after_it_recovers() -> None:
    ends = calm_ends(three_models)

    for point, world in deaths(three_models):
        world.sync()
        assert_calm(world, ends, f"died at point {point}")


def test_a_pass_recovers_from_death_at_any_point_and_again_at_any_point_of_its_recovery() -> None:
    # Nothing happens between the end of an effect and the beginning of the next, so one death stands for both here.
    def once(make: Callable[[], World] = one_model) -> World:
        world = make()
        world.fuse.after = False
        return world

    ends = calm_ends(once)

    for first, _ in deaths(once):

        def dead(first: int = first) -> World:
            world = once()
            assert world.dies_in_a_pass(first)
            world.clock.advance(world.settle)
            return world

        for second, world in deaths(dead, least=0):  # whoever died giving its lease back had done all there was
            assert_calm(world, ends, f"died at point {first}, and again at point {second}")


def test_three_models_recover_from_two_deaths() -> None:
    """At every pair of points in `make soak`, at some of them here."""
    each_first, each_second = (1, 1) if SOAK else (9, 4)

    def once() -> World:
        world = three_models()
        world.fuse.after = False  # as above
        return world

    ends = calm_ends(once)

    for first, _ in itertools.islice(deaths(once), None, None, each_first):

        def dead(first: int = first) -> World:
            world = once()
            assert world.dies_in_a_pass(first)
            world.clock.advance(world.settle)
            return world

        for second in itertools.count(0, each_second):
            world = dead()
            if not world.dies_in_a_pass(second):
                break
            assert_calm(world, ends, f"died at point {first}, and again at point {second}")


def test_a_death_in_the_first_pass_ever_leaves_nothing_behind_that_the_second_does_not_take_up() -> None:
    def new() -> World:
        world = World([replace(mapping(), default_from="production")])
        world.registry.commit_delay = 0.1
        world.publish("staging")
        world.publish("production")
        return world

    ends = calm_ends(new)

    for point, world in deaths(new):
        assert_calm(world, ends, f"died at point {point}")


def test_one_quiet_pass_leaves_nothing_open_in_the_journal() -> None:
    for point, world in deaths(three_models):
        world.quiet_pass()
        assert [spec for spec in world.specs if world.store.unfinished(world_key(spec))] == [], f"died at point {point}"


def test_a_move_to_another_bucket_folder_recovers_from_death_at_any_point() -> None:
    def moved() -> World:
        world = World([mapping()])
        world.publish("production")
        world.sync()
        world.base = "gs://models/new"
        return world

    ends = calm_ends(moved)

    for point, world in deaths(moved):
        assert_calm(world, ends, f"died at point {point}")


def test_a_healing_mapping_recovers_from_death_at_any_point_under_a_lagging_list() -> None:
    def lagging() -> World:
        world = World([replace(mapping(), drift=OnDrift.HEAL)])
        world.registry.list_lag = 40
        world.publish("production")
        return world

    for point, world in deaths(lagging):
        world.sync()
        world.quiet_pass()
        assert broken_promises(world) == [], f"died at point {point}"


def test_a_source_that_goes_back_after_a_death_is_followed() -> None:
    def back_and_forth() -> World:
        world = World()
        world.publish("production")
        newer = world.publish("staging")
        world.sync()
        world.source.alias(newer, "production")
        return world

    for point, world in deaths(back_and_forth):
        oldest = world.store.records(KEY)[0].source
        world.source.alias(oldest, "production")
        world.quiet_pass()
        assert world.names()["production"] == "v0", f"died at point {point}"


def test_an_alias_that_was_set_before_a_death_is_known_as_ours_though_the_list_lags_and_the_source_has_moved_on() -> (
    None
):
    def lagging() -> World:
        world = World()
        world.registry.list_lag = 3600
        world.publish("staging")
        return world

    for point, world in deaths(lagging):
        world.source.unalias(FRAUD, "staging")
        world.quiet_pass()
        world.clock.advance(timedelta(hours=2))
        world.sync(full=True)
        world.sync(full=True)
        assert "staging" not in world.names(), f"died at point {point}"


def sent_by_the_dead(world: World, change: str) -> None:
    """Have a pass end at a change that was sent and does not show; whoever calls lets it show when they like."""
    world.registry.problems[change] = TryAgain("Vertex AI is unwell")
    world.sync()
    world.registry.problems.clear()
    assert len(world.store.unfinished(KEY)) == 1


def looked_at(world: World) -> int:
    """Let a pass be due a minute later; return how often Vertex was asked for the model in it."""
    world.registry.calls.clear()
    world.clock.advance(timedelta(minutes=1))
    world.sync()
    return world.registry.calls.count("observe")


@pytest.mark.parametrize("passes", range(4))
def test_an_alias_that_is_set_after_its_process_has_died_is_known_as_ours(passes: int) -> None:
    world = World()
    world.publish("staging", "production")
    world.sync()
    newer = world.publish("staging")
    sent_by_the_dead(world, "move_alias")

    world.source.unalias(FRAUD, "staging")
    for _ in range(passes):
        world.sync()
    (sent_to,) = (record for record in world.store.records(KEY) if record.source == newer)
    world.registry.move_by_hand("fraud", "staging", sent_to.version_id)

    looked_at(world)
    looked_at(world)
    assert "staging" not in world.names()


def test_an_alias_that_is_taken_away_after_its_process_has_died_comes_back() -> None:
    world = World()
    version = world.publish("staging", "production")
    world.sync()
    world.source.unalias(FRAUD, "staging")
    world.sync()
    sent_by_the_dead(world, "remove_alias")

    world.source.alias(version, "staging")
    (report,) = world.sync()
    assert report.status.state is State.SYNCED
    world.registry.move_by_hand("fraud", "staging", None)

    looked_at(world)
    assert world.names()["staging"] == "v0"


def test_what_the_dead_have_sent_is_waited_for_no_longer_than_the_settle_window() -> None:
    world = World()
    world.publish("staging")
    world.sync()
    world.publish("staging")
    sent_by_the_dead(world, "move_alias")
    world.source.alias(world.store.records(KEY)[0].source, "staging")

    assert [looked_at(world) for _ in range(15)] == [1] * 10 + [0] * 5
    assert world.store.unfinished(KEY) == ()


def test_an_alias_that_was_to_move_from_a_version_that_no_list_shows_is_not_forgotten() -> None:
    world = World()
    world.registry.list_lag = 3600
    world.publish("production", "staging")
    world.sync()
    world.publish("staging")
    world.registry.problems["move_alias"] = TryAgain("Vertex AI is unwell")
    world.sync()
    world.registry.problems.clear()
    (begun,) = world.store.unfinished(KEY)
    assert str(begun.change) == "~ alias    staging (v0 -> v1)"

    world.source.unalias(FRAUD, "staging")
    world.source.unalias(FRAUD, "production")
    world.sync()
    world.clock.advance(timedelta(hours=2))
    world.sync(full=True)
    world.sync(full=True)

    assert "staging" not in world.names()


def test_a_source_that_goes_on_after_a_death_is_followed() -> None:
    for point, world in deaths(three_models):
        world.publish("production")
        world.quiet_pass()
        assert world.names()["production"] == "v2", f"died at point {point}"
        assert broken_promises(world) == []


def deleting(layout: Layout = Layout.MIRROR) -> World:
    """Make a world before a pass that takes an alias away, deletes its version, and removes its folders."""
    spec = replace(mapping(), on_source_delete=OnSourceDelete.DELETE, versions=VersionRule(None))
    world = World([replace(spec, serving=Serving(CONTAINER.image if layout is Layout.MIRROR else None, layout=layout))])
    world.publish(facts=XGBOOST)
    gone = world.publish("production", facts=XGBOOST)
    world.publish(facts=XGBOOST)
    world.sync()
    world.source.delete(gone)
    world.sync()  # the first of two listings without it
    return world


@pytest.mark.parametrize("layout", [Layout.MIRROR, Layout.PREBUILT])
def test_a_deletion_recovers_from_death_at_any_point(layout: Layout) -> None:
    ends = calm_ends(lambda: deleting(layout))
    assert isinstance(ends["versions"], dict)
    assert ends["versions"]["fraud"].keys() == {"1", "3"}
    assert isinstance(ends["manifests"], dict)
    assert len(ends["manifests"]) == (2 if layout is Layout.MIRROR else 4)

    for point, world in deaths(lambda: deleting(layout), least=20):
        assert_calm(world, ends, f"died at point {point}")


def test_a_deletion_recovers_from_two_deaths() -> None:
    ends = calm_ends(deleting)

    for first, _ in deaths(deleting):

        def dead(first: int = first) -> World:
            world = deleting()
            assert world.dies_in_a_pass(first)
            world.clock.advance(world.settle)
            return world

        for second, world in deaths(dead, least=0):
            assert_calm(world, ends, f"died at point {first}, and again at point {second}")


def test_a_version_that_comes_back_after_a_death_in_its_deletion_is_whole_again() -> None:
    for point, world in deaths(deleting):
        gone = next(
            record.source
            for record in (*world.store.records(KEY), *(grave.record for grave in world.store.tombstones()))
            if record.source.label == "v1"
        )
        world.source.restore(gone)
        world.source.alias(gone, "production")
        world.clock.advance(timedelta(hours=2))  # so long a folder that was being removed is not entered
        world.quiet_pass()
        assert world.names()["production"] == "v1", f"died at point {point}"
        assert broken_promises(world) == [], f"died at point {point}"
        assert [report.plan.changes for report in world.sync(full=True) if report.plan] == [()]


def test_a_collection_that_is_gone_is_deleted_after_death_at_any_point() -> None:
    def gone() -> World:
        world = deleting()
        world.source.collection(CHURN)
        world.source.delete_collection(FRAUD)
        world.sync()
        return world

    ends = calm_ends(gone)

    for point, world in deaths(gone):
        assert_calm(world, ends, f"died at point {point}")
