"""`bridge sandbox` runs until it is told to stop, and keeps its data."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import requests

from bridge.sandbox.address import environment

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.sandbox


def free_base() -> int:
    """Find a port whose neighbours are free too."""
    for base in range(18460 + os.getpid() % 1000 * 6, 60000, 6):
        sockets = []
        try:
            for offset in range(6):
                sockets.append(socket.socket())
                sockets[-1].bind(("127.0.0.1", base + offset))
        except OSError:
            continue
        else:
            return base
        finally:
            for each in sockets:
                each.close()
    raise AssertionError("no six free ports in a row")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_when_it_is_ready_answers_at_its_ports_and_stops_when_told(tmp_path: Path, number: int) -> None:
    base = free_base()
    for _ in range(2):  # the second time over the data of the first
        command = [sys.executable, "-m", "bridge", "sandbox", "--data", str(tmp_path), "--port-base", str(base)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
            assert process.stdout is not None
            assert process.stdout.readline() == "sandbox ready\n"
            url = environment(base)["STORAGE_EMULATOR_HOST"]
            names = [
                bucket["name"] for bucket in requests.get(f"{url}/storage/v1/b?project=p", timeout=5).json()["items"]
            ]
            process.send_signal(number)
            try:
                assert process.wait(timeout=20) == 0
            finally:
                process.kill()  # or the end of the block waits for ever
        assert names == ["acme-models"]


@pytest.mark.parametrize("offset", [0, 3, 4], ids=["W&B", "Vertex over gRPC", "GCS"])
def test_a_port_that_is_taken_is_said_in_a_sentence(tmp_path: Path, offset: int) -> None:
    base = free_base()
    with socket.socket() as other:
        other.bind(("127.0.0.1", base + offset))
        other.listen()
        command = [sys.executable, "-m", "bridge", "sandbox", "--data", str(tmp_path), "--port-base", str(base)]
        refused = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  our own words
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1] == (
        f"error: port {base + offset} of 127.0.0.1 is taken; stop what has it, or choose other ports with --port-base"
    )
    assert "Traceback" not in refused.stderr


def test_data_that_is_no_folder_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    command = [sys.executable, "-m", "bridge", "sandbox", "--data", str(tmp_path / "file"), "--port-base", "31000"]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  our own words
    assert refused.returncode == 1
    assert "cannot hold the sandbox" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_env_prints_lines_that_a_shell_can_read() -> None:
    command = [sys.executable, "-m", "bridge", "sandbox", "env", "--port-base", "9000"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603
    assert "export WANDB_BASE_URL=http://127.0.0.1:9000\n" in printed
    assert "export BRIDGE_SANDBOX_VERTEX_GRPC=127.0.0.1:9003\n" in printed
    assert "export STORAGE_EMULATOR_HOST=http://127.0.0.1:9004\n" in printed
