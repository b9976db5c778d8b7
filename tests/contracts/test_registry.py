"""What every registry promises: in memory, over the sandbox through the real SDK, and, with --live, in Vertex AI."""

from __future__ import annotations

import contextlib
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
import pytest
from google.api_core.exceptions import NotFound as Absent
from google.cloud import (
    aiplatform_v1 as v1,  # noqa: TID251  cleans up after live tests
    storage,  # noqa: TID251  the same
)
from google.cloud.aiplatform_v1.services.endpoint_service.transports.grpc import (  # noqa: TID251  deploys by hand
    EndpointServiceGrpcTransport,
)

from bridge.core.errors import NeedsPerson, NotFound, TryAgain
from bridge.core.model import DEFAULT, Alias, Container, Facts, ModelVersion, SourceVersion
from bridge.run.clock import SystemClock
from bridge.sandbox.address import LOCATION, PROJECT
from bridge.sandbox.faults import Fault
from bridge.sandbox.vertex.switches import NextCalls, VertexSwitches
from bridge.testing.clock import FakeClock
from bridge.testing.registry import MemoryRegistry
from bridge.vertex.registry import VertexRegistry
from tests.contracts.ends import over, setting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.core.ports import Clock, Registry
    from bridge.core.records import Operation
    from bridge.sandbox.world import World

CONTAINER = Container("europe-docker.pkg.dev/vertex-ai/prediction/sklearn-cpu.1-5:latest", ports=(8080,))
FACTS = Facts({"xgboost": {"xgb_version": "2.1.4"}}, run_id="A-run", metrics={"auc": 0.93})
PRODUCTION, STAGING = Alias("production"), Alias("staging")
METHODS = {
    "register": "UploadModel",
    "move_alias": "MergeVersionAliases",
    "remove_alias": "MergeVersionAliases",
    "mark_ours": "UpdateModel",
    "delete": "DeleteModelVersion",
}


@dataclass
class End:
    """A registry, an empty model of it, and what a test does to both behind its back."""

    registry: Registry
    model: str
    base: str  # where folders are
    clock: Clock
    mood: Callable[..., None]  # commit_delay, list_lag, alias_conflict, label_scope; skips where they are not ours
    lose: Callable[[str], None]  # the next reply to a method of the port
    add_foreign: Callable[[str], None]  # a version of the model from this folder, by another owner
    deploy: Callable[[str], str]  # a version of the model, to an endpoint whose name is returned
    add_nobodys: Callable[[str], str] = lambda _: ""  # as add_foreign by a person, without any mark; returns its id

    def register(self, label: str = "v7", *, first: bool | None = None) -> str:
        """Register a version; return the operation's name. `first`: None where the model knows."""
        version = SourceVersion("acme", "acme_org/model/fraud", label, f"id-{label}", "d1", "https://wandb.test/v7")
        return self.upload(self.registry, "Fraud detector", version, self.folder(label), first=first)

    def upload(
        self, registry: Registry, name: str, version: SourceVersion, folder: str, *, first: bool | None = None
    ) -> str:
        first = not registry.observe(self.model).exists if first is None else first
        return registry.register(self.model, name, version, folder, CONTAINER, facts=FACTS, first=first)

    def wait(self, name: str) -> Operation:
        while not (operation := self.registry.operation(name)).done:
            self.clock.sleep(1)
        return operation

    def add(self, label: str = "v7") -> str:
        """Register a version and wait for it; return its id."""
        operation = self.wait(self.register(label))
        assert operation.version_id is not None, operation
        return operation.version_id

    def folder(self, label: str) -> str:
        return f"{self.base}/{self.model}/{label}/"

    def versions(self) -> tuple[ModelVersion, ...]:
        return self.registry.observe(self.model).versions

    def aliases(self) -> dict[str, str]:
        pairs = [(alias, version.id) for version in self.versions() for alias in version.aliases]
        assert len(dict(pairs)) == len(pairs), "an alias names two versions"
        return dict(sorted(pairs))


