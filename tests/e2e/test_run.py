"""`bridge run` as a process of its own: tags through W&B's SDK, and Vertex through its client."""

from __future__ import annotations

import asyncio
import json
import queue
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import requests

from bridge.reconcile.leasing import NO_MODEL
from bridge.sandbox.faults import Fault
from bridge.store.schema import HEAD
from bridge.store.sql import open_store
from tests.e2e.test_interrupt import BANDWIDTH, CONTENT, Arriving
from tests.store.databases import made_by_a_newer_bridge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.core.records import Lease
    from tests.copying.conftest import Receive, Scope, Send
    from tests.e2e.conftest import Desk

pytestmark = pytest.mark.sandbox

WAIT = 60  # seconds after which a test has failed
SETTINGS = "poll_every: 1s\nlimits: {wandb: 1000/s}\nservice: {listen: '127.0.0.1:0', grace: %ss}\n"


class Running:
    """A service that runs; its log, line by line."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.seen: list[dict[str, Any]] = []
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-m", "bridge", "run"],
            cwd=desk.folder,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.desk.said.append(line)
            self._lines.put(line)
        self._process.stderr.close()
        self._lines.put(None)

    def await_event(self, *texts: str) -> dict[str, Any]:
        """Read on until a line tells of this event, or of one of these."""
        until = time.monotonic() + WAIT
        while (line := self._lines.get(timeout=max(0.01, until - time.monotonic()))) is not None:
            values: dict[str, Any] = json.loads(line)
            self.seen.append(values)
            if any(text in values["event"] for text in texts):
                return values
        raise AssertionError(f"the service ended without {' or '.join(texts)!r}: {self.seen}")

    @property
    def url(self) -> str:
        """Where it answers, as its log says."""
        listening = next(each for each in self.seen if each["event"].startswith("listening on "))
        return str(listening["event"].split()[2].rstrip(";"))

    def readyz(self) -> tuple[int, dict[str, Any]]:
        answer = requests.get(f"{self.url}/readyz", timeout=WAIT)
        return answer.status_code, answer.json()

    def tell(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Tell it to stop, and return its exit code."""
        if self._process.poll() is None:
            self.tell(number)
        try:
            code = self._process.wait(WAIT)
        except subprocess.TimeoutExpired:
            self.tell(signal.SIGABRT)  # Python writes where each thread is
            self._reader.join(WAIT)
            raise AssertionError("it does not end:\n" + "".join(self._rest())) from None
        self._reader.join(WAIT)
        self.seen += map(json.loads, self._rest())
        return code

    def _rest(self) -> Iterator[str]:
        while not self._lines.empty():
            if (line := self._lines.get()) is not None:
                yield line


@contextmanager
def running(desk: Desk) -> Iterator[Running]:
    made = Running(desk)
    try:
        made.await_event("listening on ")
        yield made
    finally:
        made.end(signal.SIGKILL)


def ended(desk: Desk) -> subprocess.CompletedProcess[str]:
    """Run a service that ends by itself; as a process, since it takes the signals and loggers of its own for itself."""
    command = [sys.executable, "-m", "bridge", "run"]
    done = subprocess.run(  # noqa: S603  our own words
        command, cwd=desk.folder, capture_output=True, text=True, timeout=WAIT, check=False
    )
    desk.said += [done.stdout, done.stderr]
    return done


def until(condition: Callable[[], bool], what: str) -> None:
    patience = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < patience, f"it did not come about: {what}"
        threading.Event().wait(0.02)


def write_config(desk: Desk, grace: str = "30") -> None:
    desk.write_config(SETTINGS % grace)


