"""A store that was lost is made again; Vertex and the bucket are only read."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bridge.core.errors import NeedsPerson, TryAgain
from bridge.core.model import Alias, Facts, Layout, ModelKey, Serving, State
from bridge.core.records import Intent
from bridge.reconcile.rebuilding import Rebuilder, Rebuilt
from bridge.testing.store import MemoryStore
from tests.reconcile.test_deletions import two_versions
from tests.worlds import FRAUD, KEY, REGISTRY, Crash, World, mapping, pattern

if TYPE_CHECKING:
    from bridge.core.model import MappingSpec, SourceVersion
    from bridge.reconcile.reconciler import Reconciler

WRITES = {
    *("register", "move_alias", "remove_alias", "mark_ours", "mark_duplicate", "delete"),
    *("put", "rewrite", "commit", "discard", "remove", "open"),
}
VISION = ModelKey("vision", "vision-cats")
CATS = f"{REGISTRY}/vision-cats"


def rebuilder(world: World) -> Rebuilder:
    return Rebuilder(world.passes)


def settled(*specs: MappingSpec) -> World:
    """Make a world of several models, each as it should be."""
    churn = replace(mapping("churn", "churn", "churn"), serving=Serving(layout=Layout.PREBUILT))
    world = World([churn, replace(mapping(), default_from="production"), pattern(), *specs])
    world.publish(
        "production",
        collection=f"{REGISTRY}/churn",
        facts=Facts({"xgboost": {"xgb_version": "2.1.4", "data": "model.bin"}}),
    )
    world.publish("staging")
    world.publish("production")
    world.publish("champion", collection=CATS)
    world.sync()
    assert {status.state for status in world.store.statuses()} == {State.SYNCED}
    return world


def lose_store(world: World) -> MemoryStore:
    """Put an empty store in its place; forget which calls were made before; return the old one."""
    lost, world.store = world.store, MemoryStore()
    for end in (world.registry, world.storage, world.source):
        end.calls.clear()
    return lost


def written(world: World) -> set[str]:
    return WRITES & {*world.registry.calls, *world.storage.calls, *world.source.calls}


def changes(world: World) -> list[object]:
    return [change for plan in world.plans() for change in (*plan.changes, *plan.refusals)]


def test_all_is_known_again_and_plans_are_empty() -> None:
    world = settled()
    lost = lose_store(world)
    assert changes(world) != []

    found = rebuilder(world).rebuild(world.specs)

    assert [each.problem for each in found] == [None] * 3
    assert changes(world) == []
    then, now = lost.all_records(), world.store.all_records()
    assert now == tuple(replace(r, first_seen=n.first_seen) for r, n in zip(then, now, strict=True))
    keys = {record.key for record in then}
    assert {key: world.store.mirrored(key) for key in keys} == {key: lost.mirrored(key) for key in keys}
    assert written(world) == set()


def test_the_next_pass_changes_nothing_and_all_is_well() -> None:
    world = settled()
    lose_store(world)
    rebuilder(world).rebuild(world.specs)
    assert {status.state for status in world.store.statuses()} == {State.PENDING}

    world.sync()

    assert written(world) == set()
    assert {status.state for status in world.store.statuses()} == {State.SYNCED}


def test_a_second_time_finds_nothing_new() -> None:
    world = settled()
    lose_store(world)
    rebuilder(world).rebuild(world.specs)
    before = world.ends()

    again = rebuilder(world).rebuild(world.specs)

    assert [each.found.records + tuple(each.found.mirrored) + each.found.left for each in again] == [()] * 3
    assert world.ends() == before


def test_a_dry_run_says_the_same_and_writes_nothing() -> None:
    world = settled()
    lose_store(world)

    looked = rebuilder(world).find(world.specs)

    assert (world.store.all_records(), world.store.statuses()) == ((), ())
    assert looked == rebuilder(world).rebuild(world.specs)


def test_it_recovers_from_death_at_any_point() -> None:
    calm = settled()
    lose_store(calm)
    rebuilder(calm).rebuild(calm.specs)
    calm.sync()
    for point in itertools.count():
        world = settled()
        lose_store(world)
        world.fuse.left = point
        try:
            rebuilder(world).rebuild(world.specs)
        except Crash:
            pass
        else:
            assert point > 20
            return
        world.clock.advance(timedelta(hours=1))
        rebuilder(world).rebuild(world.specs)
        assert changes(world) == [], f"died at point {point}"
        world.sync()
        assert written(world) == set(), f"died at point {point}"
        assert world.ends() == calm.ends(), f"died at point {point}"


def test_a_service_that_met_the_empty_store_looks_again() -> None:
    world = settled()
    lose_store(world)
    world.sync()
    assert world.status().state is State.BLOCKED
    rebuilder(world).rebuild(world.specs)

    look = world.passes.look(world.specs, world.passes.known())
    due = world.passes.unsettled(look.orders, world.passes.known())

    assert {order.key: why is not None for order, why in due} == dict.fromkeys((each.key for each in look.orders), True)


def test_a_model_that_another_process_works_on_is_left_alone() -> None:
    world = settled()
    lose_store(world)
    now = world.clock.now()
    world.store.take_lease(KEY, "another", now, now + timedelta(minutes=1))

    found = {each.key: each for each in rebuilder(world).rebuild(world.specs)}

    assert "another" in str(found[KEY].problem)
    assert world.store.records(KEY) == ()
    assert len(world.store.records(VISION)) == 1


def test_an_old_backup_is_brought_up_to_date() -> None:
    world = settled()
    lost = lose_store(world)
    world.store.save_record(lost.records(KEY)[0])
    world.store.save_mirrored(KEY, Alias("staging"), "1")

    rebuilder(world).rebuild(world.specs)

    assert changes(world) == []
    assert [record.version_id for record in world.store.records(KEY)] == ["1", "2"]
    world.sync()
    assert world.store.mirrored(KEY) == lost.mirrored(KEY)


def test_what_is_not_whole_is_told_and_the_rest_is_known_again() -> None:
    world = settled()
    lost = lose_store(world)
    first, second = lost.records(KEY)
    del world.storage.manifests[first.artifact_uri]

    [found] = rebuilder(world).rebuild([mapping()])

    assert [record.version_id for record in world.store.records(KEY)] == [second.version_id]
    assert [left.about for left in found.found.left] == ["version @1"]


def test_a_folder_that_may_not_be_read_is_told_with_the_reason() -> None:
    world = settled()
    lose_store(world)
    world.storage.closed.add("models")

    [found] = rebuilder(world).rebuild([mapping()])

    assert {"refuses access" in left.reason for left in found.found.left} == {True}


def test_a_bucket_that_is_unwell_is_a_problem_and_nothing_is_taken_for_gone() -> None:
    world = settled()
    lose_store(world)
    world.storage.problem = TryAgain("the bucket is unwell")

    found = rebuilder(world).rebuild([mapping()])

    assert [str(each.problem) for each in found] == ["the bucket is unwell"]
    assert world.store.statuses() == ()


def test_an_open_intent_is_left_to_the_pass_that_settles_it() -> None:
    world = settled()
    [_, record] = lose_store(world).records(KEY)
    world.store.save_intent(Intent(KEY, record.source, record.artifact_uri, world.clock.now().isoformat(), None))

    rebuilder(world).rebuild(world.specs)
    assert [each.version_id for each in world.store.records(KEY)] == ["1"]
    world.sync()

    assert [each.version_id for each in world.store.records(KEY)] == ["1", "2"]


def test_an_alias_that_a_person_moved_meanwhile_is_drift() -> None:
    world = settled()
    lose_store(world)
    world.registry.move_by_hand("fraud", "production", "2")

    found = {each.key: each.found for each in rebuilder(world).rebuild(world.specs)}

    assert [left.about for left in found[KEY].left] == ["alias production"]
    assert [str(change).split(";")[0] for change in changes(world)] == [
        "! drift    alias production: somebody set it on Vertex version @2 by hand"
    ]


def test_an_alias_that_went_at_the_source_meanwhile_is_told_and_stays() -> None:
    world = settled()
    lose_store(world)
    world.source.unalias(FRAUD, "staging")

    found = {each.key: each.found for each in rebuilder(world).rebuild(world.specs)}
    for _ in range(3):
        world.sync()

    assert [str(left) for left in found[KEY].left] == [
        (
            "alias staging: it is on @2 (v0), and the mapping brings no such alias; "
            "it does not count as set by the bridge, which so does not remove it"
        )
    ]
    assert world.registry.aliases("fraud")["staging"] == "2"


def test_an_alias_that_goes_after_it_is_removed_as_ever() -> None:
    world = settled()
    lose_store(world)
    rebuilder(world).rebuild(world.specs)
    world.source.unalias(FRAUD, "staging")
    for _ in range(2):
        world.sync()
    assert "staging" not in world.registry.aliases("fraud")


def test_without_the_source_all_records_are_known_again_and_no_alias_counts_as_set() -> None:
    world = settled()
    lost = lose_store(world)
    world.source.problem = TryAgain("the source is down")

    rebuilder(world).rebuild(world.specs)

    assert [r.version_id for r in world.store.all_records()] == [r.version_id for r in lost.all_records()]
    assert world.store.mirrored(KEY) == {}
    world.source.problem = None
    assert changes(world) == []
    assert world.sync()
    assert world.store.mirrored(KEY) == lost.mirrored(KEY)


def test_a_collection_that_is_gone_is_found_by_its_models_mark() -> None:
    world = settled()
    lose_store(world)
    world.source.delete_collection(CATS)
    world.registry.add_by_hand("vision-dogs", marked=False)
    world.registry.add_by_hand("elsewhere", marked=True)

    found = {each.key: each.found for each in rebuilder(world).rebuild(world.specs)}

    assert [record.source.collection for record in world.store.records(VISION)] == [CATS]
    assert [left.about for left in found[VISION].left] == ["alias champion"]
    assert {key.model for key in found} == {"churn", "fraud", "vision-cats"}
    assert world.status(VISION).collection == CATS


def test_a_collection_that_no_pattern_leads_to_its_model_is_nobodys() -> None:
    world = settled()
    lose_store(world)
    renamed = pattern(model="image-{task}")
    assert rebuilder(world).rebuild([renamed]) == [Rebuilt(ModelKey("vision", "image-cats"))]


def test_a_vertex_that_cannot_list_its_models_is_told_for_each_pattern() -> None:
    world = settled()
    lose_store(world)
    world.registry.problems["models"] = NeedsPerson("listing is denied", "grant it")

    found = {each.key: each for each in rebuilder(world).rebuild(world.specs)}

    assert str(found[ModelKey("vision", "vision-{task}")].problem) == "listing is denied; grant it"
    assert len(world.store.records(VISION)) == 1


def test_collections_that_map_to_one_model_are_refused_as_ever() -> None:
    world = World([pattern(model="vision")])
    world.publish("a1", collection=CATS)
    world.sync()
    lose_store(world)
    world.publish("a1", collection=f"{REGISTRY}/vision-dogs")

    [found] = rebuilder(world).rebuild(world.specs)

    assert "map to one Vertex model, 'vision'" in str(found.problem)
    assert world.store.all_records() == ()


def test_the_connection_is_the_mappings_and_the_page_is_known_again_if_the_source_lists_the_version() -> None:
    world = settled()
    lose_store(world)
    version = world.source.sweep([mapping().source]).found[mapping().source][0].versions[0]
    world.source.delete(version)

    rebuilder(world).rebuild(world.specs)

    newest, oldest = (record.source for record in world.store.records(KEY))
    assert oldest == replace(version, url="")
    assert newest.url.startswith("https://wandb.test/")
    assert world.store.mirrored(KEY) == {Alias("default"): "1", Alias("production"): "1"}


def test_a_process_that_lost_its_lease_writes_nothing() -> None:
    world = settled()
    lose_store(world)
    passes = world.passes

    def stolen(spec: MappingSpec) -> Reconciler:
        later = world.clock.now() + timedelta(hours=2)
        world.store.take_lease(KEY, "another", later, later + timedelta(minutes=1))
        return passes.reconciler(spec)

    [found] = Rebuilder(replace(passes, reconciler=stolen)).rebuild([mapping()])

    assert "another process has taken fraud/fraud over" in str(found.problem)
    assert (world.store.records(KEY), world.store.mirrored(KEY), world.store.statuses()) == ((), {}, ())


# a lost store has no tombstones


def after_a_deletion(*, files: bool = True) -> tuple[World, SourceVersion]:
    """Have v1 be deleted at its source and in Vertex, then lose the store; `files`: its folder went too."""
    world, gone = two_versions()
    world.source.delete(gone)
    world.sync()
    if not files:
        world.storage.problem = TryAgain("the bucket is unwell")
    world.sync()
    world.storage.problem = None
    assert set(world.registry.versions("fraud")) == {"1"}
    lose_store(world)
    return world, gone


@pytest.mark.parametrize("files", [True, False])
def test_what_was_deleted_is_not_known_again_and_nothing_more_goes(*, files: bool) -> None:
    world, _ = after_a_deletion(files=files)
    before = dict(world.storage.objects), dict(world.storage.manifests), world.registry.versions("fraud")

    rebuilder(world).rebuild(world.specs)
    for _ in range(4):
        world.sync(full=True)

    assert [record.version_id for record in world.store.records(KEY)] == ["1"]
    assert (world.storage.objects, world.storage.manifests, world.registry.versions("fraud")) == before
    assert written(world) == set()
    assert len(world.storage.manifests) == (1 if files else 2)  # nothing says any more that the bridge deleted it


@pytest.mark.parametrize("files", [True, False])
def test_what_was_deleted_and_comes_back_is_registered_once(*, files: bool) -> None:
    world, gone = after_a_deletion(files=files)
    rebuilder(world).rebuild(world.specs)

    world.source.restore(gone)
    world.source.alias(gone, "production")
    for _ in range(3):
        world.sync(full=True)

    assert world.names() == {"default": "v0", "production": "v1"}
    assert set(world.registry.versions("fraud")) == {"1", "3"}
    assert world.storage.calls.count("put") == (1 if files else 0)


def test_what_is_gone_and_not_yet_deleted_needs_two_listings_again() -> None:
    world, gone = two_versions()
    world.source.delete(gone)
    world.sync()
    lose_store(world)
    rebuilder(world).rebuild(world.specs)
    assert [version for _, version in sorted(world.registry.versions("fraud").items())] == [
        record.artifact_uri for record in world.store.records(KEY)
    ]

    world.sync()

    assert "delete" not in world.registry.calls