def memory(_request: pytest.FixtureRequest, model: str) -> Iterator[End]:
    clock = FakeClock()
    registry = MemoryRegistry(clock)

    def mood(**moods: Any) -> None:  # noqa: ANN401  whatever the knobs take
        for name, value in moods.items():
            setattr(registry, name, value)

    def lose(method: str) -> None:
        registry.lost_replies[method] += 1

    def add_foreign(folder: str) -> None:
        registry.add_by_hand(made.model, folder, owner="stranger")

    def add_nobodys(folder: str) -> str:
        return registry.add_by_hand(made.model, folder)

    def deploy(version_id: str) -> str:
        registry.deploy_by_hand(model, version_id, "projects/1/locations/eu/endpoints/42")
        return "projects/1/locations/eu/endpoints/42"

    made = End(registry, model, "gs://models", clock, mood, lose, add_foreign, deploy, add_nobodys)
    yield made


def sandbox(request: pytest.FixtureRequest, model: str) -> Iterator[End]:
    world: World = request.getfixturevalue("world")
    vertex, address = world.vertex, world.vertex.grpc_address

    class SandboxTime(SystemClock):
        def sleep(self, seconds: float) -> None:
            world.clock.advance(seconds)

    def mood(**moods: Any) -> None:  # noqa: ANN401  whatever the switches take
        vertex.switches = replace(vertex.switches, **moods)

    def deploy(version_id: str) -> str:
        channel = grpc.insecure_channel(address)
        with v1.EndpointServiceClient(transport=EndpointServiceGrpcTransport(channel=channel)) as client:
            parent = f"projects/{PROJECT}/locations/{LOCATION}"
            endpoint = client.create_endpoint(parent=parent, endpoint=v1.Endpoint(display_name=model)).result()
            resources = v1.DedicatedResources(machine_spec=v1.MachineSpec(machine_type="n1-standard-2"))
            resources.min_replica_count = 1
            deployed = v1.DeployedModel(
                model=f"{parent}/models/{model}@{version_id}", dedicated_resources=resources, display_name=model
            )
            client.deploy_model(endpoint=endpoint.name, deployed_model=deployed).result()
        name: str = endpoint.name
        return name

    def lose(method: str) -> None:
        mood(lost_reply=NextCalls(1, METHODS[method]))

    with (
        contextlib.closing(VertexRegistry(PROJECT, LOCATION, "bridge", endpoint=address, insecure=True)) as registry,
        contextlib.closing(VertexRegistry(PROJECT, LOCATION, "stranger", endpoint=address, insecure=True)) as stranger,
    ):
        end = End(registry, model, "gs://acme-models", SandboxTime(), mood, lose, lambda _: None, deploy)
        end.add_foreign = _foreign(end, stranger)
        end.add_nobodys = _nobodys(end, registry)
        yield end
    vertex.switches = VertexSwitches()


def live(_request: pytest.FixtureRequest, model: str) -> Iterator[End]:
    project, location = setting("BRIDGE_LIVE_PROJECT"), setting("BRIDGE_LIVE_LOCATION")
    bucket = storage.Client(project).bucket(setting("BRIDGE_LIVE_BUCKET"))
    owner = f"contract-{uuid.uuid4().hex[:8]}"
    base = f"gs://{bucket.name}/bridge-contracts/{owner}"
    placeholder = bucket.blob(f"bridge-contracts/{owner}/{model}/placeholder")
    placeholder.upload_from_string(b"")

    def not_ours(*_: object, **__: object) -> NoReturn:
        pytest.skip("the real service has no knobs")

    with (
        contextlib.closing(VertexRegistry(project, location, owner)) as registry,
        contextlib.closing(VertexRegistry(project, location, f"{owner}-stranger")) as stranger,
    ):
        end = End(registry, model, base, SystemClock(), not_ours, not_ours, not_ours, not_ours)
        end.add_foreign = _foreign(end, stranger)
        end.add_nobodys = _nobodys(end, registry)
        try:
            yield end
        finally:
            placeholder.delete()
            options = {"api_endpoint": f"{location}-aiplatform.googleapis.com"}
            with contextlib.suppress(Absent), v1.ModelServiceClient(client_options=options) as client:
                client.delete_model(name=f"projects/{project}/locations/{location}/models/{model}").result()


