"""What is put together for one configuration at work."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from bridge.app import Bridge
from bridge.config.load import load
from bridge.core.errors import NeedsPerson, TryAgain
from bridge.core.model import ModelKey
from bridge.reconcile.leasing import NO_MODEL
from bridge.run.clock import SystemClock
from bridge.service.events import Events
from bridge.service.following import Following
from bridge.service.health import Health
from bridge.service.metrics import Metrics
from bridge.service.service import Service
from bridge.service.tracing import Traces
from bridge.testing.store import MemoryStore

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from bridge.config.model import Config
    from bridge.core.errors import BridgeError
    from bridge.core.records import Lease

WAIT = 20


class Unwell(MemoryStore):
    """A store that says why it cannot be written, while there is a reason."""

    def __init__(self) -> None:
        super().__init__()
        self.problem: BridgeError | None = None
        self.probes = 0

    def take_lease(self, key: ModelKey, owner: str, now: datetime, until: datetime) -> Lease | None:
        self.probes += key == NO_MODEL
        if self.problem is not None:
            raise self.problem
        return super().take_lease(key, owner, now, until)


def config_of(folder: Path) -> Config:
    (folder / "bridge.yaml").write_text(
        f"store: sqlite:///{folder}/bridge.db\nservice: {{keys: 1}}\ncopying: {{parallel_versions: 1}}\n"
        "connections: {}\n"
    )
    (folder / "mappings").mkdir()
    (folder / "mappings" / "none.yaml").write_text("mappings: []\n")
    return load(folder / "bridge.yaml")


@pytest.mark.parametrize("problem", [TryAgain("the store is busy"), NeedsPerson("the store is full", "make room")])
def test_work_that_only_reads_does_not_show_that_a_store_is_well_again(tmp_path: Path, problem: BridgeError) -> None:
    store, health = Unwell(), Health()
    service = Service(
        Bridge(config_of(tmp_path), store=store), health, Metrics(SystemClock(), health), Events(), Traces()
    )
    with_store, beat = service._with_store, service._beat  # noqa: SLF001  what the schedule calls, at its own times

    def write() -> None:
        store.take_lease(ModelKey("fraud", "fraud"), "a", SystemClock().now(), SystemClock().now())

    with_store(store.statuses)
    assert (health.is_store_well, store.probes) == (True, 1), "it was not asked yet"
    with_store(store.statuses)
    assert (health.is_store_well, store.probes) == (True, 1), "a store that is well is not asked each time"
    store.problem = problem
    with_store(write)
    for _ in range(2):
        with_store(store.statuses)
        assert health.report()["unready"]["store"] == str(problem)
    store.problem = None
    with_store(store.statuses)
    assert (health.is_store_well, store.probes) == (True, 4)
    store.problem = problem
    with_store(beat)
    assert health.report()["unready"]["store"] == str(problem), "nobody else has asked"


def test_copies_and_what_waits_for_its_turn_to_copy_hold_up_no_other_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved, copied = threading.Event(), []
    bridge = Bridge(config_of(tmp_path))

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
