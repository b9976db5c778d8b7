"""The store is lost; W&B, MLflow, Vertex and the bucket are still there."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bridge.copying.gcs import GcsObjects
from bridge.sandbox.address import BUCKET, PROJECT

if TYPE_CHECKING:
    from bridge.sandbox.mlflow.server import MlflowServer
    from tests.e2e.conftest import Desk
    from tests.sources.mlflow_people import MlflowPublisher

pytestmark = pytest.mark.sandbox

XGBOOST = {
    "MLmodel": b"flavors:\n  xgboost: {data: model.ubj, xgb_version: 2.1.4}\n",
    "model.ubj": b"trees",
}


def both(desk: Desk, server: MlflowServer) -> None:
    """Follow one collection of W&B, one model of MLflow, and many collections by a pattern."""
    desk.write_config(f"  ml: {{kind: mlflow, tracking_uri: '{server.url}'}}\n")
    number = desk.number
    (desk.folder / "mappings" / "fraud.yaml").write_text(
        "mappings:\n"
        "  - name: fraud\n"
        f"    source: {{from: acme, registry: model, collection: {desk.collection}}}\n"
        f"    target: {{to: prod, model: {desk.model}}}\n"
        "    policy: sync\n"
        "    default_from: production\n"
        "    serving: {image: 'europe-docker.pkg.dev/acme/serve/sklearn:1'}\n"
        "  - name: churn\n"
        f"    source: {{from: ml, model: churn-{number}, stages: [Production], aliases: [champion]}}\n"
        f"    target: {{to: prod, model: churn-{number}}}\n"
        "    policy: sync\n"
        "    aliases: {Production: production}\n"
        "    serving: {layout: prebuilt}\n"
        "  - name: vision\n"
        f"    source: {{from: acme, registry: model, collection: {{regex: '^vision-{number}-(?P<task>[a-z]+)$'}}}}\n"
        f"    target: {{to: prod, model: 'vision-{number}-{{task}}'}}\n"
        "    policy: sync\n"
        "    serving: {image: 'europe-docker.pkg.dev/acme/serve/torch:1'}\n"
    )


@pytest.fixture
def settled(desk: Desk, mlflow_server: MlflowServer, mlflow: MlflowPublisher) -> Desk:
    """Give a desk whose models are all as they should be."""
    both(desk, mlflow_server)
    desk.publish(b"first", "staging")
    desk.publish(b"second", "production")
    place = desk.path.rpartition("/")[0]
    for task in ("cats", "dogs"):
        path = f"{place}/vision-{desk.number}-{task}"
        desk.world.wandb.seed_version(path, {"model.pt": task.encode()}, aliases=["champion"])
    mlflow.publish(f"churn-{desk.number}", XGBOOST, "champion")
    mlflow.publish(f"churn-{desk.number}", {**XGBOOST, "model.ubj": b"more trees"})
    mlflow.stage(f"churn-{desk.number}", "2", "Production")
    done = desk.bridge("sync")
    assert done.code == 0, done.out + done.err
    return desk


def lose_store(desk: Desk) -> None:
    desk.lose_store()
    desk.world.traffic.reset()


def test_a_lost_store_is_made_again_without_a_write_or_a_byte(settled: Desk, mlflow: MlflowPublisher) -> None:
    desk, refs = settled, [f"{settled.model}@production", f"models:/churn-{settled.number}/2"]
    before = [desk.bridge_json("where", ref)[0] for ref in refs]
    lose_store(desk)
    mlflow.traffic.reset()
    assert desk.bridge("plan").out.count("! conflict") == 4

    dry = desk.bridge("rebuild", "--dry-run")
    assert not desk.has_store()
    done = desk.bridge("rebuild")

    assert (done.code, done.err) == (0, "")
    assert done.out == dry.out
    assert f"fraud -> model {desk.model}\n  + version  @1 = {desk.path}:v1\n" in done.out
    assert done.out.endswith("known again: 6 versions, 7 aliases (4 models)\n")
    assert desk.world.traffic.count(write=True) + mlflow.traffic.count(write=True) == 0
    assert {call.method for call in desk.world.traffic.counts() if call.service == "gcs"} == {"objects.get"}
    assert not any("file" in call.method.lower() for call in desk.world.traffic.counts() if call.service == "wandb")
    assert {call.method for call in mlflow.traffic.counts()} == {"model-versions/search", "registered-models/search"}
    assert desk.bridge("plan").out == "0 changes (4 models)\n"
    after = [desk.bridge_json("where", ref)[0] for ref in refs]
    assert [row | {"first_seen": ""} for row in after] == [row | {"first_seen": ""} for row in before]
    assert desk.bridge("sync").out == "0 changes (4 models)\n"
    assert desk.world.traffic.count(write=True) == 0
    assert desk.bridge("verify").code == 0


def test_machines_are_told_what_is_known_again_and_a_second_time_finds_nothing(settled: Desk) -> None:
    lose_store(settled)
    first = settled.bridge_json("rebuild", "fraud")
    [model] = first
    assert (model["mapping"], model["model"], model["problem"], model["left"]) == ("fraud", settled.model, None, [])
    assert model["aliases"] == {"default": "1", "production": "1", "staging": "2"}
    assert [(each["version"], each["source"]) for each in model["records"]] == [
        ("1", f"{settled.path}:v1"),
        ("2", f"{settled.path}:v0"),
    ]
    assert settled.bridge("rebuild", "fraud").out == "known again: 0 versions, 0 aliases (1 model)\n"


def test_what_is_not_whole_is_told(settled: Desk) -> None:
    first = settled.versions()[0].artifact_uri
    name = first.removeprefix("gs://acme-models/") + ".bridge-manifest.json"
    with closing(GcsObjects(PROJECT, endpoint=settled.world.gcs.url)) as opened:
        opened._client.bucket(BUCKET).blob(name).delete()  # noqa: SLF001  a person's client is the same as ours
    lose_store(settled)
    done = settled.bridge("rebuild", "fraud")
    assert done.code == 0
    assert f"  ! version @1: {first} has no manifest; nothing says which source version it is" in done.out
    assert "known again: 1 version, 1 alias (1 model)\n" in done.out


def test_an_end_that_does_not_answer_is_told_and_exits_with_1(settled: Desk) -> None:
    lose_store(settled)
    text = (settled.folder / "bridge.yaml").read_text()
    (settled.folder / "bridge.yaml").write_text(text.replace(settled.world.vertex.grpc_address, "127.0.0.1:9"))
    done = settled.bridge("rebuild", "fraud")
    assert done.code == 1
    assert "  ! listing the versions of model" in done.out
    assert done.out.endswith("known again: 0 versions, 0 aliases (1 model)\n")


def test_a_mapping_that_is_not_there_is_named(desk: Desk) -> None:
    done = desk.bridge("rebuild", "nobody")
    assert (done.code, done.err) == (2, "error: there is no mapping 'nobody'; choose from: fraud\n")
