"""The Vertex AI stand-in, asked by the real clients."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import google.auth.credentials
import grpc
import pytest
import requests
from google.api.httpbody_pb2 import HttpBody
from google.api_core import exceptions
from google.cloud import aiplatform_v1 as v1  # noqa: TID251  the real client is what the stand-in is tested with
from google.cloud.aiplatform_v1.services.endpoint_service.transports.grpc import (  # noqa: TID251  the real client
    EndpointServiceGrpcTransport,
)
from google.cloud.aiplatform_v1.services.model_service.transports.grpc import (  # noqa: TID251  the real client
    ModelServiceGrpcTransport,
)
from google.cloud.aiplatform_v1.services.prediction_service.transports.grpc import (  # noqa: TID251  the real client
    PredictionServiceGrpcTransport,
)

from bridge.sandbox.clock import SandboxClock
from bridge.sandbox.traffic import Traffic
from bridge.sandbox.vertex import derive_table
from bridge.sandbox.vertex.locations import REGIONS
from bridge.sandbox.vertex.methods import TABLE
from bridge.sandbox.vertex.server import VertexServer
from bridge.sandbox.vertex.switches import NextCalls, VertexSwitches

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.sandbox

SKLEARN = "us-docker.pkg.dev/vertex-ai/prediction/sklearn-cpu.1-5:latest"
BUCKET: dict[str, list[str]] = {  # folder -> objects
    "good": ["good/model.joblib", "good/conda.yaml"],
    "two": ["two/model.joblib", "two/model.pkl"],
    "": ["model.pkl"],
}
NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Clients:
    models: v1.ModelServiceClient
    endpoints: v1.EndpointServiceClient
    predictions: v1.PredictionServiceClient


@dataclass(frozen=True)
class Sandbox:
    server: VertexServer
    clock: SandboxClock
    traffic: Traffic

    def switch(self, **settings: Any) -> None:  # noqa: ANN401  the switches' own types
        self.server.switches = replace(self.server.switches, **settings)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    clock, traffic = SandboxClock(), Traffic()
    server = VertexServer(
        tmp_path_factory.mktemp("vertex"),
        traffic=traffic,
        clock=clock,
        object_names=lambda _bucket, prefix: BUCKET.get(prefix.rstrip("/"), []),
    )
    server.start()
    yield Sandbox(server, clock, traffic)
    server.stop()


@pytest.fixture(autouse=True)
def sandbox(running: Sandbox) -> Sandbox:
    """Return the module's server with every switch at its default."""
    running.server.switches = VertexSwitches()
    running.traffic.reset()
    return running


def grpc_clients(server: VertexServer) -> tuple[grpc.Channel, Clients]:
    channel = grpc.insecure_channel(server.grpc_address)
    return channel, Clients(
        v1.ModelServiceClient(transport=ModelServiceGrpcTransport(channel=channel)),
        v1.EndpointServiceClient(transport=EndpointServiceGrpcTransport(channel=channel)),
        v1.PredictionServiceClient(transport=PredictionServiceGrpcTransport(channel=channel)),
    )


@pytest.fixture(scope="module")
def over_grpc(running: Sandbox) -> Iterator[Clients]:
    channel, clients = grpc_clients(running.server)
    yield clients
    channel.close()


@pytest.fixture(scope="module")
def over_rest(running: Sandbox) -> Iterator[Clients]:
    how: Any = {
        "transport": "rest",
        "client_options": {"api_endpoint": running.server.rest_url},
        "credentials": google.auth.credentials.AnonymousCredentials(),
    }
    with (
        v1.ModelServiceClient(**how) as models,
        v1.EndpointServiceClient(**how) as endpoints,
        v1.PredictionServiceClient(**how) as predictions,
    ):
        yield Clients(models, endpoints, predictions)


@pytest.fixture(params=["grpc", "rest"])
def clients(request: pytest.FixtureRequest) -> Clients:
    found: Clients = request.getfixturevalue(f"over_{request.param}")
    return found


@pytest.fixture
def location() -> str:
    """Return a location in a project that no other test has."""
    return f"projects/p{next(NUMBERS)}/locations/us-central1"


def upload(
    clients: Clients, location: str, model_id: str = "churn", *, new: bool = True, **model: object
) -> v1.UploadModelResponse:
    """Register one version and wait for it."""
    response: v1.UploadModelResponse = begin_upload(clients, location, model_id, new=new, **model).result()
    return response


def begin_upload(clients: Clients, location: str, model_id: str = "churn", *, new: bool = True, **model: object) -> Any:  # noqa: ANN401  google-api-core's future
    whole = {
        "display_name": "Churn",
        "artifact_uri": "gs://bucket/good",
        "container_spec": {"image_uri": SKLEARN},
        **model,
    }
    target = {"model_id": model_id} if new else {"parent_model": f"{location}/models/{model_id}"}
    return clients.models.upload_model(v1.UploadModelRequest(parent=location, model=whole, **target), timeout=10)


def version_ids(clients: Clients, name: str) -> list[str]:
    return [version.version_id for version in clients.models.list_model_versions(name=name)]


def aliases(clients: Clients, name: str) -> dict[str, str]:
    """Return alias -> version id."""
    return {
        alias: version.version_id
        for version in clients.models.list_model_versions(name=name)
        for alias in version.version_aliases
    }


# --- uploading


def test_the_first_version_gets_the_default_alias_and_later_ones_do_not(
    sandbox: Sandbox, clients: Clients, location: str
) -> None:
    name = upload(clients, location, version_aliases=["golden"]).model
    assert upload(clients, location, new=False).model_version_id == "2"
    assert aliases(clients, name) == {"golden": "1", "default": "1"}
    assert sandbox.traffic.count("vertex", write=True) == 2


def test_a_model_comes_back_in_the_form_of_name_it_was_asked_for(clients: Clients, location: str) -> None:
    name = upload(clients, location, version_aliases=["golden"]).model
    upload(clients, location, new=False, version_aliases=["default"])
    assert clients.models.get_model(name=name).name == name
    assert clients.models.get_model(name=name).version_id == "2"
    assert clients.models.get_model(name=f"{name}@1").name == f"{name}@1"
    assert clients.models.get_model(name=f"{name}@golden").name == f"{name}@1"
    for absent in (f"{name}@3", f"{name}@nobody", f"{location}/models/other"):
        with pytest.raises(exceptions.NotFound):
            clients.models.get_model(name=absent)


def test_what_was_uploaded_is_read_back(clients: Clients, location: str) -> None:
    name = upload(clients, location, description="d", labels={"team": "risk"}).model
    model = clients.models.get_model(name=name)
    assert (model.display_name, model.description, dict(model.labels)) == ("Churn", "d", {"team": "risk"})
    assert (model.artifact_uri, model.container_spec.image_uri) == ("gs://bucket/good", SKLEARN)
    assert model.create_time == model.version_create_time
    assert model.model_source_info.source_type == v1.ModelSourceInfo.ModelSourceType.CUSTOM


