"""
Two services, as processes, on one PostgreSQL store, told at one moment to sync one model, again and again.

BRIDGE_RACES says how often; `make soak` has 200 of them.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
import requests

from bridge.sandbox.vertex.switches import VertexSwitches
from tests.chaos.processes import Group
from tests.e2e.test_run import WAIT, until
from tests.store.databases import postgres_schema

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.conftest import Desk

pytestmark = pytest.mark.sandbox

RACES = int(os.environ.get("BRIDGE_RACES", "5"))
SETTINGS = "poll_every: 1h\nlimits: {wandb: 1000/s, vertex: 1000/s, vertex_uploads: 1000/s}\n"
COMMITS_AFTER = 0.05  # seconds; so that an upload is under way when the other service looks


@dataclass
class Racer:
    """`bridge run`."""

    group: Group
    log: Path

    def url(self) -> str:
        spoken = [line for line in self.log.read_text().splitlines() if '"listening on ' in line]
        return json.loads(spoken[-1])["event"].split()[2].rstrip(";") if spoken else ""

    def is_ready(self) -> bool:
        assert self.group.code is None, self.log.read_text()
        url = self.url()
        return bool(url) and requests.get(f"{url}/readyz", timeout=WAIT).ok


@pytest.fixture
def store_url() -> Iterator[str]:
    """Yield a store in PostgreSQL, or skip: what races here does so on nothing else."""
    with postgres_schema() as url:
        yield url


@pytest.fixture
def racers(desk: Desk) -> Iterator[list[Racer]]:
    """Give two services on one store, which look at their source only when they are told."""
    with ExitStack() as stack:
        desk.write_config(f"{SETTINGS}service: {{listen: '127.0.0.1:0', grace: 1s}}\n")
        desk.write_mapping("policy: sync")
        desk.publish(b"before all races", "production")
        vertex = desk.world.vertex
        stack.callback(setattr, vertex, "switches", VertexSwitches())
        vertex.switches = replace(vertex.switches, commit_delay=COMMITS_AFTER)
        assert desk.bridge("sync").code == 0
        started = []
        for number in (1, 2):
            log = desk.folder / f"service-{number}.log"
            group = Group([sys.executable, "-m", "bridge", "run"], desk.folder, log)
            stack.callback(group.end, 0)
            started.append(Racer(group, log))
        for racer in started:
            until(racer.is_ready, "it is ready")
        yield started


def test_two_services_that_race_on_one_store_make_each_version_once_and_lose_no_move(
    desk: Desk, racers: list[Racer]
) -> None:
    urls = [f"{racer.url()}/v1/mappings/fraud/sync?full=true" for racer in racers]
    begin = threading.Barrier(len(urls))

    def sync(url: str, late: float) -> None:
        begin.wait(WAIT)
        threading.Event().wait(late)
        requests.post(url, timeout=WAIT).raise_for_status()

    with ThreadPoolExecutor(len(urls)) as threads:
        for race in range(1, RACES + 1):
            desk.publish(f"model {race}".encode(), "production")
            leader, other = (urls, urls[::-1])[race % 2]
            list(threads.map(sync, (leader, other), (0.0, race % 10 * 0.01)))
            until(lambda race=race: desk.aliases()["production"] == str(race + 1), f"move {race}")  # type: ignore[misc]  # mypy infers no default of a lambda
            folders = [version.artifact_uri for version in desk.versions()]
            assert len(set(folders)) == len(folders) == race + 1, f"race {race}"

    [row] = desk.bridge_json("sync", "--full")
    assert (row["state"], row["changes"]) == ("SYNCED", [])
    journal = desk.bridge_json("history", "--limit", str(10 * RACES))
    assert [line for line in journal if line["outcome"] != "applied"] == []
    lines = [line["change"] for line in journal]
    assert [lines.count(kind) for kind in ("copy", "register", "move-alias")] == [RACES + 1] * 3
    for racer in racers:
        assert racer.group.code is None
        assert "Traceback" not in racer.log.read_text()
