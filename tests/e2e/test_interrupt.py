"""Ctrl-C in the middle of a copy, as a person presses it: to a real process, which ends; the next one goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from bridge.sandbox.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

    from tests.copying.conftest import Receive, Scope, Send
    from tests.e2e.conftest import Desk

pytestmark = pytest.mark.sandbox

CONTENT = os.urandom(24 << 20)
BANDWIDTH = "copying: {max_bandwidth: 0.5MiB/s}\n"  # so that the copy would take 48 seconds
PATIENCE = 24  # seconds that are waited for an end at most


class Arriving:
    """Counts the bytes of files that arrive at the bucket."""

    def __init__(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bytes = 0
        self.some = threading.Event()  # some of a file has arrived
        self._pass_on = desk.world.gcs.front.before_answer
        monkeypatch.setattr(desk.world.gcs.front, "before_answer", self._before_answer)

    async def _before_answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted() -> MutableMapping[str, Any]:
            message = await receive()
            self.bytes += len(message.get("body") or b"")
            if self.bytes > 1 << 20:
                self.some.set()
            return message

        await self._pass_on(scope, counted if scope["method"] == "PUT" else receive, send)


@contextmanager
def running(desk: Desk, *command: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command of the bridge in a process group of its own, as a shell does."""
    process = subprocess.Popen(  # noqa: S603  our own words
        [sys.executable, "-m", "bridge", *command],
        cwd=desk.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def interrupted(process: subprocess.Popen[str]) -> str:
    """Press Ctrl-C, and wait for an end that comes long before the copy's; return what was said."""
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    return out + err


def test_a_copy_that_is_interrupted_ends_at_once_and_the_next_sync_goes_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.publish(CONTENT, "production")
    arriving = Arriving(desk, monkeypatch)
    desk.write_config(BANDWIDTH)
    with running(desk, "sync") as process:
        assert arriving.some.wait(60)
        said = interrupted(process)
    assert f"copying {desk.path}:v0: 0 of 1 files" in said
    assert desk.objects() == []
    assert desk.versions() == ()

    before = arriving.bytes
    desk.write_config()
    done = desk.bridge("sync")
    assert done.code == 0, done.err
    assert 0 < arriving.bytes - before < len(CONTENT)
    assert desk.aliases()["production"] == "1"
    assert len(desk.objects()) == 2  # the file and the manifest


@pytest.mark.parametrize(("service", "method"), [("wandb", "GET file"), ("gcs", "resumable.put")])
def test_a_copy_that_waits_for_a_network_is_interrupted_all_the_same(desk: Desk, service: str, method: str) -> None:
    desk.publish(CONTENT, "production")
    faults = desk.world.traffic.faults
    faults.arm(Fault("wandb", "slow", "GET file"))  # the manifest comes, and takes no time
    number = faults.arm(Fault(service, "timeout_before", method, seconds=3 * PATIENCE))
    try:
        with running(desk, "sync") as process:
            while number in faults.armed():
                with pytest.raises(subprocess.TimeoutExpired):  # or it has ended before
                    process.wait(0.1)
            interrupted(process)
    finally:
        faults.disarm()
    assert desk.bridge("sync").code == 0
    assert desk.aliases()["production"] == "1"


def test_reading_every_byte_again_is_interrupted_whatever_it_waits_for(desk: Desk) -> None:
    """Else who reads would wait until the bandwidth lets 8 MiB pass, which is longer than PATIENCE."""
    desk.publish(CONTENT, "production")
    assert desk.bridge("sync").code == 0
    desk.write_config("copying: {max_bandwidth: 0.1MiB/s}\n")
    asked = reads(desk)

    with running(desk, "verify", "--deep") as process:
        while reads(desk) < asked + 3:  # of the manifest, of what is known of the file, and of its first bytes
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.1)
        interrupted(process)


def reads(desk: Desk) -> int:
    """Count the requests for objects of the bucket."""
    return sum(number for call, number in desk.world.traffic.counts().items() if call.method == "objects.get")
