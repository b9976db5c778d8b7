"""What a sweep of W&B costs, and what it makes of filters, tags, pages, projects and odd artifacts."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import wandb

from bridge.core.errors import NeedsPerson, TryAgain
from bridge.sandbox.address import API_KEY, ORG_ENTITY, ORGANIZATION, TEAM
from bridge.sandbox.wandb.switches import WandbSwitches
from tests.sources.publishers import ODD_PLACE, REGISTRY, new_name, selector

if TYPE_CHECKING:
    from bridge.core.model import CollectionSelector, SourceState
    from bridge.sandbox.world import World
    from bridge.sources.wandb.source import WandbSource
    from tests.sources.publishers import SandboxPublisher

pytestmark = pytest.mark.sandbox

VERSIONS, COLLECTIONS = "RegistryVersions", "RegistryCollections"
ROUNDS = 3  # since what an earlier test has left hanging may be asked for again, by a core process, in one of them
BULK = "wandb-registry-bulk-of-source-tests"


def state_of(source: WandbSource, chosen: CollectionSelector) -> SourceState:
    [state] = source.sweep([chosen]).found[chosen]
    return state


def cost(people: SandboxPublisher, *chosen: CollectionSelector) -> list[str]:
    """Sweep twice, and say what the second time asked for: the first has to log in."""
    people.source.sweep(chosen)
    for _ in range(ROUNDS):
        people.between.asked.clear()
        people.world.traffic.reset()
        people.source.sweep(chosen)
        asked = people.between.operations()
        assert people.world.traffic.count("wandb", write=True) == 0
        if people.world.traffic.count("wandb") == len(asked):
            return asked
    pytest.fail("more is asked for than goes through what is between")


def filters(people: SandboxPublisher) -> list[Any]:
    """Return the filters on versions that were sent."""
    return [variables.get("artifactFilter") for asked, variables in people.between.asked if asked == VERSIONS]


@pytest.fixture(scope="module")
def bulk(world: World) -> str:
    """Return a registry of 1,001 collections with a version each."""
    world.wandb.create_organization(ORGANIZATION, registries=("bulk-of-source-tests",))
    world.wandb.seed_collections(1001, 1, registry=f"{ORG_ENTITY}/{BULK}")
    return BULK


# what it costs


@pytest.mark.parametrize("collections", [1, 3, 60])
def test_any_number_of_named_collections_costs_one_request(people: SandboxPublisher, collections: int) -> None:
    names = [new_name() for _ in range(collections)]
    for name in names:
        people.publish(name, {"f": name.encode()}, "production")

    assert cost(people, *map(selector, names)) == [VERSIONS]


def test_the_same_collection_asked_for_twice_costs_one_request(people: SandboxPublisher) -> None:
    name = new_name()
    people.publish(name, {"f": b"1"}, "production")

    assert cost(people, selector(name), selector(name, aliases=frozenset({"a"}))) == [VERSIONS]


def test_names_without_versions_cost_the_same_whatever_their_number(people: SandboxPublisher) -> None:
    name = new_name()
    people.publish(name, {"f": b"1"}, "production")

    asked = cost(people, selector(name), *(selector(f"{name}-absent-{n}") for n in range(5)))
    assert asked == [VERSIONS, COLLECTIONS, "FetchRegistries"]


def test_a_thousand_versions_cost_one_request_and_the_next_another(people: SandboxPublisher, bulk: str) -> None:
    chosen = selector("seeded-.*", is_pattern=True, place=bulk)
    found = people.source.sweep([chosen]).found[chosen]

    asked = people.between.operations()
    assert [asked.count(VERSIONS), asked.count(COLLECTIONS)] == [2, 2]
    assert len({state.name for state in found}) == 1001
    assert all(state.aliases.keys() == {"production", "latest"} for state in found)


def test_a_pattern_costs_one_listing_of_collections_more(people: SandboxPublisher) -> None:
    name = new_name()
    people.publish(name, {"f": b"1"}, "production")

    assert cost(people, selector(name, is_pattern=True)) == [VERSIONS, COLLECTIONS]


def test_more_names_than_a_filter_takes_are_found_by_listing_all(people: SandboxPublisher, bulk: str) -> None:
    chosen = [selector(f"seeded-{n:05d}", place=bulk) for n in range(0, 1001, 4)]
    sweep = people.source.sweep(chosen)

    assert sweep.failed == {}
    assert {state.name for [state] in sweep.found.values()} == {one.name for one in chosen}


# filters, tags, names


def test_aliases_are_asked_for_by_name_if_every_selector_names_them(people: SandboxPublisher) -> None:
    name = new_name()
    people.publish(name, {"f": b"1"}, "staging")
    people.publish(name, {"f": b"2"}, "production")
    people.publish(name, {"f": b"3"})
    strict = selector(name, aliases=frozenset({"production"}))
    [state] = people.source.sweep([strict, selector(new_name(), aliases=frozenset({"x"}))]).found[strict]

    assert [version.label for version in state.versions] == ["v1"]
    [sent] = filters(people)
    assert "production" in sent
    assert '"x"' in sent


def test_one_selector_without_aliases_lifts_the_filter_for_all(people: SandboxPublisher) -> None:
    name = new_name()
    people.publish(name, {"f": b"1"}, "staging")
    people.source.sweep([selector(name, aliases=frozenset({"production"})), selector(name)])

    assert filters(people) in ([None], ["{}"])


def test_selectors_that_want_no_alias_at_all_find_their_collection_empty(people: SandboxPublisher) -> None:
    name = new_name()
    people.publish(name, {"f": b"1"}, "production")
    chosen = selector(name, aliases=frozenset())

    assert (state_of(people.source, chosen).versions, state_of(people.source, chosen).aliases) == ((), {})


def test_an_empty_collection_is_found_where_an_absent_one_is_failed(people: SandboxPublisher) -> None:
    empty, absent = selector(new_name("empty")), selector(new_name("absent"))
    people.publish(empty.name, {"f": b"1"})
    people.delete(empty.name, "v0")
    sweep = people.source.sweep([empty, absent])

    assert [state.versions for state in sweep.found[empty]] == [()]
    assert isinstance(sweep.failed[absent], NeedsPerson)


def test_a_name_is_never_read_as_a_pattern(people: SandboxPublisher) -> None:
    name = new_name()
    people.publish(name, {"f": b"1"})
    dotted = selector(name.replace("-", "."))

    assert dotted in people.source.sweep([dotted]).failed


def test_a_collection_that_lost_a_tag_is_failed_by_name_and_absent_by_pattern(people: SandboxPublisher) -> None:
    name = new_name()
    people.publish(name, {"f": b"1"})
    people.tag(name, "eu")
    exact = selector(name, tags=frozenset({"us"}))
    pattern = selector(name, is_pattern=True, tags=frozenset({"us"}))
    sweep = people.source.sweep([exact, pattern])

    assert isinstance(sweep.failed[exact], NeedsPerson)
    assert sweep.found[pattern] == ()


def test_two_registries_are_told_apart(people: SandboxPublisher, bulk: str) -> None:
    people.publish("seeded-00001", {"f": b"1"}, "staging")
    here, there = selector("seeded-00001"), selector("seeded-00001", place=bulk)
    sweep = people.source.sweep([here, there])

    assert {place.place: set(state.aliases) for place, [state] in sweep.found.items()} == {
        here.place: {"staging", "latest"},
        bulk: {"production", "latest"},
    }


@pytest.mark.parametrize("switches", [WandbSwitches(), WandbSwitches(version_alias_in_list=True)])
def test_latest_is_in_the_state_and_the_versions_own_names_do_no_harm(
    people: SandboxPublisher, switches: WandbSwitches
) -> None:
    people.world.wandb.switches = switches
    name = new_name()
    people.publish(name, {"f": b"1"}, "production")
    people.publish(name, {"f": b"2"})
    state = state_of(people.source, selector(name))

    named = {alias: state.version(to).label for alias, to in state.aliases.items()}
    assert named.items() >= {"production": "v0", "latest": "v1"}.items()
    assert {alias: to for alias, to in named.items() if alias[0] == "v"}.items() <= {"v0": "v0", "v1": "v1"}.items()


@pytest.mark.parametrize("switches", [WandbSwitches(), WandbSwitches(advanced_search=True)])
def test_both_kinds_of_search_find_the_same(people: SandboxPublisher, switches: WandbSwitches) -> None:
    people.world.wandb.switches = switches
    name = new_name()
    people.publish(name, {"f": b"1"}, "production")
    chosen = selector(name, aliases=frozenset({"production"}))

    assert state_of(people.source, chosen).aliases.keys() == {"production", "latest"}


@pytest.mark.parametrize("most", [50, 100])
def test_a_server_with_smaller_pages_is_read_to_the_end(people: SandboxPublisher, most: int) -> None:
    people.world.wandb.switches = WandbSwitches(page_size_max=most)
    names = [new_name() for _ in range(60)]
    for name in names:
        people.publish(name, {"f": name.encode()}, "production")
        people.publish(name, {"f": name.encode() * 2})
    sweep = people.source.sweep([selector(name) for name in names])

    assert sweep.failed == {}
    assert {len(state.versions) for [state] in sweep.found.values()} == {2}


def test_versions_are_ordered_by_number_and_not_by_text(people: SandboxPublisher) -> None:
    name = new_name()
    for n in range(11):
        people.publish(name, {"f": b"%d" % n})

    labels = [version.label for version in state_of(people.source, selector(name)).versions]
    assert labels == [f"v{n}" for n in range(11)]


def test_an_alias_that_moves_during_the_listing_is_for_another_time(people: SandboxPublisher) -> None:
    moving, calm = new_name("moving"), new_name("calm")
    for name in (moving, calm):
        people.publish(name, {"f": name.encode()}, "production")
        people.publish(name, {"f": name.encode() * 2})

    def on_both(answer: Any) -> None:  # noqa: ANN401  whatever the stand-in says
        for edge in answer["organization"]["orgEntity"]["artifactMemberships"]["edges"]:
            node = edge["node"]
            if node["artifactCollection"]["name"] == moving:
                node["aliases"] = [{"id": "QQ==", "alias": "production"}]

    people.between.edits[VERSIONS] = on_both
    sweep = people.source.sweep([selector(moving), selector(calm)])

    assert isinstance(sweep.failed[selector(moving)], TryAgain)
    assert list(sweep.found) == [selector(calm)]


# odd artifacts


def test_an_artifact_that_the_sdk_cannot_read_needs_a_person(people: SandboxPublisher, odd: str) -> None:
    with pytest.raises(NeedsPerson, match="100"):
        people.source.sweep([selector(odd, place=ODD_PLACE)])


def test_an_artifact_that_the_sdk_cannot_read_fails_its_own_collection_only(people: SandboxPublisher, odd: str) -> None:
    unread, good = selector(odd, place=ODD_PLACE), selector(new_name("good"), place=ODD_PLACE)
    people.world.wandb.seed_version(f"{ORG_ENTITY}/{ODD_PLACE}/{good.name}", {"f": b"2"}, aliases=["production"])
    sweep = people.source.sweep([unread, good])

    assert unread in sweep.failed
    assert good in sweep.found


# project collections


LOG = """
import sys, wandb
with wandb.init(project="train", dir=sys.argv[1]) as run:
    for collection, algorithm in (("plain", None), ("fast", "XXH128")):
        artifact = wandb.Artifact(collection, type="model", digest_algorithm=algorithm)
        with artifact.new_file("model.bin", mode="wb") as file:
            file.write(b"weights" * 1000)
        run.log_artifact(artifact, aliases=["production"]).wait()