def test_a_tag_reaches_vertex_and_a_quiet_service_asks_vertex_nothing(desk: Desk) -> None:
    write_config(desk)
    desk.publish(b"first", "production")
    with running(desk) as service:
        service.await_event("is SYNCED")
        assert desk.aliases() == {"default": "1", "production": "1"}
        assert service.readyz() == (200, {"ready": True, "unready": {}, "degraded": {}})

        second = desk.publish(b"second")
        desk.tag(second, "production")
        service.await_event("is SYNCED")
        assert desk.aliases() == {"default": "2", "production": "2"}
        of_move = [each for each in service.seen if "production (v0 -> v1)" in each["event"]]
        assert [each["id"] for each in of_move] == [service.seen[-1]["id"]], "one id from the sweep to the last word"
        of_operation = [each for each in service.seen if "Vertex AI registers v1: projects/" in each["event"]]
        assert [each["id"] for each in of_operation] == [service.seen[-1]["id"]], "with Vertex's operation on the way"

        desk.world.traffic.reset()
        until(lambda: desk.world.traffic.count("wandb") >= 3, "some more sweeps")
        assert (desk.world.traffic.count("vertex"), desk.world.traffic.count("gcs")) == (0, 0)
        assert service.end() == 0
    assert not any(each["level"] in ("warning", "error") for each in service.seen)
    assert next(entry["why"] for entry in desk.bridge_json("history")) == "bridge run: it has changed"


def test_what_is_tagged_while_no_service_runs_arrives_when_one_does(desk: Desk) -> None:
    write_config(desk)
    desk.publish(b"first", "production")
    with running(desk) as service:
        service.await_event("is SYNCED")
        assert service.end(signal.SIGINT) == 0
    desk.tag(desk.publish(b"second"), "production")
    with running(desk) as service:
        service.await_event("is SYNCED")
        assert desk.aliases() == {"default": "2", "production": "2"}
        assert service.end() == 0


def test_two_services_on_one_store_make_one_version_of_each_and_lose_no_move(desk: Desk) -> None:
    write_config(desk)
    with running(desk) as first, running(desk) as second:
        for number in range(4):
            desk.publish(f"version {number}".encode(), "production")
            wanted = str(number + 1)
            until(lambda wanted=wanted: desk.aliases().get("production") == wanted, f"production on @{wanted}")  # type: ignore[misc]  # mypy infers no default of a lambda
        assert (first.end(), second.end()) == (0, 0)

    assert len({version.artifact_uri for version in desk.versions()}) == len(desk.versions()) == 4
    assert desk.bridge_json("status")[0]["state"] == "SYNCED"


def test_a_service_that_is_told_to_stop_in_the_middle_of_a_copy_ends_in_time_and_the_next_goes_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_config(desk, grace="1")
    with (desk.folder / "bridge.yaml").open("a") as file:
        file.write(BANDWIDTH)
    desk.publish(CONTENT, "production")
    arriving = Arriving(desk, monkeypatch)
    with running(desk) as service:
        assert service.await_event("copying ")["event"].startswith(f"copying {desk.path}:v0"), "its log says so"
        assert arriving.some.wait(WAIT)
        began = time.monotonic()
        assert service.end() == 0
        assert time.monotonic() - began < WAIT / 2
    assert desk.versions() == ()
    assert leases(desk) == ()
    sent = arriving.bytes
    write_config(desk)
    with running(desk) as service:
        service.await_event("is SYNCED")
        assert desk.aliases() == {"default": "1", "production": "1"}
        assert 0 < arriving.bytes - sent < len(CONTENT), "what was sent is not sent again"
        assert service.end() == 0


