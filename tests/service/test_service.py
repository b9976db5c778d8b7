"""What is put together for one configuration at work."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from bridge.app import Bridge
from bridge.config.load import load
from bridge.core.model import ModelKey
from bridge.run.clock import SystemClock
from bridge.service.events import Events
from bridge.service.following import Following
from bridge.service.health import Health
from bridge.service.metrics import Metrics
from bridge.service.service import Service
from bridge.service.tracing import Traces

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

WAIT = 20


def test_copies_and_what_waits_for_its_turn_to_copy_hold_up_no_other_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bridge.yaml").write_text(
        f"store: sqlite:///{tmp_path}/bridge.db\nservice: {{keys: 1}}\ncopying: {{parallel_versions: 1}}\n"
        "connections: {}\n"
    )
    (tmp_path / "mappings").mkdir()
    (tmp_path / "mappings" / "none.yaml").write_text("mappings: []\n")
    moved, copied = threading.Event(), []
    bridge = Bridge(load(tmp_path / "bridge.yaml"))

    def work(_following: Following, key: ModelKey, _why: str, _full: bool) -> None:  # noqa: FBT001  as it is called
        if key.model == "small":
            moved.set()
            return
        with bridge.budget.version():
            copied.append(moved.wait(WAIT))

    monkeypatch.setattr(Following, "work", work)
    health = Health()
    service = Service(bridge, health, Metrics(SystemClock(), health), Events(), Traces())
    service.start()
    for model in ("large", "larger", "small"):
        service.in_force.queue.submit(ModelKey("fraud", model), "a test")

    assert moved.wait(WAIT)
    assert service.stop(WAIT)
    assert copied == [True, True]
