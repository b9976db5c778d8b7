"""Automations of the W&B stand-in: made by the real SDK, triggered by it, received over HTTP."""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import requests

from bridge.sandbox.clock import SandboxClock
from bridge.sandbox.traffic import Traffic
from bridge.sandbox.wandb.server import WandbServer
from bridge.sandbox.wandb.switches import WandbSwitches

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import ModuleType

    import wandb

pytestmark = pytest.mark.sandbox

Value = Any  # of the SDK's own types, of JSON, or of a switch

ALICE, BOB = ("local-" + letter * 40 for letter in "ab")
TEAM, ORG_ENTITY = "acme-team", "acme_org"
REGISTRY = f"{ORG_ENTITY}/wandb-registry-model"
PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
TEMPLATE = {
    "event": "${event_type}",
    "alias": "${alias}",
    "tag": "${tag}",
    "collection": "${artifact_collection_name}",
    "version": "${artifact_version_string}",
}


# The receiving end


@dataclass(frozen=True, slots=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Value:
        return json.loads(self.body)


@dataclass(slots=True)
class Receiver:
    """Answers a POST with the status that its path names, `/302` for instance; `/slow` only once `go` is set."""

    url: str = ""
    all: list[Received] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)

    def receive(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        self.all.append(Received(handler.path, dict(handler.headers), body))
        self.arrived.set()
        status = 202
        if handler.path == "/slow":
            self.go.wait(10)
        elif handler.path != "/":
            status = int(handler.path.strip("/"))
        handler.send_response(status)
        handler.send_header("Location", f"{self.url}/202")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    def clear(self) -> None:
        self.all.clear()
        self.arrived.clear()
        self.go.clear()

    def told(self, key: str) -> list[Value]:
        """Return one value of every payload."""
        return [received.json[key] for received in self.all]


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.receive(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        receiver.url = f"http://127.0.0.1:{httpd.server_port}"
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield receiver
        httpd.shutdown()
        thread.join()


# The sending end


def graphql(server: WandbServer, query: str, key: str = ALICE, **variables: object) -> Value:
    """Ask without the SDK."""
    answer = requests.post(
        f"{server.url}/graphql", json={"query": query, "variables": variables}, auth=("api", key), timeout=10
    )
    return answer.json()


def change(server: WandbServer, name: str, given: Mapping[str, object], shape: str, key: str = ALICE) -> Value:
    kind = name[0].upper() + name[1:] + "Input"
    return graphql(
        server, f"mutation M($input: {kind}!) {{ {name}(input: $input) {{ {shape} }} }}", key=key, input=given
    )


def message(answer: Value) -> str:
    text: str = answer["errors"][0]["message"]
    return text


@dataclass(frozen=True, slots=True)
class Bench:
    sdk: ModuleType  # wandb, imported when the environment was ready
    words: ModuleType  # wandb.automations
    server: WandbServer
    clock: SandboxClock
    receiver: Receiver
    run: wandb.Run
    folder: Path

    def api(self) -> wandb.Api:
        """Return a client that remembers nothing of this server's features."""
        api: wandb.Api = self.sdk.Api(overrides={"base_url": self.server.url}, api_key=ALICE, timeout=30)
        return api

    def seed(self, name: str, *aliases: str, **options: Value) -> None:
        self.server.seed_version(f"{REGISTRY}/{name}", {"f": name.encode()}, aliases=aliases, **options)

    def version(self, name: str) -> wandb.Artifact:
        version: wandb.Artifact = self.api().artifact(f"{REGISTRY}/{name}")
        return version

    def collection(self, name: str) -> Value:
        return self.api().artifact_collection("model", f"{REGISTRY}/{name}")

    def integration(self, name: str, url: str | None = None, **secrets: str) -> Value:
        """Make a webhook integration with the SDK's own document; the SDK has no method for it yet."""
        generated = importlib.import_module("wandb.automations._generated")
        given = generated.CreateGenericWebhookIntegrationInput(
            entity_name=TEAM, name=name, url_endpoint=url or self.receiver.url, **secrets
        )
        made = self.api()._service_api.execute_graphql(  # noqa: SLF001  what its methods use
            generated.CREATE_GENERIC_WEBHOOK_INTEGRATION_GQL,
            variables={"input": given.model_dump()},
            parse=generated.CreateGenericWebhookIntegration.model_validate_json,
        )
        return self.words.WebhookIntegration.model_validate(made.result.integration)

    def automate(self, name: str, event: Value, payload: Value = TEMPLATE, url: str | None = None) -> Value:
        """Have a webhook of its own sent on an event."""
        action = self.words.SendWebhook.from_integration(self.integration(name, url), payload=payload)
        return self.api().create_automation(event >> action, name=name)

    def on_alias(self, name: str, filter: Value = None, **options: Value) -> Value:  # noqa: A002  the SDK's name
        """Have a webhook sent when an alias is added in a collection, which is made if it is new."""
        if not options.pop("is_there", False):
            self.seed(name)
        criteria = {} if filter is None else {"filter": filter}
        event = self.words.OnAddArtifactAlias(scope=self.collection(name), **criteria)
        return self.automate(name, event, **options)

    def alias(self, name: str, *aliases: str, at: str = "v0") -> None:
        version = self.version(f"{name}:{at}")
        version.aliases.extend(aliases)
        version.save()

    def told(self, key: str = "alias") -> list[Value]:
        """Wait until all webhooks are sent; return one value of each payload."""
        self.server.wait_for_deliveries()
        return self.receiver.told(key)

    def history(self) -> list[tuple[str, int | None]]:
        self.server.wait_for_deliveries()
        return [(delivery.state, delivery.http_status) for delivery in self.server.deliveries()]

    @contextmanager
    def switched(self, **settings: Value) -> Iterator[None]:
        self.server.switches = replace(WandbSwitches(), **settings)
        try:
            yield
        finally:
            self.server.switches = WandbSwitches()


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("wandb")
    clock = SandboxClock()
    server = WandbServer(folder / "server", traffic=Traffic(), clock=clock)
    server.create_organization("Acme")
    server.create_team(TEAM, organization="Acme")
    server.create_user("alice", api_key=ALICE, organization="Acme", team=TEAM)
    server.create_user("bob", api_key=BOB)
    server.start()
    with pytest.MonkeyPatch.context() as environment:
        for proxy in PROXIES:
            environment.delenv(proxy, raising=False)
        environment.setenv("WANDB_BASE_URL", server.url)
        environment.setenv("WANDB_API_KEY", ALICE)
        environment.setenv("WANDB_SILENT", "true")
        for name in ("DIR", "CACHE_DIR", "DATA_DIR", "CONFIG_DIR", "ARTIFACT_DIR"):
            environment.setenv(f"WANDB_{name}", str(folder / name.lower()))
            (folder / name.lower()).mkdir()
        sdk = importlib.import_module("wandb")
        sdk.teardown()  # what another test module may have left
        run = sdk.init(project="train", entity=TEAM)
        try:
            yield Bench(sdk, importlib.import_module("wandb.automations"), server, clock, receiver, run, folder)
        finally:
            run.finish()
            sdk.teardown()
            server.stop()


@pytest.fixture
def bench(started: Bench) -> Iterator[Bench]:
    """Lend the server, and take it back without automations and the receiver without memories."""
    yield started
    started.receiver.go.set()
    started.server.wait_for_deliveries()
    api = started.api()
    for entity in (TEAM, ORG_ENTITY):
        for automation in list(api.automations(entity=entity)):
            api.delete_automation(automation)
    assert started.server.deliveries() == []  # history goes with its automation
    started.receiver.clear()


# What is sent


def test_an_added_alias_sends_the_payload_filled_in_and_signed(bench: Bench) -> None:
    bench.server.set_secret(TEAM, "BRIDGE_TOKEN", "to ken")
    bench.server.set_secret(TEAM, "BRIDGE_SECRET", "old")
    bench.server.set_secret(TEAM, "BRIDGE_SECRET", 'se"cret')
    metadata = {"auc": 0.9, "note": 'a "good"\none', "nested": {"deep": 1}}
    bench.seed("signed", metadata=metadata)
    hook = bench.integration("signed", access_token_ref="BRIDGE_TOKEN", secret_ref="BRIDGE_SECRET")
    payload = {
        "where": "${entity_name}/${project_name}/${artifact_collection_name}",
        "what": "${event_type} ${alias} by ${event_author}",
        "tag": "${tag}",
        "version": ["${artifact_version}", "${artifact_version_string}"],
        "metadata": "${artifact_metadata.auc} ${artifact_metadata.note} ${artifact_metadata.nested}",
        "missing": "${artifact_metadata.f1}",
        "secrets": "${ACCESS_TOKEN} ${BRIDGE_SECRET}",
        "unknown": "${nobody_knows} ${SECRET_NAME}",
    }
    event = bench.words.OnAddArtifactAlias(scope=bench.collection("signed"))
    action = bench.words.SendWebhook.from_integration(hook, payload=payload)
    bench.api().create_automation(event >> action, name="signed")
    bench.alias("signed", "production")
    bench.server.wait_for_deliveries()
    [received] = bench.receiver.all
    assert received.json == {
        "where": f"{REGISTRY}/signed",
        "what": "ADD_ARTIFACT_ALIAS production by alice",
        "tag": "",
        "version": [
            f"wandb-artifact://_id/{bench.version('signed:v0').id}",
            f"{REGISTRY}/signed:production",
        ],
        "metadata": '0.9 a "good"\none {"deep": 1}',
        "missing": "",
        "secrets": 'to ken se"cret',
        "unknown": "${nobody_knows} ${SECRET_NAME}",
    }
    assert received.headers["Content-Type"] == "application/json"
    assert received.headers["Authorization"] == "Bearer to ken"
    mac = hmac.digest(b'se"cret', received.body, hashlib.sha256)
    assert received.headers["X-Wandb-Signature"] == base64.b64encode(mac).decode()
    [delivery] = bench.server.deliveries()
    assert (delivery.automation, delivery.event_type) == ("signed", "ADD_ARTIFACT_ALIAS")
    assert (delivery.state, delivery.http_status, delivery.reason) == ("Finished", 202, None)
    assert delivery.body == received.body
    assert delivery.ended_at is not None
    assert delivery.happened_at <= delivery.ended_at <= bench.clock.now()


def test_without_secrets_nothing_is_signed_and_without_a_template_an_empty_object_is_sent(bench: Bench) -> None:
    bench.on_alias("plain", payload=None)
    bench.alias("plain", "x")
    bench.server.wait_for_deliveries()
    [received] = bench.receiver.all
    assert received.body == b"{}"
    assert {"Authorization", "X-Wandb-Signature"}.isdisjoint(received.headers)


@pytest.mark.parametrize(("setting", "signed"), [("base64", True), ("none", False)])
def test_an_empty_secret_signs_or_does_not_as_the_switch_says(bench: Bench, setting: str, signed: object) -> None:
    bench.server.set_secret(TEAM, "EMPTY", "")
    name = f"empty-{setting}"
    bench.seed(name)
    hook = bench.integration(name, access_token_ref="NEVER_SET", secret_ref="EMPTY")
    event = bench.words.OnAddArtifactAlias(scope=bench.collection(name))
    bench.api().create_automation(event >> bench.words.SendWebhook.from_integration(hook), name=name)
    with bench.switched(webhook_signature=setting):
        bench.alias(name, "x")
    bench.server.wait_for_deliveries()
    [received] = bench.receiver.all
    mac = base64.b64encode(hmac.digest(b"", received.body, hashlib.sha256)).decode()
    assert received.headers.get("X-Wandb-Signature") == (mac if signed else None)
    assert "Authorization" not in received.headers


def test_a_secret_needs_a_team(bench: Bench) -> None:
    with pytest.raises(LookupError, match="no entity 'nobody'"):
        bench.server.set_secret("nobody", "x", "y")


# Which events


def test_a_removed_alias_is_no_event_and_a_moved_one_is_one(bench: Bench) -> None:
    bench.seed("moving")
    bench.server.seed_version(f"{REGISTRY}/moving", {"f": b"2"})
    bench.on_alias("moving", is_there=True)
    bench.alias("moving", "best")
    bench.alias("moving", "best")  # it is there already
    assert bench.told("version") == [f"{REGISTRY}/moving:best"]
    bench.alias("moving", "best", at="v1")
    assert bench.told() == ["best", "best"]
    version = bench.version("moving:v1")
    version.aliases.remove("best")
    version.save()
    assert bench.told() == ["best", "best"]


@pytest.mark.parametrize(
    ("write", "heard"),
    [
        (lambda alias: alias.eq("prod"), ["prod"]),
        (lambda alias: alias.ne("prod"), ["prod-eu", "test"]),
        (lambda alias: alias.in_(["prod", "test"]), ["prod", "test"]),
        (lambda alias: alias.not_in(["prod", "test"]), ["prod-eu"]),
        (lambda alias: alias.matches_regex("^prod"), ["prod", "prod-eu"]),
        (lambda alias: alias.contains("-e"), ["prod-eu"]),
        (lambda alias: alias.contains("o") & ~alias.eq("prod"), ["prod-eu"]),
        (lambda alias: alias.eq("prod") | alias.eq("test"), ["prod", "test"]),
        (lambda alias: alias.exists(False), []),
    ],
)
def test_an_event_filter_is_honoured(bench: Bench, write: Value, heard: list[str]) -> None:
    name = f"filtered-{abs(hash(write))}"
    bench.on_alias(name, filter=write(bench.words.ArtifactEvent.alias))
    for alias in ("prod", "prod-eu", "test"):
        bench.alias(name, alias)
    assert bench.told() == heard


def test_a_link_is_one_event_with_all_its_aliases_and_each_of_them_is_one_more(bench: Bench) -> None:
    registry = bench.api().registry("model", "Acme")
    alias = bench.words.ArtifactEvent.alias
    bench.automate("linked", bench.words.OnLinkArtifact(scope=registry))
    bench.automate("linked-prod", bench.words.OnLinkArtifact(scope=registry, filter=alias.eq("prod")))
    bench.automate("aliased", bench.words.OnAddArtifactAlias(scope=registry))
    artifact = log(bench, "linking")
    bench.run.link_artifact(artifact, f"{REGISTRY}/linking")
    assert sorted(bench.told("event")) == ["ADD_ARTIFACT_ALIAS", "LINK_ARTIFACT"]
    bench.receiver.clear()
    bench.run.link_artifact(artifact, f"{REGISTRY}/linking", aliases=["prod"])  # is linked already
    assert bench.told() == ["prod"]
    bench.receiver.clear()
    bench.run.link_artifact(artifact, f"{REGISTRY}/elsewhere", aliases=["prod"])
    told = list(zip(bench.told("event"), bench.told(), bench.told("version"), strict=True))
    linked = ("LINK_ARTIFACT", "", f"{REGISTRY}/elsewhere:v0")
    added = [("ADD_ARTIFACT_ALIAS", alias, f"{REGISTRY}/elsewhere:{alias}") for alias in ("prod", "latest")]
    assert told == [linked, linked, *added]


def test_an_unlinked_version_is_an_event(bench: Bench) -> None:
    bench.seed("unlinked")
    bench.automate("unlinked", bench.words.OnUnlinkArtifact(scope=bench.collection("unlinked")))
    bench.version("unlinked:v0").unlink()
    assert bench.told("event") == ["UNLINK_ARTIFACT"]
    assert bench.receiver.told("version") == [f"{REGISTRY}/unlinked:v0"]


def test_a_created_version_is_an_event_where_it_was_born(bench: Bench) -> None:
    log(bench, "born", b"0")
    sequence = bench.api().artifact_collection("model", f"{TEAM}/train/born")
    bench.automate("created", bench.words.OnCreateArtifact(scope=sequence))
    bench.automate("tagged", bench.words.OnAddArtifactTag(scope=sequence))
    log(bench, "born", b"1", tags=["fresh"])
    assert bench.told("event") == ["CREATE_ARTIFACT", "ADD_ARTIFACT_TAG"]
    assert bench.receiver.told("version") == [f"{TEAM}/train/born:v1"] * 2
    assert bench.receiver.told("tag") == ["", "fresh"]
    log(bench, "born", b"1")  # the same content is no new version
    assert len(bench.told()) == 2


def test_a_tag_of_a_version_is_an_event_once_wherever_it_is_linked(bench: Bench) -> None:
    artifact = log(bench, "tagged")
    bench.run.link_artifact(artifact, f"{REGISTRY}/tagged")
    bench.run.link_artifact(artifact, f"{REGISTRY}/tagged-too")
    registry = bench.api().registry("model", "Acme")
    tag = bench.words.ArtifactEvent.tag
    bench.automate("tag-added", bench.words.OnAddArtifactTag(scope=registry, filter=tag.ne("boring")))
    bench.automate("tag-removed", bench.words.OnRemoveArtifactTag(scope=registry))
    version = bench.version("tagged:v0")
    version.tags = ["seen", "boring"]
    version.save()
    assert (bench.told("event"), bench.told("tag")) == (["ADD_ARTIFACT_TAG"], ["seen"])
    version.tags = ["boring"]
    version.save()
    assert (bench.told("event")[1:], bench.told("tag")[1:]) == (["REMOVE_ARTIFACT_TAG"], ["seen"])


def test_a_tag_of_a_collection_is_an_event_without_a_version(bench: Bench) -> None:
    bench.seed("shelf")
    bench.automate("shelf-added", bench.words.OnAddCollectionTag(scope=bench.collection("shelf")))
    bench.automate("shelf-removed", bench.words.OnRemoveCollectionTag(scope=bench.collection("shelf")))
    for tags in (["top"], ["top"], []):
        shelf = bench.collection("shelf")
        shelf.tags = tags
        shelf.save()
    assert bench.told("event") == ["ADD_COLLECTION_TAG", "REMOVE_COLLECTION_TAG"]
    assert (bench.told("tag"), bench.told("version")) == (["top", "top"], ["", ""])
    same = {"entityName": ORG_ENTITY, "projectName": "wandb-registry-model", "artifactCollectionName": "shelf"}
    unknown = same | {"tags": [{"tagName": "unknown"}]}
    change(bench.server, "deleteArtifactCollectionTagAssignments", unknown, "success")
    assert len(bench.told()) == 2


def test_a_seeded_version_triggers_too_and_its_author_is_the_sandbox(bench: Bench) -> None:
    bench.seed("seeds")
    bench.on_alias("seeds", is_there=True, payload={"alias": "${alias}", "author": "${event_author}"})
    bench.server.seed_version(f"{REGISTRY}/seeds", {"f": b"2"}, aliases=["production"])
    assert bench.told() == ["production", "latest"]
    assert bench.told("author") == ["sandbox", "sandbox"]


# Where they happen


def test_a_scope_hears_what_happens_inside_it_and_nothing_else(bench: Bench) -> None:
    api = bench.api()
    bench.seed("inside")
    bench.seed("outside")
    where = {"place": "${entity_name}/${project_name}/${artifact_collection_name}"}
    scopes = {
        "collection": bench.collection("inside"),
        "registry": api.registry("model", "Acme"),
        "organization": api.organization("Acme"),
        "team": api.team(TEAM),
        "project": api.project("train", TEAM),
    }
    for name, scope in scopes.items():
        bench.automate(name, bench.words.OnAddArtifactAlias(scope=scope), {**where, "scope": name})
    for name, scope in scopes.items():
        saved = api.automation(name, entity=TEAM if name in ("team", "project") else ORG_ENTITY)
        assert (saved.scope.id, saved.name) == (bench.words.OnAddArtifactAlias(scope=scope).scope.id, name)
    bench.alias("inside", "x")
    assert bench.told("scope") == ["collection", "registry", "organization"]
    bench.receiver.clear()
    bench.alias("outside", "x")
    assert bench.told("scope") == ["registry", "organization"]
    assert set(bench.told("place")) == {f"{REGISTRY}/outside"}
    bench.receiver.clear()
    log(bench, "scoped")
    assert bench.told("scope") == ["team", "project"]
    assert set(bench.told("place")) == {f"{TEAM}/train/scoped"}


def log(bench: Bench, name: str, content: bytes = b"x", **options: Value) -> wandb.Artifact:
    """Log a version from the run and wait until it is committed."""
    artifact = bench.sdk.Artifact(name, "model")
    source = bench.folder / "source"
    source.write_bytes(content)
    artifact.add_file(str(source), name="f")
    logged: wandb.Artifact = bench.run.log_artifact(artifact, **options).wait()
    return logged


# Keeping automations


def test_automations_are_listed_by_entity_and_by_name(bench: Bench) -> None:
    api = bench.api()
    for name in ("list-a", "list-b", "list-c"):
        bench.on_alias(name)
    listed = api.automations(entity=ORG_ENTITY, per_page=1)
    assert [automation.name for automation in listed] == ["list-a", "list-b", "list-c"]
    assert list(api.automations(entity=TEAM)) == []
    one: Value = api.automation("list-b", entity=ORG_ENTITY)
    assert (one.enabled, one.description, one.updated_at) == (True, None, None)
    assert (one.event.event_type, one.action.action_type) == ("ADD_ARTIFACT_ALIAS", "GENERIC_WEBHOOK")
    assert one.action.request_payload == TEMPLATE
    assert (one.scope.name, type(one.scope).__name__) == ("list-b", "_ArtifactPortfolioScope")
    with pytest.raises(ValueError, match="No automations found"):
        api.automation("list-d", entity=ORG_ENTITY)
    assert sorted(automation.name for automation in api.automations()) == ["list-a", "list-b", "list-c"]


def test_an_older_server_lists_them_by_project(bench: Bench) -> None:
    bench.on_alias("older")
    with bench.switched(features_off=frozenset({"QUERY_AUTOMATIONS_ON_ENTITY"})):
        api = bench.api()
        assert [automation.name for automation in api.automations(entity=ORG_ENTITY)] == ["older"]
        assert [automation.name for automation in api.automations(name="older")] == ["older"]
        assert list(api.automations(entity=TEAM)) == []


def test_an_organization_lists_its_own_and_its_teams(bench: Bench) -> None:
    bench.on_alias("in-registry")
    bench.automate("in-team", bench.words.OnAddArtifactAlias(scope=bench.api().team(TEAM)))
    query = importlib.import_module("wandb.automations._generated").GET_ORG_AUTOMATIONS_GQL
    found = graphql(bench.server, query, org="Acme", perPage=5, order="-name")["data"]["scope"]["triggers"]
    assert [edge["node"]["name"] for edge in found["edges"]] == ["in-team", "in-registry"]
    nothing = graphql(bench.server, query, key=BOB, org="Acme", perPage=5)
    assert nothing["data"]["scope"]["triggers"]["edges"] == []


def test_an_outsider_sees_and_changes_nothing(bench: Bench) -> None:
    made = bench.on_alias("private")
    query = (
        '{ entity(name: "acme_org") { triggers { edges { node { id } } } }'
        ' team: entity(name: "acme-team") { integrations { edges { node { __typename } } } }'
        ' users(query: "alice") { edges { node { projects { edges { node { id } } } } } } }'
    )
    data = graphql(bench.server, query, key=BOB)["data"]
    assert data["entity"]["triggers"]["edges"] == data["team"]["integrations"]["edges"] == []
    assert data["users"]["edges"][0]["node"]["projects"]["edges"] == []
    refused = change(bench.server, "deleteTrigger", {"triggerID": made.id}, "success", key=BOB)
    assert "permission denied" in message(refused)
    bobs = change(bench.server, "createGenericWebhookIntegration", integration(), "integration { __typename }", key=BOB)
    assert "permission denied" in message(bobs)
    own = creation(bench, scopeType="PROJECT", scopeID=project_id(bench, BOB))
    assert "permission denied to integration" in message(
        change(bench.server, "createFilterTrigger", own, "trigger { id }", key=BOB)
    )


def project_id(bench: Bench, key: str) -> str:
    """Return the id of a project of this user's own."""
    given = {"entityName": "bob", "name": "mine"}
    made: str = change(bench.server, "upsertModel", given, "project { id }", key=key)["data"]["upsertModel"]["project"][
        "id"
    ]
    return made


def test_an_automation_can_be_changed_switched_off_and_deleted(bench: Bench) -> None:
    api = bench.api()
    made = bench.on_alias("changing")
    made.enabled = False
    made.description = "asleep"
    changed = api.update_automation(made)
    assert (changed.id, changed.enabled, changed.description) == (made.id, False, "asleep")
    assert changed.updated_at is not None
    bench.alias("changing", "unheard")
    assert bench.told() == []
    tag = bench.words.ArtifactEvent.tag.eq("t")
    event = bench.words.OnAddArtifactTag(scope=api.registry("model", "Acme"), filter=tag)
    action = bench.words.DoNothing()
    other: Value = api.update_automation(
        changed, name="changed", enabled=True, event=event, scope=event.scope, action=action
    )
    assert (other.name, other.description, other.scope.name) == ("changed", "asleep", "wandb-registry-model")
    assert (other.event.event_type, other.action.action_type) == ("ADD_ARTIFACT_TAG", "NO_OP")
    assert json.loads(other.event.filter.filter.model_dump_json()) == {"$or": [{"$and": [{"tag": {"$eq": "t"}}]}]}
    assert api.delete_automation(other) is True
    with pytest.raises(bench.sdk.errors.CommError, match="not found"):
        api.update_automation(other)


def test_a_name_is_given_once_per_entity(bench: Bench) -> None:
    api = bench.api()
    made = bench.on_alias("twice")
    event = bench.words.OnLinkArtifact(scope=bench.collection("twice")) >> bench.words.DoNothing()
    with pytest.raises(bench.sdk.errors.CommError, match="'twice' exists"):
        api.create_automation(event, name="twice")
    assert api.create_automation(event, name="twice", fetch_existing=True).id == made.id
    other = api.create_automation(event, name="once")
    renamed = change(bench.server, "updateFilterTrigger", {"id": other.id, "name": "twice"}, "trigger { id }")
    assert message(renamed) == "an automation named 'twice' exists already"


def test_doing_nothing_is_an_action_with_a_history(bench: Bench) -> None:
    bench.seed("idle")
    event = bench.words.OnAddArtifactAlias(scope=bench.collection("idle"))
    made = bench.api().create_automation(event >> bench.words.DoNothing(), name="idle")
    assert made.action.action_type == "NO_OP"
    bench.alias("idle", "x")
    assert bench.history() == [("Finished", None)]
    assert bench.receiver.all == []


def test_an_automation_goes_with_its_collection(bench: Bench) -> None:
    bench.on_alias("doomed")
    bench.collection("doomed").delete()
    assert list(bench.api().automations(entity=ORG_ENTITY)) == []


def test_an_automation_goes_with_its_project(bench: Bench) -> None:
    api = bench.api()
    registry = api.create_registry("doomed", visibility="organization", organization="Acme")
    bench.automate("doomed-registry", bench.words.OnLinkArtifact(scope=registry))
    registry.delete()
    assert list(api.automations(entity=ORG_ENTITY)) == []


def test_integrations_are_listed_for_their_team(bench: Bench) -> None:
    made = bench.integration("listed here", "https://hooks.example.com/x")
    api = bench.api()
    assert made in list(api.webhook_integrations(entity=TEAM, per_page=1))
    assert made.url_endpoint == "https://hooks.example.com/x"
    assert made.id in {integration.id for integration in api.integrations(entity=TEAM)}
    assert list(api.slack_integrations(entity=TEAM)) == []
    assert list(api.webhook_integrations(entity=ORG_ENTITY)) == []


# What is refused


def integration(**changed: object) -> dict[str, object]:
    return {"entityName": TEAM, "name": "refused", "urlEndpoint": "http://127.0.0.1:9"} | changed


def creation(bench: Bench, **changed: object) -> dict[str, object]:
    """Return an input that would make an automation, but for what is changed."""
    bench.seed("refusing")
    hooks = [hook for hook in bench.api().webhook_integrations(entity=TEAM) if hook.name == "refusing"]
    hook = hooks[0] if hooks else bench.integration("refusing")
    return {
        "name": "refused",
        "enabled": True,
        "scopeType": "ARTIFACT_COLLECTION",
        "scopeID": bench.collection("refusing").id,
        "triggeringEventType": "ADD_ARTIFACT_ALIAS",
        "eventFilter": "{}",
        "triggeredActionType": "GENERIC_WEBHOOK",
        "triggeredActionConfig": {"genericWebhookActionInput": {"integrationID": hook.id}},
    } | changed


def test_what_a_refusal_is_compared_with_is_accepted(bench: Bench) -> None:
    assert "errors" not in change(bench.server, "createFilterTrigger", creation(bench), "trigger { id }")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"triggeringEventType": "RUN_METRIC"}, "does not implement automations on RUN_METRIC"),
        ({"triggeringEventType": "UPDATE_ARTIFACT_ALIAS"}, "does not implement automations on UPDATE_ARTIFACT_ALIAS"),
        ({"triggeringEventType": "CREATE_ARTIFACT", "scopeType": "PROJECT"}, "Project"),
        ({"triggeredActionType": "NOTIFICATION"}, "does not implement automations that do NOTIFICATION"),
        ({"triggeredActionType": "ARIA"}, "does not implement automations that do ARIA"),
        ({"triggeredActionConfig": {}}, "needs a genericWebhookActionInput"),
        (
            {"triggeredActionConfig": {"genericWebhookActionInput": {"integrationID": "x"}}},
            "GenericWebhookIntegration x not found",
        ),
        ({"eventFilter": '{"color": "red"}'}, "unknown filter field 'color'"),
        ({"eventFilter": '{"alias": {"$size": 1}}'}, "unknown filter operator"),
        ({"eventFilter": '{"alias": {"$eq": ["a", "b"]}}'}, "does not implement the event filter"),
        ({"eventFilter": "nonsense"}, "a filter is not JSON"),
        ({"name": ""}, "invalid automation name"),
        ({"name": "x" * 256}, "invalid automation name"),
        ({"scopeID": "x"}, "ArtifactSequence x not found"),
    ],
)
def test_what_the_sandbox_cannot_do_is_refused_and_not_kept(bench: Bench, changed: Value, said: str) -> None:
    answer = change(bench.server, "createFilterTrigger", creation(bench, **changed), "trigger { id }")
    assert said in message(answer)
    assert list(bench.api().automations(entity=ORG_ENTITY)) == []


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # the SDK's own, in RunMetricFilter
def test_the_sdk_is_refused_run_events_and_slack(bench: Bench) -> None:
    api, words = bench.api(), bench.words
    metric = words.OnRunMetric(scope=api.project("train", TEAM), filter=words.RunEvent.metric("loss").lt(1))
    with pytest.raises(bench.sdk.errors.CommError, match="the sandbox does not implement automations on RUN_METRIC"):
        api.create_automation(metric >> words.DoNothing(), name="metric")
    bench.seed("slack")
    linked = words.OnLinkArtifact(scope=bench.collection("slack"))
    with pytest.raises(
        bench.sdk.errors.CommError, match="the sandbox does not implement automations that do NOTIFICATION"
    ):
        api.create_automation(linked >> words.SendNotification(integration_id="x"), name="slack")
    with pytest.raises(bench.sdk.errors.UnsupportedError):
        api.create_automation(linked >> words.SendPromptToAria(prompt="hello"), name="aria")