def _foreign(end: End, stranger: Registry) -> Callable[[str], None]:
    def add_foreign(folder: str) -> None:
        version = SourceVersion("other", "other/model", "v1", "id-1", "d1", "https://wandb.test/other")
        end.wait(end.upload(stranger, "Someone else's", version, folder))

    return add_foreign


def _nobodys(end: End, registry: VertexRegistry) -> Callable[[str], str]:
    def add_nobodys(folder: str) -> str:
        """Upload as a person's script does: with labels of its own, and none of ours."""
        client, parent = registry._client, registry._parent  # noqa: SLF001  a person's client is the same as ours
        spec = v1.ModelContainerSpec(image_uri=CONTAINER.image)
        model = v1.Model(display_name="By hand", artifact_uri=folder, container_spec=spec, labels={"team": "fraud"})
        name = f"{parent}/models/{end.model}"
        exists = end.registry.observe(end.model).exists
        place = {"parent_model": name} if exists else {"model_id": end.model}
        request = v1.UploadModelRequest(parent=parent, model=model, **place)
        return str(client.upload_model(request).result().model_version_id)

    return add_nobodys


@pytest.fixture(params=over(memory, sandbox, live))
def end(request: pytest.FixtureRequest) -> Iterator[End]:
    yield from request.param(request, f"contract-{uuid.uuid4().hex[:12]}")


def test_an_account_that_may_list_models_has_access(end: End) -> None:
    end.registry.check_access()


# models


@pytest.mark.parametrize("scope", ["model", "version"])
def test_models_of_ours_are_named_and_nobody_elses(end: End, scope: str) -> None:
    end.mood(label_scope=scope)
    model, theirs = end.model, f"{end.model}-theirs"
    end.add()
    end.model = theirs
    end.add_foreign(end.folder("v1"))

    named = end.registry.models()

    assert model in named
    assert theirs not in named
    assert list(named) == sorted(named)


def test_models_are_named_however_many_there_are(end: End) -> None:
    end.mood(commit_delay=0)  # not with the real service: it takes hours
    name, wanted = end.model, set()
    for number in range(101):
        end.model = f"{name}-{number}"
        wanted.add(end.model)
        end.register()

    assert wanted <= set(end.registry.models())


# observe


def test_a_model_that_is_not_there_does_not_exist(end: End) -> None:
    state = end.registry.observe(end.model)

    assert (state.model, state.exists, state.versions) == (end.model, False, ())


def test_a_version_is_seen_with_its_folder_and_our_mark(end: End) -> None:
    version_id = end.add()

    state = end.registry.observe(end.model)

    assert (state.exists, state.committed) == (True, frozenset())
    assert state.versions == (ModelVersion(version_id, end.folder("v7"), frozenset({DEFAULT}), marked=True),)


def test_versions_are_seen_oldest_first_however_many_there_are(end: End) -> None:
    ids = [end.add(f"v{number}") for number in range(11)]

    assert [version.id for version in end.versions()] == ids
    assert ids == sorted(ids, key=int)


def test_more_versions_than_a_page_holds_are_all_seen(end: End) -> None:
    end.mood(commit_delay=0)  # not with the real service: it takes hours
    for number in range(101):
        end.register(f"v{number}")

    assert [version.artifact_uri for version in end.versions()] == [end.folder(f"v{n}") for n in range(101)]


def test_a_folder_ends_in_a_slash_whoever_registered_it(end: End) -> None:
    end.add_foreign(end.folder("v1"))

    assert [version.artifact_uri for version in end.versions()] == [end.folder("v1")]


def test_what_somebody_else_registered_has_not_our_mark(end: End) -> None:
    end.add_foreign(end.folder("v1"))

    assert [version.marked for version in end.versions()] == [False]


@pytest.mark.parametrize("scope", ["model", "version"])
def test_ours_have_our_mark_whosever_a_models_labels_are(end: End, scope: str) -> None:
    end.mood(label_scope=scope)

    end.add("v1")
    end.add("v2")

    assert [version.marked for version in end.versions()] == [True, True]


