"""Tag in MLflow, get a version with that alias in Vertex: stages, aliases, layouts, and what goes wrong."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import requests

from tests.sources.servers import Reply, ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bridge.sandbox.mlflow.server import MlflowServer
    from tests.e2e.conftest import Desk
    from tests.sources.mlflow_people import MlflowPublisher

pytestmark = pytest.mark.sandbox

FILES = {"model.pkl": b"weights", "code/a b é%.py": b"pass", "empty": b""}
XGBOOST = {
    "MLmodel": b"""\
flavors:
  python_function: {python_version: 3.11.7}
  xgboost: {data: model.ubj, xgb_version: 2.1.4}
""",
    "model.ubj": b"trees",
}
LIGHTGBM = {"MLmodel": b"flavors:\n  lightgbm: {lgb_version: 4.6.0}\n", "model.lgb": b"trees"}
IMAGE = "image: 'europe-docker.pkg.dev/acme/serve/mlflow:1'"


@pytest.fixture
def churn(desk: Desk, mlflow_server: MlflowServer, mlflow: MlflowPublisher) -> Desk:  # noqa: ARG001  it sets MLflow's variables
    """Give a desk whose mapping follows stages and aliases of the registered model `churn-N`."""
    desk.write_config(f"  ml: {{kind: mlflow, tracking_uri: '{mlflow_server.url}'}}\n")
    follow(desk)
    return desk


def name_of(desk: Desk) -> str:
    return f"churn-{desk.number}"


def follow(
    desk: Desk,
    source: str = "stages: [Staging, Production], aliases: [champion]",
    aliases: str = "{Staging: staging, Production: production}",
    serving: str = IMAGE,
    model: str | None = None,
) -> None:
    """Write the one mapping there is."""
    (desk.folder / "mappings" / "fraud.yaml").write_text(
        "mappings:\n"
        "  - name: churn\n"
        f"    source: {{from: ml, model: {model or name_of(desk)}, {source}}}\n"
        f"    target: {{to: prod, model: {desk.model}}}\n"
        "    policy: sync\n"
        f"    aliases: {aliases}\n"
        f"    serving: {{{serving}}}\n"
    )


# the main job


def test_an_alias_and_a_stage_arrive_as_aliases_with_every_file(churn: Desk, mlflow: MlflowPublisher) -> None:
    mlflow.publish(name_of(churn), FILES, "champion")
    mlflow.publish(name_of(churn), {"model.pkl": b"newer"})
    mlflow.stage(name_of(churn), "2", "Production")
    done = churn.bridge("sync")

    assert done.code == 0, done.err + done.out
    assert churn.aliases() == {"default": "1", "champion": "1", "production": "2"}
    assert [
        name.rpartition(f"{churn.model}/1-")[2][13:] for name in churn.objects() if f"{churn.model}/1-" in name
    ] == [
        ".bridge-manifest.json",
        "code/a b é%.py",
        "empty",
        "model.pkl",
    ]


def test_a_stage_and_an_alias_that_move_are_followed_in_one_pass(churn: Desk, mlflow: MlflowPublisher) -> None:
    for content in (b"1", b"2"):
        mlflow.publish(name_of(churn), {"model.pkl": content}, "champion")
    mlflow.stage(name_of(churn), "1", "Production")
    churn.bridge("sync")
    mlflow.alias(name_of(churn), "1", "champion")
    mlflow.stage(name_of(churn), "1", "Archived")
    mlflow.stage(name_of(churn), "2", "Production")
    before = churn.aliases()
    assert churn.bridge("sync").code == 0

    assert {before["champion"], before["production"]} == {"1", "2"}
    assert (churn.aliases()["champion"], churn.aliases()["production"]) == (before["production"], before["champion"])


def test_a_second_sync_writes_nothing_and_does_not_ask_vertex(churn: Desk, mlflow: MlflowPublisher) -> None:
    mlflow.publish(name_of(churn), FILES, "champion")
    churn.bridge("sync")
    churn.world.traffic.reset()
    mlflow.traffic.reset()
    assert churn.bridge("sync").out == "0 changes (1 model)\n"

    assert churn.world.traffic.count("vertex") + churn.world.traffic.count("gcs") == 0
    assert mlflow.traffic.count(write=True) == 0


def test_an_alias_that_is_removed_goes_when_two_looks_agree(churn: Desk, mlflow: MlflowPublisher) -> None:
    mlflow.publish(name_of(churn), FILES, "champion")
    mlflow.stage(name_of(churn), "1", "Staging")
    churn.bridge("sync")
    mlflow.unalias(name_of(churn), "1", "champion")
    mlflow.stage(name_of(churn), "1", "None")
    assert "it is absent from one complete listing so far" in churn.bridge("sync").out
    assert "- alias    champion (1)" in churn.bridge("sync").out

    assert churn.aliases() == {"default": "1"}


def test_a_model_that_was_deleted_and_made_again_has_other_versions(churn: Desk, mlflow: MlflowPublisher) -> None:
    mlflow.publish(name_of(churn), {"model.pkl": b"old"}, "champion")
    churn.bridge("sync")
    mlflow.delete_collection(name_of(churn))
    mlflow.publish(name_of(churn), {"model.pkl": b"new"}, "champion")
    done = churn.bridge("sync")

    assert "~ alias    champion (1 @1 -> 1)" in done.out
    assert churn.aliases() == {"default": "1", "champion": "2"}


def test_a_model_that_was_renamed_keeps_its_versions(churn: Desk, mlflow: MlflowPublisher) -> None:
    mlflow.publish(name_of(churn), FILES, "champion")
    churn.bridge("sync")
    new = f"{name_of(churn)} (EU)"
    mlflow.client.rename_registered_model(name_of(churn), new)
    gone = churn.bridge("sync")
    follow(churn, model=f"'{new}'")

    assert (gone.code, "[FAILED]" in gone.out, churn.aliases()["champion"]) == (1, True, "1")
    assert churn.bridge("sync").out == "0 changes (1 model)\n"
    assert churn.bridge_json("where", f"models:/{new}@champion")[0]["version"] == "1"


def test_references_are_written_as_mlflow_writes_them(churn: Desk, mlflow: MlflowPublisher) -> None:
    mlflow.publish(name_of(churn), FILES, "champion")
    mlflow.stage(name_of(churn), "1", "Production")
    churn.bridge("sync")
    by_number, by_alias, by_stage, by_vertex = (
        churn.bridge_json("where", ref)
        for ref in (
            f"models:/{name_of(churn)}/1",
            f"models:/{name_of(churn)}@champion",
            f"models:/{name_of(churn)}/Production",
            f"{churn.model}@production",
        )
    )

    assert by_number == by_alias == by_stage == by_vertex
    assert by_number[0]["source"] == f"models:/{name_of(churn)}/1"
    assert len(churn.bridge_json("history", f"models:/{name_of(churn)}/1")) == 4


# what is in it, and what serves it


def test_vertex_is_told_the_run_its_metrics_and_the_flavor(churn: Desk, mlflow: MlflowPublisher) -> None:
    run = mlflow.log(XGBOOST)
    mlflow.client.log_metric(run, "auc", 0.93)
    label = mlflow.register(name_of(churn), f"runs:/{run}/model")
    mlflow.alias(name_of(churn), label, "champion")
    assert churn.bridge("sync").code == 0
    model = churn.vertex.get_model(name=f"{churn.in_vertex}@1")

    assert model.version_description.startswith(f"models:/{name_of(churn)}/1 http://")
    assert model.version_description.endswith(f"; xgboost 2.1.4; python 3.11.7; run {run}; auc 0.93")
    assert model.labels["bridge-run"] == run
    assert model.labels["bridge-flavor"] == "xgboost"
    assert f"model   xgboost 2.1.4; python 3.11.7; run {run}; auc 0.93" in churn.bridge("where", churn.model).out


def test_a_prebuilt_container_gets_a_folder_with_the_names_it_wants(churn: Desk, mlflow: MlflowPublisher) -> None:
    follow(churn, serving="layout: prebuilt")
    mlflow.publish(name_of(churn), XGBOOST, "champion")
    plan = churn.bridge("plan").out
    assert churn.bridge("sync").code == 0

    assert "(model.ubj as model.bst)" in plan
    assert "+ version  1 (prebuilt xgboost-cpu.2-1: the MLmodel says xgboost 2.1.4)" in plan
    [version] = churn.versions()
    folder = version.artifact_uri.removeprefix("gs://acme-models/")
    assert folder.endswith("-prebuilt/")
    assert [name for name in churn.objects() if name.startswith(folder)] == [
        f"{folder}.bridge-manifest.json",
        f"{folder}model.bst",
    ]


def test_what_no_prebuilt_container_loads_is_refused_with_the_remedy(churn: Desk, mlflow: MlflowPublisher) -> None:
    follow(churn, serving="layout: prebuilt")
    mlflow.publish(name_of(churn), LIGHTGBM, "champion")
    done = churn.bridge("sync")

    assert (done.code, "[BLOCKED]" in done.out, churn.versions(), churn.objects()) == (1, True, (), [])
    assert "! serving  version 1: the MLmodel says 'lightgbm', which has no prebuilt container; " in done.out


def test_auto_takes_the_mappings_image_where_no_prebuilt_container_loads_it(
    churn: Desk, mlflow: MlflowPublisher
) -> None:
    follow(churn, serving=f"layout: auto, {IMAGE}")
    mlflow.publish(name_of(churn), LIGHTGBM, "champion")
    done = churn.bridge("sync")

    assert done.code == 0, done.out
    assert "(custom-mlflow: the MLmodel says 'lightgbm', which has no prebuilt container)" in done.out


# what a person should know


def test_of_two_versions_in_one_stage_the_newest_is_taken_and_plan_and_explain_say_so(
    churn: Desk, mlflow: MlflowPublisher
) -> None:
    for content in (b"1", b"2"):
        mlflow.publish(name_of(churn), {"model.pkl": content})
    for label in ("2", "1"):
        mlflow.stage(name_of(churn), label, "Production")
    note = "alias production: versions 1 and 2 are both in stage 'Production'; 1 is taken by its last update"
    planned = churn.bridge("plan").out
    churn.bridge("sync")
    explained = churn.bridge("explain", f"models:/{name_of(churn)}/Production")

    assert note in planned
    assert note in explained.out
    assert f"alias    production: models:/{name_of(churn)}/1 at the source, @1 in Vertex" in explained.out
    unlisted = churn.bridge("explain", f"models:/{name_of(churn)}/Archived").out
    assert "alias 'Archived': filtered: it is a stage, and the mapping follows only the stages " in unlisted
    assert churn.bridge("explain", "nobody").out.startswith("nobody: not followed: no mapping follows it\n")


@pytest.mark.parametrize(
    ("alias", "problem"),
    [
        ("Champion", "it must begin with a lower-case letter"),
        ("2024", "it must begin with a lower-case letter"),
        ("é", "at least two characters are needed"),
    ],
)
def test_an_alias_that_vertex_does_not_allow_is_named_and_holds_up_no_other(
    churn: Desk, mlflow: MlflowPublisher, alias: str, problem: str
) -> None:
    follow(churn, source="stages: [Production]")
    mlflow.publish(name_of(churn), FILES, alias, "legal")
    done = churn.bridge("sync")

    assert (done.code, "[BLOCKED]" in done.out) == (1, True)
    assert f"is not a legal Vertex AI version alias ({problem})" in done.out
    assert churn.aliases() == {"default": "1", "legal": "1"}


def test_a_stage_that_vertex_does_not_allow_is_found_before_anything_is_asked(churn: Desk) -> None:
    follow(churn, aliases="{Staging: staging}")
    checked = churn.bridge("check")

    assert checked.code == 2
    assert "fraud.yaml:3:" in checked.err
    assert "'Production' is not a legal Vertex AI version alias" in checked.err
    assert "write 'Production: production' under aliases" in checked.err


# what goes wrong at the source


@contextmanager
def one_that_works(churn: Desk, mlflow: MlflowPublisher) -> Iterator[None]:
    """See that another model is not held up, and that what was there stays."""
    other = f"{name_of(churn)}-fine"
    mlflow.publish(name_of(churn), FILES, "champion")
    mlflow.publish(other, FILES, "champion")
    assert churn.bridge("sync").code == 0
    path = churn.folder / "mappings" / "fraud.yaml"
    fine = path.read_text().replace("name: churn", "name: fine").replace(name_of(churn), other)
    (churn.folder / "mappings" / "fine.yaml").write_text(fine.replace(churn.model, f"{churn.model}-fine"))
    yield
    assert churn.bridge("status", "fine").out.splitlines()[1].split()[:3] == ["fine", f"{churn.model}-fine", "SYNCED"]
    assert churn.aliases()["champion"] == "1"


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("s3://secret/place", "are at 's3://secret/place', where"),
        ("gs://secret/place", "are at 'gs://secret/place', where"),
        ("dbfs:/somewhere", "'dbfs'"),
    ],
)
def test_files_that_lie_where_the_bridge_may_not_read_fail_with_the_reason(
    churn: Desk, mlflow: MlflowPublisher, source: str, problem: str
) -> None:
    with one_that_works(churn, mlflow):
        label = mlflow.register(name_of(churn), source)
        mlflow.alias(name_of(churn), label, "champion")
        done = churn.bridge("sync")

        assert (done.code, "[FAILED]" in done.out) == (1, True)
        assert problem in done.out


def test_a_version_whose_files_are_gone_fails_with_a_sentence(
    churn: Desk, mlflow: MlflowPublisher, mlflow_server: MlflowServer
) -> None:
    with one_that_works(churn, mlflow):
        run = mlflow.log(FILES)
        mlflow.alias(name_of(churn), mlflow.register(name_of(churn), f"runs:/{run}/model"), "champion")
        shutil.rmtree(data_of(mlflow_server) / "artifacts" / "0" / run)
        done = churn.bridge("sync")

        assert (done.code, "[FAILED]" in done.out) == (1, True)
        assert "empty" in done.out


def data_of(server: MlflowServer) -> Path:
    return server.process.log.parent


def test_the_name_of_a_model_forges_no_line_and_moves_no_cursor(churn: Desk, mlflow: MlflowPublisher) -> None:
    """MLflow refuses "/" and ":" in a name, and nothing else (facts-mlflow.md, section 3)."""
    forged = f"{name_of(churn)}\nother -> model forged  [SYNCED]\x1b[2J"
    mlflow.publish(forged, FILES, "champion")
    follow(churn, model=f"{{regex: 'churn-(?P<number>{churn.number})[^0-9](.|\\s)*'}}")
    mapping = churn.folder / "mappings" / "fraud.yaml"
    mapping.write_text(mapping.read_text().replace(f"model: {churn.model}}}", "model: 'fraud-{number}'}"))
    ref = f"{churn.model}@champion"
    for command in (("plan",), ("sync",), ("status",), ("history",), ("where", ref), ("explain", ref)):
        said = churn.bridge(*command)
        assert (said.code, "\x1b" in said.out + said.err) == (0, False), command
        assert not any(line.startswith("other") for line in (said.out + said.err).splitlines()), command
        assert ("\\nother -> model forged" in said.out) == (command[0] in ("where", "explain")), command
    assert "champion" in churn.aliases()


def test_a_model_that_does_not_exist_fails_alone(churn: Desk, mlflow: MlflowPublisher) -> None:
    with one_that_works(churn, mlflow):
        follow(churn, model="no-such")
        done = churn.bridge("sync")

        assert (done.code, "[FAILED]" in done.out) == (1, True)
        assert "'no-such'" in done.out
    follow(churn)


@pytest.mark.parametrize("trouble", ["outage", "lockout"])
def test_a_server_that_is_unwell_or_refuses_removes_nothing(churn: Desk, mlflow: MlflowPublisher, trouble: str) -> None:
    mlflow.publish(name_of(churn), FILES, "champion")
    churn.bridge("sync")
    with getattr(mlflow, trouble)():
        outs = [churn.bridge("sync") for _ in range(3)]

    assert all(done.code == 1 and "[DEGRADED]" in done.out for done in outs)
    assert churn.aliases()["champion"] == "1"
    assert churn.bridge("sync").out == "0 changes (1 model)\n"


def test_a_server_that_is_not_there_is_told_at_once(churn: Desk) -> None:
    churn.write_config("  ml: {kind: mlflow, tracking_uri: 'http://127.0.0.1:9'}\n")
    done = churn.bridge("sync")

    assert done.code == 1
    assert "[DEGRADED]" in done.out
    assert "http://127.0.0.1:9" in done.out


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (Reply(401, b"You are not authenticated."), "MLFLOW_TRACKING_USERNAME"),
        (Reply(403, b'{"error_code": "PERMISSION_DENIED"}'), "grant the account READ on it"),
        (Reply(200, b"<html>Please log in</html>", {"Content-Type": "text/html"}), "a login page"),
    ],
)
def test_a_server_that_wants_something_else_is_told_in_a_sentence(churn: Desk, reply: Reply, sentence: str) -> None:
    with ScriptedServer(lambda _: reply) as server:
        churn.write_config(f"  ml: {{kind: mlflow, tracking_uri: '{server.url}'}}\n")
        done = churn.bridge("sync")

    assert (done.code, "[DEGRADED]" in done.out) == (1, True)
    assert sentence in done.out
    assert "Please log in" not in done.out


# files that lie in a bucket


def test_files_that_lie_in_cloud_storage_are_copied_there_and_no_byte_passes_through_here(
    churn: Desk, mlflow: MlflowPublisher, mlflow_server: MlflowServer
) -> None:
    bucket, gcs = f"ml-{churn.number}", churn.world.gcs.url
    requests.post(f"{gcs}/storage/v1/b", params={"project": "p"}, json={"name": bucket}, timeout=10).raise_for_status()
    for name, content in XGBOOST.items():
        upload = {"uploadType": "media", "name": f"models/churn #1/{name}"}
        requests.post(f"{gcs}/upload/storage/v1/b/{bucket}/o", content, params=upload, timeout=10).raise_for_status()
    stores = f"artifact_stores: ['gs://{bucket}/models'], storage_endpoint: '{gcs}'"
    churn.write_config(f"  ml: {{kind: mlflow, tracking_uri: '{mlflow_server.url}', {stores}}}\n")
    follow(churn, serving="layout: auto")
    mlflow.alias(name_of(churn), mlflow.register(name_of(churn), f"gs://{bucket}/models/churn #1"), "champion")
    churn.world.traffic.reset()
    done = churn.bridge("sync")
    asked = {call.method: count for call, count in churn.world.traffic.counts().items() if call.service == "gcs"}

    assert done.code == 0, done.out
    assert asked["objects.rewrite"] == len(XGBOOST) + 1  # and the one of the prebuilt layout
    assert asked.get("objects.insert", 0) == 2  # the manifests
    assert any(name.endswith("-prebuilt/model.bst") for name in churn.objects())
