"""Whom a service listens to, and how it is told to reload."""

from __future__ import annotations

import logging
import threading
from contextlib import closing
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest
import requests

from bridge.config.choosing import store_url
from bridge.config.load import load
from bridge.core.errors import NeedsPerson
from bridge.core.model import ModelKey, State
from bridge.core.records import Scope, Status
from bridge.run.clock import SystemClock
from bridge.service.daemon import Daemon
from bridge.service.tokens import issue
from bridge.store.sql import open_store

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.app import Bridge

WAIT = 10
OPEN = "store: sqlite:///bridge.db\nservice: {listen: '0.0.0.0:0', grace: 0s}\n"
LOCAL = OPEN.replace("0.0.0.0", "127.0.0.1")  # noqa: S104  the point of these tests
CONNECTIONS = "connections: {}\n"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bridge.yaml"
    path.write_text(OPEN + CONNECTIONS)
    (tmp_path / "mappings").mkdir()
    (tmp_path / "mappings" / "none.yaml").write_text("mappings: []\n")
    return path


def test_a_service_does_not_listen_to_other_machines_before_there_is_a_token(config: Path) -> None:
    with pytest.raises(NeedsPerson) as refused:
        Daemon(partial(load, config))

    assert refused.value.reason == (
        "the service would listen on 0.0.0.0, where other machines reach it, and no token keeps them out"
    )
    assert "bridge token create" in refused.value.remedy


def test_a_service_that_other_machines_reach_asks_this_one_for_a_token_too(config: Path) -> None:
    store = open_store(store_url(load(config)))
    text = issue(store, "ann", Scope.ADMIN, SystemClock().now())
    store.close()
    daemon = Daemon(partial(load, config))
    daemon.start()
    try:
        url = f"http://127.0.0.1:{daemon.url.rpartition(':')[2]}"
        assert requests.get(f"{url}/livez", timeout=WAIT).status_code == 200
        assert requests.get(f"{url}/v1/mappings", timeout=WAIT).status_code == 401
        held = {"Authorization": f"Bearer {text}"}
        assert requests.get(f"{url}/v1/mappings", headers=held, timeout=WAIT).json() == []
    finally:
        daemon.stop()


def test_a_reload_over_http_takes_what_is_valid_and_says_what_is_not(config: Path) -> None:
    config.write_text(LOCAL + CONNECTIONS)
    daemon = Daemon(partial(load, config))
    daemon.start()
    try:
        assert requests.post(f"{daemon.url}/v1/reload", timeout=WAIT).json() == {"mappings": 0}
        config.write_text(f"{LOCAL}{CONNECTIONS}pol_every: 1s\n")
        refused = requests.post(f"{daemon.url}/v1/reload", timeout=WAIT)
        assert refused.status_code == 409
        assert "unknown key 'pol_every'" in refused.json()["error"]
        config.write_text(OPEN + CONNECTIONS)
        assert "no token keeps them out" in requests.post(f"{daemon.url}/v1/reload", timeout=WAIT).json()["error"]
    finally:
        daemon.stop()
    assert daemon.reload() is None, "there is nothing to reload any more"


def test_a_reload_grants_no_second_budget_beside_what_is_still_under_way(config: Path) -> None:
    config.write_text(LOCAL + CONNECTIONS)
    daemon = Daemon(partial(load, config))
    bridges: list[Bridge] = []

    def reloaded() -> Bridge:
        if bridges:
            assert daemon.reload() is None
        assert daemon._bridge is not None  # noqa: SLF001  it has no other window
        bridges.append(daemon._bridge)  # noqa: SLF001  the same
        return bridges[-1]

    daemon.start()
    try:
        first, second = reloaded(), reloaded()
        assert second is not first
        for api in ("wandb", "mlflow", "vertex", "vertex_uploads", "gcs"):
            assert second.buckets.at(api, "there").bucket is first.buckets.at(api, "there").bucket
        assert second.budget.room is first.budget.room
        config.write_text(f"{LOCAL}{CONNECTIONS}limits: {{wandb: 30/m}}\ncopying: {{parallel_versions: 2}}\n")
        third = reloaded()
        assert third.buckets.at("wandb", "there").bucket is not first.buckets.at("wandb", "there").bucket
        assert third.buckets.at("vertex", "there").bucket is first.buckets.at("vertex", "there").bucket
        assert third.budget.room is not first.budget.room
    finally:
        daemon.stop()


def test_a_mapping_that_is_gone_from_the_configuration_is_not_counted_any_more(config: Path) -> None:
    config.write_text(LOCAL + CONNECTIONS)
    with closing(open_store(store_url(load(config)))) as store:
        since = SystemClock().now().isoformat()
        key = ModelKey("old", "fraud")
        store.save_status(Status(key, State.FAILED, "no", "", "fraud-detector", since, None, attempt=7))
    daemon = Daemon(partial(load, config))
    daemon.start()
    try:
        told = requests.get(f"{daemon.url}/metrics", timeout=WAIT).text
    finally:
        daemon.stop()
    assert "bridge_leases_held" in told
    assert 'mapping="old"' not in told


def test_what_copies_have_left_long_ago_is_looked_for_without_being_told_to(
    config: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "bridge.service.service")
    monkeypatch.setattr("bridge.service.service.LEFTOVERS_EVERY", timedelta(seconds=0.05))
    config.write_text(LOCAL + CONNECTIONS)
    with closing(open_store(store_url(load(config)))) as store:
        store.enter("gs://models/fraud/v7/", SystemClock().now() - timedelta(days=8))
        store.enter("gs://models/fraud/v8/", SystemClock().now() - timedelta(days=6))
    told = Told()
    log = logging.getLogger("bridge.service.service")
    log.addHandler(told)
    daemon = Daemon(partial(load, config))
    daemon.start()
    try:
        assert told.some.wait(WAIT)
    finally:
        daemon.stop()
        log.removeHandler(told)
    assert all(line.startswith("folder gs://models/fraud/v7/, begun ") for line in told.lines)
    assert told.lines[0].endswith(": no connection of bridge.yaml has that bucket")


class Told(logging.Handler):
    """Keeps what is said of leftovers."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.some = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if (line := record.getMessage()).startswith(("folder ", "upload ")):
            self.lines.append(line)
            self.some.set()
