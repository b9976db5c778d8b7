"""Tag in W&B, get a version with that alias in Vertex."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import in_a_file

if TYPE_CHECKING:
    from tests.e2e.conftest import Desk

pytestmark = pytest.mark.sandbox


def test_a_tagged_version_arrives_with_its_alias_and_its_files(desk: Desk) -> None:
    label = desk.publish(b"weights", "production")
    done = desk.bridge("sync")
    assert done.code == 0, done.err
    assert desk.aliases() == {"default": "1", "production": "1"}
    folder = desk.versions()[0].artifact_uri.removeprefix("gs://acme-models/")
    assert folder.startswith(f"registry/{desk.model}/{label}-")
    assert desk.objects() == [f"{folder}.bridge-manifest.json", f"{folder}model.pkl"]


def test_an_alias_that_moves_is_followed_and_the_old_version_stays(desk: Desk) -> None:
    desk.publish(b"first", "production")
    desk.bridge("sync")
    second = desk.publish(b"second")
    desk.tag(second, "production")
    before = desk.bridge("plan")
    assert f"~ alias    production (v0 -> {second})" in before.out
    assert desk.bridge("sync").code == 0
    assert desk.aliases() == {"default": "2", "production": "2"}
    assert len(desk.versions()) == 2
    assert desk.bridge("plan").out == "0 changes (1 model)\n"


def test_a_removed_alias_goes_when_two_complete_listings_agree(desk: Desk) -> None:
    label = desk.publish(b"weights", "production", "staging")
    desk.bridge("sync")
    desk.untag(label, "staging")
    once = desk.bridge("sync")
    assert "! waiting  alias staging: it is absent from one complete listing so far" in once.out
    assert "staging" in desk.aliases()
    assert "- alias    staging (v0)" in desk.bridge("sync").out
    assert desk.aliases() == {"default": "1", "production": "1"}


def test_a_second_sync_writes_nothing_and_does_not_ask_vertex(desk: Desk) -> None:
    desk.publish(b"weights", "production")
    desk.bridge("sync")
    desk.world.traffic.reset()
    assert desk.bridge("sync").out == "0 changes (1 model)\n"
    assert desk.world.traffic.count(write=True) == 0
    assert desk.world.traffic.count("vertex") == 0
    assert desk.world.traffic.count("gcs") == 0


def test_what_is_known_is_told_without_asking_anybody(desk: Desk) -> None:
    desk.publish(b"weights", "production")
    desk.bridge("sync")
    desk.world.traffic.reset()
    for command in ("status", "history"):
        assert desk.bridge(command).code == 0
    # What W&B's SDK tells W&B about itself comes when it likes, from a process of its own.
    assert {call.method for call in desk.world.traffic.counts()} <= {"telemetry"}


def test_commands_that_only_look_write_nothing(desk: Desk) -> None:
    desk.publish(b"weights", "production")
    desk.world.traffic.reset()
    for command in (["plan"], ["sync", "--dry-run"], ["check"], ["plan", "--json", "--all"]):
        assert desk.bridge(*command).code == 0
    assert desk.world.traffic.count(write=True) == 0
    assert not desk.has_store()


def test_default_stays_where_it_is_unless_the_mapping_moves_it(desk: Desk) -> None:
    desk.write_mapping("policy: sync")
    desk.publish(b"first", "production")
    desk.bridge("sync")
    desk.publish(b"second", "production")
    desk.bridge("sync")
    assert desk.aliases() == {"default": "1", "production": "2"}


def test_vertex_is_told_whose_version_it_is_and_where_it_came_from(desk: Desk) -> None:
    desk.publish(b"weights", "production")
    desk.bridge("sync")
    model = desk.vertex.get_model(name=f"{desk.in_vertex}@1")
    assert model.labels["bridge-owner"] == "registry-bridge"
    assert desk.collection in model.labels["bridge-source"]
    assert f"{desk.path}:v0 {desk.world.wandb.url}/orgs/acme/registry/model" in model.version_description
    assert model.container_spec.image_uri == "europe-docker.pkg.dev/acme/serve/sklearn:1"
    assert [port.container_port for port in model.container_spec.ports] == [8080]


def test_a_saved_plan_is_applied_just_so(desk: Desk) -> None:
    desk.publish(b"weights", "production")
    assert desk.bridge("plan", "--out", "plan.json").code == 0
    assert [
        change["change"] for change in json.loads((desk.folder / "plan.json").read_text())["plans"][0]["changes"]
    ] == [
        "copy",
        "register",
        "move-alias",
        "move-alias",
    ]
    assert "4 changes" in desk.bridge("apply", "plan.json").out
    assert desk.aliases()["production"] == "1"


def test_a_saved_plan_is_refused_when_the_world_has_moved(desk: Desk) -> None:
    desk.publish(b"weights", "production")
    desk.bridge("plan", "--out", "plan.json")
    desk.publish(b"others", "production")
    refused = desk.bridge("apply", "plan.json")
    assert refused.code == 1
    assert refused.err == (
        f"error: the world has moved since the plan for fraud/{desk.model} was made; "
        "make a new one and read it: bridge plan --out FILE\n"
    )
    assert desk.versions() == ()


def test_what_is_no_plan_is_not_applied(desk: Desk) -> None:
    (desk.folder / "plan.json").write_text("{}")
    assert desk.bridge("apply", "plan.json").err == (
        "error: plan.json is not a plan of this bridge; make one with: bridge plan --out FILE\n"
    )
    assert "cannot be read" in desk.bridge("apply", "nothing.json").err


def test_detailed_exit_codes_tell_changes_from_none(desk: Desk) -> None:
    desk.publish(b"weights", "production")
    assert desk.bridge("plan", "--detailed-exitcode").code == 2
    desk.bridge("sync")
    assert desk.bridge("plan", "--detailed-exitcode").code == 0


def test_where_links_both_ways(desk: Desk) -> None:
    label = desk.publish(b"weights", "production")
    desk.bridge("sync")
    by_vertex = desk.bridge_json("where", f"{desk.model}@production")
    by_source = desk.bridge_json("where", f"wandb-registry-model/{desk.collection}:{label}")
    assert by_vertex == by_source
    assert by_vertex[0]["version"] == "1"
    assert by_vertex[0]["aliases"] == ["default", "production"]
    assert f"vertex  {desk.model}@1" in desk.bridge("where", f"{desk.model}@1").out
    assert desk.bridge("where", "nobody@1").err == (
        "error: the store knows no version 'nobody@1'; see what it knows: bridge status\n"
    )


def test_history_tells_what_was_done_and_who_asked(desk: Desk) -> None:
    desk.publish(b"first", "production")
    desk.bridge("sync")
    desk.publish(b"second", "production")
    desk.bridge("sync")
    kinds = [entry["change"] for entry in desk.bridge_json("history")]
    first, second = ["move-alias", "move-alias", "register", "copy"], ["move-alias", "move-alias", "register", "copy"]
    assert kinds == second + first
    assert "production (v0 -> v1)  [applied] @2 (bridge sync)" in desk.bridge("history", f"{desk.model}@2").out
    assert len(desk.bridge_json("history", "fraud", "-n", "2")) == 2
    assert desk.bridge("history", "nobody").code == 1


@in_a_file
def test_status_says_it_in_one_word(desk: Desk) -> None:
    assert desk.bridge("status").err == "error: there is no store at bridge.db yet; run bridge sync first\n"
    desk.publish(b"weights", "production")
    desk.bridge("sync")
    assert "SYNCED" in desk.bridge("status").out
    assert desk.bridge_json("status")[0]["aliases"]["production"] == {"label": "v0", "version": "1"}


def test_only_the_named_mapping_is_synced(desk: Desk) -> None:
    unknown = desk.bridge("sync", "fraude")
    assert (unknown.code, unknown.err) == (2, "error: there is no mapping 'fraude'; choose from: fraud\n")
    desk.publish(b"weights", "production")
    assert desk.bridge("sync", "fraud").code == 0


def test_many_collections_follow_one_rule(desk: Desk) -> None:
    for task in ("cats", "dogs"):
        path = f"acme_org/wandb-registry-model/vision{desk.number}-{task}"
        desk.world.wandb.seed_version(path, {"m.pt": task.encode()}, aliases=["production"])
    mapping = (desk.folder / "mappings" / "fraud.yaml").read_text()
    mapping = mapping.replace(
        f"collection: {desk.collection}", f"collection: {{regex: 'vision{desk.number}-(?P<task>[a-z]+)'}}"
    )
    (desk.folder / "mappings" / "fraud.yaml").write_text(mapping.replace(desk.model, f"'{desk.model}-{{task}}'"))
    assert desk.bridge("sync").code == 0
    assert [row["model"] for row in desk.bridge_json("status")] == [f"{desk.model}-cats", f"{desk.model}-dogs"]


def test_a_large_file_goes_in_chunks_and_arrives_whole(desk: Desk) -> None:
    content = bytes(range(256)) * (80 << 10)  # 20 MiB: more than a request and more than a chunk
    desk.publish(content, "production")
    assert desk.bridge("sync").code == 0
    assert "20971520 bytes, all verified" in desk.bridge("history").out


def test_a_prebuilt_container_is_chosen_by_what_a_person_wrote_into_metadata(desk: Desk) -> None:
    desk.write_mapping("policy: sync")
    path = desk.folder / "mappings" / "fraud.yaml"
    lines = ("    serving: {layout: auto}" if "serving" in line else line for line in path.read_text().splitlines())
    path.write_text("\n".join(lines))
    desk.publish(b"a pickle", "production", metadata={"framework": "sklearn", "framework_version": "1.5.2"})
    planned = desk.bridge("plan")
    assert "(prebuilt sklearn-cpu.1-5: the metadata says sklearn 1.5.2)" in planned.out
    assert desk.bridge("sync").code == 0
    assert desk.aliases() == {"default": "1", "production": "1"}
    assert any(name.endswith("-prebuilt/model.pkl") for name in desk.objects())
    assert desk.versions()[0].artifact_uri.endswith("-prebuilt/")


def test_a_model_that_mlflow_wrote_into_an_artifact_is_known_by_its_mlmodel_file(desk: Desk) -> None:
    desk.write_mapping("policy: sync")
    mlmodel = b"flavors:\n  lightgbm: {lgb_version: 4.6.0}\n"
    desk.world.wandb.seed_version(desk.path, {"MLmodel": mlmodel, "model.lgb": b"trees"}, aliases=["production"])
    path = desk.folder / "mappings" / "fraud.yaml"
    path.write_text(path.read_text().replace("serving: {image", "serving: {layout: custom-mlflow, image"))
    assert desk.bridge("sync").code == 0
    assert "model   lightgbm 4.6.0" in desk.bridge("where", desk.model).out


def test_a_mapping_that_is_frozen_changes_nothing_until_the_freeze_ends(desk: Desk) -> None:
    desk.publish(b"weights", "production")
    desk.write_mapping("policy: sync", "freeze: [{cron: '* * * * *', for: 1h}]")

    held = desk.bridge("sync")
    assert "the mapping is frozen until" in held.out + held.err
    assert (desk.versions(), desk.objects()) == ((), [])

    desk.write_mapping()
    assert desk.bridge("sync").code == 0
    assert desk.aliases()["production"] == "1"
