"""Each fault at each call that a pass makes to Vertex, over the sandbox through the real client: then quiet passes."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from itertools import count, product
from typing import TYPE_CHECKING, cast

import pytest

from bridge.core.model import Alias, ModelKey, OnSourceDelete, RemovalGuard, State, VersionRule
from bridge.sandbox.address import LOCATION, PROJECT
from bridge.sandbox.faults import EVERYWHERE, Fault
from bridge.sandbox.vertex.switches import NextCalls, VertexSwitches
from bridge.vertex.registry import VertexRegistry
from tests.worlds import CONTAINER, FACTS, World, mapping

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.sandbox.world import World as Sandbox
    from bridge.testing.registry import MemoryRegistry

pytestmark = pytest.mark.sandbox

LATE = 3600.0  # seconds
READS = ("ListModelVersions", "GetModel", "GetOperation", "ListOperations")
WRITES = ("UploadModel", "DeleteModelVersion", "MergeVersionAliases", "UpdateModel")
_numbers = count(1)


def faults() -> Iterator[Fault]:
    for method, kind in product((*READS, *WRITES), sorted(EVERYWHERE - {"status", "stale_list"})):
        yield Fault("vertex", kind, method, seconds=0.01)
    for method, status in product((*READS, *WRITES), (429, 500, 503)):
        yield Fault("vertex", "status", method, status=status)
    for method in READS[:2]:
        yield Fault("vertex", "stale_list", method)
    yield Fault("vertex", "operation_fails", "UploadModel")
    yield Fault("vertex", "operation_fails", "DeleteModelVersion")
    yield Fault("vertex", "operation_never_ends", "DeleteModelVersion")


@dataclass
class Stage:
    """A world whose Vertex is the sandbox, before a pass that makes every call."""

    sandbox: Sandbox
    registry: VertexRegistry
    world: World
    key: ModelKey

    def pass_(self) -> None:
        self.world.sync(full=True)

    def seen(self) -> tuple[list[str], dict[Alias, str], list[str]]:
        """Return versions, aliases, and duplicates."""
        versions = self.registry.observe(self.key.model).versions
        aliases = {alias: version.id for version in versions for alias in version.aliases}
        return [each.id for each in versions], aliases, [each.id for each in versions if each.duplicate]


@pytest.fixture
def stage(world: Sandbox) -> Iterator[Stage]:
    """Let the next pass register a version, move an alias, remove another with its version, and mark a duplicate."""
    model = f"faulty-{next(_numbers)}"
    spec = replace(mapping(model=model), on_source_delete=OnSourceDelete.DELETE, versions=VersionRule(None))
    with contextlib.closing(
        VertexRegistry(PROJECT, LOCATION, "bridge", endpoint=world.vertex.grpc_address, insecure=True)
    ) as registry:
        made = World([spec], guard=RemovalGuard(1.0, 9))
        made.registry = cast("MemoryRegistry", registry)
        yet = Stage(world, registry, made, ModelKey("fraud", model))
        made.publish("staging", "production")
        gone = made.publish("champion")
        yet.pass_()
        first, *_ = made.store.records(yet.key)
        registry.register(model, model, first.source, first.artifact_uri, CONTAINER, facts=FACTS, first=False)
        made.source.delete(gone)
        made.frozen_until = made.clock.now()  # so that the duplicate is not marked yet
        yet.pass_()
        made.frozen_until = None
        made.publish("production")
        yield yet
    world.traffic.faults.disarm()
    world.vertex.switches = VertexSwitches()


def test_a_registration_is_one_request_so_that_it_is_sent_when_the_intent_says(stage: Stage) -> None:
    first, *_ = stage.world.store.records(stage.key)
    for model, is_first in ((stage.key.model, False), (f"{stage.key.model}-new", True)):
        stage.sandbox.traffic.reset()
        args = (model, model, first.source, first.artifact_uri, CONTAINER)
        stage.registry.register(*args, facts=FACTS, first=is_first)
        assert {call.method: count for call, count in stage.sandbox.traffic.counts().items()} == {"UploadModel": 1}


@pytest.mark.parametrize("fault", list(faults()), ids=lambda fault: f"{fault.method}-{fault.kind}-{fault.status}")
def test_whatever_goes_wrong_once_a_quiet_pass_converges(stage: Stage, fault: Fault) -> None:
    sandbox, vertex = stage.sandbox, stage.sandbox.vertex
    if fault.method == "ListOperations":  # which are only asked for while nobody knows what became of an upload
        lost = NextCalls(1, "UploadModel")
        vertex.switches = replace(vertex.switches, commit_delay=LATE, lost_reply=lost)
        stage.pass_()
    sandbox.traffic.faults.arm(fault)

    stage.pass_()

    assert sandbox.traffic.faults.armed() == {}, "the call was not made"
    sandbox.clock.advance(LATE)
    vertex.switches = VertexSwitches()
    stage.world.quiet_pass()
    stage.world.clock.advance(LATE)
    stage.pass_()
    assert stage.seen() == (["1", "3", "4"], {"default": "1", "staging": "1", "production": "4"}, ["3"])
    assert stage.world.status(stage.key).state is State.SYNCED
    assert (stage.world.store.unfinished(stage.key), stage.world.store.intents(stage.key)) == ((), ())
    assert [plan.changes for plan in stage.world.plans()] == [()]


def test_an_upload_that_never_ends_is_never_sent_again_and_holds_up_nothing_else(stage: Stage) -> None:
    stage.sandbox.traffic.faults.arm(Fault("vertex", "operation_never_ends", "UploadModel"))

    for _ in range(3):
        stage.pass_()
        stage.world.clock.advance(LATE)

    assert stage.sandbox.traffic.faults.armed() == {}
    assert stage.seen() == (["1", "3"], {"default": "1", "staging": "1", "production": "1"}, ["3"])
    assert stage.world.status(stage.key).message.startswith("Vertex is still at ")
    assert len(stage.world.store.intents(stage.key)) == len(stage.world.store.unfinished(stage.key)) == 1