@pytest.mark.parametrize(
    "model",
    [
        {"display_name": ""},
        {"display_name": "x" * 129},
        {"artifact_uri": "/tmp/model"},  # noqa: S108  not a path that is used
        {"version_aliases": ["x"]},
        {"version_aliases": ["v1-"]},
        {"version_aliases": ["modelA"]},
        {"version_aliases": ["with_underscore"]},
        {"version_aliases": ["a" * 129]},
        {"labels": {"Team": "risk"}},
        {"labels": {"team": "a.b"}},
        {"labels": {"1st": "a"}},
        {"labels": {"k" * 64: ""}},
        {"labels": {"team": "v" * 64}},
        {"labels": {f"k{n}": "" for n in range(65)}},
    ],
)
def test_an_upload_that_breaks_the_documented_formats_is_refused(
    sandbox: Sandbox, over_grpc: Clients, location: str, model: dict[str, Any]
) -> None:
    with pytest.raises(exceptions.InvalidArgument):
        begin_upload(over_grpc, location, **model)
    assert list(over_grpc.models.list_models(parent=location)) == []
    assert sandbox.traffic.count("vertex", write=True) == 1


def test_an_alias_of_128_characters_is_taken(over_grpc: Clients, location: str) -> None:
    name = upload(over_grpc, location, version_aliases=["a" * 128]).model
    assert over_grpc.models.get_model(name=f"{name}@{'a' * 128}").version_id == "1"


def test_the_documented_label_limits_are_wider_than_the_general_ones(
    sandbox: Sandbox, over_grpc: Clients, location: str
) -> None:
    sandbox.switch(label_limits="documented")
    upload(over_grpc, location, labels={"1" * 64: "ü" * 64, **{f"k{n}": "" for n in range(70)}})
    with pytest.raises(exceptions.InvalidArgument):
        begin_upload(over_grpc, location, "other", labels={"k" * 65: ""})


@pytest.mark.parametrize("model_id", ["1st", "-x", "Churn", "x" * 64])
def test_an_illegal_model_id_is_refused(over_grpc: Clients, location: str, model_id: str) -> None:
    with pytest.raises(exceptions.InvalidArgument):
        begin_upload(over_grpc, location, model_id)


def test_an_upload_without_an_id_gets_one(clients: Clients, location: str) -> None:
    first, second = (upload(clients, location, "").model for _ in range(2))
    assert first != second
    assert {model.name for model in clients.models.list_models(parent=location)} == {first, second}


def test_a_taken_model_id_is_refused_unless_the_switch_makes_a_version_of_it(
    sandbox: Sandbox, clients: Clients, location: str
) -> None:
    name = upload(clients, location).model
    with pytest.raises(exceptions.Conflict, match="exists"):
        begin_upload(clients, location)
    sandbox.switch(existing_model_id="new_version", new_version_display_name="ignored")
    assert upload(clients, location, display_name="Other").model_version_id == "2"
    assert clients.models.get_model(name=name).display_name == "Churn"


def test_the_parent_model_must_exist_and_fit(over_grpc: Clients, location: str) -> None:
    upload(over_grpc, location)
    name = f"{location}/models/churn"
    for parent, model_id, error in (
        (f"{location}/models/other", "", exceptions.NotFound),
        ("churn", "", exceptions.InvalidArgument),
        (name, "other", exceptions.InvalidArgument),
        (name.replace("us-central1", "europe-west4"), "", exceptions.InvalidArgument),
    ):
        with pytest.raises(error):
            over_grpc.models.upload_model(
                v1.UploadModelRequest(
                    parent=location, parent_model=parent, model_id=model_id, model={"display_name": "x"}
                )
            )


def test_a_new_version_names_its_model_anew(clients: Clients, location: str) -> None:
    name = upload(clients, location).model
    upload(clients, location, new=False, display_name="Churn two", description="ignored")
    model = clients.models.get_model(name=name)
    assert (model.display_name, model.description) == ("Churn two", "")


def test_a_second_upload_at_the_same_time_can_be_refused(sandbox: Sandbox, over_grpc: Clients, location: str) -> None:
    upload(over_grpc, location)
    sandbox.switch(concurrent_uploads="second refused", lro_seconds=5)
    begin_upload(over_grpc, location, new=False)
    with pytest.raises(exceptions.Aborted):
        begin_upload(over_grpc, location, new=False)
    sandbox.clock.advance(5)
    begin_upload(over_grpc, location, new=False)
    assert version_ids(over_grpc, f"{location}/models/churn") == ["1", "2", "3"]


@pytest.mark.parametrize(
    "case",  # artifact_uri, image, what the refusal says
    [
        ("gs://bucket/none", "custom", "no files"),
        ("gs://bucket/two", SKLEARN, "exactly one of"),
        ("gs://bucket/good", SKLEARN.replace("sklearn-cpu.1-5", "tf2-cpu.2-15"), "saved_model.pb"),
        ("gs://bucket/good/", SKLEARN, None),
        ("gs://bucket", SKLEARN, None),
        ("gs://bucket/two", "custom", None),
        ("", SKLEARN, None),
    ],
)
def test_the_server_can_look_at_the_artifacts(
    sandbox: Sandbox, over_grpc: Clients, location: str, case: tuple[str, str, str | None]
) -> None:
    uri, image, message = case
    model: Any = {"artifact_uri": uri, "container_spec": {"image_uri": image}}
    sandbox.switch(artifact_check="at upload")
    if message is None:
        upload(over_grpc, location, **model)
        return
    with pytest.raises(exceptions.FailedPrecondition, match=message):
        begin_upload(over_grpc, location, **model)
    sandbox.switch(artifact_check="in operation")
    with pytest.raises(exceptions.FailedPrecondition, match=message):
        upload(over_grpc, location, **model)
    sandbox.switch(artifact_check="at deploy")
    name = upload(over_grpc, location, **model).model
    with pytest.raises(exceptions.FailedPrecondition, match=message):
        deploy(over_grpc, make_endpoint(over_grpc, location), name)


# --- aliases


def test_an_alias_names_one_version_at_a_time(clients: Clients, location: str) -> None:
    name = upload(clients, location, version_aliases=["golden"]).model
    upload(clients, location, new=False)
    version = clients.models.merge_version_aliases(name=f"{name}@2", version_aliases=["golden", "champion"])
    assert (version.name, list(version.version_aliases)) == (f"{name}@2", ["golden", "champion"])
    assert aliases(clients, name) == {"default": "1", "golden": "2", "champion": "2"}


