"""The ports are promises; what the promises say is tested with the ends that make them, in tests/contracts."""

from __future__ import annotations

import inspect

import pytest

from bridge.core import ports

PORTS = [port for _, port in inspect.getmembers(ports, inspect.isclass) if port.__module__ == ports.__name__]
METHODS = [
    pytest.param(method, id=method.__qualname__)
    for port in PORTS
    for name, method in vars(port).items()  # its own; a port may be made of others
    if inspect.isfunction(method) and not name.startswith("_")
]


@pytest.mark.parametrize("method", METHODS)
def test_a_method_of_a_port_says_what_it_promises(method: object) -> None:
    assert inspect.getdoc(method)
