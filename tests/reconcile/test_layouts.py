"""How a version gets the files and the container that its layout asks for, and what is kept of its model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bridge.core.changes import ArrangeFiles, CopyFiles, Kind
from bridge.core.deeds import deed_kind
from bridge.core.errors import NeedsPerson, TryAgain
from bridge.core.model import Facts, Layout, OnDrift, Serving, State
from bridge.core.naming import artifact_uri, serving_uri
from bridge.core.records import Intent
from tests.worlds import BASE, FRAUD, KEY, World, mapping

if TYPE_CHECKING:
    from bridge.core.model import SourceVersion

XGBOOST = Facts({"xgboost": {"xgb_version": "2.1.4", "data": "model.ubj"}}, run_id="a-run", metrics={"auc": 0.9})
LIGHTGBM = Facts({"lightgbm": {"lgb_version": "4.6.0"}})
FILES = {"MLmodel": b"flavors: {}", "model.ubj": b"trees", "conda.yaml": b"{}"}
PREBUILT = "europe-docker.pkg.dev/vertex-ai/prediction/xgboost-cpu.2-1:latest"


def a_world(layout: Layout, image: str | None = None) -> World:
    return World([replace(mapping(), serving=Serving(image, layout=layout))])


def publish(world: World, *aliases: str, facts: Facts = XGBOOST) -> SourceVersion:
    files = {**FILES, "serial": b"%d" % next(world.serial)}
    return world.source.publish(FRAUD, files, *(aliases or ("production",)), facts=facts)


def served(world: World) -> tuple[str, str]:
    """Return the folder and the image of Vertex's only version."""
    [folder] = world.registry.versions("fraud").values()
    return folder, world.registry.served[folder][0].image


def test_a_prebuilt_container_is_given_a_folder_of_its_own_beside_the_faithful_copy() -> None:
    world = a_world(Layout.PREBUILT)
    version = publish(world)
    [report] = world.sync()

    copied = artifact_uri(BASE, "fraud", version)
    assert report.status.state is State.SYNCED
    assert served(world) == (serving_uri(copied), PREBUILT)
    assert world.storage.objects[f"{serving_uri(copied)}model.bst"] == b"trees"
    assert [file.path for file in world.storage.manifests[serving_uri(copied)].files] == ["model.bst"]
    assert {file.path for file in world.storage.manifests[copied].files} == {*FILES, "serial"}
    assert world.names() == {"default": "v0", "production": "v0"}
    assert [deed_kind(e.change) for e in reversed(world.store.journal())] == [
        "copy",
        "arrange",
        "register",
        "move-alias",
    ]


def test_a_second_pass_finds_nothing_to_do_in_any_layout() -> None:
    for layout in Layout:
        world = a_world(layout, "an/image:1")
        publish(world)
        world.sync()
        [report] = world.sync(full=True)

        assert report.plan is not None
        assert (report.plan.changes, report.plan.refusals, report.status.state) == ((), (), State.SYNCED)


def test_auto_says_in_the_plan_what_it_decided_and_why() -> None:
    world = a_world(Layout.AUTO)
    publish(world)
    [plan] = world.plans()

    assert "prebuilt xgboost-cpu.2-1" in str(plan.changes[2])
    assert "2.1.4" in str(plan.changes[2])


def test_auto_falls_back_to_the_mappings_image_and_says_why() -> None:
    world = a_world(Layout.AUTO, "an/image:1")
    version = publish(world, facts=LIGHTGBM)
    [plan] = world.plans()
    world.sync()

    assert "custom-mlflow" in str(plan.changes[1])
    assert "lightgbm" in str(plan.changes[1])
    assert served(world) == (artifact_uri(BASE, "fraud", version), "an/image:1")
    [(container, _)] = world.registry.served.values()
    assert (container.predict_route, container.health_route, container.ports) == ("/invocations", "/ping", (8080,))


