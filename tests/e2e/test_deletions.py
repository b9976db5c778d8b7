"""What people delete at W&B and MLflow, with their SDKs, and what becomes of it: each setting, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
import pytest
import wandb
from google.cloud import aiplatform_v1 as v1  # noqa: TID251  deploys as people do
from google.cloud.aiplatform_v1.services.endpoint_service.transports.grpc import (  # noqa: TID251  the same
    EndpointServiceGrpcTransport,
)

from bridge.sandbox.address import LOCATION, PROJECT
from bridge.sandbox.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import Desk
    from tests.sources.mlflow_people import MlflowPublisher

pytestmark = pytest.mark.sandbox

WAYS = ["retain", "unalias", "delete"]


@dataclass
class Case:
    """A model with v0, which has `default`, and a version with `production`, which can be deleted at its source."""

    desk: Desk
    delete: Callable[[], object]
    gone: str  # how the version is called in Vertex
    label: str  # how a person refers to it at its source
    content: bytes

    def sync_twice(self) -> list[str]:
        """Sync twice; return the changes of the second."""
        self.desk.bridge("sync")
        return [line.strip() for line in self.desk.bridge("sync").out.splitlines() if line.startswith("  ")]

    def writes(self) -> dict[str, int]:
        """Count the writes that the sandbox has seen."""
        traffic = self.desk.world.traffic
        return {service: traffic.count(service, write=True) for service in ("wandb", "vertex", "gcs")}


def mapping(desk: Desk, way: str) -> None:
    desk.write_mapping("policy: sync", f"on_source_delete: {way}", "versions: all")


def of_wandb(desk: Desk, way: str) -> Case:
    mapping(desk, way)
    desk.publish(b"first")
    label = desk.publish(b"second", "production")
    desk.bridge("sync")
    assert desk.aliases() == {"default": "1", "production": "2"}

    def delete() -> None:
        desk.api().artifact(f"{desk.path}:{label}").unlink()

    return Case(desk, delete, "2", f"wandb-registry-model/{desk.collection}:{label}", b"second")


def of_mlflow(desk: Desk, mlflow: MlflowPublisher, way: str) -> Case:
    name = f"{desk.model}-source"
    desk.write_config(f"  ml: {{kind: mlflow, tracking_uri: '{mlflow.source._session.tracking_uri}'}}\n")  # noqa: SLF001  where it is
    (desk.folder / "mappings").mkdir(exist_ok=True)
    (desk.folder / "mappings" / "fraud.yaml").write_text(
        "mappings:\n"
        "  - name: fraud\n"
        f"    source: {{from: ml, model: {name}}}\n"
        f"    target: {{to: prod, model: {desk.model}}}\n"
        "    serving: {image: 'europe-docker.pkg.dev/acme/serve/sklearn:1', port: 8080}\n"
        f"    policy: sync\n    on_source_delete: {way}\n    versions: all\n"
    )
    mlflow.publish(name, {"model.pkl": b"first"})
    label = mlflow.publish(name, {"model.pkl": b"second"}, "production")
    done = desk.bridge("sync")
    assert done.code == 0, done.err + done.out
    assert desk.aliases() == {"default": "1", "production": "2"}
    return Case(desk, lambda: mlflow.delete(name, label), "2", f"models:/{name}/{label}", b"second")


@pytest.fixture(params=["wandb", "mlflow"])
def case_of(desk: Desk, request: pytest.FixtureRequest) -> Callable[[str], Case]:
    """Return what makes a case for a setting."""
    if request.param == "wandb":
        return lambda way: of_wandb(desk, way)
    people: MlflowPublisher = request.getfixturevalue("mlflow")
    return lambda way: of_mlflow(desk, people, way)


def test_what_is_retained_costs_no_write_and_stays(case_of: Callable[[str], Case]) -> None:
    case = case_of("retain")
    before = case.desk.versions(), case.desk.objects()
    case.delete()
    case.desk.world.traffic.reset()

    assert case.sync_twice() == []

    assert (case.desk.versions(), case.desk.objects()) == before
    assert case.writes() == {"wandb": 0, "vertex": 0, "gcs": 0}
    assert "SYNCED" in case.desk.bridge("status").out


def test_what_is_unaliased_costs_one_write(case_of: Callable[[str], Case]) -> None:
    case = case_of("unalias")
    objects = case.desk.objects()
    case.delete()
    case.desk.world.traffic.reset()

    [change] = case.sync_twice()

    assert change.startswith("- alias    production (")
    assert case.desk.aliases() == {"default": "1"}
    assert ([version.id for version in case.desk.versions()], case.desk.objects()) == (["1", "2"], objects)
    assert case.writes() == {"wandb": 0, "vertex": 1, "gcs": 0}


def test_what_is_deleted_goes_with_its_files_and_is_remembered(case_of: Callable[[str], Case]) -> None:
    case = case_of("delete")
    case.delete()
    planned = case.desk.bridge("sync").out
    assert "! waiting  version" in planned
    case.desk.world.traffic.reset()
    assert "- files" in case.desk.bridge("plan").out
    assert case.writes() == {"wandb": 0, "vertex": 0, "gcs": 0}

    done = case.desk.bridge("sync")

    assert done.code == 0, done.out
    assert [line.split()[:2] for line in done.out.splitlines() if line.startswith("  ")] == [
        ["-", "alias"],
        ["-", "version"],
        ["-", "files"],
    ]
    assert [version.id for version in case.desk.versions()] == ["1"]
    assert len(case.desk.objects()) == 2
    assert case.writes() == {"wandb": 0, "vertex": 2, "gcs": 2}  # alias, version; manifest, one file
    case.desk.world.traffic.reset()
    assert case.desk.bridge("sync").out == "0 changes (1 model)\n"
    assert case.desk.world.traffic.count("vertex") == case.desk.world.traffic.count("gcs") == 0

    where = case.desk.bridge("where", case.label)
    assert f"deleted {case.desk.model}@2 on " in where.out
    assert "is gone at the source (on_source_delete: delete)" in where.out
    [told] = case.desk.bridge_json("where", case.label)
    assert (told["version"], told["files_removed"] is not None) == ("2", True)
    history = case.desk.bridge("history", case.label).out
    assert "- version  " in history
    assert "- files    " in history
    explained = case.desk.bridge("explain", case.desk.model).out
    assert f"  deleted  {case.desk.model}@2 on " in explained
    [page] = case.desk.bridge_json("explain", case.desk.model)
    assert [grave["version"] for grave in page["deleted"]] == ["2"]
    lost = case.desk.bridge("restore", case.label, "--to-dir", "back")
    assert (lost.code, "were removed from the bucket on" in lost.err) == (1, True)


@pytest.mark.parametrize("way", ["retain", "unalias"])
def test_the_files_of_a_version_that_is_gone_at_its_source_come_back_from_the_bucket(
    case_of: Callable[[str], Case], way: str
) -> None:
    case = case_of(way)
    case.delete()
    case.sync_twice()
    case.desk.world.traffic.reset()

    done = case.desk.bridge("restore", case.label, "--to-dir", "back")

    assert done.code == 0, done.err
    assert done.out.startswith("restored  ")
    assert done.out.endswith(" to back: 1 file, 6 bytes, all verified\n")
    assert (case.desk.folder / "back" / "model.pkl").read_bytes() == case.content
    assert case.writes() == {"wandb": 0, "vertex": 0, "gcs": 0}
    by_id = case.desk.bridge_json("restore", f"{case.desk.model}@2", "--to-dir", "again")
    assert (by_id["files"], by_id["bytes"], by_id["directory"]) == (1, 6, str(case.desk.folder / "again"))


def test_a_restore_that_is_refused_says_why(desk: Desk) -> None:
    case = of_wandb(desk, "retain")
    (desk.folder / "taken").mkdir()
    (desk.folder / "taken" / "mine").write_text("mine")

    for arguments, said in (
        (("fraud-nothing@9", "--to-dir", "back"), "the store knows no version 'fraud-nothing@9'; see what it knows"),
        ((desk.model, "--to-dir", "back"), f"means 2 versions: {desk.model}@1, {desk.model}@2; name one of them"),
        ((case.label, "--to-dir", "taken"), "taken is not empty, and nothing in it is overwritten; name a folder"),
    ):
        refused = desk.bridge("restore", *arguments)
        assert (refused.code, said in refused.err) == (1, True), refused.err
    assert sorted(path.name for path in desk.folder.iterdir() if path.name.startswith("back")) == []


def test_files_of_a_bucket_that_no_connection_has_are_not_restored(desk: Desk) -> None:
    case = of_wandb(desk, "retain")
    config = (desk.folder / "bridge.yaml").read_text()
    (desk.folder / "bridge.yaml").write_text(config.replace("/registry", "/elsewhere"))

    refused = desk.bridge("restore", case.label, "--to-dir", "back")

    assert "no connection of bridge.yaml has the bucket of gs://" in refused.err


def test_a_version_that_was_deleted_where_it_was_logged_is_gone_too(desk: Desk) -> None:
    mapping(desk, "delete")
    desk.publish(b"first")
    label = desk.publish(b"second", "production")
    desk.bridge("sync")
    source = desk.api().artifact(f"{desk.path}:{label}").source_artifact
    source.delete(delete_aliases=True)
    with pytest.raises(wandb.errors.CommError):
        desk.api().artifact(f"{desk.path}:{label}")

    Case(desk, lambda: None, "2", "", b"").sync_twice()

    assert [version.id for version in desk.versions()] == ["1"]


def test_a_version_that_is_linked_again_is_registered_again(desk: Desk) -> None:
    case = of_wandb(desk, "delete")
    artifact = desk.api().artifact(f"{desk.path}:v1").source_artifact
    case.delete()
    case.sync_twice()
    assert [version.id for version in desk.versions()] == ["1"]

    artifact.link(desk.path, aliases=["production"])
    done = desk.bridge("sync")

    assert done.code == 0, done.out
    assert desk.aliases() == {"default": "1", "production": "3"}
    assert len(desk.objects()) == 4


def test_a_version_that_is_deployed_is_kept_until_it_is_undeployed(desk: Desk) -> None:
    case = of_wandb(desk, "delete")
    parent = f"projects/{PROJECT}/locations/{LOCATION}"
    channel = grpc.insecure_channel(desk.world.vertex.grpc_address)
    with v1.EndpointServiceClient(transport=EndpointServiceGrpcTransport(channel=channel)) as client:
        endpoint = client.create_endpoint(parent=parent, endpoint=v1.Endpoint(display_name=desk.model)).result()
        resources = v1.DedicatedResources(machine_spec=v1.MachineSpec(machine_type="n1-standard-2"))
        resources.min_replica_count = 1
        deployed = v1.DeployedModel(
            model=f"{parent}/models/{desk.model}@2", dedicated_resources=resources, display_name=desk.model
        )
        made = client.deploy_model(endpoint=endpoint.name, deployed_model=deployed).result().deployed_model
        case.delete()
        kept = case.sync_twice()
        assert f"! kept     version v1: it is gone at the source, but @2 is deployed to {endpoint.name}" in kept[-1]
        assert [version.id for version in desk.versions()] == ["1", "2"]
        assert "is deployed to" in desk.bridge("status").out

        client.undeploy_model(endpoint=endpoint.name, deployed_model_id=made.id).result()
    assert desk.bridge("sync", "--full").code == 0
    assert [version.id for version in desk.versions()] == ["1"]


def test_a_collection_that_is_deleted_follows_the_mapping(desk: Desk) -> None:
    of_wandb(desk, "unalias")
    desk.world.wandb.seed_version(f"{desk.path}-beside", {"f": b"1"})
    desk.api().artifact_collection("model", desk.path).delete()

    desk.bridge("sync")
    assert "production" in desk.aliases()
    done = desk.bridge("sync")

    assert done.code == 0, done.out
    assert desk.aliases() == {"default": "1"}
    assert "its versions stay in Vertex, without the aliases that came from it" in desk.bridge("status").out


@pytest.mark.parametrize("way", ["unalias", "delete"])
def test_a_registry_that_shows_nothing_takes_nothing_away(desk: Desk, way: str) -> None:
    of_wandb(desk, way)
    before = desk.versions(), desk.objects()
    numbers = [
        desk.world.traffic.faults.arm(Fault("wandb", "empty", method, count=None))
        for method in ("RegistryVersions", "RegistryCollections", "ArtifactMembershipByName", "FetchRegistries")
    ]
    try:
        for _ in range(4):
            desk.bridge("sync")
    finally:
        for number in numbers:
            desk.world.traffic.faults.disarm(number)
    assert (desk.versions(), desk.objects()) == before
    assert desk.bridge("sync").out.endswith("0 changes (1 model)\n")


@pytest.mark.parametrize("way", ["unalias", "delete"])
def test_an_mlflow_that_shows_nothing_takes_nothing_away(desk: Desk, mlflow: MlflowPublisher, way: str) -> None:
    case = of_mlflow(desk, mlflow, way)
    before = desk.versions(), desk.objects()
    blind = [Fault("mlflow", "empty", f"{what}/search", count=None) for what in ("model-versions", "registered-models")]
    with mlflow.fault(*blind):
        for _ in range(4):
            desk.bridge("sync")
    assert (desk.versions(), desk.objects()) == before
    case.delete()
    with mlflow.fault(*blind, Fault("mlflow", "status", "*/get", count=None, status=403)):
        for _ in range(4):
            desk.bridge("sync")
    assert (desk.versions(), desk.objects()) == before


def test_too_many_deletions_are_blocked_until_a_person_allows_just_them(desk: Desk) -> None:
    mapping(desk, "delete")
    labels = [desk.publish(str(n).encode()) for n in range(5)]
    desk.bridge("sync")
    for label in labels[1:4]:
        desk.api().artifact(f"{desk.path}:{label}").unlink()
    desk.bridge("sync")

    blocked = desk.bridge("sync")

    assert blocked.code == 1
    assert "3 of 5 registered versions would be deleted at once" in blocked.out
    checksum = blocked.out.split("--allow-removals ")[1].split()[0]
    assert desk.bridge("sync", "--allow-removals", checksum).code == 0
    assert [version.id for version in desk.versions()] == ["1", "5"]