"""


@pytest.fixture(scope="module")
def train(world: World, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a project in which a real run logged `plain` and `fast`, the latter with XXH128 digests."""
    folder = tmp_path_factory.mktemp("run")
    world.wandb.switches = WandbSwitches(xxh128=True)
    variables = {**world.environment(), "HOME": str(folder), "WANDB_SILENT": "true", "PATH": "/usr/bin:/bin"}
    for name in ("DIR", "CACHE_DIR", "DATA_DIR", "CONFIG_DIR", "ARTIFACT_DIR"):
        variables[f"WANDB_{name}"] = str(folder)
    subprocess.run([sys.executable, "-c", LOG, folder], env=variables, check=True, timeout=60)  # noqa: S603  the text above
    world.wandb.switches = WandbSwitches()
    return f"{TEAM}/train"


def test_a_project_collection_is_read_like_a_registrys(people: SandboxPublisher, train: str) -> None:
    plain, absent = selector("plain", place=train), selector("absent", place=train)
    sweep = people.source.sweep([plain, absent])
    [state] = sweep.found[plain]

    assert (state.collection, state.name) == (f"{train}/plain", "plain")
    assert {alias: state.version(to).label for alias, to in state.aliases.items()} == {
        "production": "v0",
        "latest": "v0",
    }
    assert state.versions[0].url == f"{people.between.url}/{train}/artifacts/model/plain/v0"
    assert isinstance(sweep.failed[absent], NeedsPerson)
    assert people.source.is_gone(f"{train}/plain", "staging")
    assert not people.source.is_gone(f"{train}/plain", "production")