def test_a_version_that_no_container_loads_blocks_itself_only() -> None:
    world = a_world(Layout.PREBUILT)
    publish(world, "production")
    world.sync()
    publish(world, "production", facts=LIGHTGBM)
    publish(world, "staging")
    [report] = world.sync()

    assert report.status.state is State.BLOCKED
    assert "lightgbm" in report.status.message
    assert world.names() == {"default": "v0", "production": "v0", "staging": "v2"}


def test_a_version_that_cannot_be_described_fails_by_itself_and_nothing_is_copied() -> None:
    world = a_world(Layout.AUTO)
    publish(world, "staging")
    world.sync()
    version = publish(world, "production")
    world.source.describing[version.id] = NeedsPerson("its artifacts are gone", "log it again")
    [report] = world.sync()

    assert (report.status.state, report.status.message) == (State.FAILED, "version v1: its artifacts are gone")
    assert world.names() == {"default": "v0", "staging": "v0"}
    assert report.plan is not None
    assert [refusal.kind for refusal in report.plan.refusals] == [Kind.FAILED]


def test_a_source_that_is_unwell_while_a_version_is_described_is_asked_again() -> None:
    world = a_world(Layout.AUTO)
    version = publish(world)
    world.source.describing[version.id] = TryAgain("the source is unwell")
    [report] = world.sync()
    world.source.describing.clear()

    assert report.status.state is State.FAILED
    assert world.sync()[0].status.state is State.SYNCED


def test_a_mirror_needs_no_look_into_a_version_that_is_only_planned() -> None:
    world = a_world(Layout.MIRROR, "an/image:1")
    publish(world)
    world.plans()

    assert "describe" not in world.source.calls


def test_what_is_copied_is_described_from_the_bucket() -> None:
    world = a_world(Layout.AUTO)
    version = publish(world)
    world.reconciler(world.specs[0]).copier.copy(version, artifact_uri(BASE, "fraud", version))
    world.source.calls.clear()
    world.sync()

    assert "describe" not in world.source.calls
    assert served(world)[1] == PREBUILT


def test_another_layout_registers_the_version_again_and_its_alias_moves() -> None:
    world = a_world(Layout.MIRROR, "an/image:1")
    version = publish(world)
    world.sync()
    world.specs = [replace(world.specs[0], serving=Serving(layout=Layout.PREBUILT))]
    world.sync()

    copied = artifact_uri(BASE, "fraud", version)
    assert world.registry.versions("fraud") == {"1": copied, "2": serving_uri(copied)}
    assert world.registry.aliases("fraud") == {"default": "1", "production": "2"}
    assert world.source.calls.count("open") == len(FILES) + 1


def test_what_was_deleted_by_hand_is_registered_again_as_its_layout_wants() -> None:
    world = World([replace(mapping(), serving=Serving(layout=Layout.PREBUILT), drift=OnDrift.HEAL)])
    publish(world, "staging")
    publish(world, "production")
    world.sync()
    world.registry.delete_by_hand("fraud", world.registry.aliases("fraud")["production"])
    world.sync(full=True)

    assert set(world.registry.versions("fraud").values()) == {
        serving_uri(artifact_uri(BASE, "fraud", record.source)) for record in world.store.records(KEY)
    }
    assert world.names()["production"] == "v1"


def test_a_folder_that_was_arranged_for_another_framework_is_not_taken_for_this_one() -> None:
    both = Facts({"sklearn": {"pickled_model": "model.ubj", "serialization_format": "pickle"}, **XGBOOST.flavors})
    serving = Serving(layout=Layout.PREBUILT, framework="sklearn", framework_version="1.5")
    world = World([replace(mapping(), serving=serving)])
    publish(world, facts=both)
    world.registry.problems["register"] = NeedsPerson("no", "ask")
    world.sync()
    world.registry.problems.clear()
    world.specs = [replace(mapping(), serving=Serving(layout=Layout.PREBUILT, framework="xgboost"))]
    [report] = world.sync()

    assert report.status.state is State.FAILED
    assert "is arranged otherwise: it holds 'model.pkl', not 'model.bst'" in report.status.message
    assert world.registry.versions("fraud") == {}


