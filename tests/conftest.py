"""What every test stands on: no socket beyond loopback, `--live`, and one sandbox per process."""

from __future__ import annotations

import ipaddress
import socket
import sys
from typing import TYPE_CHECKING

import pytest
import stamina

from bridge.sandbox.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--live", action="store_true", help="also run the contract tests against the real services")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--live"):
        for item in items:
            if item.get_closest_marker("live"):
                item.add_marker(pytest.mark.skip(reason="speaks to the real services: pytest --live"))


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--live"):
        return

    def stay_home(event: str, arguments: tuple[object, ...]) -> None:
        """Refuse every connection of this process that leaves the machine."""
        if event == "socket.connect":
            peer, address = arguments
            assert isinstance(peer, socket.socket)
            if peer.family != socket.AF_UNIX and not _is_loopback(address):
                raise AssertionError(f"a test tried to connect to {address!r}, beyond loopback")

    sys.addaudithook(stay_home)


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
