"""However much hangs when a service is told to stop, it takes no more than the grace that it was given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.app import Bridge
from bridge.config.load import load
from bridge.core.model import ModelKey
from bridge.run.clock import SystemClock
from bridge.run.queue import KeyQueue
from bridge.service.events import Events
from bridge.service.health import Health
from bridge.service.metrics import Metrics
from bridge.service.notifying import Notifier
from bridge.service.schedule import Schedule
from bridge.service.service import Service
from bridge.service.tracing import traces_from

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GRACE = 30.0
KEY = ModelKey("fraud", "fraud")


class Patience:
    """Time that passes only while something is waited for, and always to the end."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.of: dict[str, float] = {}

    def spent(self, on: str) -> Callable[..., bool]:
        def wait(_: object, seconds: float = 5.0) -> bool:
            self.now += seconds
            self.of[on] = seconds
            return False

        return wait


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bridge.yaml"
    path.write_text("store: sqlite:///bridge.db\nconnections: {}\n")
    (tmp_path / "mappings").mkdir()
    (tmp_path / "mappings" / "none.yaml").write_text("mappings: []\n")
    health = Health()
    bridge = Bridge(load(path))
    return Service(bridge, health, Metrics(SystemClock(), health), Events(), traces_from({}))


@pytest.mark.parametrize("left", [(), (KEY,)])
def test_all_that_is_waited_for_is_within_the_grace_and_people_are_told_meanwhile(
    service: Service, monkeypatch: pytest.MonkeyPatch, left: tuple[ModelKey, ...]
) -> None:
    patience = Patience()

    def stop(_: object, seconds: float) -> tuple[ModelKey, ...]:
        patience.now += seconds
        return left

    monkeypatch.setattr("bridge.service.service.monotonic", lambda: patience.now)
    monkeypatch.setattr(KeyQueue, "stop", stop)
    monkeypatch.setattr(Notifier, "stop", patience.spent("notifications"))
    monkeypatch.setattr(Schedule, "stop", patience.spent("sweeps"))
    began = patience.now

    assert not service.stop(GRACE)
    assert patience.now - began == pytest.approx(GRACE)
    assert patience.of["notifications"] == pytest.approx(GRACE / 10)
    assert patience.of["sweeps"] == pytest.approx(0)
