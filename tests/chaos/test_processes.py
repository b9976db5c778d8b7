"""Processes are ended that were started here, and no others: a number that was given back is never signalled."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from tests.chaos.processes import Group

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PATIENCE = 30.0


@pytest.fixture
def signalled(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Hear of every signal that is about to be sent, and to whom."""
    heard: list[tuple[str, int]] = []

    def listen(name: str, send: Callable[[int, int], None]) -> None:
        def sent(number: int, word: int) -> None:
            heard.append((name, number))
            send(number, word)

        monkeypatch.setattr(os, name, sent)

    listen("kill", os.kill)
    listen("killpg", os.killpg)
    return heard


def group(folder: Path, program: str) -> Group:
    return Group([sys.executable, "-c", program], folder, folder / "log")


def until(condition: Callable[[], bool]) -> None:
    left = PATIENCE
    while not condition():
        assert left > 0
        threading.Event().wait(0.02)
        left -= 0.02


def runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123  it is no file
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_what_has_ended_and_was_waited_for_is_never_signalled(tmp_path: Path, signalled: list[tuple[str, int]]) -> None:
    made = group(tmp_path, "pass")
    assert made.end(PATIENCE) == 0
    signalled.clear()
    assert (made.kill(), made.terminate(), made.end(PATIENCE)) == (False, False, 0)
    assert signalled == []


def test_looking_whether_it_runs_does_not_give_its_number_back(tmp_path: Path) -> None:
    made = group(tmp_path, "raise SystemExit(3)")
    until(lambda: made.code == 3)
    assert os.waitid(os.P_PID, made.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None, "it is a zombie yet"
    assert not made.terminate()
    assert made.end(PATIENCE) == 3


def test_what_it_has_started_is_killed_though_it_has_ended_itself(tmp_path: Path) -> None:
    program = "import subprocess, sys; print(subprocess.Popen(['sleep', '600']).pid, flush=True)"
    made = group(tmp_path, program)
    until(lambda: made.code is not None)
    child = int((tmp_path / "log").read_text())
    assert runs(child)
    assert made.end(PATIENCE) == 0
    until(lambda: not runs(child))


def test_it_is_told_to_end_or_killed_and_its_code_says_which(tmp_path: Path) -> None:
    told, killed, stubborn = (group(tmp_path, "import time; time.sleep(600)") for _ in range(3))
    assert (told.terminate(), killed.kill()) == (True, True)
    assert (told.end(PATIENCE), killed.end(PATIENCE), stubborn.end(0.1)) == (-15, -9, None)
