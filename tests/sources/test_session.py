"""A connection to W&B that is refused, slowed down, cut off, shared by threads, or loses its core process."""

from __future__ import annotations

import gc
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import wandb
from wandb.errors import CommError
from wandb.sdk.mailbox import MailboxClosedError

from bridge.core.errors import BridgeError, NeedsPerson, NotFound, TryAgain
from bridge.sandbox.address import API_KEY, ORGANIZATION, TEAM
from bridge.sandbox.wandb.switches import WandbSwitches
from bridge.sources.wandb.session import WandbSession
from bridge.sources.wandb.source import WandbSource
from tests.sources.publishers import REGISTRY, new_name, selector
from tests.sources.servers import HANG_UP, Reply, ScriptedServer, graphql_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.core.model import SourceVersion
    from tests.sources.publishers import SandboxPublisher

pytestmark = [
    pytest.mark.sandbox,
    # The SDK forgets a core process that died, or that it tore down, without waiting for it.
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
]

STRANGER = "local-" + "b" * 40  # well-formed, and of nobody who is in the organization


@pytest.fixture(autouse=True)
def _forgotten_processes() -> Iterator[None]:
    """Let the SDK's forgotten processes be collected here, where the warning is expected."""
    yield
    gc.collect()


@pytest.fixture
def version(people: SandboxPublisher) -> SourceVersion:
    name = new_name()
    people.publish(name, {"f": b"1"}, "production")
    [state] = people.source.sweep([selector(name)]).found[selector(name)]
    return state.versions[0]


@pytest.fixture
def stranger(people: SandboxPublisher) -> Iterator[WandbSource]:
    """Return a source whose key is another account's, who is in no organization."""
    people.world.wandb.create_user("stranger", api_key=STRANGER)
    with closing(WandbSource("acme", people.between.url, lambda: STRANGER, ORGANIZATION)) as source:
        yield source


def name_of(version: SourceVersion) -> str:
    return version.collection.rpartition("/")[2]


