"""Nothing here looks for the world outside: proven in a network namespace that has a loopback and nothing else."""

from __future__ import annotations

import socket
import sys

import pytest

from tests.edges.namespaces import alone

pytestmark = pytest.mark.sandbox


@pytest.mark.parametrize(
    "attempt",
    [
        "import socket; socket.create_connection(('192.0.2.1', 80))",
        "import socket; socket.create_connection(('2001:db8::1', 80))",
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'?', ('192.0.2.1', 53))",
    ],
)
def test_an_attempt_to_leave_would_be_seen(attempt: str) -> None:
    code = f"try:\n    {attempt}\nexcept OSError:\n    pass"
    assert alone(sys.executable, "-c", code).returncode == 3


def test_the_sandbox_with_mlflow_starts_and_stops_without_trying_to_leave() -> None:
    code = (
        "import pathlib, tempfile\n"
        "from bridge.sandbox.world import World\n"
        "with tempfile.TemporaryDirectory() as folder, World(pathlib.Path(folder), mlflow=True) as world:\n"
        "    print(world.mlflow.url)\n"
    )
    done = alone(sys.executable, "-c", code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("way", ["connect", "connect_ex"])
def test_a_test_cannot_leave_the_machine_itself(way: str) -> None:
    with socket.socket() as peer, pytest.raises(AssertionError, match="beyond loopback"):
        getattr(peer, way)(("198.51.100.1", 80))
