"""Vertex yields a second version, from a reply that was lost beyond the settle window."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest

from bridge.core.model import State
from bridge.core.records import Outcome
from bridge.core.refs import parse_ref
from bridge.reconcile.adopting import Adopter, Wish
from tests.worlds import KEY, World


def doubled() -> World:
    """Make a world in which an upload committed long after it was given up, and was sent again meanwhile."""
    world = World()
    world.registry.lists_operations = False
    world.publish("staging")
    world.sync()
    world.publish("production")
    world.registry.commit_delay = world.settle.total_seconds() * 3
    world.registry.lost_replies["register"] = 1
    world.sync()
    world.clock.advance(world.settle)
    world.registry.commit_delay = 0
    world.sync()
    assert world.registry.aliases("fraud") == {"default": "1", "production": "2", "staging": "1"}
    world.clock.advance(world.settle * 3)
    versions = world.registry.versions("fraud")
    assert versions["2"] == versions["3"]
    return world


def marked(world: World) -> dict[str, bool]:
    return {version.id: version.duplicate for version in world.registry.observe("fraud").versions}


def test_it_is_found_marked_and_told_in_one_pass() -> None:
    world = doubled()
    [report] = world.sync(full=True)
    assert report.plan is not None
    assert [str(change) for change in report.plan.changes] == ["+ mark     @3 (a duplicate of @2)"]
    assert marked(world) == {"1": False, "2": False, "3": True}
    status = world.status()
    assert (status.state, status.message, status.remedy) == (
        State.SYNCED,
        "version @3: it and @2 are both of the folder of v1, so it gets no alias",
        "delete it in Vertex if nothing uses it",
    )
    assert status.fingerprint is not None
    entry = world.store.journal(KEY)[0]
    assert (entry.outcome, entry.detail) == (Outcome.APPLIED, "one too many beside @2")


def test_the_next_pass_changes_nothing_and_still_tells() -> None:
    world = doubled()
    world.sync(full=True)
    [report] = world.sync(full=True)
    assert report.plan is not None
    assert (report.plan.changes, len(report.plan.refusals)) == ((), 1)
    world.registry.delete_by_hand("fraud", "3")
    world.sync(full=True)
    assert world.status().message == ""


def test_it_never_has_an_alias() -> None:
    world = doubled()
    world.sync(full=True)
    world.publish("production")
    world.sync()
    world.source.alias(world.store.records(KEY)[1].source, "production")
    world.sync()
    assert world.registry.aliases("fraud") == {"default": "1", "production": "2", "staging": "1"}
    assert len(world.registry.versions("fraud")) == 4


def test_it_recovers_from_death_at_any_point() -> None:
    calm = doubled()
    calm.sync(full=True)
    for point in itertools.count():
        world = doubled()
        for status in world.store.statuses():
            world.store.save_status(replace(status, fingerprint=None))
        if not world.dies_in_a_pass(point):
            assert point > 10
            return
        world.clock.advance(timedelta(hours=1))
        world.sync(full=True)
        assert world.ends() == calm.ends(), f"died at point {point}"
        assert marked(world) == {"1": False, "2": False, "3": True}
        assert world.store.unfinished(KEY) == ()


@pytest.mark.parametrize("scope", ["model", "version"])
def test_whatever_labels_are_merged_the_first_one_stays_ours(scope: str) -> None:
    world = doubled()
    world.registry.label_scope = scope  # type: ignore[assignment]  # one of its two words
    world.sync(full=True)
    assert marked(world) == {"1": False, "2": False, "3": True}


def test_where_the_first_was_deleted_a_person_has_the_second_adopted() -> None:
    world = doubled()
    world.sync(full=True)
    world.registry.delete_by_hand("fraud", "2")
    [report] = world.sync(full=True)
    assert report.plan is not None
    assert [refusal.remedy for refusal in report.plan.refusals] == [
        "have it taken over: bridge adopt fraud@3; or delete it in Vertex"
    ]

    Adopter(world.passes).adopt(world.specs, Wish(parse_ref("fraud@3")))

    assert marked(world) == {"1": False, "3": False}
    assert [record.version_id for record in world.store.records(KEY)] == ["1", "3"]
    world.sync()
    assert world.registry.aliases("fraud")["production"] == "3"


def test_a_frozen_model_keeps_it_unmarked() -> None:
    world = doubled()
    world.frozen_until = world.clock.now() + timedelta(hours=1)
    world.sync(full=True)
    assert marked(world) == {"1": False, "2": False, "3": False}