def test_auto_prefers_the_prebuilt_version_of_two() -> None:
    world = a_world(Layout.MIRROR, "an/image:1")
    publish(world)
    world.sync()
    for layout in (Layout.PREBUILT, Layout.AUTO):
        world.specs = [replace(mapping(), serving=Serving("an/image:1", layout=layout))]
        reports = world.sync(full=True)

    assert reports[0].plan is not None
    assert reports[0].plan.changes == ()
    assert world.registry.aliases("fraud")["production"] == "2"


def test_a_copy_from_before_facts_were_kept_is_described_by_the_source() -> None:
    world = a_world(Layout.PREBUILT)
    version = publish(world)
    copied = artifact_uri(BASE, "fraud", version)
    world.reconciler(world.specs[0]).copier.copy(version, copied)
    world.storage.manifests[copied] = replace(world.storage.manifests[copied], facts=Facts())
    world.sync()

    assert served(world)[1] == PREBUILT


def test_a_whole_folder_is_planned_and_registered_without_a_look_at_its_list_of_files() -> None:
    world = a_world(Layout.MIRROR, "an/image:1")
    version = publish(world)
    world.reconciler(world.specs[0]).copier.copy(version, artifact_uri(BASE, "fraud", version))
    world.storage.calls.clear()
    world.sync()

    assert world.registry.aliases("fraud")["production"] == "1"
    assert set(world.storage.calls) == {"header", "where"}


# what is kept of the model


def test_what_the_source_knows_of_a_model_is_kept_in_its_record_and_told_to_vertex() -> None:
    world = a_world(Layout.PREBUILT)
    publish(world)
    world.sync()

    [record] = world.store.records(KEY)
    assert record.facts == XGBOOST
    assert world.registry.served[record.artifact_uri][1] == XGBOOST


def test_a_registration_that_a_crash_left_open_is_recorded_with_what_is_known_of_its_model() -> None:
    world = a_world(Layout.MIRROR, "an/image:1")
    version = publish(world)
    folder = artifact_uri(BASE, "fraud", version)
    world.reconciler(world.specs[0]).copier.copy(version, folder)
    world.store.save_intent(Intent(KEY, version, folder, world.clock.now().isoformat(), operation=None))
    world.registry.add_by_hand("fraud", folder, marked=True)
    world.sync()

    assert [record.facts for record in world.store.records(KEY)] == [XGBOOST]


def test_a_collection_that_was_renamed_keeps_its_versions_and_their_records_follow() -> None:
    world = a_world(Layout.MIRROR, "an/image:1")
    version = publish(world)
    world.sync()
    world.source.rename(FRAUD, f"{FRAUD}-eu")
    spec = world.specs[0]
    world.specs = [replace(spec, source=replace(spec.source, name="fraud-detector-eu"))]
    [report] = world.sync()

    assert report.plan is not None
    assert report.plan.changes == ()
    [record] = world.store.records(KEY)
    assert record.source == replace(version, collection=f"{FRAUD}-eu")


@pytest.mark.parametrize("died", [CopyFiles, ArrangeFiles])
def test_a_folder_that_was_whole_when_the_process_died_is_settled_as_done(died: type) -> None:
    world = a_world(Layout.PREBUILT)
    publish(world)
    [plan] = world.plans()
    copier = world.reconciler(world.specs[0]).copier
    for change in plan.changes[:2]:
        match change:
            case CopyFiles(version, folder):
                copier.copy(version, folder)
            case ArrangeFiles(version, copied, folder, renames):
                copier.arrange(version, copied, folder, renames)
            case _:
                raise AssertionError(change)
        if isinstance(change, died):
            world.store.begin(KEY, change, "ann", world.clock.now())
            break
    world.sync()

    oldest = world.store.journal()[-1]
    assert (type(oldest.change), oldest.detail) == (died, "settled by the next pass")
    assert world.names()["production"] == "v0"
