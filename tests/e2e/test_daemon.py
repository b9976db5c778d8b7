"""A daemon within this process: what it begins, goes over to, and leaves behind."""

from __future__ import annotations

import threading
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from sqlalchemy import Engine, event

from bridge.config.load import load
from bridge.copying.gcs import objects, storage
from bridge.core.errors import NeedsPerson
from bridge.core.model import State
from bridge.net import lines
from bridge.sandbox.faults import Fault
from bridge.service.daemon import Daemon
from bridge.store.sql import open_store
from bridge.vertex import registry
from tests.e2e.conftest import in_a_file
from tests.e2e.test_run import WAIT, until
from tests.store.databases import made_by_a_newer_bridge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from tests.e2e.conftest import Desk

pytestmark = pytest.mark.sandbox

SETTINGS = (
    "poll_every: 1s\nlimits: {wandb: 1000/s}\nservice: {listen: '127.0.0.1:0', grace: 1s}\ncopying: {memory: 16MiB}\n"
)
SILENCE = 0.2  # seconds that are waited for an API that says nothing


@pytest.fixture
def daemon(desk: Desk) -> Iterator[Daemon]:
    desk.write_config(SETTINGS)
    made = Daemon(partial(load, Path("bridge.yaml")))
    yield made
    desk.world.traffic.faults.disarm()
    until(made.stop, "all of it has ended, and its connections are closed")


@pytest.fixture
def read_only() -> Iterator[threading.Event]:
    """While it is set, every transaction of a store that begins may only read."""
    made = threading.Event()

    def begin(connection: Connection) -> None:
        if connection.dialect.name == "sqlite":  # where it stays with the connection
            connection.exec_driver_sql(f"PRAGMA query_only = {int(made.is_set())}")
        elif made.is_set():
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")

    event.listen(Engine, "begin", begin)
    yield made
    event.remove(Engine, "begin", begin)


@pytest.fixture
def quick_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.service.service.RENEWED_EVERY", timedelta(seconds=0.5))