def test_xxh128_digests_are_told_from_md5(people: SandboxPublisher, train: str) -> None:
    plain, fast = (state_of(people.source, selector(name, place=train)).versions[0] for name in ("plain", "fast"))
    algorithms = []
    for version in (plain, fast):
        [file] = people.source.describe(version).files
        assert (file.path, file.size) == ("model.bin", 7000)
        assert file.digest is not None
        algorithms.append(file.digest.algorithm)
        with people.source.open(version, file) as pieces:
            assert b"".join(pieces) == b"weights" * 1000
    assert algorithms == ["md5", "xxh128"]


def test_a_project_and_a_registry_are_swept_together(people: SandboxPublisher, train: str) -> None:
    name = new_name()
    people.publish(name, {"f": b"1"}, "production")
    chosen = [selector(name), selector("plain", place=train), selector("a", place=f"{TEAM}/no-such-project")]
    sweep = people.source.sweep(chosen)

    assert list(sweep.failed) == chosen[2:]
    assert [state.name for found in sweep.found.values() for state in found] == [name, "plain"]


def test_a_project_collection_of_another_type_is_missing(people: SandboxPublisher, train: str) -> None:
    chosen = selector("plain", place=train)
    other = type(chosen)(chosen.connection, chosen.place, chosen.name, artifact_type="dataset")

    assert isinstance(people.source.sweep([other]).failed[other], NeedsPerson)


