"""An MLflow source over the one real server, and people who publish there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.testing.clock import FakeClock
from tests.sources.mlflow_people import mlflow_people

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.sandbox.mlflow.server import MlflowServer
    from bridge.sandbox.traffic import Traffic
    from tests.sources.mlflow_people import MlflowPublisher

STORES = ("s3://allowed/prefix", "gs://allowed")


@pytest.fixture
def server(mlflow_server: MlflowServer) -> MlflowServer:
    return mlflow_server


@pytest.fixture
def traffic(mlflow_traffic: Traffic) -> Traffic:
    return mlflow_traffic


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def people(server: MlflowServer, traffic: Traffic, clock: FakeClock) -> Iterator[MlflowPublisher]:
    with mlflow_people(server.url, traffic, clock, STORES) as opened:
        yield opened
