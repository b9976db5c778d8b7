"""Calls go wrong as they were told to, and what was done by then is what the table says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest
import requests
from google.api_core import exceptions as api
from google.cloud import aiplatform_v1 as v1  # noqa: TID251  the real client is what the stand-in is tested with
from google.cloud.aiplatform_v1.services.model_service.transports.grpc import (  # noqa: TID251  the same
    ModelServiceGrpcTransport,
)

from bridge.sandbox.address import BUCKET, LOCATION, ORG_ENTITY, PROJECT
from bridge.sandbox.faults import Fault, Faults
from bridge.sandbox.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.sandbox

PARENT = f"projects/{PROJECT}/locations/{LOCATION}"


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give a sandbox of this module's own: its faults must not strike anybody else."""
    with World(tmp_path_factory.mktemp("broken")) as world:
        yield world


@pytest.fixture(autouse=True)
def _no_fault_is_left(broken: World) -> Iterator[None]:
    yield
    broken.traffic.faults.disarm()


@pytest.fixture
def client(broken: World) -> Iterator[v1.ModelServiceClient]:
    channel = grpc.insecure_channel(broken.vertex.grpc_address)
    yield v1.ModelServiceClient(transport=ModelServiceGrpcTransport(channel=channel))
    channel.close()


def put(world: World, name: str, body: bytes = b"0123456789") -> requests.Response:
    url = f"{world.gcs.url}/upload/storage/v1/b/{BUCKET}/o"
    return requests.post(url, params={"uploadType": "media", "name": name}, data=body, timeout=5)


def read(world: World, name: str) -> requests.Response:
    return requests.get(f"{world.gcs.url}/download/storage/v1/b/{BUCKET}/o/{name}?alt=media", timeout=5)


def upload(client: v1.ModelServiceClient, model: str) -> str:
    request = v1.UploadModelRequest(
        parent=PARENT, model_id=model, model=v1.Model(display_name=model, artifact_uri="gs://b/m")
    )
    return str(client.upload_model(request, timeout=5).operation.name)


def models(client: v1.ModelServiceClient) -> list[str]:
    return [model.name.rpartition("/")[2] for model in client.list_models(parent=PARENT, timeout=5)]


# over HTTP


def test_a_status_comes_with_its_retry_after_and_nothing_is_done(broken: World) -> None:
    broken.traffic.faults.arm(Fault("gcs", "status", "objects.insert", status=429, retry_after=7))
    refused = put(broken, "never")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "7")
    assert "never" not in broken.gcs.object_names(BUCKET)
    assert put(broken, "never").status_code == 200


@pytest.mark.parametrize(("kind", "is_done"), [("timeout_before", False), ("timeout_after", True), ("reset", False)])
def test_a_connection_breaks_before_or_after_it_is_done(broken: World, kind: str, *, is_done: bool) -> None:
    broken.traffic.faults.arm(Fault("gcs", kind, seconds=0.01))  # type: ignore[arg-type]  # one of its words
    with pytest.raises(requests.ConnectionError):
        put(broken, f"after-{kind}")
    assert (f"after-{kind}" in broken.gcs.object_names(BUCKET)) is is_done


def test_half_an_upload_leaves_no_object(broken: World) -> None:
    broken.traffic.faults.arm(Fault("gcs", "half_body"))
    with pytest.raises(requests.ConnectionError):
        put(broken, "half")
    assert "half" not in broken.gcs.object_names(BUCKET)


def test_half_an_answer_breaks_off(broken: World) -> None:
    put(broken, "whole")
    broken.traffic.faults.arm(Fault("gcs", "half_body", "objects.get"))
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="5 bytes read, 5 more expected"):
        read(broken, "whole")


def test_one_bit_of_an_answer_is_another(broken: World) -> None:
    put(broken, "sound")
    broken.traffic.faults.arm(Fault("gcs", "corrupt_byte", "objects.get"))
    assert [a ^ b for a, b in zip(read(broken, "sound").content, b"0123456789", strict=True) if a != b] == [1]
    assert read(broken, "sound").content == b"0123456789"


def test_a_slow_answer_is_whole(broken: World) -> None:
    put(broken, "slow", b"x" * 100)
    broken.traffic.faults.arm(Fault("gcs", "slow", "objects.get", seconds=0.001))
    assert read(broken, "slow").content == b"x" * 100


def test_a_stale_list_is_the_one_before(broken: World) -> None:
    def names() -> list[str]:
        url = f"{broken.gcs.url}/storage/v1/b/{BUCKET}/o?prefix=stale-"
        return [item["name"] for item in requests.get(url, timeout=5).json().get("items", [])]

    put(broken, "stale-1")
    assert names() == ["stale-1"]
    put(broken, "stale-2")
    broken.traffic.faults.arm(Fault("gcs", "stale_list", "objects.list", count=2))
    assert names() == ["stale-1"]
    assert names() == ["stale-1"]
    assert names() == ["stale-1", "stale-2"]


def test_a_signed_url_of_wandb_is_said_to_be_over(broken: World) -> None:
    broken.traffic.faults.arm(Fault("wandb", "expired_url", "GET file"))
    assert requests.get(f"{broken.wandb.url}/storage/anything", timeout=5).status_code == 403


def test_wandb_shows_nothing_as_to_who_may_see_nothing(broken: World) -> None:
    broken.wandb.seed_version(f"{ORG_ENTITY}/wandb-registry-model/seen", {"f": b"1"}, aliases=["production"])
    query = (
        """query Look { organization(name: "acme") { orgEntity { artifactCollections(first: 9) { totalCount } } } }"""
    )

    def look() -> object:
        auth = ("api", broken.environment()["WANDB_API_KEY"])
        return requests.post(f"{broken.wandb.url}/graphql", json={"query": query}, auth=auth, timeout=5).json()

    seen = look()
    broken.traffic.faults.arm(Fault("wandb", "empty", "Look"))
    assert look() != seen
    assert look() == seen


