"""What is put together for one configuration at work."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

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
from bridge.testing.clock import FakeClock
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


def jobs_of(service: Service) -> dict[str, Any]:
    """Return what APScheduler was given, by name."""
    return {job.id: job for job in service._schedule._scheduler.get_jobs()}  # noqa: SLF001  they have no other window


def test_the_sweeps_of_many_connections_are_spread_over_the_interval_and_every_job_has_a_little_chance(
    tmp_path: Path,
) -> None:
    config_of(tmp_path)
    names = ("a", "b", "c", "d")
    sources = [f"  {name}: {{kind: mlflow, tracking_uri: 'http://127.0.0.1:1'}}\n" for name in names]
    target = "  prod: {kind: vertex, project: acme, location: europe-west1, bucket: gs://acme/registry}\n"
    path = tmp_path / "bridge.yaml"
    path.write_text(path.read_text().replace("connections: {}\n", f"connections:\n{''.join(sources)}{target}"))
    mappings = [
        f"  - {{name: {name}, source: {{from: {name}, model: m}}, target: {{to: prod, model: m-{name}}}, "
        "policy: sync, serving: {image: 'europe-docker.pkg.dev/acme/serve/sklearn:1', port: 8080}}\n"
        for name in names
    ]
    (tmp_path / "mappings" / "none.yaml").write_text(f"mappings:\n{''.join(mappings)}")
    bridge, health = Bridge(load(path), clock=FakeClock()), Health()
    service = Service(bridge, health, Metrics(bridge.clock, health), Events(), Traces())
    jobs = jobs_of(service)
    sweeps = [jobs[f"sweep of {name}"].trigger for name in names]
    bridge.close()

    assert {trigger.interval for trigger in sweeps} == {timedelta(minutes=1)}
    assert [(trigger.start_date - bridge.clock.now()).total_seconds() for trigger in sweeps] == [15, 30, 45, 60]
    assert jobs.keys() == {*(f"sweep of {name}" for name in names), "comparing", "leases", "leftovers", "retries"}
    for job in jobs.values():
        assert 0 < job.trigger.jitter <= job.trigger.interval.total_seconds() / 10, job.id


def test_leases_are_renewed_for_as_long_as_a_service_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.service.service.RENEWED_EVERY", timedelta(milliseconds=20))
    bridge, health = Bridge(config_of(tmp_path)), Health()
    service = Service(bridge, health, Metrics(bridge.clock, health), Events(), Traces())
    beats = jobs_of(service)["leases"]
    renewed = threading.Event()

    def is_renewed(lease: Lease, until: datetime) -> bool:
        done = renew(lease, until)
        renewed.set()
        return done

    service.start()
    with bridge.leases.of(ModelKey("fraud", "fraud")):
        [before] = held(bridge)
        renew = bridge.store.renew_lease
        monkeypatch.setattr(bridge.store, "renew_lease", is_renewed)
        assert renewed.wait(WAIT)
        [after] = held(bridge)
    assert after.until > before.until
    assert beats.trigger.interval == timedelta(milliseconds=20)
    assert service.stop(WAIT)


def held(bridge: Bridge) -> list[Lease]:
    return [lease for lease in bridge.store.leases() if lease.key != NO_MODEL]


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
