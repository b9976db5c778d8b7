"""How copies are shown while they run: on a terminal, and to a file or a log."""

from __future__ import annotations

import os
import pty
import re
import signal
import sys
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from bridge.app import Bridge
from bridge.cli.following import following
from bridge.config.load import load
from bridge.core.model import SourceVersion
from bridge.core.records import Progress
from bridge.testing.clock import FakeClock
from tests.edges.test_start import CONFIG, MAPPING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HOSTILE = "acme/model/\x1b]0;owned\x07\x1b[2J\u202efraud[bold]\r\n"


def version(collection: str = "acme/model/fraud") -> SourceVersion:
    return SourceVersion("acme", collection, "v7", "id-7", "0" * 32, "https://w")


def progress(done: int, collection: str = "acme/model/fraud", rate: float = 1e6) -> Progress:
    return Progress(version(collection), done, 4, done * 1_000_000, 4_000_000, rate, None)


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[Bridge]:
    (tmp_path / "bridge.yaml").write_text(CONFIG.replace("sqlite:///bridge.db", f"sqlite:///{tmp_path}/bridge.db"))
    (tmp_path / "mappings").mkdir()
    (tmp_path / "mappings" / "fraud.yaml").write_text(MAPPING)
    with Bridge(load(tmp_path / "bridge.yaml"), clock=FakeClock()) as opened:
        yield opened


def tell(bridge: Bridge, *told: Progress) -> None:
    for one in told:
        for watch in bridge.watchers:
            watch(one)


def test_without_a_terminal_a_line_is_said_every_ten_seconds(
    bridge: Bridge, capsys: pytest.CaptureFixture[str]
) -> None:
    assert isinstance(bridge.clock, FakeClock)
    with following(bridge):
        for _ in range(25):
            tell(bridge, progress(1))
            bridge.clock.advance(1)
        tell(bridge, progress(4))

    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"copying {version()}: 1 of 4 files, 1.0 of 4.0 MB, 1.0 MB/s\n" * 3


def test_a_hostile_name_is_harmless_in_a_line(bridge: Bridge, capsys: pytest.CaptureFixture[str]) -> None:
    with following(bridge):
        tell(bridge, progress(1, HOSTILE))

    err = capsys.readouterr().err
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e]", err)
    assert "\\x1b]0;owned\\x07" in err


@contextmanager
def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """Make stderr a terminal; what is called in the end returns all that was written to it."""
    main, other = pty.openpty()
    written = bytearray()

    def read() -> None:
        try:
            while piece := os.read(main, 1 << 16):
                written.extend(piece)
        except OSError:  # nobody has the other end any more
            pass

    thread = threading.Thread(target=read, daemon=True)
    thread.start()

    def ended() -> str:
        terminal.close()
        thread.join(10)
        return written.decode()

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    with closing(os.fdopen(other, "w")) as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        try:
            yield ended
        finally:
            monkeypatch.undo()
            terminal.close()
            os.close(main)


def test_on_a_terminal_each_copy_has_a_bar_that_is_gone_in_the_end(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with on_a_terminal(monkeypatch) as ended:
        with following(bridge):
            tell(bridge, progress(1), progress(1, "acme/model/churn"), progress(2), progress(4))
        shown = ended()

    assert "acme/model/fraud:v7 4/4" in shown
    assert "acme/model/churn:v7 1/4" in shown
    assert "4.0/4.0 MB" in shown
    assert "copying" not in shown
    assert shown.rstrip().endswith("\x1b[2K")  # the last line is wiped
    assert capsys.readouterr().out == ""


def test_a_hostile_name_is_harmless_in_a_bar(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    with on_a_terminal(monkeypatch) as ended:
        with following(bridge):
            tell(bridge, progress(1, HOSTILE))
        shown = ended()

    assert not re.search("\x1b\\]|\x07|\x1b\\[2J|\u202e", shown)
    assert "\\x1b]0;owned\\x07" in shown
    assert "[bold]" in shown


def test_an_interrupt_stops_all_copies_and_goes_its_usual_way(bridge: Bridge) -> None:
    earlier = signal.getsignal(signal.SIGINT)
    with following(bridge):
        assert not bridge.budget.halted.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert bridge.budget.halted.is_set()
    assert signal.getsignal(signal.SIGINT) is earlier


def test_what_ends_by_itself_stops_nothing(bridge: Bridge) -> None:
    earlier = signal.getsignal(signal.SIGINT)
    with following(bridge):
        pass
    assert not bridge.budget.halted.is_set()
    assert signal.getsignal(signal.SIGINT) is earlier
