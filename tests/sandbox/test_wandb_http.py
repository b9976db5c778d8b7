"""The W&B stand-in on the wire, where the SDK hides what happens or would refuse to ask."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import requests

from bridge.sandbox.clock import SandboxClock
from bridge.sandbox.traffic import Call, Traffic
from bridge.sandbox.wandb.server import WandbServer
from bridge.sandbox.wandb.switches import WandbSwitches

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from bridge.sandbox.wandb.seeding import SeededVersion

Json = Any  # what a server answers, or a switch is set to

ALICE, BOB, STRANGER = ("local-" + letter * 40 for letter in "abs")
REGISTRY = "acme_org/wandb-registry-model"
SWEEP = """
query Sweep($filter: JSONString, $collections: JSONString, $registries: JSONString, $after: String, $first: Int,
            $order: String) {
  organization(name: "Acme") {
    orgEntity {
      artifactMemberships(filters: $filter, collectionFilters: $collections, projectFilters: $registries,
                          after: $after, first: $first, order: $order) {
        totalCount
        pageInfo { endCursor hasNextPage hasPreviousPage startCursor }
        edges { cursor node { id versionIndex aliases { alias } artifactCollection { name updatedAt }
                              artifact { id updatedAt metadata } } }
      }
    }
  }
}
"""


class Wire:
    """Speaks HTTP to a server as one user."""

    def __init__(self, server: WandbServer, key: str) -> None:
        self.server = server
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.auth = ("api", key)

    def post(self, query: str, **variables: object) -> requests.Response:
        return self.session.post(f"{self.server.url}/graphql", json={"query": query, "variables": variables})

    def ask(self, query: str, **variables: object) -> Json:
        """Return the data of an answer that has no errors."""
        answer = self.post(query, **variables)
        assert "errors" not in answer.json(), answer.text
        return answer.json()["data"]

    def refused(self, query: str, **variables: object) -> tuple[int, str]:
        """Return the status and the first message of an answer that is a refusal."""
        answer = self.post(query, **variables)
        return answer.status_code, answer.json()["errors"][0]["message"]

    def change(self, mutation: str, given: Mapping[str, object], shape: str = "success") -> Json:
        return self.ask(_mutation(mutation, shape), input=given)[mutation]

    def refused_change(self, mutation: str, given: Mapping[str, object], shape: str = "success") -> tuple[int, str]:
        return self.refused(_mutation(mutation, shape), input=given)

    def sweep(self, **variables: object) -> Json:
        data = self.ask(SWEEP, **variables)
        return data["organization"]["orgEntity"]["artifactMemberships"]

    def swept(self, version_filter: object = None, **variables: object) -> list[str]:
        """Return `collection:vN` of the versions that a filter finds."""
        page = self.sweep(filter=json.dumps(version_filter), **variables)
        return [f"{e['node']['artifactCollection']['name']}:v{e['node']['versionIndex']}" for e in page["edges"]]


def _mutation(name: str, shape: str) -> str:
    kind = name[0].upper() + name[1:] + "Input"
    return f"mutation {name[0].upper() + name[1:]}($input: {kind}!) {{ {name}(input: $input) {{ {shape} }} }}"


@pytest.fixture
def clock() -> SandboxClock:
    return SandboxClock()


@pytest.fixture
def traffic() -> Traffic:
    return Traffic()


@pytest.fixture
def server(tmp_path: Path, traffic: Traffic, clock: SandboxClock) -> Iterator[WandbServer]:
    server = WandbServer(tmp_path / "server", traffic=traffic, clock=clock)
    for _ in range(2):  # all three are idempotent
        server.create_organization("Acme")
        server.create_team("acme-team", organization="Acme")
        server.create_user("alice", api_key=ALICE, organization="Acme", team="acme-team")
    server.create_user("bob", api_key=BOB)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def wire(server: WandbServer) -> Iterator[Wire]:
    wire = Wire(server, ALICE)
    with wire.session:
        yield wire


@pytest.fixture
def bob(server: WandbServer) -> Iterator[Wire]:
    wire = Wire(server, BOB)
    with wire.session:
        yield wire


# Who asks


def test_nobody_is_answered_without_a_key(server: WandbServer) -> None:
    for authorization in ("", "Basic !", "Basic a", "Basic /w==", "Bearer x"):
        headers = {"Authorization": authorization}
        answer = requests.post(f"{server.url}/graphql", json={"query": "{ viewer { id } }"}, headers=headers, timeout=9)
        assert answer.status_code == 401
        assert answer.json()["errors"][0]["message"] == "user is not logged in"
    for path in ("/artifactsV2/default/e/p/c/a/b/00/f", "/artifacts/e/00"):
        assert requests.get(server.url + path, timeout=9).status_code == 401
    assert requests.post(f"{server.url}/files/e/p/r/file_stream", json={}, timeout=9).status_code == 401


def test_a_new_key_is_a_new_user_of_everything_unless_it_is_refused(server: WandbServer) -> None:
    stranger = Wire(server, STRANGER)
    server.switches = replace(WandbSwitches(), unknown_api_key="refuse")
    assert stranger.post("{ viewer { id } }").status_code == 401
    server.switches = WandbSwitches()
    viewer = stranger.ask("{ viewer { entity teams { edges { node { name } } } organizations { name } } }")["viewer"]
    assert viewer["entity"] == "acme-team"
    assert viewer["organizations"] == [{"name": "Acme"}]
    assert len(stranger.ask('{ users(query: "user-") { edges { node { name } } } }')["users"]["edges"]) == 1
    short = Wire(server, "too-short")
    assert short.post("{ viewer { id } }").status_code == 401
    stranger.session.close()
    short.session.close()


def test_a_team_needs_its_organization(server: WandbServer) -> None:
    with pytest.raises(LookupError):
        server.create_team("lost", organization="Nowhere")


def test_a_key_is_one_users(server: WandbServer) -> None:
    with pytest.raises(ValueError, match="alice"):
        server.create_user("carol", api_key=ALICE)


def test_a_new_user_joins_what_is_made_later(server: WandbServer) -> None:
    stranger = Wire(server, STRANGER)
    with stranger.session:
        stranger.post("{ viewer { id } }")
        server.create_organization("Later")
        server.create_team("later-team", organization="Later")
        viewer = stranger.ask("{ viewer { organizations { name } teams { edges { node { name } } } } }")["viewer"]
    assert {"name": "Later"} in viewer["organizations"]
    assert {"node": {"name": "later-team"}} in viewer["teams"]["edges"]


def test_a_user_sees_their_own_key_in_part_only(wire: Wire) -> None:
    query = "{ users { edges { node { username apiKeys { edges { node { name } } } } } } }"
    keys = {e["node"]["username"]: e["node"]["apiKeys"]["edges"] for e in wire.ask(query)["users"]["edges"]}
    assert keys == {"alice": [{"node": {"name": "local-..."}}], "bob": []}


def test_people_and_their_entities_are_described(wire: Wire) -> None:
    wire.change("updateUser", {"defaultEntity": "alice"}, "user { entity defaultEntity { name isTeam } }")
    data = wire.ask(
        """{ entity { name user { username organizations { id name } } organization { name } }
             team: entity(name: "acme-team") { id isTeam xxhashDigestsEnabled
                                               organization { name coreWeaveOrganizationId }
                                               members { id name username email role } } }"""
    )
    assert data["entity"]["user"]["organizations"][0]["name"] == "Acme"
    assert data["entity"]["organization"] is None
    assert data["team"]["members"][0]["email"] == "alice@example.test"
    organization_id = data["entity"]["user"]["organizations"][0]["id"]
    by_id = wire.ask("query($id: ID) { organization(id: $id) { name featureFlags { rampKey } } }", id=organization_id)
    assert by_id == {"organization": {"name": "Acme", "featureFlags": []}}


def test_the_server_says_which_features_it_has(server: WandbServer, wire: Wire) -> None:
    query = "{ serverInfo { cliVersionInfo features { name isEnabled } latestLocalVersionInfo { outOfDate } } }"
    server.switches = replace(WandbSwitches(), features_off=frozenset({"ARTIFACT_TAGS"}))
    features = {f["name"]: f["isEnabled"] for f in wire.ask(query)["serverInfo"]["features"]}
    assert (features["ARTIFACT_TAGS"], features["ARTIFACT_REGISTRY_SEARCH"]) == (False, True)


@pytest.mark.parametrize("denied", ["empty_page", "http_403", "graphql_error"])
def test_an_outsider_is_denied_as_the_switch_says(server: WandbServer, bob: Wire, denied: Json) -> None:
    server.seed_version(f"{REGISTRY}/net", {"f": b"1"}, aliases=["production"])
    server.switches = replace(WandbSwitches(), denied=denied)
    answer = bob.post(SWEEP)
    project = bob.post('{ project(entityName: "acme_org", name: "wandb-registry-model") { id } }')
    if denied == "empty_page":
        assert bob.sweep()["edges"] == []
        assert project.json() == {"data": {"project": None}}
    else:
        assert answer.status_code == project.status_code == (403 if denied == "http_403" else 200)
        assert "permission denied" in answer.json()["errors"][0]["message"]
    link = {"entityName": "acme_org", "projectName": "wandb-registry-model"}
    assert (
        bob.refused_change(
            "createArtifactCollectionTagAssignments",
            {**link, "artifactCollectionName": "net", "tags": []},
            "tags { name }",
        )[0]
        == 403
    )


def test_an_outsider_cannot_read_a_version_by_its_id(server: WandbServer, wire: Wire, bob: Wire) -> None:
    seeded = server.seed_version(f"{REGISTRY}/net", {"f": b"1"})
    query = "query($id: ID!) { artifact(id: $id) { digest } }"
    assert wire.ask(query, id=seeded.artifact_id) == {"artifact": {"digest": seeded.digest}}
    assert bob.ask(query, id=seeded.artifact_id) == {"artifact": None}
    hexdigest = hashlib.md5(b"1", usedforsecurity=False).hexdigest()
    address = f"{server.url}/artifactsV2/default/e/p/c/{seeded.artifact_id}/{hexdigest}/f"
    assert wire.session.get(address).status_code == 200
    assert bob.session.get(address).status_code == 404


def test_a_rate_limit_counts_per_user_and_window(
    server: WandbServer, wire: Wire, bob: Wire, clock: SandboxClock
) -> None:
    server.switches = replace(WandbSwitches(), rate_limit="with_headers", rate_limit_requests=2, rate_limit_window=10)
    answers = [wire.post("{ viewer { id } }") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].headers["RateLimit-Remaining"] == "0"
    assert 1 <= int(answers[2].headers["RateLimit-Reset"]) <= 10
    assert bob.post("{ viewer { id } }").status_code == 200
    clock.advance(10)
    assert wire.post("{ viewer { id } }").status_code == 200
    server.switches = replace(WandbSwitches(), rate_limit="without_headers")
    answer = wire.post("{ viewer { id } }")
    assert (answer.status_code, "RateLimit-Reset" in answer.headers) == (429, False)


# GraphQL


def test_an_unknown_field_is_named_in_double_quotes(server: WandbServer, wire: Wire) -> None:
    server.switches = replace(WandbSwitches(), unknown_fields=frozenset({"ServerInfo.features"}))
    assert wire.refused("{ serverInfo { features { name } } }") == (
        400,
        'Cannot query field "features" on type "ServerInfo".',
    )
    assert wire.refused("{ serverInfo {")[0] == 400


@pytest.mark.parametrize(
    "field",
    ["ServerInfo.shoeSize", "Shoe.size", "features", "", "JSON.features", "UpsertBucketInput.id", "__Type.name"],
)
def test_only_fields_of_the_schema_can_be_unknown(server: WandbServer, wire: Wire, field: str) -> None:
    with pytest.raises(ValueError, match=f"^unknown_fields: '{re.escape(field)}' is not \"Type.field\" of the schema$"):
        server.switches = WandbSwitches(unknown_fields=frozenset({field}))
    assert server.switches == WandbSwitches()
    assert wire.ask('{ __type(name: "Run") { name } }') == {"__type": {"name": "Run"}}


def test_a_schema_must_be_whole_without_the_unknown_fields(server: WandbServer, wire: Wire) -> None:
    alone = WandbSwitches(unknown_fields=frozenset({"ArtifactSequence.artifactMemberships"}))
    with pytest.raises(
        ValueError, match=r"^unknown_fields: without ArtifactSequence\.artifactMemberships the schema is"
    ):
        server.switches = alone
    server.switches = replace(alone, nested_memberships=False)
    assert wire.ask("{ serverInfo { features { name } } }")["serverInfo"]["features"]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"page_size_max": 0}, "page_size_max must be 1 or more, not 0"),
        ({"url_lifetime": -1.0}, "url_lifetime must be a finite number, 0 or more, not -1.0"),
        ({"search_lag": float("nan")}, "search_lag must be a finite number, 0 or more, not nan"),
        ({"rate_limit_requests": -1}, "rate_limit_requests must be a finite number, 0 or more, not -1"),
        ({"rate_limit_window": -0.5}, "rate_limit_window must be a finite number, 0 or more, not -0.5"),
        ({"webhook_delay": float("inf")}, "webhook_delay must be a finite number, 0 or more, not inf"),
        ({"webhook_cooldown": -60.0}, "webhook_cooldown must be a finite number, 0 or more, not -60.0"),
    ],
)
def test_switches_refuse_numbers_that_mean_nothing(settings: Mapping[str, Json], sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        replace(WandbSwitches(), **settings)


def test_memberships_under_a_collection_can_be_unknown(server: WandbServer, wire: Wire) -> None:
    server.seed_version(f"{REGISTRY}/net", {"f": b"1"}, aliases=["production"])
    query = """{ project(entityName: "acme_org", name: "wandb-registry-model") { artifactCollection(name: "net") {
                 artifactMemberships(first: 5) { edges { node { aliases { alias } } } } } } }"""
    [edge] = wire.ask(query)["project"]["artifactCollection"]["artifactMemberships"]["edges"]
    assert {alias["alias"] for alias in edge["node"]["aliases"]} == {"production", "latest"}
    server.switches = replace(WandbSwitches(), nested_memberships=False)
    assert "artifactMemberships" in wire.refused(query)[1]


def test_what_is_not_implemented_says_so(wire: Wire) -> None:
    query = '{ project(entityName: "acme_org", name: "wandb-registry-model") { totalSweeps } }'
    assert wire.refused(query) == (200, "the sandbox does not implement Project.totalSweeps")
    assert wire.refused_change("deleteInvite", {"id": "x"}) == (
        200,
        "the sandbox does not implement Mutation.deleteInvite",
    )


def test_every_request_is_noted_before_it_is_answered(wire: Wire, traffic: Traffic) -> None:
    wire.post("query Named { viewer { id } }")
    wire.post("{ viewer { id } }")
    wire.post("mutation Broken { nonsense }")
    wire.session.post(f"{wire.server.url}/sdk/otel/v1/metrics", data=b"x")
    wire.session.get(f"{wire.server.url}/healthz")
    assert traffic.counts() == {
        Call("wandb", "Named", write=False): 1,
        Call("wandb", "unnamed", write=False): 1,
        Call("wandb", "Broken", write=True): 1,
        Call("wandb", "telemetry", write=False): 1,
        Call("wandb", "healthz", write=False): 1,
    }


def test_a_request_that_makes_no_sense_is_refused(wire: Wire) -> None:
    for body in (b"not json", b"[]"):
        assert wire.session.post(f"{wire.server.url}/graphql", data=body).status_code == 400
    assert wire.session.get(f"{wire.server.url}/artifactsV2/default/e/p/c/b/nothex/f").status_code == 400


def test_a_change_that_fails_in_part_is_undone_as_a_whole(server: WandbServer, wire: Wire) -> None:
    seeded = server.seed_version(f"{REGISTRY}/net", {"f": b"1"})
    place = {"artifactCollectionName": "net", "entityName": "acme_org", "projectName": "wandb-registry-model"}
    aliases = [{**place, "alias": "good"}, {**place, "alias": "not/good"}]
    assert wire.refused_change("addAliases", {"artifactID": seeded.artifact_id, "aliases": aliases})[0] == 400
    assert wire.swept({"alias": "good"}) == []


# Listings


@pytest.fixture(scope="module")
def three_nets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """Fill a registry with net-a:v0, net-a:v1 and net-b:v0; nobody changes them."""
    server = WandbServer(tmp_path_factory.mktemp("nets"), traffic=Traffic(), clock=SandboxClock())
    server.create_organization("Acme")
    server.create_user("alice", api_key=ALICE, organization="Acme")
    server.seed_version(f"{REGISTRY}/net-a", {"f": b"1"}, metadata={"auc": 0.5, "by": {"team": "x"}})
    server.seed_version(f"{REGISTRY}/net-a", {"f": b"22"}, aliases=["production"], metadata={"auc": 0.7})
    server.seed_version(f"{REGISTRY}/net-b", {"f": b"333"}, aliases=["staging"], metadata={"auc": 0.9})
    server.start()
    wire = Wire(server, ALICE)
    with wire.session:
        yield wire
    server.stop()


A0, A1, B0 = "net-a:v0", "net-a:v1", "net-b:v0"


@pytest.mark.parametrize(
    ("version_filter", "found"),
    [
        (None, [A0, A1, B0]),
        ({"alias": "production"}, [A1]),
        ({"alias": {"$in": ["production", "staging", "other"]}}, [A1, B0]),
        ({"alias": {"$nin": ["production", "staging"]}}, [A0]),
        ({"alias": {"$ne": "latest"}}, [A0]),
        ({"alias": {"$exists": False}}, [A0]),
        ({"alias": {"$exists": True}}, [A1, B0]),
        ({"alias": {"$regex": "^prod"}}, [A1]),
        ({"alias": {"$contains": "staging"}}, [B0]),
        ({"alias": {"$not": {"$eq": "latest"}}}, [A0]),
        ({"tag": "none"}, []),
        ({"version": "v0"}, [A0, B0]),
        ({"metadata.auc": {"$gt": 0.6}}, [A1, B0]),
        ({"metadata.auc": {"$gte": 0.5, "$lt": 0.7}}, [A0]),
        ({"metadata.by.team": "x"}, [A0]),
        ({"metadata.auc": {"$in": [0.5, 0.9]}}, [A0, B0]),
        ({"metadata.by": {"$exists": False}}, [A1, B0]),
        ({"artifact_size": {"$lte": 2}}, [A0, A1]),
        ({"artifact_size": {"$not": {"$eq": 2}}}, [A0, B0]),
        ({"$or": [{"alias": "production"}, {"alias": "staging"}]}, [A1, B0]),
        ({"$and": [{"alias": "latest"}, {"version": "v0"}]}, [B0]),
        ({"$nor": [{"alias": "production"}, {"alias": "staging"}]}, [A0]),
        ({"$not": {"alias": "latest"}}, [A0]),
        ({"$or": []}, []),
        ({"$and": []}, [A0, A1, B0]),
        ({"created_at": {"$gt": "2020-01-01"}}, [A0, A1, B0]),
        ({"updated_at": {"$lt": "2020-01-01T00:00:00Z"}}, []),
    ],
)
def test_a_filter_finds_versions(three_nets: Wire, version_filter: object, found: list[str]) -> None:
    assert three_nets.swept(version_filter) == found


@pytest.mark.parametrize(
    "version_filter",
    [
        {"shoe": 1},
        {"alias": {"$near": 1}},
        {"alias": {"$regex": "("}},
        ["alias"],
        {"created_at": "yesterday"},
        {"created_at": 3},
    ],
)
def test_a_filter_that_is_not_understood_is_refused(three_nets: Wire, version_filter: object) -> None:
    status, _ = three_nets.refused(SWEEP, filter=json.dumps(version_filter))
    assert status == 400


def test_registries_and_collections_are_filtered_too(three_nets: Wire) -> None:
    assert three_nets.swept(collections='{"name": "net-b"}') == [B0]
    assert three_nets.swept(collections='{"name": {"$contains": "-a"}}') == [A0, A1]
    assert three_nets.swept(registries='{"name": "wandb-registry-dataset"}') == []
    assert three_nets.refused(SWEEP, filter="{")[0] == 400


def test_pages_follow_one_another_in_any_order(three_nets: Wire) -> None:
    three_nets.server.switches = replace(WandbSwitches(), page_size_max=2)
    first = three_nets.sweep(first=1000)
    assert (len(first["edges"]), first["totalCount"], first["pageInfo"]["hasNextPage"]) == (2, 3, True)
    second = three_nets.sweep(first=1000, after=first["pageInfo"]["endCursor"])
    assert (len(second["edges"]), second["pageInfo"]["hasNextPage"]) == (1, False)
    assert second["pageInfo"]["hasPreviousPage"]
    assert three_nets.sweep(after=second["pageInfo"]["endCursor"])["pageInfo"]["endCursor"] is None
    assert three_nets.swept(order="-artifact_size", first=2) == [B0, A1]
    cursor = three_nets.sweep(order="-artifact_size", first=2)["pageInfo"]["endCursor"]
    assert three_nets.swept(order="-artifact_size", after=cursor) == [A0]
    assert three_nets.refused(SWEEP, order="shoe")[0] == 400
    assert three_nets.refused(SWEEP, after="????")[0] == 400
    three_nets.server.switches = WandbSwitches()


def test_a_total_count_can_be_withheld(three_nets: Wire) -> None:
    three_nets.server.switches = replace(WandbSwitches(), total_count="null")
    assert three_nets.sweep()["totalCount"] is None
    three_nets.server.switches = WandbSwitches()


def test_collections_are_listed_by_project_and_by_type(three_nets: Wire) -> None:
    query = """query($order: String) { project(entityName: "acme_org", name: "wandb-registry-model") {
                 artifactCollections(order: $order, first: 1) { totalCount edges { node { name } } }
                 artifactType(name: "model") { artifactCollections(order: $order) { edges { node { name } } } }
                 none: artifactType(name: "dataset") { id } } }"""
    project = three_nets.ask(query, order="-name")["project"]
    assert project["artifactCollections"] == {"totalCount": 2, "edges": [{"node": {"name": "net-b"}}]}
    by_type = project["artifactType"]["artifactCollections"]["edges"]
    assert ([edge["node"]["name"] for edge in by_type], project["none"]) == (["net-b", "net-a"], None)


def test_seeded_collections_are_swept_in_few_requests(server: WandbServer, wire: Wire, traffic: Traffic) -> None:
    server.seed_collections(250, 3, registry=REGISTRY)
    found, after = [], None
    traffic.reset()
    while True:
        page = wire.sweep(filter='{"alias": {"$in": ["production"]}}', first=100, after=after)
        found += [edge["node"]["artifactCollection"]["name"] for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert found == [f"seeded-{number:05d}" for number in range(250)]
    assert traffic.count() == 3
    assert wire.sweep(first=1)["totalCount"] == 750


# Aliases


def link_of(seeded: SeededVersion) -> dict[str, object]:
    return {"artifactID": seeded.artifact_id, "entityName": "acme_org", "projectName": "wandb-registry-model"}


def alias_in_net(seeded: SeededVersion, alias: str) -> dict[str, object]:
    place = {"artifactCollectionName": "net", "entityName": "acme_org", "projectName": "wandb-registry-model"}
    return {"artifactID": seeded.artifact_id, "aliases": [{**place, "alias": alias}]}


@pytest.mark.parametrize(
    ("touches", "artifact_moves", "collection_moves"),
    [("artifact_and_collection", True, True), ("collection", False, True), ("nothing", False, False)],
)
def test_an_alias_touches_what_the_switch_says(
    server: WandbServer, wire: Wire, clock: SandboxClock, touches: Json, *, artifact_moves: bool, collection_moves: bool
) -> None:
    seeded = server.seed_version(f"{REGISTRY}/net", {"f": b"1"})
    [before] = wire.sweep()["edges"]
    server.switches = replace(WandbSwitches(), alias_touches_updated_at=touches)
    clock.advance(60)
    wire.change("addAliases", alias_in_net(seeded, "production"))
    [after] = wire.sweep()["edges"]
    was, now = before["node"], after["node"]
    assert (was["artifact"]["updatedAt"] != now["artifact"]["updatedAt"]) is artifact_moves
    assert (was["artifactCollection"]["updatedAt"] != now["artifactCollection"]["updatedAt"]) is collection_moves


def test_an_alias_that_another_version_has_can_be_refused(server: WandbServer, wire: Wire) -> None:
    server.seed_version(f"{REGISTRY}/net", {"f": b"1"}, aliases=["production"])
    second = server.seed_version(f"{REGISTRY}/net", {"f": b"2"})
    server.switches = replace(WandbSwitches(), alias_conflict="refused")
    assert wire.refused_change("addAliases", alias_in_net(second, "production"))[0] == 409
    server.switches = WandbSwitches()
    wire.change("addAliases", alias_in_net(second, "production"))
    assert wire.swept({"alias": "production"}) == ["net:v1"]


def test_removing_an_alias_that_is_elsewhere_changes_nothing(server: WandbServer, wire: Wire) -> None:
    server.seed_version(f"{REGISTRY}/net", {"f": b"1"}, aliases=["production"])
    second = server.seed_version(f"{REGISTRY}/net", {"f": b"2"})
    wire.change("deleteAliases", alias_in_net(second, "production"))
    assert wire.swept({"alias": "production"}) == ["net:v0"]


def test_the_advanced_search_may_know_of_an_alias_late(server: WandbServer, wire: Wire, clock: SandboxClock) -> None:
    first = server.seed_version(f"{REGISTRY}/net", {"f": b"1"}, aliases=["production"])
    second = server.seed_version(f"{REGISTRY}/net", {"f": b"2"})
    server.switches = replace(WandbSwitches(), advanced_search=True, search_lag=60)
    assert wire.swept() == []
    clock.advance(61)
    assert wire.swept({"alias": "production"}) == ["net:v0"]
    wire.change("addAliases", alias_in_net(second, "production"))
    assert wire.swept({"alias": "production"}) == ["net:v0"]
    clock.advance(61)
    assert wire.swept({"alias": "production"}) == ["net:v1"]
    wire.change("deleteAliases", alias_in_net(second, "production"))
    wire.change("addAliases", alias_in_net(first, "staging"))
    assert wire.swept({"alias": {"$in": ["production", "staging"]}}) == ["net:v1"]
    clock.advance(61)
    assert wire.swept({"alias": {"$in": ["production", "staging"]}}) == ["net:v0"]


@pytest.mark.parametrize("alias", ["a/b", "a:b", "", "v7", "x" * 129])
def test_an_impossible_alias_is_refused(server: WandbServer, wire: Wire, alias: str) -> None:
    seeded = server.seed_version(f"{REGISTRY}/net", {"f": b"1"})
    assert wire.refused_change("addAliases", alias_in_net(seeded, alias))[0] == 400


def test_aliases_that_move_at_the_same_time_end_on_one_version_each(server: WandbServer) -> None:
    versions = [server.seed_version(f"{REGISTRY}/net", {"f": bytes([number])}) for number in range(4)]

    def move(version: SeededVersion) -> None:
        wire = Wire(server, ALICE)
        with wire.session:
            for number in range(10):
                wire.change("addAliases", alias_in_net(version, f"stage-{number}"))

    with ThreadPoolExecutor(len(versions)) as pool:
        list(pool.map(move, versions))
    wire = Wire(server, ALICE)
    with wire.session:
        held = [alias["alias"] for edge in wire.sweep()["edges"] for alias in edge["node"]["aliases"]]
    assert sorted(held) == ["latest", *(f"stage-{number}" for number in range(10))]


def test_an_alias_of_a_collection_that_has_not_the_version_is_refused(server: WandbServer, wire: Wire) -> None:
    seeded = server.seed_version(f"{REGISTRY}/other", {"f": b"1"})
    assert wire.refused_change("addAliases", alias_in_net(seeded, "production"))[0] == 404


def test_an_alias_that_cannot_be_stored_breaks_nothing(server: WandbServer, wire: Wire) -> None:
    seeded = server.seed_version(f"{REGISTRY}/net", {"f": b"1"})
    status, _ = wire.refused_change("addAliases", alias_in_net(seeded, "\ud800"))
    assert status == 200  # a GraphQL error, and the log has its traceback
    wire.change("addAliases", alias_in_net(seeded, "production"))


def test_version_numbers_can_stand_among_the_aliases(server: WandbServer, wire: Wire) -> None:
    server.seed_version(f"{REGISTRY}/net", {"f": b"1"})
    server.switches = replace(WandbSwitches(), version_alias_in_list=True)
    [edge] = wire.sweep()["edges"]
    assert [alias["alias"] for alias in edge["node"]["aliases"]] == ["latest", "v0"]


def test_a_version_is_found_by_alias_number_and_commit_hash(server: WandbServer, wire: Wire) -> None:
    seeded = server.seed_version(f"{REGISTRY}/net", {"f": b"1"}, aliases=["production"])
    query = """query($name: String!) { project(entityName: "acme_org", name: "wandb-registry-model") {
                 artifact(name: $name) { id commitHash } } }"""
    commit_hash = wire.ask(query, name="net")["project"]["artifact"]["commitHash"]
    for name in ("net:production", "net:v0", "net:latest", f"net:{commit_hash}"):
        assert wire.ask(query, name=name)["project"]["artifact"]["id"] == seeded.artifact_id
    for name in ("net:v1", "net:other", "nothing:latest"):
        assert wire.ask(query, name=name)["project"]["artifact"] is None


def test_links_are_refused_where_they_make_no_sense(server: WandbServer, wire: Wire) -> None:
    seeded = server.seed_version(f"{REGISTRY}/net", {"f": b"1"})
    data = server.seed_version(f"{REGISTRY}/data", {"f": b"1"}, artifact_type="dataset")
    shape = "versionIndex"

    def refused(**given: object) -> int:
        return wire.refused_change("linkArtifact", {**link_of(seeded), **given}, shape)[0]

    assert refused(artifactID="nobody", artifactPortfolioName="x") == 404
    assert refused(projectName="wandb-registry-none", artifactPortfolioName="x") == 404
    assert refused(entityName="nobody", artifactPortfolioName="x") == 404
    assert refused(artifactPortfolioName="data") == 400  # holds another type
    assert refused(artifactPortfolioName="a/b") == 400
    assert refused(entityName="acme-team", projectName="seeded", artifactPortfolioName="net") == 400  # a source
    linked = wire.change(
        "linkArtifact",
        {**link_of(data), "entityName": "acme-team", "projectName": "new", "artifactPortfolioName": "copy"},
        "artifactMembership { artifactCollection { id } }",
    )
    portfolio = linked["artifactMembership"]["artifactCollection"]["id"]
    again = {"artifactID": data.artifact_id, "artifactPortfolioID": portfolio}
    assert wire.change("linkArtifact", again, shape) == {"versionIndex": 0}
    assert wire.refused_change("unlinkArtifact", {**again, "artifactID": seeded.artifact_id})[0] == 404


def test_only_who_may_write_changes_a_registry(server: WandbServer, wire: Wire) -> None:
    seeded = server.seed_version(f"{REGISTRY}/net", {"f": b"1"})
    ids = wire.ask('{ viewer { id } project(entityName: "acme_org", name: "wandb-registry-model") { id readOnly } }')
    assert ids["project"]["readOnly"] is False
    role = {"projectId": ids["project"]["id"], "userId": ids["viewer"]["id"], "userProjectRole": "viewer"}
    assert wire.refused_change("updateProjectMember", {**role, "userProjectRole": "king"})[0] == 400
    assert wire.refused_change("updateProjectMember", {**role, "userId": "VXNlcjo5OTk="})[0] == 404
    wire.change("updateProjectMember", role)
    assert wire.refused_change("addAliases", alias_in_net(seeded, "x"))[0] == 403
    assert wire.refused_change("updateProjectMember", role)[0] == 403
    member = wire.ask(
        '{ project(entityName: "acme_org", name: "wandb-registry-model") { readOnly members { id email } } }'
    )
    assert member["project"]["readOnly"] is True
    assert member["project"]["members"] == [{"id": ids["viewer"]["id"], "email": "alice@example.test"}]


# Uploads


def digest_of(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


def version_input(name: str, **given: object) -> dict[str, object]:
    home = {"entityName": "acme-team", "projectName": "train", "artifactTypeName": "model"}
    digest = {"digest": "d" * 32, "digestAlgorithm": "MANIFEST_MD5"}
    return {**home, **digest, "artifactCollectionName": name, **given}


def create(wire: Wire, name: str = "net", **given: object) -> str:
    return str(wire.change("createArtifact", version_input(name, **given), "artifact { id }")["artifact"]["id"])


def manifest_input(artifact: str, **given: object) -> dict[str, object]:
    run = {"entityName": "acme-team", "projectName": "train", "runName": ""}
    return {"artifactID": artifact, "name": "wandb_manifest.json", "digest": "", "type": "FULL", **run, **given}


def send_manifest(wire: Wire, artifact: str, content: bytes) -> None:
    shape = "artifactManifest { id file { uploadUrl uploadHeaders } }"
    made = wire.change("createArtifactManifest", manifest_input(artifact, digest=digest_of(content)), shape)
    file = made["artifactManifest"]["file"]
    headers = dict(header.split(":", 1) for header in file["uploadHeaders"])
    assert requests.put(file["uploadUrl"], data=content, headers=headers, timeout=9).status_code == 200


def announce(wire: Wire, artifact: str, name: str, content: bytes, **given: object) -> Json:
    md5 = digest_of(content)
    shape = """files { edges { node { storagePath uploadUrl uploadHeaders artifact { id } directUrl
               uploadMultipartUrls { uploadID uploadUrlParts { partNumber uploadUrl } } } } }"""
    spec = {"artifactID": artifact, "name": name, "md5": md5, **given}
    [edge] = wire.change("createArtifactFiles", {"artifactFiles": [spec]}, shape)["files"]["edges"]
    return edge["node"]


def manifest_of(**files: bytes) -> bytes:
    contents = {name: {"digest": digest_of(content), "size": len(content)} for name, content in files.items()}
    return json.dumps({"version": 1, "contents": contents}).encode()


def test_a_file_is_refused_if_its_md5_differs_or_its_url_is_over(wire: Wire, clock: SandboxClock) -> None:
    file = announce(wire, create(wire), "f", b"right")
    headers = dict(header.split(":", 1) for header in file["uploadHeaders"])
    assert requests.put(file["uploadUrl"], data=b"wrong", headers=headers, timeout=9).status_code == 400
    assert requests.get(file["directUrl"], timeout=9).status_code == 404
    assert requests.put(file["directUrl"], data=b"right", headers=headers, timeout=9).status_code == 403
    assert requests.put(file["uploadUrl"], data=b"right", headers=headers, timeout=9).status_code == 200
    assert requests.head(file["directUrl"], timeout=9).headers["Content-Length"] == "5"
    clock.advance(3601)
    assert requests.put(file["uploadUrl"], data=b"right", headers=headers, timeout=9).status_code == 403


def test_a_large_file_goes_through_the_disk(wire: Wire) -> None:
    content = bytes(3 << 20)
    file = announce(wire, create(wire), "f", content)
    assert requests.put(file["uploadUrl"], data=content, timeout=9).status_code == 200
    assert requests.get(file["directUrl"], timeout=9).content == content


def test_a_file_can_be_sent_in_parts(wire: Wire) -> None:
    artifact = create(wire)
    parts = [{"partNumber": number, "hexMD5": ""} for number in (2, 1)]
    file = announce(wire, artifact, "big", b"onetwo", uploadPartsInput=parts)
    upload = file["uploadMultipartUrls"]
    assert file["uploadUrl"] is None
    done = {"artifactID": artifact, "storagePath": file["storagePath"], "uploadID": upload["uploadID"],
            "completedParts": parts, "completeMultipartAction": "Complete"}  # fmt: skip
    assert wire.refused_change("completeMultipartUploadArtifact", done, "digest")[0] == 400  # no part is there
    for part in upload["uploadUrlParts"]:
        requests.put(part["uploadUrl"], data=b"one" if part["partNumber"] == 1 else b"two", timeout=9)
    wrong = {**done, "storagePath": "elsewhere"}
    assert wire.refused_change("completeMultipartUploadArtifact", wrong, "digest")[0] == 404
    wire.change("completeMultipartUploadArtifact", {**done, "completeMultipartAction": "Abort"}, "digest")
    wire.change("completeMultipartUploadArtifact", done, "digest")
    assert requests.get(file["directUrl"], timeout=9).content == b"onetwo"
    send_manifest(wire, artifact, manifest_of(big=b"onetwo"))
    wire.change("commitArtifact", {"artifactID": artifact}, "artifact { id state }")


def test_a_version_is_committed_only_with_its_manifest_and_files(wire: Wire) -> None:
    artifact = create(wire)
    commit, shape = {"artifactID": artifact}, "artifact { id state }"
    assert "manifest" in wire.refused_change("commitArtifact", commit, shape)[1]
    send_manifest(wire, artifact, b"no manifest")
    assert "not a manifest" in wire.refused_change("commitArtifact", commit, shape)[1]
    send_manifest(wire, artifact, manifest_of(f=b"1"))
    assert "not uploaded" in wire.refused_change("commitArtifact", commit, shape)[1]
    requests.put(announce(wire, artifact, "f", b"1")["uploadUrl"], data=b"1", timeout=9)
    for _ in range(2):
        assert wire.change("commitArtifact", commit, shape)["artifact"]["state"] == "COMMITTED"
    mapping = wire.ask('{ clientIDMapping(clientID: "nobody") { serverID } }')
    assert mapping == {"clientIDMapping": None}


def test_a_version_that_is_begun_has_no_manifest_yet(wire: Wire) -> None:
    query = """query($id: ID!) { artifact(id: $id) { state size currentManifest { id } createdBy { __typename }
                 usedBy { edges { node { id } } } } }"""
    artifact = wire.ask(query, id=create(wire))["artifact"]
    assert artifact == {"state": "PENDING", "size": 0, "currentManifest": None, "usedBy": {"edges": []},
                        "createdBy": {"__typename": "User"}}  # fmt: skip


def test_a_request_to_create_that_is_repeated_makes_one_version(wire: Wire) -> None:
    first = create(wire, clientID="client-1", tags=[{"tagName": "new"}], metadata='{"a": 1}', ttlDurationSeconds=60)
    assert create(wire, clientID="client-1") == first
    assert wire.ask('{ clientIDMapping(clientID: "client-1") { serverID } }')["clientIDMapping"]["serverID"] == first
    link = {"clientID": "client-1", "entityName": "acme_org", "projectName": "wandb-registry-model",
            "artifactPortfolioName": "early"}  # fmt: skip
    assert wire.refused_change("linkArtifact", link, "versionIndex")[0] == 404  # not yet committed


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"entityName": "acme_org", "projectName": "wandb-registry-model"}, 400),  # a registry takes links
        ({"projectName": "a/b"}, 400),
        ({"artifactTypeName": "dataset"}, 409),
        ({"digestAlgorithm": "MANIFEST_XXH128"}, 400),
        ({"entityName": "nobody"}, 404),
        ({"entityName": "bob"}, 403),
        ({"artifactCollectionName": "links"}, 400),
    ],
)
def test_a_version_is_not_begun_where_it_cannot_be(
    server: WandbServer, wire: Wire, given: dict[str, object], status: int
) -> None:
    create(wire)
    seeded = server.seed_version(f"{REGISTRY}/net", {"f": b"1"})
    portfolio = {**link_of(seeded), "entityName": "acme-team", "projectName": "train"}
    wire.change("linkArtifact", {**portfolio, "artifactPortfolioName": "links"}, "versionIndex")
    assert wire.refused_change("createArtifact", version_input("net", **given), "artifact { id }")[0] == status


def test_a_collection_keeps_to_one_digest_algorithm(server: WandbServer, wire: Wire) -> None:
    server.switches = replace(WandbSwitches(), xxh128=True)
    create(
        wire, "fast", digestAlgorithm="MANIFEST_XXH128", artifactCollectionName=None, artifactCollectionNames=["fast"]
    )
    other = version_input("fast", digestAlgorithm="MANIFEST_MD5")
    assert wire.refused_change("createArtifact", other, "artifact { id }")[0] == 400


@pytest.mark.parametrize(("scope", "is_sent"), [("project", False), ("sequence", True), ("none", True)])
def test_files_are_shared_within_the_scope_of_deduplication(
    server: WandbServer, wire: Wire, scope: Json, *, is_sent: bool
) -> None:
    first = create(wire, "one")
    requests.put(announce(wire, first, "f", b"1")["uploadUrl"], data=b"1", timeout=9)
    send_manifest(wire, first, manifest_of(f=b"1"))
    wire.change("commitArtifact", {"artifactID": first}, "artifact { id }")
    server.switches = replace(WandbSwitches(), dedupe_scope=scope)
    file = announce(wire, create(wire, "two"), "f", b"1")
    assert (file["uploadUrl"] is not None) is is_sent
    assert (file["artifact"]["id"] != first) is is_sent


def test_a_patch_is_announced_before_it_is_sent(wire: Wire) -> None:
    artifact = create(wire, distributedID="job")
    assert create(wire, distributedID="job") == artifact
    shape = "artifactManifest { id file { uploadUrl } }"
    made = wire.change("createArtifactManifest", manifest_input(artifact, type="PATCH"), "artifactManifest { id }")
    key = made["artifactManifest"]["id"]
    update = {"artifactManifestID": key, "digest": "", "baseArtifactID": artifact}
    sent = wire.change("updateArtifactManifest", update, shape)
    requests.put(sent["artifactManifest"]["file"]["uploadUrl"], data=manifest_of(), timeout=9)
    wire.change("commitArtifact", {"artifactID": artifact}, "artifact { id digest }")
    assert wire.refused_change("updateArtifactManifest", {"artifactManifestID": "no"}, shape)[0] == 404


# Downloads


HOSTILE = [
    "../../etc/passwd",
    "a\x00b",
    "a\r\nb",
    "\u202egnp.exe",
    "\ud800lone",
    "a//b",
    "a/./b",
    "x" * 2000,
    "",
    "a\\b",
]


def test_hostile_names_are_stored_and_served_as_they_are(server: WandbServer, wire: Wire) -> None:
    files = {name: f"content {number}".encode() for number, name in enumerate(HOSTILE)}
    seeded = server.seed_version(
        f"{REGISTRY}/hostile", files, digests={"a//b": "bm90IGl0cyBkaWdlc3Q="}, references={"ref": "gs://bucket/x"}
    )
    query = """query($id: ID!, $names: [String!]) { artifact(id: $id) { fileCount
        currentManifest { id file { directUrl } }
        files(first: 100, names: $names) { totalCount edges { node { name displayName directUrl digest md5 sizeBytes
        storagePath mimetype updatedAt url uploadUrl uploadHeaders artifact { id } } } } } }"""
    artifact = wire.ask(query, id=seeded.artifact_id)["artifact"]
    nodes = [edge["node"] for edge in artifact["files"]["edges"]]
    served = {n["name"]: requests.get(n["directUrl"], timeout=9).content for n in nodes if n["directUrl"]}
    assert served == files
    manifest = requests.get(artifact["currentManifest"]["file"]["directUrl"], timeout=9).json()
    assert set(manifest["contents"]) == {*HOSTILE, "ref"}
    assert manifest["contents"]["a//b"]["digest"] == "bm90IGl0cyBkaWdlc3Q="
    assert artifact["fileCount"] == len(HOSTILE) + 1
    named = wire.ask(query, id=seeded.artifact_id, names=["a//b", "a\x00b"])["artifact"]["files"]
    assert named["totalCount"] == 2


@pytest.mark.parametrize("redirect", [302, 307, 200])
def test_the_address_of_a_file_leads_to_its_bytes(server: WandbServer, wire: Wire, redirect: Json) -> None:
    seeded = server.seed_version(f"{REGISTRY}/net", {"sub/f": b"1"}, references={"far": "gs://b/x"})
    server.switches = replace(WandbSwitches(), v2_redirect=redirect)
    hexdigest = hashlib.md5(b"1", usedforsecurity=False).hexdigest()
    artifact = seeded.artifact_id
    v2 = f"{server.url}/artifactsV2/default/acme_org/wandb-registry-model/net"
    for address in (f"{v2}/{artifact}/{artifact}/{hexdigest}/f", f"{v2}/{artifact}/{hexdigest}/f",
                    f"{server.url}/artifacts/acme-team/{hexdigest}"):  # fmt: skip
        answer = wire.session.get(address, allow_redirects=False)
        assert answer.status_code == redirect
        assert wire.session.get(address).content == b"1"
    assert wire.session.get(f"{v2}/{artifact}/{hexdigest}/other").status_code == 404


def test_a_deleted_version_cannot_be_downloaded(server: WandbServer, wire: Wire) -> None:
    seeded = server.seed_version(f"{REGISTRY}/net", {"f": b"1"}, aliases=["production"])
    given = {"artifactID": seeded.artifact_id}
    status, message = wire.refused_change("deleteArtifact", given, "artifact { id }")
    assert (status, "production" in message) == (409, True)
    wire.change("deleteArtifact", {**given, "deleteAliases": True}, "artifact { id }")
    assert wire.refused_change("deleteArtifact", given, "artifact { id }")[0] == 404
    hexdigest = hashlib.md5(b"1", usedforsecurity=False).hexdigest()
    assert wire.session.get(f"{server.url}/artifacts/acme-team/{hexdigest}").status_code == 404
    assert wire.swept() == []


def test_files_of_manifest_entries_are_found(server: WandbServer, wire: Wire) -> None:
    seeded = server.seed_version(f"{REGISTRY}/net", {"a": b"1", "b": b"2"})
    query = """query($id: ID!, $entries: [ArtifactManifestEntryInput!]) { artifact(id: $id) {
        artifactMemberships { totalCount }
        filesByManifestEntries(storageLayout: "V2", manifestVersion: "1", entries: $entries) {
          edges { node { name } } } } }"""
    entries = [{"name": "b", "digest": "x"}]
    artifact = wire.ask(query, id=seeded.artifact_id, entries=entries)["artifact"]
    assert artifact["filesByManifestEntries"]["edges"] == [{"node": {"name": "b"}}]
    assert artifact["artifactMemberships"]["totalCount"] == 2
    assert wire.ask(query, id=seeded.artifact_id)["artifact"]["filesByManifestEntries"]["edges"] == []


# Projects


def test_projects_are_made_listed_renamed_and_deleted(server: WandbServer, wire: Wire) -> None:
    shape = "inserted model { id name } project { id internalId entityName views user { username } isBenchmark }"
    one = wire.change("upsertModel", {"entityName": "acme-team", "name": "one", "views": "{}"}, shape)
    assert one["inserted"]
    assert one["project"]["user"]["username"] == "alice"
    again = wire.change("upsertModel", {"entityName": "acme-team", "name": "one", "description": "x"}, shape)
    assert (again["inserted"], again["model"]["id"]) == (False, one["model"]["id"])
    wire.change("upsertModel", {"entityName": "acme-team", "name": "two"}, shape)
    rename = {"entityName": "acme-team", "oldProjectName": "one", "newProjectName": "two"}
    assert wire.refused_change("renameProject", rename, shape)[0] == 409
    wire.change("renameProject", {**rename, "newProjectName": "three"}, "project { name }")
    query = 'query($name: String) { models(entityName: $name, first: 10, order: "name") { edges { node { name } } } }'
    assert [e["node"]["name"] for e in wire.ask(query, name="acme-team")["models"]["edges"]] == ["three", "two"]
    assert wire.refused(query, name="nobody")[0] == 404
    wire.change("deleteModel", {"id": one["project"]["internalId"]})
    assert wire.refused_change("deleteModel", {"id": one["project"]["id"]})[0] == 404
    server.seed_version(f"{REGISTRY}/net", {"f": b"1"})
    seeded = wire.ask('{ project(entityName: "acme-team", name: "seeded") { id } }')["project"]["id"]
    assert wire.refused_change("deleteModel", {"id": seeded})[0] == 409  # its versions are linked elsewhere


def test_a_collection_cannot_take_a_name_that_is_taken(server: WandbServer, wire: Wire) -> None:
    for name in ("one", "two"):
        server.seed_version(f"{REGISTRY}/{name}", {"f": b"1"})
    query = """query($name: String!) { project(entityName: "acme_org", name: "wandb-registry-model") {
                 artifactCollection(name: $name) { id state } artifactTypes { edges { node { name } } } } }"""
    one = wire.ask(query, name="one")["project"]["artifactCollection"]["id"]
    rename = {"artifactPortfolioID": one, "name": "two"}
    assert wire.refused_change("updateArtifactPortfolio", rename, "artifactCollection { id }")[0] == 409
    tags = {"entityName": "acme_org", "projectName": "wandb-registry-model", "artifactCollectionName": "none"}
    shape = "success"
    assert wire.refused_change("deleteArtifactCollectionTagAssignments", {**tags, "tags": []}, shape)[0] == 404
    wire.change("deleteArtifactPortfolio", {"artifactPortfolioID": one}, "artifactCollection { state }")
    found = wire.ask("query($id: ID!) { artifactCollection(id: $id) { name } }", id=one)
    assert found == {"artifactCollection": None}
    server.seed_version(f"{REGISTRY}/one", {"f": b"2"})  # the name is free again
    assert wire.ask(query, name="one")["project"]["artifactCollection"]["id"] != one


# Runs


def test_a_run_streams_its_lines_packed_or_not(wire: Wire) -> None:
    given = {"entityName": "acme-team", "modelName": "train", "name": "r1", "tags": ["x"], "notes": "n"}
    run = wire.change("upsertBucket", given, "inserted bucket { id tags displayName projectId }")
    assert run["inserted"]
    stream = f"{wire.server.url}/files/acme-team/train/r1/file_stream"
    chunk = {"offset": 0, "content": ['{"_step": 0, "a": 1}', '{"_step": 1, "b": 2}']}
    body = gzip.compress(json.dumps({"files": {"wandb-history.jsonl": chunk}}).encode())
    for _ in range(2):  # a chunk that is sent again replaces itself
        assert wire.session.post(stream, data=body, headers={"Content-Encoding": "gzip"}).json() == {}
    wire.change("stopRun", {"id": run["bucket"]["id"]})
    stopped = wire.session.post(stream, json={"complete": True, "exitcode": 1, "files": {"wandb-summary.json": {}}})
    assert stopped.json() == {"stopped": True}
    assert wire.session.post(stream.replace("r1", "none"), json={}).json() == {}
    assert wire.session.post(stream.replace("train", "none"), json={}).status_code == 404
    query = """query($specs: [JSONString!]!) { project(entityName: "acme-team", name: "train") { runCount
        run(name: "r1") { state historyLineCount historyKeys history(minStep: 1, maxStep: 9) events
                          sampledHistory(specs: $specs)
                          stopped readOnly sweepName fileCount user { username } project { name } } } }"""
    data = wire.ask(query, specs=['{"keys": ["a"], "samples": 5}', "{}"])["project"]
    found = data["run"]
    assert (found["state"], found["historyLineCount"], found["stopped"]) == ("failed", 2, True)
    assert found["historyKeys"]["lastStep"] == 1
    assert found["history"] == ['{"_step": 1, "b": 2}']
    assert found["sampledHistory"] == [[{"a": 1}], [{"_step": 0, "a": 1}, {"_step": 1, "b": 2}]]
    assert data["runCount"] == 1


def test_a_run_that_is_not_there_is_not_found(wire: Wire) -> None:
    wire.change("upsertBucket", {"name": "r1"}, "bucket { id }")  # goes to the default entity's "uncategorized"
    bucket = '{ model(name: "uncategorized") { bucket(name: "r2") { id } } }'
    assert wire.refused(bucket)[0] == 404
    named = {"entityName": "acme-team", "projectName": "uncategorized", "runName": "r2", "files": []}
    assert wire.refused_change("markRunFilesUploaded", named)[0] == 404
    run = wire.ask('{ project(name: "uncategorized") { run(name: "r1") { id historyKeys } } }')["project"]["run"]
    assert run["historyKeys"] is None
    delete = {"id": run["id"], "deleteArtifacts": True}
    assert "does not implement" in wire.refused_change("deleteRun", delete, "clientMutationId")[1]
    assert wire.change("upsertBucket", {"id": run["id"], "state": "crashed"}, "bucket { state }")["bucket"] == {
        "state": "crashed"
    }


def test_files_of_a_run_are_listed_with_both_urls(wire: Wire) -> None:
    wire.change("upsertBucket", {"name": "r1"}, "bucket { id }")
    named = {"entityName": "acme-team", "projectName": "uncategorized", "runName": "r1", "files": ["a.txt", "b.bin"]}
    made = wire.change("createRunFiles", named, "runID uploadHeaders files { name uploadUrl }")
    requests.put(made["files"][0]["uploadUrl"], data=b"text", timeout=9)
    wire.change("markRunFilesUploaded", named)
    query = """query($names: [String], $pattern: String) { project(name: "uncategorized") { runs {
        edges { node { files(names: $names, pattern: $pattern) { edges { node { name displayName sizeBytes md5 mimetype
        updatedAt directUrl url upload: url(upload: true) } } } } } } } }"""

    def files(**variables: object) -> list[Json]:
        [run] = wire.ask(query, **variables)["project"]["runs"]["edges"]
        return [edge["node"] for edge in run["node"]["files"]["edges"]]

    text, binary = files()
    assert (text["sizeBytes"], binary["sizeBytes"], binary["md5"]) == (4, 0, None)
    assert requests.get(text["url"], timeout=9).content == b"text"
    assert requests.put(binary["upload"], data=b"b", timeout=9).status_code == 200
    assert [file["name"] for file in files(names=["a.txt"])] == ["a.txt"]
    assert [file["name"] for file in files(pattern="%.bin")] == ["b.bin"]


def test_runs_are_filtered_by_config_and_summary(wire: Wire) -> None:
    for number in (1, 2):
        config, summary = json.dumps({"lr": {"value": number}}), json.dumps({"loss": number})
        given = {"name": f"r{number}", "config": config, "summaryMetrics": summary}
        wire.change("upsertBucket", given, "bucket { id }")
    query = 'query($f: JSONString) { project(name: "uncategorized") { runs(filters: $f) { edges { node { name } } } } }'
    for found in ({"config.lr.value": 2}, {"summary_metrics.loss": {"$gt": 1}}):
        edges = wire.ask(query, f=json.dumps(found))["project"]["runs"]["edges"]
        assert [edge["node"]["name"] for edge in edges] == ["r2"]


# Restart


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    def start(port: int = 0) -> WandbServer:
        server = WandbServer(tmp_path / "server", traffic=Traffic(), clock=SandboxClock(), port=port)
        server.start()
        return server

    first = start()
    first.create_organization("Acme")
    first.create_user("alice", api_key=ALICE, organization="Acme")
    seeded = first.seed_version(f"{REGISTRY}/net", {"f": b"1"}, aliases=["production"])
    wire = Wire(first, ALICE)
    query = "query($id: ID!) { artifact(id: $id) { files { edges { node { directUrl } } } } }"
    [edge] = wire.ask(query, id=seeded.artifact_id)["artifact"]["files"]["edges"]
    port = int(first.url.rpartition(":")[2])
    first.stop()
    first.stop()
    second = start(port)
    assert second.url == first.url
    with Wire(second, ALICE).session as session:
        wire.session.close()
        wire.session = session
        wire.session.auth = ("api", ALICE)
        assert wire.swept({"alias": "production"}) == ["net:v0"]
        assert session.get(edge["node"]["directUrl"]).content == b"1"
    second.stop()


def test_seeding_needs_the_registry(server: WandbServer) -> None:
    with pytest.raises(LookupError, match="create the organization"):
        server.seed_version("acme_org/wandb-registry-none/net", {})