def test_a_payload_must_be_json(bench: Bench) -> None:
    given = creation(bench)
    config: Value = given["triggeredActionConfig"]
    config["genericWebhookActionInput"]["requestPayload"] = '{"alias": ${alias}}'
    assert "the payload is not JSON" in message(change(bench.server, "createFilterTrigger", given, "trigger { id }"))


def test_a_scope_must_fit(bench: Bench) -> None:
    def refused(**changed: object) -> str:
        return message(change(bench.server, "createFilterTrigger", creation(bench, **changed), "trigger { id }"))

    ids = graphql(
        bench.server,
        '{ project(entityName: "acme_org", name: "wandb-registry-model") { id } alice: entity(name: "alice") { id } }',
    )["data"]
    registry = {"scopeType": "PROJECT", "scopeID": ids["project"]["id"]}
    assert "in a collection only" in refused(**registry, triggeringEventType="CREATE_ARTIFACT")
    assert "neither a team nor an organization" in refused(scopeType="ENTITY", scopeID=ids["alice"]["id"])
    bench.seed("gone")
    gone = bench.collection("gone")
    gone.delete()
    assert "is deleted" in refused(scopeID=gone.id)


def test_a_change_must_say_what_its_parts_are(bench: Bench) -> None:
    made = bench.on_alias("partial")
    for given, said in (
        ({"scopeID": made.scope.id}, "scopeID needs a scopeType"),
        ({"triggeredActionConfig": {"noOpActionInput": {"noOp": True}}}, "needs a triggeredActionType"),
    ):
        assert said in message(change(bench.server, "updateFilterTrigger", {"id": made.id, **given}, "trigger { id }"))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": "no/slash"}, "invalid integration name"),
        ({"name": "x" * 65}, "invalid integration name"),
        ({"urlEndpoint": "ftp://127.0.0.1/"}, "invalid webhook URL"),
        ({"urlEndpoint": "http://[::"}, "invalid webhook URL"),
        ({"entityName": "nobody"}, "entity nobody not found"),
        ({"name": "taken"}, "an integration named 'taken' exists already"),
    ],
)
def test_an_integration_is_refused(bench: Bench, changed: Value, said: str) -> None:
    answer: Value = None
    for _ in range(2):
        answer = change(
            bench.server, "createGenericWebhookIntegration", integration(**changed), "integration { __typename }"
        )
    assert said in message(answer)


