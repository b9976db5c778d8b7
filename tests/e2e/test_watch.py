"""`bridge status --watch` goes on until Ctrl-C, on a terminal, in a pipe, on the store and at a service."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import in_a_file
from tests.e2e.test_run import WAIT, running, write_config
from tests.sources.servers import Reply, ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Desk

pytestmark = pytest.mark.sandbox


@contextmanager
def watching(desk: Desk, *options: str, stdout: int = subprocess.PIPE) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "bridge", "status", "--watch", *options]
    process = subprocess.Popen(  # noqa: S603  our own words
        command, cwd=desk.folder, stdout=stdout, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Press Ctrl-C; return the exit code, and what else was said."""
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=WAIT)
    return process.returncode, err


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_in_a_pipe_changes_are_lines(desk: Desk) -> None:
    desk.publish(b"first", "production")
    desk.bridge("sync")
    with watching(desk) as process:
        assert line(process) == f"fraud/{desk.model}  SYNCED  default -> v0 @1, production -> v0 @1\n"
        desk.bridge("pause", "fraud", "--reason", "incident 7")
        assert line(process).startswith(f"fraud/{desk.model}  HELD  default -> v0 @1, production -> v0 @1  model ")
        desk.bridge("resume", "fraud")
        assert "  PENDING  " in line(process)
        assert end(process) == (0, "")


def test_for_machines_each_change_is_a_line_of_json(desk: Desk) -> None:
    desk.publish(b"first", "production")
    desk.bridge("sync")
    with watching(desk, "fraud", "--json") as process:
        row = json.loads(line(process))
        assert (row["state"], row["aliases"]["production"]) == ("SYNCED", {"version": "1", "label": "v0"})
        assert end(process) == (0, "")


def test_on_a_terminal_it_is_drawn_again(desk: Desk) -> None:
    desk.publish(b"first", "production")
    desk.bridge("sync")
    ours, theirs = pty.openpty()
    with watching(desk, stdout=theirs) as process:
        os.close(theirs)
        shown = b""
        while b"SYNCED" not in shown:
            shown += os.read(ours, 4096)
        desk.bridge("pause", "fraud", "--reason", "incident 7")
        while b"HELD" not in shown:
            shown += os.read(ours, 4096)
        assert shown.count(b"MAPPING") > 1
        assert end(process) == (0, "")
    os.close(ours)


def test_a_service_is_watched_and_waited_for(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    write_config(desk)
    desk.publish(b"first", "production")
    with running(desk) as service:
        service.await_event("is SYNCED")
        monkeypatch.setenv("BRIDGE_SERVER", service.url)
        with watching(desk) as process:
            assert f"fraud/{desk.model}  SYNCED" in line(process)
            assert service.end() == 0
            assert process.stderr is not None
            assert "does not answer" in process.stderr.readline()
            assert end(process)[0] == 0


def test_what_hangs_does_not_keep_it_from_ending(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, over = threading.Event(), threading.Event()

    def hang(_: object) -> Reply:
        asked.set()
        over.wait(4 * WAIT)
        return Reply()

    with ScriptedServer(hang) as server:
        monkeypatch.setenv("BRIDGE_SERVER", server.url)
        with watching(desk) as process:
            assert asked.wait(WAIT)
            assert end(process) == (0, "")
        over.set()


@in_a_file
def test_what_is_wrong_for_good_ends_it(desk: Desk) -> None:
    with watching(desk, "nothing") as process:
        _, err = process.communicate(timeout=WAIT)
    assert (process.returncode, "there is no store at bridge.db yet" in err) == (1, True)
