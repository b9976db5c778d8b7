"""A daemon within this process: what it begins, goes over to, and leaves behind."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest
import requests

from bridge.config.load import load
from bridge.core.errors import NeedsPerson, TryAgain
from bridge.core.model import State
from bridge.sandbox.faults import Fault
from bridge.service.daemon import Daemon
from bridge.store.sql import SqlStore, open_store
from tests.e2e.conftest import in_a_file
from tests.e2e.test_run import WAIT, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.core.errors import BridgeError
    from tests.e2e.conftest import Desk

pytestmark = pytest.mark.sandbox

SETTINGS = (
    "poll_every: 1s\nlimits: {wandb: 1000/s}\nservice: {listen: '127.0.0.1:0', grace: 1s}\ncopying: {memory: 16MiB}\n"
)


@pytest.fixture
def daemon(desk: Desk) -> Iterator[Daemon]:
    desk.write_config(SETTINGS)
    made = Daemon(partial(load, Path("bridge.yaml")))
    yield made
    desk.world.traffic.faults.disarm()
    until(made.stop, "all of it has ended, and its connections are closed")


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


@pytest.mark.parametrize(
    "problem",
    [
        pytest.param(TryAgain("the store is busy"), id="locked"),
        pytest.param(NeedsPerson("the store cannot be written to", "make room"), id="full or read-only"),
    ],
)
def test_a_store_that_is_unwell_is_told_and_the_service_stays_up_and_goes_on(
    desk: Desk, daemon: Daemon, monkeypatch: pytest.MonkeyPatch, problem: BridgeError
) -> None:
    def unwell(*_: object) -> NoReturn:
        raise problem

    desk.publish(b"first", "production")
    daemon.start()
    until(lambda: has(desk, "production", "1"), "production on @1")
    with monkeypatch.context() as broken:
        for method in ("statuses", "take_lease"):
            broken.setattr(SqlStore, method, unwell)
        until(lambda: daemon.health.report()["unready"] == {"store": str(problem)}, "it is told")
        desk.tag(desk.publish(b"second"), "production")
        assert requests.get(f"{daemon.url}/livez", timeout=WAIT).status_code == 200
        assert desk.aliases()["production"] == "1"
    until(lambda: has(desk, "production", "2"), "what was tagged meanwhile arrives")
    until(lambda: daemon.health.report()["ready"], "it is ready again")


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