@pytest.fixture
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what is not answered given up, and tried again, soon."""
    monkeypatch.setattr(registry, "TIMEOUT", SILENCE)
    monkeypatch.setattr(lines, "WAIT", SILENCE)
    for module in (objects, storage):
        monkeypatch.setattr(module, "TIMEOUT", SILENCE)
    monkeypatch.setattr("google.cloud.storage.retry.DEFAULT_RETRY._timeout", SILENCE)
    monkeypatch.setattr("bridge.core.retrying.FIRST", SILENCE)
    monkeypatch.setattr("bridge.service.service.RETRIES_EVERY", timedelta(seconds=SILENCE))


def has(desk: Desk, alias: str, version: str) -> bool:
    return desk.aliases().get(alias) == version


def test_a_daemon_follows_goes_over_to_another_configuration_and_ends(desk: Desk, daemon: Daemon) -> None:
    desk.publish(b"first", "production")
    daemon.start()
    until(lambda: has(desk, "production", "1"), "production on @1")
    until(lambda: daemon.health.report()["ready"], "it is ready")
    desk.write_mapping("policy: sync", "aliases: {production: live}")
    daemon.reload()
    until(lambda: has(desk, "live", "1"), "the new rule is followed")
    desk.write_mapping("polcy: sync")
    daemon.reload()
    assert list(daemon.health.report()["degraded"]) == ["configuration"]
    until(daemon.stop, "all of it has ended")  # not always within the second that it is given here
    assert daemon.health.report()["unready"] == {"service": "it is stopping"}
    with closing(open_store(desk.store)) as store:
        assert store.leases() == ()


def test_a_reload_over_a_store_that_a_newer_bridge_has_upgraded_is_refused_and_the_last_good_one_goes_on(
    desk: Desk, daemon: Daemon
) -> None:
    desk.publish(b"first", "production")
    daemon.start()
    until(lambda: has(desk, "production", "1"), "production on @1")
    made_by_a_newer_bridge(desk.store)
    refused = daemon.reload()

    assert isinstance(refused, NeedsPerson)
    assert " has the schema '9999', and this bridge knows none after " in refused.reason
    assert refused.remedy == "a newer bridge made it: upgrade this one, or name another store"
    assert daemon.health.report()["degraded"] == {"configuration": str(refused)}
    desk.tag(desk.publish(b"second"), "production")
    until(lambda: has(desk, "production", "2"), "it is followed as before")
    assert daemon.health.report()["ready"]


@pytest.mark.usefixtures("quick_beats")
def test_a_store_that_cannot_be_written_is_told_until_it_can_be_and_the_service_stays_up_and_goes_on(
    desk: Desk, read_only: threading.Event, daemon: Daemon
) -> None:
    desk.publish(b"first", "production")
    daemon.start()
    until(lambda: has(desk, "production", "1"), "production on @1")
    until(lambda: daemon.health.report()["ready"], "it is ready")
    before = desk.aliases()
    read_only.set()
    until(lambda: not daemon.health.report()["ready"], "a quiet service finds out by itself")
    desk.tag(desk.publish(b"second"), "production")
    desk.world.traffic.reset()
    told = [daemon.health.report()["unready"]]

    def swept_often() -> bool:
        told.append(daemon.health.report()["unready"])
        return desk.world.traffic.count("wandb") >= 8

    until(swept_often, "some more sweeps")
    assert [list(reasons) for reasons in told] == [["store"]] * len(told), "it never looks well meanwhile"
    assert {" cannot be written; check that " in reasons["store"] for reasons in told} == {True}
    assert requests.get(f"{daemon.url}/livez", timeout=WAIT).status_code == 200
    assert requests.get(f"{daemon.url}/readyz", timeout=WAIT).status_code == 503
    assert desk.aliases() == before
    read_only.clear()
    until(lambda: has(desk, "production", "2"), "what was tagged meanwhile arrives")
    until(lambda: daemon.health.report()["ready"], "it is ready again")


@pytest.mark.usefixtures("little_patience")
@pytest.mark.parametrize("api", ["vertex", "gcs"])
def test_a_model_whose_target_hangs_fails_until_that_answers_and_the_service_stays_ready(
    desk: Desk, api: str, daemon: Daemon
) -> None:
    desk.publish(b"first", "production")
    daemon.start()
    until(lambda: model(daemon)["state"] == "SYNCED", "it is followed")
    desk.world.traffic.faults.arm(Fault(api, "timeout_before", seconds=10 * SILENCE, count=None))
    desk.tag(desk.publish(b"second"), "production")
    until(lambda: model(daemon)["attempt"] >= 2, "it is tried in vain, again and again")
    failed = model(daemon)
    assert (failed["state"], failed["next_try"] is None) == ("FAILED", False)
    until(lambda: f"api {api}" in requests.get(f"{daemon.url}/readyz", timeout=WAIT).json()["degraded"], "it is missed")
    readyz = requests.get(f"{daemon.url}/readyz", timeout=WAIT)
    assert (readyz.status_code, readyz.json()["ready"]) == (200, True)
    assert requests.get(f"{daemon.url}/livez", timeout=WAIT).status_code == 200
    desk.world.traffic.faults.disarm()
    until(lambda: model(daemon)["state"] == "SYNCED", "it is tried again, by itself")
    assert desk.aliases() == {"default": "2", "production": "2"}
    assert daemon.health.report() == {"ready": True, "unready": {}, "degraded": {}}


def model(daemon: Daemon) -> dict[str, Any]:
    """Return what the API says of the one model that there is; of none, before the first sweep, that it is nothing."""
    found = requests.get(f"{daemon.url}/v1/models", timeout=WAIT).json()["models"]
    return dict(found[0]) if found else {"state": None}


def test_a_copy_that_is_under_way_is_broken_off_and_its_lease_given_back(desk: Desk, daemon: Daemon) -> None:
    desk.world.traffic.faults.arm(Fault("wandb", "slow", method="*file*", seconds=1, count=None))
    desk.publish(b"x" * (4 << 20), "production")
    daemon.start()
    with closing(open_store(desk.store)) as store:
        until(lambda: any(status.state is State.COPYING for status in store.statuses()), "it copies")
        daemon.stop()
        desk.world.traffic.faults.disarm()
        assert store.leases() == ()
        assert desk.versions() == ()


@in_a_file
def test_a_daemon_that_cannot_begin_leaves_its_port_to_others(desk: Desk) -> None:
    desk.write_config(SETTINGS.replace("listen: '127.0.0.1:0'", "listen: '127.0.0.1:18470'"))
    (desk.folder / "bridge.db").write_text("no database")
    for _ in range(2):  # the second time, the port would be taken
        with pytest.raises(NeedsPerson, match="is not a SQLite database"):
            Daemon(partial(load, Path("bridge.yaml")))
    with pytest.raises(requests.ConnectionError):
        requests.get("http://127.0.0.1:18470/livez", timeout=WAIT)
