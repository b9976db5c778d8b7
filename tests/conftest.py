"""What every test stands on: no socket beyond loopback, `--live`, and one sandbox per process."""

from __future__ import annotations

import gc
import ipaddress
import os
import socket
import sys
import threading
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import stamina
from xdist.scheduler import LoadScopeScheduling

from bridge.sandbox.mlflow.server import MlflowServer
from bridge.sandbox.traffic import Traffic
from bridge.sandbox.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

MLFLOW = ("mlflow", "test_rebuild")  # in the names of all that speak to the server
WANDB = ("tests/sandbox/test_wandb.py", "tests/sandbox/test_wandb_automations.py")  # import its SDK
# Searches and tables, which do the same things hundreds or thousands of times, and whole journeys whose every step
# another test is about. Folders and files.
UNMEASURED = {
    "chaos",
    "contracts/test_source.py",
    "copying/test_faults.py",
    "copying/test_other_faults.py",
    "crash",
    "e2e/test_bad_copies.py",
    "e2e/test_bad_input.py",
    "e2e/test_deletions.py",
    "e2e/test_killed.py",
    "e2e/test_limits.py",
    "e2e/test_racing.py",
    "sandbox/test_faults.py",
    "serving",
    "sources/test_faults.py",
    "sources/test_many_files.py",
    "stateful",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--live", action="store_true", help="also run the contract tests against the real services")


class _Together(LoadScopeScheduling):
    """
    Has tests that share servers in one process of `-n`, since each would start its own; any process takes the others.

    xdist's own groups are none beside pytest 9.2, and nothing says so (xdist 3.8, its issue 1386). What has most tests
    is begun with.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file in WANDB:
            return "wandb"
        if file.startswith("tests/sandbox/"):
            return file
        return "mlflow" if any(word in nodeid for word in MLFLOW) else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _Together:  # noqa: ANN401  xdist's own affair
    return _Together(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        named = any(word in item.nodeid for word in MLFLOW)
        assert named or "mlflow_server" not in getattr(item, "fixturenames", ()), f"one of MLFLOW: {item.nodeid}"
    if not config.getoption("--live"):
        for item in items:
            if item.get_closest_marker("live"):
                item.add_marker(pytest.mark.skip(reason="speaks to the real services: pytest --live"))


def pytest_collection_finish() -> None:
    """Have the collector of garbage not walk through all that was imported each time."""
    gc.collect()
    gc.freeze()


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--live"):
        return

    # No audit hook: while one written in Python hears of sys.settrace in one thread, no other thread can begin to be
    # measured, and dies before its first line (RuntimeError, Python 3.11).
    def stay_home(name: str) -> None:
        reach = getattr(socket.socket, name)

        def guarded(peer: socket.socket, address: Any) -> Any:  # noqa: ANN401  whatever the family takes
            """Refuse every connection of this process that leaves the machine."""
            if peer.family != socket.AF_UNIX and not _is_loopback(address):
                raise AssertionError(f"a test tried to connect to {address!r}, beyond loopback")
            return reach(peer, address)

        setattr(socket.socket, name, guarded)

    stay_home("connect")
    stay_home("connect_ex")


def _is_loopback(address: object) -> bool:
    host = address[0] if isinstance(address, tuple) else address
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        return False


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_between_tries() -> Iterator[None]:
    """Retries are as many as in production, but do not wait."""
    with stamina.set_testing(True, attempts=3):
        yield


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One sandbox for all tests of a process; each uses collections, models and folders of its own."""
    with World(tmp_path_factory.mktemp("sandbox")) as started:
        yield started


@pytest.fixture(autouse=True)
def _unmeasured(request: pytest.FixtureRequest) -> Iterator[None]:
    """
    Have coverage, which takes a third of the time, not look on at what is UNMEASURED.

    What they alone would reach counts as not reached. Servers in threads are measured all the same.
    """
    path = request.path.relative_to(Path(__file__).parent)
    if UNMEASURED.isdisjoint((path.as_posix(), path.parts[0])):
        yield
        return
    here, threads = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)
    yield
    sys.settrace(here)
    threading.settrace(threads)


MLFLOW_TRAFFIC = Traffic()  # of the one server


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """One real MLflow server for all tests of a process; each uses models of its own."""
    started = MlflowServer(tmp_path_factory.mktemp("mlflow"), traffic=MLFLOW_TRAFFIC)
    started.start()
    try:
        yield started
    finally:
        started.stop()


@pytest.fixture
def mlflow_traffic() -> Iterator[Traffic]:
    """Hand out the tally of that server; the faults of a test end with it."""
    yield MLFLOW_TRAFFIC
    MLFLOW_TRAFFIC.faults.disarm()


MLFLOW_S3_TRAFFIC = Traffic()  # of the one server over a bucket


@dataclass(frozen=True)
class S3Bucket:
    """A bucket at S3's stand-in; the keys that open it are "key" and "secret"."""

    endpoint: str
    name: str
    client: Any  # boto3's; its calls are made at run time, and untyped

    def put(self, key: str, content: bytes) -> None:
        """Store an object under any name."""
        self.client.put_object(Bucket=self.name, Key=key, Body=content)


@pytest.fixture(scope="session")
def s3_bucket() -> Iterator[S3Bucket]:
    """One S3 with one bucket for all tests of a process; each uses folders of its own. Sets no variables."""
    import boto3  # noqa: PLC0415  takes a second, which only those pay who ask
    from moto.server import ThreadedMotoServer  # noqa: PLC0415  takes seconds

    stand_in = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    stand_in.start()
    host, port = stand_in.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    try:
        with _without_aws():
            client = boto3.client("s3", endpoint_url=endpoint, **keys)
        with closing(client):
            client.create_bucket(Bucket="mlflow-artifacts")
            yield S3Bucket(endpoint, "mlflow-artifacts", client)
    finally:
        stand_in.stop()


@pytest.fixture(scope="session")
def mlflow_s3_server(tmp_path_factory: pytest.TempPathFactory, s3_bucket: S3Bucket) -> Iterator[MlflowServer]:
    """One real MLflow server whose artifacts are in the folder `root` of that bucket; only it has the keys."""
    started = MlflowServer(
        tmp_path_factory.mktemp("mlflow-s3"),
        traffic=MLFLOW_S3_TRAFFIC,
        artifacts=f"s3://{s3_bucket.name}/root",
        more={
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "MLFLOW_S3_ENDPOINT_URL": s3_bucket.endpoint,
        },
    )
    with _without_aws():
        started.start()
    try:
        yield started
    finally:
        started.stop()


@pytest.fixture
def mlflow_s3_traffic() -> Iterator[Traffic]:
    """Hand out the tally of that server; the faults of a test end with it."""
    yield MLFLOW_S3_TRAFFIC
    MLFLOW_S3_TRAFFIC.faults.disarm()


@contextmanager
def _without_aws() -> Iterator[None]:
    """Take away what the user has set for AWS: a profile of theirs would be looked for even where keys are given."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        yield