class Holding:
    """Holds up the uploads of files until they are let go."""

    def __init__(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        self.some = threading.Event()  # one is held up
        self.let_go = threading.Event()
        self._pass_on = desk.world.gcs.front.before_answer
        monkeypatch.setattr(desk.world.gcs.front, "before_answer", self._before_answer)

    async def _before_answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith("/upload/"):
            self.some.set()
            await asyncio.to_thread(self.let_go.wait, WAIT)
        await self._pass_on(scope, receive, send)


def leases(desk: Desk) -> tuple[Lease, ...]:
    with closing(open_store(desk.store)) as store:
        return store.leases()


def test_a_service_that_is_told_to_stop_ends_its_copy_in_the_grace_is_not_ready_and_begins_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_config(desk)
    mapping = desk.folder / "mappings" / "fraud.yaml"
    text = mapping.read_text().replace("name: fraud", "name: other")
    other = text.replace(desk.collection, f"{desk.collection}-2").replace(desk.model, f"{desk.model}-2")
    (desk.folder / "mappings" / "other.yaml").write_text(other)
    desk.publish(b"first", "production")
    holding = Holding(desk, monkeypatch)
    with running(desk) as service:
        assert holding.some.wait(WAIT)
        until(lambda: service.readyz()[0] == 200, "it is ready")
        assert [lease.key.mapping for lease in leases(desk) if lease.key != NO_MODEL] == ["fraud"]
        service.tell(signal.SIGTERM)
        until(lambda: service.readyz()[0] == 503, "it is not ready any more")
        assert service.readyz()[1]["unready"] == {"service": "it is stopping"}
        assert requests.get(f"{service.url}/livez", timeout=WAIT).status_code == 200
        desk.world.wandb.seed_version(f"{desk.path}-2", {"model.pkl": b"other"}, aliases=["production"])
        requests.post(f"{service.url}/v1/mappings/other/sync", timeout=WAIT)
        holding.let_go.set()
        assert service.end() == 0
    assert desk.aliases() == {"default": "1", "production": "1"}
    assert leases(desk) == ()
    assert {entry["mapping"] for entry in desk.bridge_json("history")} == {"fraud"}
    done = desk.bridge("sync")
    assert (done.code, "other -> model" in done.out) == (0, True), "what it left is for the next"


def test_a_copy_that_was_begun_before_a_reload_ends_in_the_grace_too(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_config(desk)
    desk.publish(b"first", "production")
    holding = Holding(desk, monkeypatch)
    with running(desk) as service:
        assert holding.some.wait(WAIT)
        service.tell(signal.SIGHUP)
        service.await_event("the new configuration is in force")
        service.tell(signal.SIGTERM)
        service.await_event("stopping")
        holding.let_go.set()
        assert service.end() == 0
    assert desk.aliases() == {"default": "1", "production": "1"}
    assert leases(desk) == ()


def test_an_upstream_that_is_away_is_degraded_and_what_it_had_stays(desk: Desk) -> None:
    write_config(desk)
    desk.publish(b"first", "production")
    with running(desk) as service:
        service.await_event("is SYNCED")
        desk.world.traffic.faults.arm(Fault("wandb", "status", status=503, count=None))
        service.await_event("cannot be read")
        code, report = service.readyz()
        assert (code, report["ready"], list(report["degraded"])) == (200, True, ["connection acme"])
        assert desk.bridge_json("status")[0]["state"] == "DEGRADED"
        desk.world.traffic.faults.disarm()
        desk.world.traffic.reset()
        service.await_event("can be read again")
        until(lambda: desk.bridge_json("status")[0]["state"] == "SYNCED", "the state is as it was")
        assert desk.world.traffic.count("vertex") == 0
        assert service.end() == 0


def test_a_target_that_is_away_is_degraded_until_it_answers_again(desk: Desk) -> None:
    write_config(desk)
    desk.publish(b"first", "production")
    with running(desk) as service:
        service.await_event("is SYNCED")
        desk.world.traffic.faults.arm(Fault("vertex", "status", status=503, count=None))
        desk.publish(b"second", "production")
        until(lambda: service.readyz()[1]["degraded"] != {}, "Vertex is missed")
        code, report = service.readyz()
        assert (code, report["ready"], list(report["degraded"])) == (200, True, ["api vertex"])
        desk.world.traffic.faults.disarm()
        service.await_event("is SYNCED")
        assert desk.aliases() == {"default": "2", "production": "2"}
        assert service.readyz() == (200, {"ready": True, "unready": {}, "degraded": {}})
        assert service.end() == 0


def test_an_upstream_that_hangs_is_degraded_answers_go_on_and_it_is_followed_again(desk: Desk) -> None:
    write_config(desk)
    desk.publish(b"first", "production")
    with running(desk) as service:
        service.await_event("is SYNCED")
        second = desk.publish(b"second")
        desk.world.traffic.faults.arm(Fault("wandb", "timeout_before", seconds=3600, count=None))
        cannot = service.await_event("cannot be read")
        assert "did not answer within 20 s" in cannot["event"]
        assert requests.get(f"{service.url}/livez", timeout=WAIT).status_code == 200
        code, report = service.readyz()
        assert (code, report["ready"], list(report["degraded"])) == (200, True, ["connection acme"])
        desk.world.traffic.faults.disarm()
        desk.tag(second, "production")
        service.await_event("is SYNCED")
        assert desk.aliases() == {"default": "2", "production": "2"}
        assert service.end() == 0


@pytest.mark.parametrize("upstream", ["wandb", "vertex", "gcs"])
def test_a_service_is_stopped_in_time_while_an_upstream_hangs(desk: Desk, upstream: str) -> None:
    write_config(desk, grace="1")
    desk.publish(b"first", "production")
    desk.world.traffic.reset()
    desk.world.traffic.faults.arm(Fault(upstream, "timeout_before", seconds=WAIT / 2, count=None))
    with running(desk) as service:
        until(lambda: desk.world.traffic.count(upstream) >= 1, f"{upstream} is asked")
        began = time.monotonic()
        assert service.end() == 0
        assert time.monotonic() - began < WAIT / 2


def test_a_new_configuration_is_taken_if_it_is_valid_else_the_last_good_one_goes_on(desk: Desk) -> None:
    write_config(desk)
    desk.publish(b"first", "production")
    good = (desk.folder / "mappings" / "fraud.yaml").read_text()
    with running(desk) as service:
        service.await_event("is SYNCED")
        (desk.folder / "mappings" / "fraud.yaml").write_text(good.replace("policy:", "polcy:"))
        service.tell(signal.SIGHUP)
        refused = service.await_event("the last good one goes on")
        assert "unknown key 'polcy'; did you mean 'policy'?" in refused["event"]
        code, report = service.readyz()
        assert (code, list(report["degraded"])) == (200, ["configuration"])
        desk.tag(desk.publish(b"second"), "production")
        service.await_event("is SYNCED")

        (desk.folder / "mappings" / "fraud.yaml").write_text(good + "    aliases: {staging: stage}\n")
        service.tell(signal.SIGHUP)
        service.await_event("the new configuration is in force")
        desk.tag("v0", "staging")
        until(lambda: desk.aliases().get("stage") == "1", "the new rule is followed")
        assert service.readyz() == (200, {"ready": True, "unready": {}, "degraded": {}})
        assert service.end() == 0


def test_a_store_that_a_newer_bridge_has_made_ends_the_service_with_a_clear_word(desk: Desk) -> None:
    write_config(desk)
    open_store(desk.store).close()
    made_by_a_newer_bridge(desk.store)
    refused = ended(desk)

    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("error: the store at ")
    assert refused.stderr.endswith(
        f" has the schema '9999', and this bridge knows none after {HEAD!r}; "
        "a newer bridge made it: upgrade this one, or name another store\n"
    )


def test_a_port_that_is_taken_ends_the_second_service_with_a_clear_word(desk: Desk) -> None:
    write_config(desk)
    with running(desk) as service:
        port = service.url.rpartition(":")[2]
        config = desk.folder / "bridge.yaml"
        config.write_text(config.read_text().replace("127.0.0.1:0", f"127.0.0.1:{port}"))
        second = ended(desk)
        assert service.end() == 0
    assert (second.returncode, second.stdout) == (1, "")
    assert second.stderr.startswith(f"error: the service cannot listen on 127.0.0.1:{port}: another process has it; ")