# over gRPC


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (429, api.ResourceExhausted),
        (403, api.PermissionDenied),
        (500, api.InternalServerError),
        (503, api.ServiceUnavailable),
    ],
)
def test_a_status_is_the_code_that_corresponds(
    broken: World, client: v1.ModelServiceClient, status: int, error: type[Exception]
) -> None:
    broken.traffic.faults.arm(Fault("vertex", "status", "UploadModel", status=status))
    with pytest.raises(error):
        upload(client, f"status-{status}")
    assert f"status-{status}" not in models(client)


@pytest.mark.parametrize(("kind", "is_done"), [("timeout_before", False), ("timeout_after", True), ("reset", False)])
def test_a_reply_is_lost_before_or_after_it_is_done(
    broken: World, client: v1.ModelServiceClient, kind: str, *, is_done: bool
) -> None:
    broken.traffic.faults.arm(Fault("vertex", kind, "UploadModel"))  # type: ignore[arg-type]  # one of its words
    with pytest.raises(api.ServiceUnavailable):
        upload(client, kind)
    assert (kind in models(client)) is is_done


def test_an_operation_never_ends_and_does_nothing(broken: World, client: v1.ModelServiceClient) -> None:
    broken.traffic.faults.arm(Fault("vertex", "operation_never_ends", "UploadModel"))
    name = upload(client, "endless")
    broken.clock.advance(10**6)
    assert not client.get_operation({"name": name}, timeout=5).done
    assert "endless" not in models(client)


def test_an_operation_fails_and_does_nothing(broken: World, client: v1.ModelServiceClient) -> None:
    broken.traffic.faults.arm(Fault("vertex", "operation_fails", "UploadModel"))
    operation = client.get_operation({"name": upload(client, "failing")}, timeout=5)
    assert (operation.done, operation.error.code) == (True, grpc.StatusCode.INTERNAL.value[0])
    assert "failing" not in models(client)


def test_a_stale_list_of_models_is_the_one_before(broken: World, client: v1.ModelServiceClient) -> None:
    before = models(client)
    upload(client, "fresh")
    broken.traffic.faults.arm(Fault("vertex", "stale_list", "ListModels"))
    assert models(client) == before
    assert models(client) == [*before, "fresh"]


def test_a_slow_call_is_answered(broken: World, client: v1.ModelServiceClient) -> None:
    broken.traffic.faults.arm(Fault("vertex", "slow", "ListModels", seconds=0.001))
    assert models(client) == models(client)


def test_vertex_over_rest_breaks_as_http_does(broken: World) -> None:
    broken.traffic.faults.arm(Fault("vertex", "reset", "ListModels"))
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{broken.vertex.rest_url}/v1/{PARENT}/models", timeout=5)
    broken.traffic.faults.arm(Fault("vertex", "status", "ListModels", status=429))
    assert requests.get(f"{broken.vertex.rest_url}/v1/{PARENT}/models", timeout=5).status_code == 429


# which calls


def test_a_fault_strikes_as_often_as_it_was_told() -> None:
    faults = Faults()
    faults.arm(Fault("gcs", "reset", "objects.*", count=2))
    struck = [faults.strike("gcs", "objects.get") is not None for _ in range(4)]
    assert struck == [True, True, False, False]
    assert faults.armed() == {}


def test_a_fault_strikes_its_service_and_method_only() -> None:
    faults = Faults()
    number = faults.arm(Fault("gcs", "reset", "objects.get", count=None))
    assert faults.strike("gcs", "objects.list") is None
    assert faults.strike("wandb", "objects.get") is None
    faults.disarm(number)
    assert faults.strike("gcs", "objects.get") is None


def test_a_chance_is_the_same_for_the_same_seed() -> None:
    def run(seed: int) -> list[bool]:
        faults = Faults()
        faults.arm(Fault("gcs", "reset", count=None, probability=0.5, seed=seed))
        return [faults.strike("gcs", "m") is not None for _ in range(64)]

    assert run(1) == run(1)
    assert run(1) != run(2)
    assert 16 < sum(run(1)) < 48


@pytest.mark.parametrize(
    "nonsense",
    [
        {"count": 0},
        {"count": -3},
        {"probability": 0.0},
        {"probability": 7.0},
        {"status": 99999},
        {"retry_after": -1},
        {"seconds": -1.0},
        {"seconds": float("nan")},
    ],
    ids=str,
)
def test_a_fault_that_makes_no_sense_is_refused(nonsense: dict[str, float]) -> None:
    [(name, value)] = nonsense.items()
    with pytest.raises(ValueError, match=f"{name} cannot be {value!r}"):
        Fault("gcs", "status", **nonsense)  # type: ignore[arg-type]  # that is the point


def test_a_fault_that_most_calls_cannot_suffer_names_its_method() -> None:
    with pytest.raises(ValueError, match="say which method is to go wrong with 'operation_fails'"):
        Fault("vertex", "operation_fails")


@pytest.mark.parametrize(
    ("service", "kind", "message"),
    [
        ("azure", "reset", "there is no service 'azure'; choose from gcs, mlflow, vertex, wandb"),
        ("gcs", "operation_fails", "gcs cannot do 'operation_fails'; choose from "),
    ],
)
def test_a_fault_that_no_service_can_do_is_refused(service: str, kind: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Fault(service, kind)  # type: ignore[arg-type]  # that is the point
