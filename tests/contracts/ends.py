"""The ends that a port's contract is held over."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")


def setting(name: str) -> str:
    """Return what a live end is told by the environment; the test fails, and names the variable, if it is not."""
    value = os.environ.get(name)
    if not value:
        pytest.fail(f"--live needs the variable {name} (docs/live-tests.md)")
    return value


def over(memory: Callable[..., T], sandbox: Callable[..., T], live: Callable[..., T]) -> list[pytest.ParameterSet]:
    """Return the parameters of a fixture that makes each of the three ends that every port has."""
    return ends({"memory": memory, "sandbox": sandbox, "live": live})


def ends(makers: Mapping[str, Callable[..., T]]) -> list[pytest.ParameterSet]:
    """
    Return the parameters of a fixture that makes each end, by name.

    "memory" needs nothing, "live" is skipped without --live (conftest.py), and all others are sandboxes.
    """
    marks = {"memory": (), "live": (pytest.mark.live,)}
    sandbox = (pytest.mark.sandbox,)
    return [pytest.param(maker, id=name, marks=marks.get(name, sandbox)) for name, maker in makers.items()]