def test_our_mark_is_not_on_what_somebody_else_adds_to_our_model(end: End) -> None:
    end.mood(label_scope="version")
    end.add("v1")

    end.add_foreign(end.folder("v2"))

    assert [version.marked for version in end.versions()] == [True, False]


# register


def test_a_new_version_has_no_alias_and_default_stays_where_it_was(end: End) -> None:
    first, second = end.add("v1"), end.add("v2")

    assert first != second
    assert end.aliases() == {"default": first}


def test_registering_twice_makes_two_versions(end: End) -> None:
    assert end.add("v1") != end.add("v1")


def test_a_registration_takes_its_time(end: End) -> None:
    end.mood(commit_delay=60.0)
    name = end.register()

    assert not end.registry.operation(name).done
    assert end.versions() == ()
    assert end.registry.running(end.model) == (name,)
    end.clock.sleep(60)
    operation = end.registry.operation(name)
    assert (operation.done, operation.version_id, operation.error) == (True, end.versions()[0].id, None)
    assert end.registry.running(end.model) == ()


def test_an_operation_that_runs_is_told_however_many_have_ended(end: End) -> None:
    end.mood(commit_delay=0)
    for number in range(101):
        end.register(f"v{number}")
    end.mood(commit_delay=60.0)

    name = end.register("v102")

    assert end.registry.running(end.model) == (name,)


def test_a_model_without_operations_has_none_running(end: End) -> None:
    assert end.registry.running(end.model) == ()


def test_an_operation_that_is_forgotten_is_done_and_says_nothing(end: End) -> None:
    end.add()
    name = end.register("v8")
    end.wait(name)

    operation = end.registry.operation(f"{name}987654321")

    assert (operation.done, operation.version_id, operation.error) == (True, None, None)


def test_of_two_first_versions_at_once_one_fails_for_now_and_the_model_is_not_doubled(end: End) -> None:
    end.mood(commit_delay=60.0)
    first, second = end.register("v1"), end.register("v2")
    end.clock.sleep(60)

    assert end.registry.operation(first).version_id == "1"
    failed = end.registry.operation(second)
    assert (failed.done, failed.version_id, failed.lasting) == (True, None, False)
    assert failed.error
    assert [version.artifact_uri for version in end.versions()] == [end.folder("v1")]


def test_a_model_that_has_come_to_exist_is_not_made_and_nothing_happened(end: End) -> None:
    end.add("v1")

    with pytest.raises(TryAgain) as there:
        end.register("v2", first=True)

    assert there.value.nothing_happened
    assert [version.artifact_uri for version in end.versions()] == [end.folder("v1")]


def test_a_model_that_is_gone_is_not_made_again_unasked_and_nothing_happened(end: End) -> None:
    with pytest.raises(TryAgain) as gone:
        end.register(first=False)

    assert gone.value.nothing_happened
    assert not end.registry.observe(end.model).exists


def test_a_reply_that_is_lost_says_nothing_and_the_version_comes_to_exist(end: End) -> None:
    end.lose("register")

    with pytest.raises(TryAgain) as lost:
        end.register()

    assert not lost.value.nothing_happened
    assert len(end.versions()) == 1


# aliases


def test_an_alias_names_one_version_at_a_time(end: End) -> None:
    first, second = end.add("v1"), end.add("v2")
    end.registry.move_alias(end.model, PRODUCTION, first)
    assert end.aliases() == {"default": first, "production": first}

    end.registry.move_alias(end.model, PRODUCTION, second)

    assert end.aliases() == {"default": first, "production": second}


@pytest.mark.parametrize("conflict", ["move", "reject"])
def test_an_alias_moves_whether_the_service_takes_it_from_another_version_or_refuses_to(
    end: End, conflict: str
) -> None:
    end.mood(alias_conflict=conflict)
    first, second = end.add("v1"), end.add("v2")
    for version_id in (first, second, first):
        end.registry.move_alias(end.model, PRODUCTION, version_id)
        assert end.aliases()["production"] == version_id