def test_a_project_collection_costs_two_requests(people: SandboxPublisher, train: str) -> None:
    assert len(cost(people, selector("plain", place=train))) == 2


@pytest.mark.parametrize("changes", [{"is_pattern": True}, {"tags": frozenset({"eu"})}])
def test_a_projects_collections_are_only_chosen_by_name(
    people: SandboxPublisher, train: str, changes: dict[str, Any]
) -> None:
    plain, other = selector("plain", place=train), selector("fast", place=train, **changes)
    sweep = people.source.sweep([plain, other])

    assert (list(sweep.found), list(sweep.failed)) == ([plain], [other])
    assert isinstance(sweep.failed[other], NeedsPerson)


def test_a_selector_that_fails_does_not_touch_another_of_the_same_name(people: SandboxPublisher, train: str) -> None:
    plain, other = selector("plain", place=train), selector("plain", place=train, is_pattern=True)
    sweep = people.source.sweep([plain, other])

    assert (list(sweep.found), list(sweep.failed)) == ([plain], [other])


def test_a_page_can_be_opened_by_a_person(people: SandboxPublisher) -> None:
    name = new_name("with space")
    people.publish(name, {"f": b"1"})
    [version] = state_of(people.source, selector(name)).versions
    api = wandb.Api(overrides={"base_url": people.between.url}, api_key=API_KEY)

    assert version.url == api.artifact(f"{REGISTRY}/{name}:v0").url