def core_processes() -> list[int]:
    """List the wandb-core processes that this one has started."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                command, _, rest = (folder / "stat").read_text().partition("(")[2].rpartition(")")
            except OSError:
                continue  # it has ended meanwhile
            state, parent = rest.split()[:2]
            if command == "wandb-core" and state != "Z" and int(parent) == os.getpid():
                found.append(int(folder.name))
    return found


def kill_core() -> None:
    processes = core_processes()
    assert processes
    for process in processes:
        os.kill(process, signal.SIGKILL)


def kill_core_and_let_it_be_noticed(people: SandboxPublisher) -> None:
    """Return when the SDK knows; before, a call fails otherwise."""
    probe = wandb.Api(overrides={"base_url": people.world.wandb.url}, api_key=API_KEY)
    kill_core()
    while True:
        try:
            probe.artifact(f"{REGISTRY}/any:v0")
        except CommError as problem:
            if isinstance(problem.exc, MailboxClosedError):
                return


def kill_core_during(people: SandboxPublisher, operation: str) -> None:
    """Kill it when the operation arrives the next time."""

    def kill_once(_: object) -> None:
        del people.between.edits[operation]
        kill_core()

    people.between.edits[operation] = kill_once


# the core process


def test_a_sweep_works_although_the_core_process_was_killed(people: SandboxPublisher, version: SourceVersion) -> None:
    kill_core_and_let_it_be_noticed(people)

    assert people.source.sweep([selector(name_of(version))]).failed == {}


def test_a_version_is_described_and_read_although_the_core_process_was_killed(
    people: SandboxPublisher, version: SourceVersion
) -> None:
    kill_core_and_let_it_be_noticed(people)
    [file] = people.source.describe(version).files
    kill_core_and_let_it_be_noticed(people)

    with people.source.open(version, file) as pieces:
        assert b"".join(pieces) == b"1"


def test_nothing_is_gone_because_the_core_process_was_killed(people: SandboxPublisher, version: SourceVersion) -> None:
    kill_core_and_let_it_be_noticed(people)
    assert not people.source.is_gone(version.collection, "production")
    kill_core_and_let_it_be_noticed(people)
    assert people.source.is_gone(version.collection, "staging")


def test_a_new_connection_works_although_the_core_process_was_killed(
    people: SandboxPublisher, version: SourceVersion
) -> None:
    kill_core_and_let_it_be_noticed(people)
    with closing(WandbSource("new", people.between.url, lambda: API_KEY, ORGANIZATION)) as source:
        assert source.sweep([selector(name_of(version))]).failed == {}


def test_a_sweep_works_although_the_core_process_dies_during_it(
    people: SandboxPublisher, version: SourceVersion
) -> None:
    kill_core_during(people, "RegistryVersions")

    assert people.source.sweep([selector(name_of(version))]).failed == {}


def test_a_version_is_described_although_the_core_process_dies_meanwhile(
    people: SandboxPublisher, version: SourceVersion
) -> None:
    kill_core_during(people, "ArtifactMembershipByName")

    assert len(people.source.describe(version).files) == 1


def test_a_first_sweep_works_although_the_core_process_dies_during_it(people: SandboxPublisher) -> None:
    kill_core_during(people, "ServerFeaturesQuery")

    assert people.source.sweep([selector(".*", is_pattern=True)]).failed == {}


def test_eight_threads_survive_the_death_of_the_core_process(people: SandboxPublisher, version: SourceVersion) -> None:
    chosen = selector(name_of(version))
    all_wait = threading.Barrier(8, action=kill_core, timeout=10)
    first = iter(range(8))

    def die_together(_: object) -> None:
        if next(first, None) is not None:
            all_wait.wait()

    people.between.edits["RegistryVersions"] = die_together
    with ThreadPoolExecutor(8) as pool:
        sweeps = list(pool.map(lambda _: people.source.sweep([chosen]), range(8)))

    assert all(sweep.found.keys() == {chosen} for sweep in sweeps)


def test_two_connections_both_survive_the_death_of_the_core_process(
    people: SandboxPublisher, version: SourceVersion
) -> None:
    chosen = selector(name_of(version))
    with closing(WandbSource("acme", people.between.url, lambda: API_KEY, ORGANIZATION)) as other:
        other.sweep([chosen])
        kill_core_and_let_it_be_noticed(people)

        assert people.source.sweep([chosen]).failed == {}
        assert other.sweep([chosen]).failed == {}


def test_a_lost_core_is_tried_once_more_and_then_believed(people: SandboxPublisher) -> None:
    session = WandbSession("acme", people.between.url, lambda: API_KEY)
    session.call(lambda _: None)  # so that nothing is lost yet
    tries = []

    def work(_: object) -> None:
        tries.append(1)
        raise ConnectionResetError

    with pytest.raises(TryAgain, match="ConnectionResetError"):
        session.call(work)
    assert len(tries) == 2


def test_an_error_that_is_nobodys_fault_goes_through(people: SandboxPublisher) -> None:
    session = WandbSession("acme", people.between.url, lambda: API_KEY)

    with pytest.raises(ZeroDivisionError):
        session.call(lambda _: 1 // 0)


# refused, slow, absent


def test_a_key_that_wandb_refuses_needs_a_person(people: SandboxPublisher) -> None:
    people.world.wandb.switches = WandbSwitches(unknown_api_key="refuse")
    with closing(WandbSource("acme", people.between.url, lambda: "local-" + "c" * 40, ORGANIZATION)) as source:
        with pytest.raises(NeedsPerson, match="refused the API key"):
            source.sweep([selector("any")])
        with pytest.raises(NeedsPerson, match="refused the API key"):
            source.is_gone(f"{REGISTRY}/any", "production")


def test_a_key_that_is_none_needs_a_person_and_is_not_repeated(people: SandboxPublisher) -> None:
    with (
        closing(WandbSource("acme", people.between.url, lambda: "secret", ORGANIZATION)) as source,
        pytest.raises(NeedsPerson) as caught,
    ):
        source.sweep([selector("any")])
    assert "secret" not in str(caught.value)


def test_a_refused_key_does_not_disturb_another_connection(people: SandboxPublisher, version: SourceVersion) -> None:
    people.world.wandb.switches = WandbSwitches(unknown_api_key="refuse")
    with (
        closing(WandbSource("other", people.between.url, lambda: "local-" + "c" * 40, ORGANIZATION)) as other,
        pytest.raises(NeedsPerson),
    ):
        other.sweep([selector("any")])

    assert not people.source.is_gone(version.collection, "production")
    assert people.source.sweep([selector(name_of(version))]).failed == {}


def test_the_key_is_asked_for_when_it_is_first_needed(people: SandboxPublisher) -> None:
    asked = []

    def key() -> str:
        asked.append(1)
        return API_KEY

    with closing(WandbSource("acme", people.between.url, key, ORGANIZATION)) as source:
        assert asked == []
        source.sweep([selector("any")])
        source.sweep([selector("any")])
        assert asked == [1]


def test_a_key_that_cannot_be_had_is_said_as_it_is(people: SandboxPublisher) -> None:
    def key() -> str:
        raise NeedsPerson("WANDB_API_KEY is not set", "set it")

    with (
        closing(WandbSource("acme", people.between.url, key, ORGANIZATION)) as source,
        pytest.raises(NeedsPerson, match="WANDB_API_KEY is not set"),
    ):
        source.sweep([selector("any")])


def test_a_server_that_is_not_there_is_for_another_time(people: SandboxPublisher) -> None:
    with ScriptedServer(lambda _: HANG_UP) as server:
        url = server.url
    assert people.between.asked == []
    session = WandbSession("acme", url, lambda: API_KEY, timeout=1)

    with pytest.raises(TryAgain):
        session.call(lambda api: api.artifact(f"{REGISTRY}/any:v0"))


def test_a_limit_of_requests_slows_down_and_nothing_else(people: SandboxPublisher, version: SourceVersion) -> None:
    people.world.wandb.switches = WandbSwitches(rate_limit="with_headers", rate_limit_requests=1, rate_limit_window=1)
    chosen = selector(name_of(version))

    assert [people.source.sweep([chosen]).failed for _ in range(2)] == [{}, {}]


def test_a_limit_that_never_ends_is_for_another_time(people: SandboxPublisher, version: SourceVersion) -> None:
    session = WandbSession("acme", people.between.url, lambda: API_KEY, timeout=1)
    session.call(lambda api: api.artifact(str(version)))
    people.world.wandb.switches = WandbSwitches(rate_limit="with_headers")

    with pytest.raises(TryAgain):
        session.call(lambda api: api.artifact(str(version)))


def test_a_listing_that_takes_too_long_is_for_another_time(people: SandboxPublisher) -> None:
    session = WandbSession("acme", people.between.url, lambda: API_KEY, timeout=1)
    session.call(lambda api: list(api.registries(ORGANIZATION)))
    people.world.wandb.switches = WandbSwitches(rate_limit="with_headers")

    with pytest.raises(TryAgain):
        session.call(lambda api: list(api.registries(ORGANIZATION)))


@pytest.mark.parametrize("status", [400, 404, 409, 413])
def test_an_answer_that_says_neither_yes_nor_no_is_not_gone(
    people: SandboxPublisher, version: SourceVersion, status: int
) -> None:
    people.between.answers["ArtifactMembershipByName"] = Reply(status, b'{"error": "artifact not found"}')

    with pytest.raises((TryAgain, NeedsPerson)) as caught:
        people.source.is_gone(version.collection, "production")
    assert not isinstance(caught.value, NotFound)


def test_an_answer_without_data_is_not_gone(people: SandboxPublisher, version: SourceVersion) -> None:
    people.between.answers["ArtifactMembershipByName"] = Reply(200, b"{}")

    with pytest.raises(BridgeError):
        people.source.is_gone(version.collection, "production")


# denied


def to_the_registry(source: WandbSource, version: SourceVersion) -> object:
    return source.sweep([selector(name_of(version)), selector(".*", is_pattern=True)])


def to_a_version(source: WandbSource, version: SourceVersion) -> object:
    return source.describe(version)


def to_an_alias(source: WandbSource, version: SourceVersion) -> object:
    return source.is_gone(version.collection, "production")


@pytest.mark.parametrize("denied", ["http_403", "graphql_error"])
@pytest.mark.parametrize(
    "access",
    [to_the_registry, to_a_version, to_an_alias],
)
def test_what_is_denied_aloud_is_an_error(
    people: SandboxPublisher,
    stranger: WandbSource,
    version: SourceVersion,
    denied: str,
    access: Callable[[WandbSource, SourceVersion], object],
) -> None:
    people.world.wandb.switches = WandbSwitches(denied=denied)  # type: ignore[arg-type]  # one of its words

    with pytest.raises(BridgeError) as caught:
        access(stranger, version)
    assert not isinstance(caught.value, NotFound)


def test_what_is_denied_silently_is_missing_by_name_and_nobody_describes_it(
    stranger: WandbSource, version: SourceVersion
) -> None:
    chosen = selector(name_of(version))

    assert chosen in stranger.sweep([chosen]).failed
    with pytest.raises(BridgeError):
        stranger.describe(version)
    with pytest.raises(BridgeError):
        stranger.is_gone(version.collection, "production")


def test_an_alias_is_not_gone_because_the_registry_is_not_seen(
    people: SandboxPublisher, version: SourceVersion
) -> None:
    people.between.answers["ArtifactMembershipByName"] = Reply(200, b'{"data": {"project": null}}')

    with pytest.raises(BridgeError):
        people.source.is_gone(version.collection, "production")


def test_a_pattern_over_a_registry_that_is_not_seen_is_failed(stranger: WandbSource, version: SourceVersion) -> None:
    chosen = selector(f"{name_of(version)}|no-other", is_pattern=True)

    assert chosen in stranger.sweep([chosen]).failed


@pytest.mark.parametrize("denial", [Reply(403), graphql_error("permission denied"), Reply(200, b"{}")])
def test_a_project_that_is_denied_fails_alone(people: SandboxPublisher, version: SourceVersion, denial: Reply) -> None:
    project, registry = selector("any", place=f"{TEAM}/seeded"), selector(name_of(version))
    people.between.answers["ProjectArtifactCollection"] = denial
    sweep = people.source.sweep([project, registry])

    assert (list(sweep.failed), list(sweep.found)) == ([project], [registry])


@pytest.mark.parametrize("operation", ["RegistryVersions", "RegistryCollections"])
def test_a_registry_that_is_denied_fails_alone(
    people: SandboxPublisher, version: SourceVersion, operation: str
) -> None:
    registry = selector(name_of(version), is_pattern=True)
    project = selector(name_of(version), place=f"{TEAM}/seeded")
    people.between.answers[operation] = graphql_error("permission denied")
    sweep = people.source.sweep([registry, project])

    assert (list(sweep.failed), list(sweep.found)) == ([registry], [project])


# threads


def test_eight_threads_sweep_describe_and_read_on_one_source(people: SandboxPublisher) -> None:
    names = [new_name() for _ in range(8)]
    contents = {name: name.encode() * 1000 for name in names}
    for name in names:
        people.publish(name, {"f": contents[name]}, "production")

    def look(name: str) -> bytes:
        chosen = selector(name)
        [state] = people.source.sweep([chosen]).found[chosen]
        version = state.version(state.aliases["production"])
        [file] = people.source.describe(version).files
        assert not people.source.is_gone(version.collection, "production")
        with people.source.open(version, file) as pieces:
            return b"".join(pieces)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(look, names * 4))
    assert found == [contents[name] for name in names * 4]


def test_threads_that_come_first_at_once_log_in_once(people: SandboxPublisher) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: people.source.sweep([selector("any")]), range(8)))

    assert people.between.operations().count("Viewer") == 1