# How it ends


def test_nothing_is_sent_beyond_loopback(bench: Bench) -> None:
    bench.seed("far")
    for number, url in enumerate(
        ("https://hooks.example.com/x", "http://10.0.0.1/", "http://127.0.0.1@example.com/", "http:///x")
    ):
        name = f"far-{number}"
        event = bench.words.OnAddArtifactAlias(scope=bench.collection("far"))
        bench.automate(name, event, url=url)
    bench.alias("far", "x")
    assert bench.history() == [("Failed", None)] * 4
    *beyond, malformed = bench.server.deliveries()
    assert {delivery.reason for delivery in beyond} == {"the sandbox sends nothing beyond loopback"}
    assert malformed.reason


def test_localhost_is_loopback(bench: Bench) -> None:
    bench.on_alias("localhost", url=bench.receiver.url.replace("127.0.0.1", "localhost"))
    bench.alias("localhost", "x")
    assert bench.history() == [("Finished", 202)]


def test_no_proxy_is_asked(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.on_alias("direct")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    for exception in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(exception, raising=False)
    bench.seed("direct", "x")
    assert set(bench.history()) == {("Finished", 202)}
    monkeypatch.undo()


@pytest.mark.parametrize("status", [500, 429, 302])
def test_any_other_answer_than_success_is_a_failure_and_not_tried_again(bench: Bench, status: int) -> None:
    name = f"answers-{status}"
    bench.on_alias(name, url=f"{bench.receiver.url}/{status}")
    bench.alias(name, "x")
    assert bench.history() == [("Failed", status)]
    assert bench.server.deliveries()[0].reason == f"the endpoint answered {status}"
    assert len(bench.receiver.all) == 1  # the redirect was not followed either


def test_an_endpoint_that_is_not_there_is_a_failure_that_stops_nobody(bench: Bench) -> None:
    bench.on_alias("absent", url="http://127.0.0.1:1/")
    bench.on_alias("present")
    bench.alias("absent", "x")
    bench.alias("present", "y")
    assert bench.history() == [("Failed", None), ("Finished", 202)]


def test_a_change_does_not_wait_for_its_webhook(bench: Bench) -> None:
    bench.on_alias("slow", url=f"{bench.receiver.url}/slow")
    bench.alias("slow", "x")
    assert bench.receiver.arrived.wait(10)
    assert [delivery.state for delivery in bench.server.deliveries()] == ["Pending"]
    with pytest.raises(TimeoutError, match="still being sent"):
        bench.server.wait_for_deliveries(timeout=0)
    assert "x" in bench.version("slow:v0").aliases
    bench.receiver.go.set()
    assert bench.history() == [("Finished", 202)]


def test_a_change_that_is_undone_sends_nothing(bench: Bench) -> None:
    bench.on_alias("undone")
    place = {
        "entityName": ORG_ENTITY,
        "projectName": "wandb-registry-model",
        "artifactCollectionName": "undone",
    }
    given = {
        "artifactID": bench.version("undone:v0").id,
        "aliases": [{**place, "alias": "good"}, {**place, "alias": "not/good"}],
    }
    assert "invalid alias" in message(change(bench.server, "addAliases", given, "success"))
    assert bench.told() == []
    assert bench.server.deliveries() == []


# The switches


def test_webhooks_can_be_doubled(bench: Bench) -> None:
    bench.on_alias("doubled")
    with bench.switched(webhook_delivery="doubled"):
        bench.alias("doubled", "x")
        assert bench.told() == ["x", "x"]
    assert bench.receiver.all[0].body == bench.receiver.all[1].body
    assert bench.history() == [("Finished", 202)] * 2


def test_webhooks_can_be_skipped(bench: Bench) -> None:
    bench.on_alias("skipped")
    with bench.switched(webhook_delivery="skipped"):
        bench.alias("skipped", "x")
        assert bench.told() == []
    assert bench.server.deliveries() == []
    bench.alias("skipped", "y")
    assert bench.told() == ["y"]


def test_webhooks_can_be_late(bench: Bench) -> None:
    bench.on_alias("late")
    with bench.switched(webhook_delivery="late", webhook_delay=60):
        bench.alias("late", "x")
        bench.server.release_deliveries()  # not yet
        assert bench.told() == []
        assert [delivery.state for delivery in bench.server.deliveries()] == ["Pending"]
        bench.clock.advance(61)
        assert bench.told() == []  # nobody has looked at the clock
        bench.server.release_deliveries()
        assert bench.told() == ["x"]
        bench.alias("late", "y")
        bench.clock.advance(61)
        bench.version("late:v0")  # any request does
        assert bench.told() == ["x", "y"]


def test_webhooks_can_be_reordered(bench: Bench) -> None:
    bench.on_alias("reordered")
    with bench.switched(webhook_delivery="reordered"):
        for alias in ("a", "b", "c", "d", "e"):
            bench.alias("reordered", alias)
        assert bench.told() == ["b", "a", "d", "c"]
        bench.server.release_deliveries()
        assert bench.told() == ["b", "a", "d", "c", "e"]
    sent = [json.loads(delivery.body)["alias"] for delivery in bench.server.deliveries()]
    assert sent == ["b", "a", "d", "c", "e"]


def test_an_automation_can_have_a_cooldown_of_its_own(bench: Bench) -> None:
    bench.on_alias("cool")
    bench.on_alias("cooler")
    with bench.switched(webhook_cooldown=30):
        bench.alias("cool", "a")
        bench.alias("cool", "b")
        bench.alias("cooler", "c")
        assert bench.told() == ["a", "c"]
        bench.clock.advance(31)
        bench.alias("cool", "d")
        assert bench.told() == ["a", "c", "d"]


# Restart


def test_automations_history_and_what_is_still_to_be_sent_survive_a_restart(tmp_path: Path, receiver: Receiver) -> None:
    receiver.clear()
    clock = SandboxClock()

    def server() -> WandbServer:
        return WandbServer(tmp_path / "server", traffic=Traffic(), clock=clock)

    first = server()
    first.create_organization("Acme")
    first.create_team(TEAM, organization="Acme")
    first.create_user("alice", api_key=ALICE, organization="Acme", team=TEAM)
    first.set_secret(TEAM, "KEY", "k")
    first.start()
    hook = change(
        first,
        "createGenericWebhookIntegration",
        integration(urlEndpoint=receiver.url, secretRef="KEY"),
        "integration { ... on GenericWebhookIntegration { id } }",
    )["data"]["createGenericWebhookIntegration"]["integration"]["id"]
    registry = graphql(first, '{ project(entityName: "acme_org", name: "wandb-registry-model") { id } }')
    payload = json.dumps({"alias": "${alias}"})
    given = {
        "name": "kept",
        "enabled": True,
        "scopeType": "PROJECT",
        "scopeID": registry["data"]["project"]["id"],
        "triggeringEventType": "ADD_ARTIFACT_ALIAS",
        "eventFilter": json.dumps({"alias": "production"}),
        "triggeredActionType": "GENERIC_WEBHOOK",
        "triggeredActionConfig": {
            "genericWebhookActionInput": {"integrationID": hook, "requestPayload": payload},
        },
    }
    assert "errors" not in change(first, "createFilterTrigger", given, "trigger { id }")
    first.seed_version(f"{REGISTRY}/net", {"f": b"1"}, aliases=["production"])
    first.wait_for_deliveries()
    first.switches = replace(WandbSwitches(), webhook_delivery="late", webhook_delay=60)
    first.seed_version(f"{REGISTRY}/net", {"f": b"2"}, aliases=["production"])
    first.stop()
    first.stop()
    clock.advance(61)
    second = server()
    assert [delivery.state for delivery in second.deliveries()] == ["Finished", "Pending"]
    second.start()
    second.wait_for_deliveries()
    assert [delivery.state for delivery in second.deliveries()] == ["Finished", "Finished"]
    second.seed_version(f"{REGISTRY}/net", {"f": b"3"}, aliases=["production"])
    second.wait_for_deliveries()
    assert receiver.told("alias") == ["production"] * 3
    assert all("X-Wandb-Signature" in received.headers for received in receiver.all)
    second.stop()
    receiver.clear()