def test_an_alias_is_removed_only_from_the_version_that_has_it(clients: Clients, location: str) -> None:
    name = upload(clients, location, version_aliases=["golden"]).model
    upload(clients, location, new=False)
    clients.models.merge_version_aliases(name=f"{name}@2", version_aliases=["-golden"])
    assert aliases(clients, name) == {"golden": "1", "default": "1"}
    clients.models.merge_version_aliases(name=f"{name}@default", version_aliases=["-golden", "-default", "default"])
    assert aliases(clients, name) == {"default": "1"}


def test_default_moves_but_cannot_be_removed(sandbox: Sandbox, clients: Clients, location: str) -> None:
    name = upload(clients, location).model
    upload(clients, location, new=False)
    clients.models.merge_version_aliases(name=f"{name}@2", version_aliases=["default"])
    assert aliases(clients, name) == {"default": "2"}
    for code in ("INVALID_ARGUMENT", "FAILED_PRECONDITION"):
        sandbox.switch(remove_default_code=code)
        with pytest.raises(exceptions.BadRequest, match="default"):
            clients.models.merge_version_aliases(name=f"{name}@2", version_aliases=["other", "-default"])
    sandbox.switch(remove_default_code="ignored")
    clients.models.merge_version_aliases(name=f"{name}@2", version_aliases=["-default"])
    assert aliases(clients, name) == {"default": "2"}


def test_an_alias_conflict_can_be_refused_but_default_moves(sandbox: Sandbox, clients: Clients, location: str) -> None:
    sandbox.switch(alias_conflict="reject")
    name = upload(clients, location, version_aliases=["golden"]).model
    with pytest.raises(exceptions.BadRequest, match="golden"):
        upload(clients, location, new=False, version_aliases=["golden"])
    assert version_ids(clients, name) == ["1"]
    upload(clients, location, new=False)
    with pytest.raises(exceptions.BadRequest, match="golden"):
        clients.models.merge_version_aliases(name=f"{name}@2", version_aliases=["other", "golden"])
    clients.models.merge_version_aliases(name=f"{name}@default", version_aliases=["golden"])
    clients.models.merge_version_aliases(name=f"{name}@2", version_aliases=["default"])
    assert aliases(clients, name) == {"golden": "1", "default": "2"}


def test_a_merge_needs_a_version_and_aliases(over_grpc: Clients, location: str) -> None:
    name = upload(over_grpc, location).model
    for wrong, merged in ((name, ["golden"]), (f"{name}@1", []), (f"{name}@1", ["-x"])):
        with pytest.raises(exceptions.InvalidArgument):
            over_grpc.models.merge_version_aliases(name=wrong, version_aliases=merged)


def test_the_order_of_aliases_is_a_switch(sandbox: Sandbox, over_grpc: Clients, location: str) -> None:
    given = ["zeta", "beta", "alpha", "gamma"]
    name = upload(over_grpc, location, version_aliases=given).model

    def read() -> list[str]:
        return list(over_grpc.models.get_model(name=name).version_aliases)

    assert read() == [*given, "default"]
    sandbox.switch(alias_order="sorted")
    assert read() == sorted([*given, "default"])
    sandbox.switch(alias_order="shuffled")
    assert len({tuple(read()) for _ in range(20)}) > 1


# --- lists


def test_lists_come_in_pages_oldest_first(sandbox: Sandbox, clients: Clients, location: str) -> None:
    sandbox.switch(page_size_max=2)
    name = upload(clients, location).model
    for _ in range(4):
        upload(clients, location, new=False)
    pages = list(clients.models.list_model_versions(v1.ListModelVersionsRequest(name=name, page_size=9)).pages)
    assert [[version.version_id for version in page.models] for page in pages] == [["1", "2"], ["3", "4"], ["5"]]
    assert pages[0].models[0].name == f"{name}@1"


def test_a_page_of_an_unknown_token_or_of_negative_size_is_refused(over_grpc: Clients, location: str) -> None:
    for wrong in ({"page_token": "made up"}, {"page_token": "AAAA"}, {"page_size": -1}):
        with pytest.raises(exceptions.InvalidArgument):
            over_grpc.models.list_models(v1.ListModelsRequest(parent=location, **wrong))


@pytest.mark.parametrize(
    ("expression", "ids"),
    [
        ("", ["aa", "bb", "cc"]),
        ("model=aa", ["aa"]),
        ("model!=aa", ["bb", "cc"]),
        ('display_name="Two words"', ["bb"]),
        ('displayName!="Two words" AND labels.env=prod', ["aa"]),
        ("labels.env:*", ["aa", "bb"]),
        ("labels:env AND model!=aa", ["bb"]),
        ('labels."env"="test"', ["bb"]),
        ('baseModelName="text-bison"', []),
    ],
)
def test_models_are_filtered_as_documented(clients: Clients, location: str, expression: str, ids: list[str]) -> None:
    upload(clients, location, "aa", labels={"env": "prod"})
    upload(clients, location, "bb", labels={"env": "test"}, display_name="Two words")
    upload(clients, location, "cc", labels={})
    request = v1.ListModelsRequest(parent=location, filter=expression)
    assert [model.name.rpartition("/")[2] for model in clients.models.list_models(request)] == ids


