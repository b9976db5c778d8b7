"""The ends that a port's contract is held over."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def setting(name: str) -> str:
    """Return what a live end is told by the environment; the test fails, and names the variable, if it is not."""
    value = os.environ.get(name)
    if not value:
        pytest.fail(f"--live needs the variable {name} (docs/live-tests.md)")
    return value


def over(memory: Callable[..., T], sandbox: Callable[..., T], live: Callable[..., T]) -> list[object]:
    """Return the parameters of a fixture that makes each end; live ones are skipped without --live (conftest.py)."""
    return [
        pytest.param(memory, id="memory"),
        pytest.param(sandbox, id="sandbox", marks=pytest.mark.sandbox),
        pytest.param(live, id="live", marks=pytest.mark.live),
    ]