def test_default_moves_as_any_other_alias(end: End) -> None:
    end.add("v1")
    second = end.add("v2")

    end.registry.move_alias(end.model, DEFAULT, second)

    assert end.aliases() == {"default": second}


def test_moving_an_alias_to_where_it_is_changes_nothing(end: End) -> None:
    version_id = end.add()
    for _ in range(2):
        end.registry.move_alias(end.model, PRODUCTION, version_id)

    assert end.aliases() == {"default": version_id, "production": version_id}


def test_moving_one_alias_leaves_the_others(end: End) -> None:
    first, second = end.add("v1"), end.add("v2")
    end.registry.move_alias(end.model, PRODUCTION, first)
    end.registry.move_alias(end.model, STAGING, first)

    end.registry.move_alias(end.model, STAGING, second)

    assert end.aliases() == {"default": first, "production": first, "staging": second}


def test_an_alias_that_cannot_be_set_stays_where_it_was(end: End) -> None:
    version_id = end.add()
    end.registry.move_alias(end.model, PRODUCTION, version_id)

    with pytest.raises((TryAgain, NeedsPerson)):
        end.registry.move_alias(end.model, PRODUCTION, "99")

    assert end.aliases().get("production") == version_id


def test_a_move_whose_reply_was_lost_is_made_by_moving_again(end: End) -> None:
    first, second = end.add("v1"), end.add("v2")
    end.registry.move_alias(end.model, PRODUCTION, first)
    end.lose("move_alias")
    with contextlib.suppress(TryAgain):
        end.registry.move_alias(end.model, PRODUCTION, second)

    end.registry.move_alias(end.model, PRODUCTION, second)

    assert end.aliases()["production"] == second


def test_an_alias_is_set_on_a_version_that_is_not_listed_yet(end: End) -> None:
    end.mood(list_lag=60.0)
    version_id = end.add()

    end.registry.move_alias(end.model, PRODUCTION, version_id)

    there = end.registry.version(end.model, version_id)
    assert there is not None
    assert PRODUCTION in there.aliases
    assert end.registry.observe(end.model).versions == ()


@pytest.mark.parametrize("conflict", ["move", "reject"])
def test_an_alias_is_found_and_moves_though_its_version_is_not_listed_yet(end: End, conflict: str) -> None:
    end.mood(list_lag=60.0, alias_conflict=conflict)
    first, second = end.add("v1"), end.add("v2")
    assert end.registry.holder(end.model, PRODUCTION) is None
    end.registry.move_alias(end.model, PRODUCTION, first)
    assert end.registry.holder(end.model, PRODUCTION) == end.registry.version(end.model, first)

    end.registry.move_alias(end.model, PRODUCTION, second)

    assert end.registry.holder(end.model, PRODUCTION) == end.registry.version(end.model, second)
    assert end.registry.observe(end.model).versions == ()


def test_an_alias_is_removed_from_a_version_that_is_not_listed_yet(end: End) -> None:
    end.mood(list_lag=60.0)
    version_id = end.add()
    end.registry.move_alias(end.model, PRODUCTION, version_id)

    end.registry.remove_alias(end.model, PRODUCTION, version_id)

    assert end.registry.holder(end.model, PRODUCTION) is None
    assert end.registry.observe(end.model).versions == ()


def test_nobody_has_an_alias_of_a_model_that_is_not_there(end: End) -> None:
    assert end.registry.holder(end.model, PRODUCTION) is None


def test_a_version_that_is_not_there_is_none(end: End) -> None:
    assert end.registry.version(end.model, "1") is None
    end.add()
    assert end.registry.version(end.model, "99") is None
    there = end.registry.version(end.model, "1")
    assert there == end.versions()[0]


def test_an_alias_is_removed_and_the_others_stay(end: End) -> None:
    version_id = end.add()
    end.registry.move_alias(end.model, PRODUCTION, version_id)
    end.registry.move_alias(end.model, STAGING, version_id)

    for _ in range(2):
        end.registry.remove_alias(end.model, STAGING, version_id)

    assert end.aliases() == {"default": version_id, "production": version_id}