@pytest.mark.parametrize(
    ("expression", "error"),
    [
        ("model=a OR model=b", exceptions.MethodNotImplemented),
        ("(model=a)", exceptions.MethodNotImplemented),
        ("nothing", exceptions.MethodNotImplemented),
        ("artifact_uri=x", exceptions.InvalidArgument),
        ("model:x", exceptions.InvalidArgument),
        ("labels.a!=b", exceptions.InvalidArgument),
        ("labels=b", exceptions.InvalidArgument),
        ("model.a=b", exceptions.InvalidArgument),
    ],
)
def test_a_filter_that_is_not_understood_is_refused(
    over_grpc: Clients, location: str, expression: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        over_grpc.models.list_models(v1.ListModelsRequest(parent=location, filter=expression))


def test_lists_are_ordered_as_asked(sandbox: Sandbox, clients: Clients, location: str) -> None:
    for model_id, display_name in (("aa", "x"), ("bb", "y"), ("cc", "x")):
        upload(clients, location, model_id, display_name=display_name)
        sandbox.clock.advance(1)
    upload(clients, location, "aa", new=False, display_name="x")

    def listed(order_by: str) -> list[str]:
        request = v1.ListModelsRequest(parent=location, order_by=order_by)
        return [model.name.rpartition("/")[2] for model in clients.models.list_models(request)]

    assert listed("display_name, create_time desc") == ["cc", "aa", "bb"]
    assert listed("updateTime asc") == ["bb", "cc", "aa"]
    versions = clients.models.list_model_versions(
        v1.ListModelVersionsRequest(name=f"{location}/models/aa", order_by="create_time desc")
    )
    assert [version.version_id for version in versions] == ["2", "1"]
    for wrong in ("artifact_uri", "create_time downwards"):
        with pytest.raises(exceptions.BadRequest):
            listed(wrong)


def test_a_read_mask_keeps_only_its_fields(clients: Clients, location: str) -> None:
    name = upload(clients, location, labels={"a": "b"}).model
    listed = clients.models.list_models({"parent": location, "read_mask": {"paths": ["name", "version_aliases"]}})
    (model,) = listed
    assert (model.name, list(model.version_aliases), model.display_name) == (name, ["default"], "")
    with pytest.raises(exceptions.BadRequest):
        clients.models.list_model_versions({"name": name, "read_mask": {"paths": ["nothing"]}})


def test_versions_are_filtered_by_their_merged_labels(clients: Clients, location: str) -> None:
    name = upload(clients, location, labels={"team": "risk"}).model
    upload(clients, location, new=False, labels={"source": "v7"})
    for expression, ids in (("labels.team=risk", ["1", "2"]), ("labels.source=v7", ["2"])):
        request = v1.ListModelVersionsRequest(name=name, filter=expression)
        assert [version.version_id for version in clients.models.list_model_versions(request)] == ids


def test_uploaded_models_have_no_checkpoints(clients: Clients, location: str) -> None:
    name = upload(clients, location).model
    for known in (name, f"{name}@1"):
        assert list(clients.models.list_model_version_checkpoints(name=known)) == []
    with pytest.raises(exceptions.NotFound):
        clients.models.list_model_version_checkpoints(name=f"{name}@7")


# --- labels and updates


def test_the_labels_of_the_first_upload_are_the_models_unless_switched(
    sandbox: Sandbox, over_grpc: Clients, location: str
) -> None:
    for model_id, scope, shown in (("aa", "model", {"first": "1"}), ("bb", "version", {})):
        sandbox.switch(label_scope=scope)
        name = upload(over_grpc, location, model_id, labels={"first": "1"}).model
        upload(over_grpc, location, model_id, new=False, labels={"second": "2"})
        assert dict(over_grpc.models.get_model(name=f"{name}@1").labels) == {"first": "1"}
        assert dict(over_grpc.models.get_model(name=f"{name}@2").labels) == {**shown, "second": "2"}


def test_an_update_changes_the_model_or_the_version_by_the_form_of_the_name(clients: Clients, location: str) -> None:
    name = upload(clients, location, labels={"team": "risk"}).model
    update(clients, f"{name}@1", ["labels", "version_description"], labels={"run": "9"}, version_description="v")
    update(clients, f"{name}@-", ["display_name", "description"], display_name="New", description="d")
    model = update(clients, name, ["labels"], labels={"team": "fraud"})
    assert dict(model.labels) == {"team": "fraud", "run": "9"}
    assert (model.display_name, model.description, model.version_description) == ("New", "d", "v")


@pytest.mark.parametrize(
    ("suffix", "paths"),
    [
        ("", ["version_description"]),
        ("@1", ["labels", "display_name"]),
        ("", ["artifact_uri"]),
        ("", []),
        ("", ["display_name"]),
    ],
)
def test_an_update_of_other_fields_is_refused(clients: Clients, location: str, suffix: str, paths: list[str]) -> None:
    name = upload(clients, location).model
    before = clients.models.get_model(name=name)
    with pytest.raises(exceptions.BadRequest):
        update(clients, name + suffix, paths)
    assert clients.models.get_model(name=name) == before


def test_an_outdated_etag_is_refused(sandbox: Sandbox, clients: Clients, location: str) -> None:
    name = upload(clients, location).model
    etag = clients.models.get_model(name=f"{name}@1").etag
    update(clients, name, ["description"], description="one", etag=etag)
    with pytest.raises(exceptions.Conflict):
        update(clients, name, ["description"], description="two", etag=etag)
    sandbox.switch(etag_conflict_code="FAILED_PRECONDITION")
    with pytest.raises(exceptions.BadRequest):
        update(clients, name, ["description"], description="two", etag=etag)
    assert update(clients, name, ["description"], description="blind").description == "blind"


def update(clients: Clients, name: str, paths: list[str], **fields: object) -> v1.Model:
    return clients.models.update_model({"model": {"name": name, **fields}, "update_mask": {"paths": paths}})


# --- deleting and copying


def test_a_deleted_version_takes_its_aliases_along_and_its_id_is_not_given_again(
    sandbox: Sandbox, clients: Clients, location: str
) -> None:
    name = upload(clients, location).model
    upload(clients, location, new=False, version_aliases=["golden"])
    clients.models.delete_model_version(name=f"{name}@golden").result()
    assert aliases(clients, name) == {"default": "1"}
    assert upload(clients, location, new=False).model_version_id == "3"
    clients.models.delete_model_version(name=f"{name}@3").result()
    sandbox.switch(reuse_version_ids="after_deletion")
    assert upload(clients, location, new=False).model_version_id == "2"


def test_the_only_and_the_default_version_are_not_deleted(sandbox: Sandbox, clients: Clients, location: str) -> None:
    name = upload(clients, location).model
    with pytest.raises(exceptions.BadRequest, match="only version"):
        clients.models.delete_model_version(name=f"{name}@1")
    upload(clients, location, new=False)
    upload(clients, location, new=False)
    with pytest.raises(exceptions.BadRequest, match="default"):
        clients.models.delete_model_version(name=f"{name}@1")
    with pytest.raises(exceptions.BadRequest, match="names no version"):
        clients.models.delete_model_version(name=name)
    sandbox.switch(delete_default="allow")
    clients.models.delete_model_version(name=f"{name}@1").result()
    assert aliases(clients, name) == {"default": "3"}


def test_deleting_a_model_deletes_all_it_has(clients: Clients, location: str) -> None:
    name = upload(clients, location, version_aliases=["golden"]).model
    given = v1.ModelEvaluation(display_name="test set")
    evaluation = clients.models.import_model_evaluation(parent=name, model_evaluation=given)
    upload(clients, location, new=False)
    with pytest.raises(exceptions.BadRequest):
        clients.models.delete_model(name=f"{name}@1")
    clients.models.delete_model(name=name).result()
    for ask, absent in (
        (clients.models.get_model, name),
        (clients.models.list_model_versions, name),
        (clients.models.get_model_evaluation, evaluation.name),
    ):
        with pytest.raises(exceptions.NotFound):
            ask(name=absent)
    upload(clients, location)
    assert aliases(clients, name) == {"default": "1"}


def test_a_copy_leaves_the_aliases_behind(sandbox: Sandbox, clients: Clients, location: str) -> None:
    name = upload(clients, location, version_aliases=["golden"], labels={"a": "b"}).model
    elsewhere = location.replace("us-central1", "europe-west4")
    request = v1.CopyModelRequest(parent=elsewhere, source_model=f"{name}@golden", model_id="twin")
    copied = clients.models.copy_model(request).result()
    twin = clients.models.get_model(name=copied.model)
    assert (twin.name, list(twin.version_aliases)) == (f"{elsewhere}/models/twin", ["default"])
    assert (twin.model_source_info.copy, twin.original_model_info.model) == (True, f"{name}@1")
    assert (twin.artifact_uri, dict(twin.labels)) == ("gs://bucket/good", {"a": "b"})
    again = v1.CopyModelRequest(parent=elsewhere, source_model=name, parent_model=twin.name)
    assert clients.models.copy_model(again).result().model_version_id == "2"
    assert sandbox.server.switches == VertexSwitches()


def test_evaluations_belong_to_a_version(clients: Clients, location: str) -> None:
    name = upload(clients, location).model
    upload(clients, location, new=False)
    given = v1.ModelEvaluation(display_name="test set")
    made = clients.models.import_model_evaluation(parent=f"{name}@2", model_evaluation=given)
    assert clients.models.get_model_evaluation(name=made.name).display_name == "test set"
    assert list(clients.models.list_model_evaluations(parent=f"{name}@2")) == [made]
    assert list(clients.models.list_model_evaluations(parent=name)) == []
    with pytest.raises((exceptions.MethodNotImplemented, exceptions.ServerError)):
        clients.models.list_model_evaluations({"parent": name, "filter": "x=y"})


# --- operations


def test_an_operation_takes_effect_and_ends_when_its_time_has_come(
    sandbox: Sandbox, clients: Clients, location: str
) -> None:
    sandbox.switch(commit_delay=5, lro_seconds=20, list_lag=5)
    name, operation = f"{location}/models/churn", begin_upload(clients, location).operation.name
    assert operation.startswith(f"{name}/operations/")
    with pytest.raises(exceptions.NotFound):
        clients.models.get_model(name=name)
    sandbox.clock.advance(6)
    assert clients.models.get_model(name=name).version_id == "1"
    assert version_ids(clients, name) == []
    assert list(clients.models.list_models(parent=location)) == []
    assert not clients.models.get_operation({"name": operation}).done
    sandbox.clock.advance(5)
    assert version_ids(clients, name) == ["1"]
    sandbox.clock.advance(10)
    done = clients.models.get_operation({"name": operation})
    response = v1.UploadModelResponse.pb()()
    assert done.done
    assert done.response.Unpack(response)
    assert (response.model, response.model_version_id) == (name, "1")


def test_an_effect_that_fails_is_the_operations_error(sandbox: Sandbox, clients: Clients, location: str) -> None:
    sandbox.switch(commit_delay=5)
    first, second = (begin_upload(clients, location).operation.name for _ in range(2))
    sandbox.clock.advance(5)
    assert not clients.models.get_operation({"name": first}).HasField("error")
    assert clients.models.get_operation({"name": second}).error.code == grpc.StatusCode.ALREADY_EXISTS.value[0]
    assert version_ids(clients, f"{location}/models/churn") == ["1"]


def test_operations_are_listed_where_the_switches_say(sandbox: Sandbox, clients: Clients, location: str) -> None:
    def listed(parent: str, expression: str = "") -> list[str]:
        found = clients.models.list_operations({"name": parent, "filter": expression})
        return [operation.name for operation in found.operations]

    sandbox.switch(lro_seconds=5)
    of_model = begin_upload(clients, location).operation.name
    assert (listed(f"{location}/models/churn"), listed(location)) == ([of_model], [])
    assert (listed(f"{location}/models/churn", "done=true"), listed(location)) == ([], [])
    sandbox.switch(operation_parent="location", operations_list_lag=3)
    of_location = begin_upload(clients, location, "other").operation.name
    assert listed(location) == []
    sandbox.clock.advance(3)
    assert listed(location) == [of_location]
    sandbox.switch(operations_listed=False)
    assert listed(location) == []


def test_an_operation_can_be_cancelled_before_it_takes_effect_and_deleted_when_done(
    sandbox: Sandbox, clients: Clients, location: str
) -> None:
    upload(clients, location)
    sandbox.switch(commit_delay=5)
    name = begin_upload(clients, location, new=False).operation.name
    with pytest.raises(exceptions.BadRequest, match="not done"):
        clients.models.delete_operation({"name": name})
    clients.models.cancel_operation({"name": name})
    sandbox.clock.advance(9)
    assert clients.models.get_operation({"name": name}).error.code == grpc.StatusCode.CANCELLED.value[0]
    assert version_ids(clients, f"{location}/models/churn") == ["1"]
    clients.models.delete_operation({"name": name})
    with pytest.raises(exceptions.NotFound):
        clients.models.get_operation({"name": name})


def test_waiting_for_an_operation_returns_at_once(sandbox: Sandbox, over_rest: Clients, location: str) -> None:
    sandbox.switch(lro_seconds=5)
    name = begin_upload(over_rest, location).operation.name
    assert not over_rest.models.wait_operation({"name": name, "timeout": {"seconds": 60}}).done


def test_data_and_open_operations_survive_a_restart(tmp_path: Path, location: str) -> None:
    clock = SandboxClock()

    def start() -> tuple[VertexServer, grpc.Channel, Clients]:
        server = VertexServer(tmp_path, traffic=Traffic(), clock=clock)
        server.start()
        return server, *grpc_clients(server)

    server, channel, clients = start()
    name = upload(clients, location, version_aliases=["golden"]).model
    server.switches = VertexSwitches(commit_delay=5, lro_seconds=9)
    operation = begin_upload(clients, location, new=False, version_aliases=["golden"]).operation.name
    channel.close()
    server.stop()

    server, channel, clients = start()
    assert aliases(clients, name) == {"golden": "1", "default": "1"}
    clock.advance(9)
    assert clients.models.get_operation({"name": operation}).done
    assert aliases(clients, name) == {"default": "1", "golden": "2"}
    channel.close()
    server.stop()
    server.stop()


# --- replies that fail, quotas


def test_a_lost_reply_hides_what_was_committed(sandbox: Sandbox, clients: Clients, location: str) -> None:
    sandbox.switch(lost_reply=NextCalls(1, "UploadModel"))
    with pytest.raises(exceptions.ServiceUnavailable):
        begin_upload(clients, location)
    name = f"{location}/models/churn"
    assert version_ids(clients, name) == ["1"]
    upload(clients, location, new=False)
    sandbox.switch(fail_after_commit=NextCalls(2))
    clients.models.get_model(name=name)
    for alias in ("golden", "champion"):
        with pytest.raises(exceptions.InternalServerError):
            clients.models.merge_version_aliases(name=f"{name}@2", version_aliases=[alias])
    assert aliases(clients, name) == {"default": "1", "golden": "2", "champion": "2"}


def test_quotas_count_by_the_minute_and_by_region(sandbox: Sandbox, over_grpc: Clients, location: str) -> None:
    sandbox.switch(quotas=True)
    sandbox.clock.advance(60)
    with pytest.MonkeyPatch.context() as still:
        now = sandbox.clock.now()
        still.setattr(sandbox.clock, "now", lambda: now)  # or a slow machine is at the next minute in the middle
        for number in range(60):
            begin_upload(over_grpc, location, new=number == 0)
        with pytest.raises(exceptions.ResourceExhausted, match="submissions"):
            begin_upload(over_grpc, location, new=False)
        name = f"{location}/models/churn"
        for _ in range(600):
            over_grpc.models.get_model(name=name)
        with pytest.raises(exceptions.TooManyRequests, match="reads"):
            over_grpc.models.get_model(name=name)
    update(over_grpc, name, ["description"])
    upload(over_grpc, location.replace("us-central1", "europe-west4"))
    over_grpc.models.list_locations({"name": "projects/p"})
    with pytest.raises(exceptions.NotFound):
        over_grpc.predictions.predict(endpoint=f"{location}/endpoints/1", instances=[])
    sandbox.clock.advance(60)
    assert len(version_ids(over_grpc, name)) == 60


# --- endpoints


def make_endpoint(clients: Clients, location: str, endpoint_id: str = "", **fields: object) -> str:
    request = v1.CreateEndpointRequest(
        parent=location, endpoint={"display_name": "Scores", **fields}, endpoint_id=endpoint_id
    )
    made: v1.Endpoint = clients.endpoints.create_endpoint(request).result()
    return made.name


def deploy(
    clients: Clients, endpoint: str, model: str, split: dict[str, int] | None = None, **fields: object
) -> v1.DeployedModel:
    deployed = {
        "model": model,
        "dedicated_resources": {"machine_spec": {"machine_type": "n1-standard-2"}, "min_replica_count": 1},
        **fields,
    }
    request = {"endpoint": endpoint, "deployed_model": deployed, "traffic_split": split or {}}
    response: v1.DeployModelResponse = clients.endpoints.deploy_model(request).result()
    return response.deployed_model


def set_split(clients: Clients, endpoint: str, split: dict[str, int], **fields: object) -> v1.Endpoint:
    return update_endpoint(clients, endpoint, ["traffic_split"], traffic_split=split, **fields)


def update_endpoint(clients: Clients, name: str, paths: list[str], **fields: object) -> v1.Endpoint:
    return clients.endpoints.update_endpoint({"endpoint": {"name": name, **fields}, "update_mask": {"paths": paths}})


def test_an_endpoint_is_made_changed_and_deleted(clients: Clients, location: str) -> None:
    name = make_endpoint(clients, location, "scores", labels={"env": "prod"})
    assert name == f"{location}/endpoints/scores"
    other = make_endpoint(clients, location)
    with pytest.raises(exceptions.Conflict):
        make_endpoint(clients, location, "scores")
    fields: Any = {"display_name": "A", "description": "d", "labels": {"env": "test"}}
    changed = update_endpoint(clients, name, list(fields), **fields)
    assert changed == clients.endpoints.get_endpoint(name=name)
    assert (changed.display_name, changed.description, dict(changed.labels)) == ("A", "d", {"env": "test"})

    def listed(**asked: str) -> list[str]:
        request = v1.ListEndpointsRequest(parent=location, **asked)
        return [endpoint.name for endpoint in clients.endpoints.list_endpoints(request)]

    assert listed() == [name, other]
    assert listed(order_by="display_name desc") == [other, name]
    assert listed(filter="endpoint=scores AND labels.env=test") == [name]
    clients.endpoints.delete_endpoint(name=name).result()
    assert listed() == [other]
    with pytest.raises(exceptions.NotFound):
        clients.endpoints.get_endpoint(name=name)


def test_what_the_service_does_not_take_for_an_endpoint_is_refused(
    sandbox: Sandbox, over_grpc: Clients, location: str
) -> None:
    for wrong in ("0123", "1234567890", "-a", "Scores", "a-"):
        with pytest.raises(exceptions.InvalidArgument):
            make_endpoint(over_grpc, location, wrong)
    with pytest.raises(exceptions.InvalidArgument):
        make_endpoint(over_grpc, location, traffic_split={"1": 100})
    name = make_endpoint(over_grpc, location)
    etag = over_grpc.endpoints.get_endpoint(name=name).etag
    set_split(over_grpc, name, {}, etag=etag)
    with pytest.raises(exceptions.Aborted):
        set_split(over_grpc, name, {}, etag=etag)
    sandbox.switch(etag_conflict_code="FAILED_PRECONDITION")
    with pytest.raises(exceptions.FailedPrecondition):
        set_split(over_grpc, name, {}, etag=etag)
    for paths, error in (
        ([], exceptions.InvalidArgument),
        (["enable_private_service_connect"], exceptions.MethodNotImplemented),
    ):
        with pytest.raises(error):
            update_endpoint(over_grpc, name, paths)
    with pytest.raises(exceptions.InvalidArgument):
        over_grpc.endpoints.get_endpoint(name="scores")


def test_a_deployed_model_stays_on_the_version_its_alias_named(
    sandbox: Sandbox, clients: Clients, location: str
) -> None:
    name, endpoint = upload(clients, location).model, make_endpoint(clients, location)
    first = deploy(clients, endpoint, f"{name}@default")
    upload(clients, location, new=False, version_aliases=["default"])
    (kept,) = clients.endpoints.get_endpoint(name=endpoint).deployed_models
    assert (kept.id, kept.model, kept.model_version_id) == (first.id, name, "1")
    assert kept.display_name == "Churn"
    sandbox.switch(deployed_model_name_form="versioned")
    second = deploy(clients, endpoint, name, id="77", automatic_resources={}, dedicated_resources=None)
    assert (second.id, second.model) == ("77", f"{name}@2")
    (ref,) = clients.models.get_model(name=name).deployed_models
    assert (ref.endpoint, ref.deployed_model_id) == (endpoint, "77")
    with pytest.raises(exceptions.BadRequest, match="deployed"):
        clients.models.delete_model_version(name=f"{name}@1")
    with pytest.raises(exceptions.BadRequest, match="deployed"):
        clients.models.delete_model(name=name)
    with pytest.raises(exceptions.BadRequest, match="deployed"):
        clients.endpoints.delete_endpoint(name=endpoint)
    for deployed in (first, second):
        clients.endpoints.undeploy_model(endpoint=endpoint, deployed_model_id=deployed.id).result()
    assert list(clients.models.get_model(name=name).deployed_models) == []
    clients.models.delete_model(name=name).result()
    clients.endpoints.delete_endpoint(name=endpoint).result()


def test_what_changed_while_a_deployment_ran_makes_it_fail(sandbox: Sandbox, over_grpc: Clients, location: str) -> None:
    name, endpoint = upload(over_grpc, location).model, make_endpoint(over_grpc, location)
    upload(over_grpc, location, new=False)
    sandbox.switch(commit_delay=5)
    request = {"endpoint": endpoint, "deployed_model": {"model": f"{name}@2", "shared_resources": "pool"}}
    operation = over_grpc.endpoints.deploy_model(request).operation.name
    with pytest.raises(exceptions.FailedPrecondition, match="being-deployed"):
        over_grpc.endpoints.delete_endpoint(name=endpoint)
    sandbox.switch(commit_delay=0)
    over_grpc.models.delete_model_version(name=f"{name}@2").result()
    sandbox.clock.advance(5)
    failed = over_grpc.endpoints.get_operation({"name": operation})
    assert failed.error.code == grpc.StatusCode.NOT_FOUND.value[0]
    assert not over_grpc.endpoints.get_endpoint(name=endpoint).deployed_models


def test_a_model_uploaded_from_model_garden_keeps_its_source(over_grpc: Clients, location: str) -> None:
    source = v1.ModelSourceInfo.ModelSourceType.MODEL_GARDEN
    name = upload(over_grpc, location, model_source_info={"source_type": source}).model
    assert over_grpc.models.get_model(name=f"{name}@-").model_source_info.source_type == source


def test_a_split_sums_to_100_over_what_is_deployed(clients: Clients, location: str) -> None:
    name, endpoint = upload(clients, location).model, make_endpoint(clients, location)
    old = deploy(clients, endpoint, name, {"0": 100})
    new = deploy(clients, endpoint, name, {"0": 5, old.id: 95})
    assert dict(clients.endpoints.get_endpoint(name=endpoint).traffic_split) == {new.id: 5, old.id: 95}
    for wrong in ({old.id: 99}, {old.id: 50, "1": 50}, {old.id: 101, new.id: -1}):
        with pytest.raises(exceptions.BadRequest):
            set_split(clients, endpoint, wrong)
    with pytest.raises(exceptions.BadRequest, match="still has traffic"):
        clients.endpoints.undeploy_model(endpoint=endpoint, deployed_model_id=old.id)
    with pytest.raises(exceptions.BadRequest, match=r"\[0\] do not exist"):
        clients.endpoints.undeploy_model(endpoint=endpoint, deployed_model_id="0")
    clients.endpoints.undeploy_model(
        endpoint=endpoint, deployed_model_id=old.id, traffic_split={new.id: 100, old.id: 0}
    ).result()
    assert dict(clients.endpoints.get_endpoint(name=endpoint).traffic_split) == {new.id: 100}
    clients.endpoints.undeploy_model(endpoint=endpoint, deployed_model_id=new.id).result()
    assert dict(clients.endpoints.get_endpoint(name=endpoint).traffic_split) == {}


def test_a_deployment_that_could_not_serve_is_refused(over_grpc: Clients, location: str) -> None:
    endpoint = make_endpoint(over_grpc, location)
    bare = upload(over_grpc, location, "bare", container_spec=None).model
    with pytest.raises(exceptions.FailedPrecondition, match="container"):
        deploy(over_grpc, endpoint, bare)
    name = upload(over_grpc, location).model
    with pytest.raises(exceptions.InvalidArgument, match="dedicated_resources"):
        deploy(over_grpc, endpoint, name, dedicated_resources=None)
    for wrong in ("0", "abc", "12345678901"):
        with pytest.raises(exceptions.InvalidArgument):
            deploy(over_grpc, endpoint, name, id=wrong)
    deploy(over_grpc, endpoint, name, id="7")
    with pytest.raises(exceptions.AlreadyExists):
        deploy(over_grpc, endpoint, name, id="7")


def test_a_deployed_model_changes_its_replicas_and_nothing_else(clients: Clients, location: str) -> None:
    endpoint = make_endpoint(clients, location)
    deployed = deploy(clients, endpoint, upload(clients, location).model)

    def mutate(*paths: str) -> None:
        request = {
            "endpoint": endpoint,
            "deployed_model": {"id": deployed.id, "dedicated_resources": {"min_replica_count": 3}},
            "update_mask": {"paths": list(paths)},
        }
        clients.endpoints.mutate_deployed_model(request).result()

    mutate("dedicated_resources.min_replica_count")
    (changed,) = clients.endpoints.get_endpoint(name=endpoint).deployed_models
    assert changed.dedicated_resources.min_replica_count == 3
    assert changed.dedicated_resources.machine_spec.machine_type == "n1-standard-2"
    for wrong in ([], ["display_name"], ["automatic_resources.min_replica_count"]):
        with pytest.raises(exceptions.BadRequest):
            mutate(*wrong)
    mutate("disable_container_logging")


def test_predictions_are_answered_by_the_shares_of_the_split(
    sandbox: Sandbox, over_grpc: Clients, location: str
) -> None:
    name, endpoint = upload(over_grpc, location).model, make_endpoint(over_grpc, location)
    with pytest.raises(exceptions.FailedPrecondition, match=r"doesn't have traffic_split\."):
        over_grpc.predictions.predict(endpoint=endpoint, instances=[1])
    old = deploy(over_grpc, endpoint, name)
    new = deploy(over_grpc, endpoint, name, {"0": 25, old.id: 75})

    def drawn() -> Counter[str]:
        sandbox.server.random.seed(7)
        answers = (over_grpc.predictions.predict(endpoint=endpoint, instances=[1]) for _ in range(100))
        return Counter(answer.deployed_model_id for answer in answers)

    once = drawn()
    assert once == drawn()
    assert 15 <= once[new.id] <= 35
    set_split(over_grpc, endpoint, {old.id: 100})
    assert drawn() == {old.id: 100}


def test_a_prediction_says_who_answered(sandbox: Sandbox, clients: Clients, location: str) -> None:
    name, endpoint = upload(clients, location).model, make_endpoint(clients, location)
    deployed = deploy(clients, endpoint, name, {"0": 100})
    sandbox.traffic.reset()
    answer = clients.predictions.predict(endpoint=endpoint, instances=[{"x": 1}])
    assert (answer.deployed_model_id, answer.model, answer.model_version_id) == (deployed.id, name, "1")
    assert [dict(prediction) for prediction in answer.predictions] == [{"x": 1}]
    body = HttpBody(content_type="text/plain", data=b"raw")
    raw = clients.predictions.raw_predict(endpoint=endpoint, http_body=body)
    assert (raw.content_type, raw.data) == ("text/plain", b"raw")
    assert sandbox.traffic.count("vertex", write=False) == 2
    assert sandbox.traffic.count("vertex", write=True) == 0


# --- the fronts


def test_locations_are_those_the_sdk_knows(clients: Clients) -> None:
    from google.cloud.aiplatform.constants import base  # noqa: PLC0415, TID251  takes seconds; the source of the regions

    assert set(REGIONS) == base.SUPPORTED_REGIONS
    listed = clients.models.list_locations({"name": "projects/p"})
    assert {location.location_id for location in listed.locations} == set(REGIONS)
    assert clients.models.get_location({"name": "projects/p/locations/us-east1"}).location_id == "us-east1"
    with pytest.raises(exceptions.NotFound):
        clients.models.get_location({"name": "projects/p/locations/moon"})
    with pytest.raises((exceptions.MethodNotImplemented, exceptions.ServerError)):
        clients.models.list_locations({"name": "projects/p", "filter": "x"})


def test_what_is_not_implemented_says_so_with_its_name(sandbox: Sandbox, clients: Clients, location: str) -> None:
    with pytest.raises(exceptions.GoogleAPICallError, match="ExportModel") as caught:
        clients.models.export_model({"name": f"{location}/models/churn"})
    assert caught.value.code == 501
    with pytest.raises(exceptions.GoogleAPICallError, match=r"[sS]treamRawPredict") as caught:
        list(clients.predictions.stream_raw_predict(endpoint=f"{location}/endpoints/1"))
    assert caught.value.code == 501
    assert sandbox.traffic.count("vertex", write=True) == 2


def test_a_service_that_is_not_served_is_unimplemented(sandbox: Sandbox) -> None:
    with grpc.insecure_channel(sandbox.server.grpc_address) as channel:
        call = channel.unary_unary("/google.cloud.aiplatform.v1beta1.ModelService/GetModel")
        with pytest.raises(grpc.RpcError, match=r"v1beta1\.ModelService/GetModel") as caught:
            call(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_rest_speaks_plain_json(sandbox: Sandbox, location: str) -> None:
    url = f"{sandbox.server.rest_url}/v1/{location}"
    with requests.Session() as session:
        model = {"displayName": "Churn", "containerSpec": {"imageUri": SKLEARN}}
        operation = session.post(f"{url}/models:upload", json={"modelId": "churn", "model": model}).json()
        assert operation["response"]["modelVersionId"] == "1"
        assert session.get(f"{url}/models/churn%401?alt=json").json()["name"] == f"{location}/models/churn@1"
        changed = session.patch(f"{url}/models/churn?updateMask=display_name,description", json={"displayName": "New"})
        assert changed.json()["displayName"] == "New"
        refused = session.get(f"{url}/models/other")
        assert (refused.status_code, refused.json()["error"]["status"]) == (404, "NOT_FOUND")
        for wrong in (
            session.post(f"{url}/models:upload", data="{"),
            session.post(f"{url}/models:upload", data="[1]"),
            session.post(f"{url}/models:upload", json={"no": "field"}),
            session.get(f"{url}/models", params={"no.such.field": "1"}),
            session.get(f"{url}/models", params={"filter.deeper": "1"}),
        ):
            assert (wrong.status_code, wrong.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
        unknown = session.get(f"{url}/jobs")
        assert unknown.status_code == 501
        assert unknown.json()["error"]["message"].endswith(f"GET /v1/{location}/jobs")


def test_a_raw_prediction_over_rest_is_bytes_with_headers(sandbox: Sandbox, over_rest: Clients, location: str) -> None:
    endpoint = make_endpoint(over_rest, location, "scores")
    deployed = deploy(over_rest, endpoint, upload(over_rest, location).model, {"0": 100})
    for body, content_type in ((json.dumps({"instances": [1]}), "application/json"), (b"\x00\xff", "image/png")):
        answer = requests.post(
            f"{sandbox.server.rest_url}/v1/{endpoint}:rawPredict",
            data=body,
            headers={"Content-Type": content_type},
            timeout=10,
        )
        assert answer.content == (body if isinstance(body, bytes) else body.encode())
        assert answer.headers["Content-Type"] == content_type
        assert answer.headers["X-Vertex-AI-Endpoint-Id"] == "scores"
        assert answer.headers["X-Vertex-AI-Deployed-Model-Id"] == deployed.id


def test_the_method_table_is_what_the_sdk_says() -> None:
    assert TABLE.read_text() == derive_table.dump(derive_table.derive())


# --- the SDK that users know


def test_a_script_of_the_high_level_sdk_runs(sandbox: Sandbox) -> None:
    from google.cloud import aiplatform  # noqa: PLC0415, TID251  takes seconds; what people call

    aiplatform.init(
        project="highlevel",
        location="us-central1",
        credentials=google.auth.credentials.AnonymousCredentials(),
        api_endpoint=sandbox.server.rest_url,
        api_transport="rest",
    )
    how: Any = {"artifact_uri": "gs://bucket/good", "serving_container_image_uri": SKLEARN}
    first = aiplatform.Model.upload(model_id="churn", display_name="Churn", labels={"a": "b"}, **how)
    second = aiplatform.Model.upload(
        parent_model="churn", display_name="Churn", version_aliases=["golden"], is_default_version=False, **how
    )
    assert (first.version_id, second.version_id, second.version_aliases) == ("1", "2", ["golden"])
    registry = aiplatform.models.ModelRegistry("churn")
    registry.add_version_aliases(["champion"], version="2")
    registry.remove_version_aliases(["golden"], version="2")
    registry.update_version("2", version_description="second", labels={"c": "d"})
    assert [(info.version_id, info.version_aliases) for info in registry.list_versions()] == [
        ("1", ["default"]),
        ("2", ["champion"]),
    ]
    assert aiplatform.Model("churn@champion").version_description == "second"
    first.update(description="changed", labels={"a": "c"})
    assert [model.resource_name for model in aiplatform.Model.list(filter="labels.a=c")] == [first.resource_name]

    endpoint = aiplatform.Endpoint.create(display_name="Scores")
    first.deploy(endpoint=endpoint, machine_type="n1-standard-2", traffic_percentage=100)
    second.deploy(endpoint=endpoint, machine_type="n1-standard-2", traffic_percentage=10)
    assert sorted(endpoint.traffic_split.values()) == [10, 90]
    old = next(deployed.id for deployed in endpoint.list_models() if deployed.model_version_id == "1")
    endpoint.update(traffic_split={old: 100})
    assert endpoint.predict(instances=[[1.0]]).deployed_model_id == old
    endpoint.undeploy_all()
    endpoint.delete()

    copied = first.copy(destination_location="europe-west4", destination_model_id="twin")
    assert copied.resource_name == "projects/highlevel/locations/europe-west4/models/twin"
    registry.delete_version("2")
    first.delete()
    assert aiplatform.Model.list() == []
