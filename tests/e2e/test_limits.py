"""Requests are counted where they are made, and an API that asks for fewer is heard."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bridge.copying.budget import Budget
from bridge.copying.gcs import GcsStorage
from bridge.core.errors import TryAgain
from bridge.core.model import Alias, CollectionSelector
from bridge.sandbox.address import API_KEY, BUCKET, LOCATION, ORGANIZATION, PROJECT
from bridge.sandbox.faults import Fault
from bridge.sources.mlflow.source import MlflowSource
from bridge.sources.wandb.session import WandbSession
from bridge.testing.clock import FakeClock
from bridge.testing.source import MemorySource
from bridge.testing.store import MemoryStore
from bridge.vertex.registry import VertexRegistry
from tests.limits import Counting
from tests.readers import copier_of

if TYPE_CHECKING:
    from bridge.sandbox.mlflow.server import MlflowServer
    from bridge.sandbox.traffic import Traffic
    from bridge.sandbox.world import World
    from bridge.sources.wandb.session import Api
    from tests.e2e.conftest import Desk

pytestmark = pytest.mark.sandbox


def test_requests_to_wandb_are_counted_and_silence_is_heard(desk: Desk) -> None:
    """The SDK tries again by itself what W&B answers 429 to, until its time is over: more is not seen of it."""
    for number in range(3):
        desk.publish(f"weights {number}".encode())
    limit = Counting()
    session = WandbSession("acme", desk.world.wandb.url, lambda: API_KEY, timeout=1, limit=limit)
    ours = {"name": desk.collection}

    def versions(api: Api) -> list[object]:
        found = api.registries(ORGANIZATION, filter={"name": "model"}).collections(filter=ours).versions(per_page=1)
        return list(session.paged(found, 1))

    assert len(session.call(versions)) == 3
    assert (limit.taken, limit.slowed) == (3, 0)
    assert limit.answers == [200] * 3
    desk.world.traffic.faults.arm(Fault("wandb", "status", status=429, count=None))
    try:
        with pytest.raises(TryAgain, match="did not answer within 1 s"):
            session.call(versions)
    finally:
        desk.world.traffic.faults.disarm()
    assert limit.slowed == 1
    assert limit.answers[-1] is None


def test_requests_to_vertex_are_counted_and_too_many_are_heard(desk: Desk) -> None:
    limit, uploads = Counting(), Counting()
    registry = VertexRegistry(
        PROJECT,
        LOCATION,
        "registry-bridge",
        endpoint=desk.world.vertex.grpc_address,
        insecure=True,
        limit=limit,
        uploads=uploads,
    )
    with closing(registry):
        registry.observe(desk.model)
        registry.version(desk.model, "1")
        assert (limit.taken, limit.slowed) == (2, 0)
        assert limit.answers == [200, 200]
        desk.world.traffic.faults.arm(Fault("vertex", "status", status=429, count=None))
        try:
            with pytest.raises(TryAgain, match="asks to come back later") as refused:
                registry.remove_alias(desk.model, Alias("production"), "1")
        finally:
            desk.world.traffic.faults.disarm()
    assert refused.value.nothing_happened
    assert (limit.slowed > 1, uploads.slowed) == (True, 0), "it was read again and again"
    assert limit.answers[2:] == [429] * limit.slowed


def test_requests_to_mlflow_are_counted_and_too_many_are_heard(
    mlflow_server: MlflowServer, mlflow_traffic: Traffic
) -> None:
    limit = Counting()
    with closing(MlflowSource("ml", mlflow_server.url, FakeClock(), limit=limit)) as source:
        selector = CollectionSelector("ml", "models:", "nobody", is_pattern=True)
        source.sweep([selector])
        assert (limit.taken >= 1, limit.slowed) == (True, 0)
        assert limit.answers == [200] * limit.taken
        mlflow_traffic.faults.arm(Fault("mlflow", "status", status=429, retry_after=7, count=None))
        with pytest.raises(TryAgain):
            source.sweep([selector])
    assert limit.slowed >= 1
    assert 429 in limit.answers


def test_requests_to_a_bucket_keep_to_one_budget_whoever_makes_them(world: World) -> None:
    """Files go without Google's client, all else through it."""
    limit, clock, folder = Counting(), FakeClock(), f"gs://{BUCKET}/counted/"
    world.traffic.reset()
    with closing(
        GcsStorage(
            PROJECT,
            world.gcs.url,
            clock=clock,
            uploads=MemoryStore(),
            budget=Budget(clock),
            limit=limit,
        )
    ) as storage:
        source = MemorySource()
        copier_of(source, storage, clock).copy(source.publish("acme/models/counted", {"model.bin": b"weights"}), folder)
        assert storage.header("gs://nobody/counted/") is None

    assert limit.taken == len(limit.answers) == world.traffic.count("gcs")
    assert sorted(set(limit.answers), key=str) == [200, 404]