def test_an_alias_is_not_removed_from_a_version_that_it_does_not_name(end: End) -> None:
    first, second = end.add("v1"), end.add("v2")
    end.registry.move_alias(end.model, PRODUCTION, first)

    end.registry.remove_alias(end.model, PRODUCTION, second)

    assert end.aliases()["production"] == first


def test_removing_an_alias_from_what_is_not_there_is_no_error(end: End) -> None:
    end.registry.remove_alias(end.model, PRODUCTION, "1")
    end.add()
    end.registry.remove_alias(end.model, PRODUCTION, "99")

    assert end.aliases().keys() == {"default"}


def test_a_removal_whose_reply_was_lost_is_made_by_removing_again(end: End) -> None:
    version_id = end.add()
    end.registry.move_alias(end.model, PRODUCTION, version_id)
    end.lose("remove_alias")
    with contextlib.suppress(TryAgain):
        end.registry.remove_alias(end.model, PRODUCTION, version_id)

    end.registry.remove_alias(end.model, PRODUCTION, version_id)

    assert end.aliases() == {"default": version_id}


def test_default_cannot_be_removed(end: End) -> None:
    version_id = end.add()

    with pytest.raises(NeedsPerson):
        end.registry.remove_alias(end.model, DEFAULT, version_id)

    assert end.aliases() == {"default": version_id}


def test_a_lost_reply_is_lost_once(end: End) -> None:
    end.lose("register")
    with pytest.raises(TryAgain):
        end.register("v1")

    assert end.add("v2") == "2"


@pytest.mark.sandbox
@pytest.mark.parametrize("end", [sandbox], indirect=True)
def test_an_alias_that_does_not_show_where_it_was_set_is_not_believed(end: End, world: World) -> None:
    end.add("v1")
    version_id = end.add("v2")
    assert end.registry.version(end.model, version_id) in end.versions()  # what stale answers will repeat
    for method in ("GetModel", "ListModelVersions"):
        world.traffic.faults.arm(Fault("vertex", "stale_list", method=method))

    with pytest.raises(TryAgain, match=f"was set on @{version_id}, but does not show there yet"):
        end.registry.move_alias(end.model, PRODUCTION, version_id)

    end.registry.move_alias(end.model, PRODUCTION, version_id)
    assert end.aliases() == {"default": "1", "production": version_id}


@pytest.mark.sandbox
@pytest.mark.parametrize("end", [sandbox], indirect=True)
@pytest.mark.parametrize("asked", [["GetModel"], ["GetModel", "GetModel"]], ids=len)
def test_an_alias_that_an_old_answer_does_not_show_is_removed_all_the_same(
    end: End, world: World, asked: list[str]
) -> None:
    other, version_id = end.add("v1"), end.add("v2")
    end.registry.move_alias(end.model, PRODUCTION, other)
    assert end.registry.holder(end.model, PRODUCTION) is not None  # what old answers will repeat
    assert end.registry.version(end.model, version_id) is not None
    end.registry.move_alias(end.model, PRODUCTION, version_id)
    assert end.registry.version(end.model, version_id) in end.versions()
    for method in asked:
        world.traffic.faults.arm(Fault("vertex", "stale_list", method=method))

    with contextlib.suppress(TryAgain):  # that it is gone may not show yet
        end.registry.remove_alias(end.model, PRODUCTION, version_id)

    assert end.aliases() == {"default": other}


# marks


@pytest.mark.parametrize("scope", ["model", "version"])
def test_a_version_of_nobody_is_marked_ours_and_keeps_what_it_had(end: End, scope: str) -> None:
    end.mood(label_scope=scope)
    version_id = end.add_nobodys(end.folder("v1"))
    assert [version.marked for version in end.versions()] == [False]

    for _ in range(2):
        end.registry.mark_ours(end.model, version_id)

    assert end.versions() == (ModelVersion(version_id, end.folder("v1"), frozenset({DEFAULT}), marked=True),)


def test_marking_one_version_marks_no_other(end: End) -> None:
    first, second = end.add_nobodys(end.folder("v1")), end.add_nobodys(end.folder("v2"))

    end.registry.mark_ours(end.model, second)

    assert {version.id: version.marked for version in end.versions()} == {first: False, second: True}


