"""
Everything that can go wrong, once, with every request that a source makes: it says so, or says what is true.

Silence is waited for elsewhere, once for each end (e2e/test_run.py, mlflow/test_failures.py). A byte that changes on
its way to us is told by TLS, and those of files by their digests.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

import pytest
import wandb

from bridge.core.errors import NeedsPerson, TryAgain
from bridge.sandbox.faults import Fault, Kind
from tests.sources.mlflow_people import mlflow_people
from tests.sources.publishers import keep_wandb_in, new_name, sandbox_people
from tests.stateful import SOAK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from _pytest.mark import ParameterSet

    from bridge.core.ports import Source
    from bridge.sandbox.traffic import Traffic
    from bridge.sandbox.world import World
    from tests.sources.publishers import Publisher

    End = tuple[Traffic, Callable[[], AbstractContextManager[Publisher]]]

pytestmark = [pytest.mark.sandbox, pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")]

FILES = {"config.json": b"{}", "model.bin": bytes(range(256)) * 40}
REFUSED = (401, 403)  # what needs a person; all else is to be tried again
FAULTS: list[tuple[Kind, int]] = [("status", 403), ("status", 503), ("reset", 0)]  # 429: e2e/test_limits.py
if SOAK:  # W&B's SDK waits two seconds after most of them
    FAULTS += [("status", 401), ("half_body", 0), ("slow", 0)]

# What a source that was just opened asks for.
ONCE = (
    "FetchOrgInfoFromEntity",
    "GetDefaultEntity",
    "ServerFeaturesQuery",
    "Viewer",
)  # of an SDK, whatever it is to do
LOOKS: dict[str, dict[str, tuple[str, ...]]] = {
    "wandb": {
        "sweep": ("FetchAdvancedRegistryFeatures", "RegistryVersions", "ServerFeaturesQuery", "Viewer"),
        "files": (
            "ArtifactMembershipByName",
            "ArtifactMembershipFiles",
            "FetchArtifactManifest",
            "GET file",
            *ONCE,
        ),
        "gone": ("ArtifactMembershipByName", "RegistryCollections", *ONCE),
        "deleted": ("ArtifactMembershipByName", "RegistryCollections", *ONCE),
        "access": ("FetchRegistries", "GetViewer", "ServerFeaturesQuery", "Viewer"),
    },
    "mlflow": {
        "sweep": ("model-versions/search", "registered-models/search"),
        "files": (
            "mlflow-artifacts/artifacts GET",
            "mlflow-artifacts/artifacts LIST",
            "model-versions/get",
            "model-versions/get-download-uri",
            "registered-models/get",
            "runs/get",
            "server-info",
        ),
        "gone": ("registered-models/get",),
        "deleted": ("model-versions/get", "model-versions/search"),
        "access": ("model-versions/search",),
    },
}


class Stage:
    """A collection with a version, and one that was deleted; what sources say of them."""

    def __init__(self, people: Publisher, traffic: Traffic, anew: Callable[[], Source]) -> None:
        self.people, self.traffic, self.anew = people, traffic, anew
        self._name = new_name()
        self._chosen = people.selector(self._name)
        people.publish(self._name, FILES, "production")
        deleted = people.publish(self._name, {"model.bin": b"another"})
        [state] = people.source.sweep([self._chosen]).found[self._chosen]
        self._versions = state.versions
        people.delete(self._name, deleted)

    def look(self, which: str, source: Source) -> object:
        """Ask a source. Raises what it raises, and what it says that it could not do."""
        looks: dict[str, Callable[[Source], object]] = {
            "sweep": self._sweep,
            "files": self._files,
            "gone": self._gone,
            "deleted": lambda it: [it.is_deleted(each, self._chosen) for each in self._versions],
            "access": lambda it: it.check_access(),
        }
        return looks[which](source)

    def _sweep(self, source: Source) -> tuple[dict[str, str], dict[str, str]]:
        seen = source.sweep([self._chosen])
        if self._chosen in seen.failed:
            raise seen.failed[self._chosen]
        [state] = seen.found[self._chosen]
        return {version.id: version.label for version in state.versions}, dict(state.aliases)

    def _files(self, source: Source) -> dict[str, bytes]:
        found = {}
        for file in source.describe(self._versions[0]).files:
            with source.open(self._versions[0], file) as pieces:
                found[file.path] = b"".join(pieces)
        return found

    def _gone(self, source: Source) -> list[bool]:
        path = self.people.path(self._name)
        return [source.is_gone(path, alias, self._chosen) for alias in ("production", "staging")]


@pytest.fixture(scope="module", autouse=True)
def _no_team_is_known() -> None:
    """Have the SDK forget the variables of whatever test it was first used in: with a team it would not ask for one."""
    wandb.teardown()


@pytest.fixture
def end(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> End:
    if request.param == "wandb":
        world: World = request.getfixturevalue("world")
        keep_wandb_in(tmp_path, monkeypatch)
        return world.traffic, partial(sandbox_people, world)
    traffic = request.getfixturevalue("mlflow_traffic")
    return traffic, partial(mlflow_people, request.getfixturevalue("mlflow_server").url, traffic)


@pytest.fixture
def stage(end: End) -> Iterator[Stage]:
    traffic, opened = end
    with ExitStack() as stack:
        people = stack.enter_context(opened())
        stack.callback(traffic.faults.disarm)
        yield Stage(people, traffic, lambda: stack.enter_context(opened()).source)


def looks() -> Iterator[ParameterSet]:
    for end, of_end in LOOKS.items():
        for look, asks in of_end.items():
            yield pytest.param(end, look, asks, id=f"{end}: {look}")


def cells() -> Iterator[ParameterSet]:
    for end, of_end in LOOKS.items():
        seen: set[str] = set()
        for look, methods in of_end.items():
            struck = [method for method in methods if method not in seen.intersection(ONCE)]
            seen |= set(methods)
            for method, (kind, status) in product(struck, FAULTS):
                fault = Fault(end, kind, method, status=status or 503, seconds=0.001 if kind == "slow" else 0)
                yield pytest.param(end, look, fault, id=f"{end}: {look}: {method}: {kind} {status or ''}")


@pytest.mark.parametrize(("end", "look", "asks"), list(looks()), indirect=["end"])
def test_a_look_asks_for_what_it_is_said_to_ask_for(stage: Stage, look: str, asks: tuple[str, ...]) -> None:
    source = stage.anew()
    stage.traffic.reset()

    stage.look(look, source)

    assert {call.method for call in stage.traffic.counts()} == set(asks)


@pytest.mark.parametrize(("end", "look", "fault"), list(cells()), indirect=["end"])
def test_who_looks_is_told_what_is_there_or_that_it_cannot_be_known(stage: Stage, look: str, fault: Fault) -> None:
    right = stage.look(look, stage.people.source)
    source = stage.anew()
    number = stage.traffic.faults.arm(fault)

    try:
        told = stage.look(look, source)
    except TryAgain:
        told = right
    except NeedsPerson:
        assert (fault.kind, fault.status in REFUSED) == ("status", True), "nobody need do anything about this"
        told = right

    assert number not in stage.traffic.faults.armed(), "the request was not made"
    assert told == right
    assert stage.look(look, source) == right