def test_what_is_ours_is_marked_again_without_harm(end: End) -> None:
    version_id = end.add()
    before = end.versions()

    end.registry.mark_ours(end.model, version_id)

    assert end.versions() == before


def test_the_version_of_another_owner_is_seen_as_such_and_not_marked(end: End) -> None:
    end.add_foreign(end.folder("v1"))
    [theirs] = before = end.versions()
    assert theirs.owner is not None

    with pytest.raises(NeedsPerson, match=f"{theirs.owner}"):
        end.registry.mark_ours(end.model, theirs.id)

    assert end.versions() == before


def test_a_version_that_is_not_there_is_not_marked(end: End) -> None:
    for _ in range(2):
        with pytest.raises(NotFound, match="no version @99"):
            end.registry.mark_ours(end.model, "99")
        end.add()


def test_a_mark_whose_reply_was_lost_is_set_by_marking_again(end: End) -> None:
    version_id = end.add_nobodys(end.folder("v1"))
    end.lose("mark_ours")
    with contextlib.suppress(TryAgain):
        end.registry.mark_ours(end.model, version_id)

    end.registry.mark_ours(end.model, version_id)

    assert end.versions()[0].marked


def test_a_version_is_marked_as_a_duplicate_until_it_is_taken_for_ours_again(end: End) -> None:
    first, second = end.add("v1"), end.add("v1")

    for _ in range(2):
        end.registry.mark_duplicate(end.model, second, first)

    assert [(version.id, version.marked, version.duplicate) for version in end.versions()] == [
        (first, True, False),
        (second, True, True),
    ]
    end.registry.mark_ours(end.model, second)
    assert [version.duplicate for version in end.versions()] == [False, False]


def test_what_is_not_there_or_another_owners_is_not_marked_as_a_duplicate(end: End) -> None:
    end.add_foreign(end.folder("v1"))
    before = end.versions()

    with pytest.raises(NeedsPerson):
        end.registry.mark_duplicate(end.model, "1", "2")
    with pytest.raises(NotFound):
        end.registry.mark_duplicate(end.model, "99", "1")

    assert end.versions() == before


# delete


def deleted(end: End, version_id: str) -> None:
    name = end.registry.delete(end.model, version_id)
    assert name is not None
    operation = end.wait(name)
    assert (operation.error, operation.version_id) == (None, None)


def test_a_version_is_deleted_and_its_id_is_not_there_any_more(end: End) -> None:
    first, second = end.add("v1"), end.add("v2")

    deleted(end, second)

    assert [version.id for version in end.versions()] == [first]
    assert end.registry.version(end.model, second) is None


def test_deleting_a_version_that_is_not_there_does_nothing(end: End) -> None:
    end.add("v1")
    second = end.add("v2")
    deleted(end, second)

    assert end.registry.delete(end.model, second) is None
    assert end.registry.delete(f"{end.model}-absent", "1") is None


def test_a_version_with_default_is_not_deleted(end: End) -> None:
    first, second = end.add("v1"), end.add("v2")
    end.mood(delete_default="reject")

    with pytest.raises(NeedsPerson):
        end.registry.delete(end.model, first)
    assert [version.id for version in end.versions()] == [first, second]


def test_a_version_that_is_deployed_says_where_and_is_not_deleted(end: End) -> None:
    end.add("v1")
    second = end.add("v2")
    endpoint = end.deploy(second)

    assert [version.endpoints for version in end.versions()] == [(), (endpoint,)]
    there = end.registry.version(end.model, second)
    assert there is not None
    assert there.endpoints == (endpoint,)
    with pytest.raises(NeedsPerson):
        end.registry.delete(end.model, second)
    assert end.registry.version(end.model, second) == there


def test_a_deletion_whose_reply_is_lost_may_have_happened(end: End) -> None:
    end.add("v1")
    second = end.add("v2")
    end.lose("delete")

    with pytest.raises(TryAgain):
        end.registry.delete(end.model, second)
    assert end.registry.version(end.model, second) is None
    assert end.registry.delete(end.model, second) is None
