"""Shows how far copies are, and has them stop at once when somebody presses Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bridge.cli.printing import printable, say_aside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from rich.progress import TaskID

    from bridge.app import Bridge
    from bridge.core.model import SourceVersion
    from bridge.core.records import Progress

SOON = 0.9  # seconds after Ctrl-C
INTERRUPTED = 130  # what a shell says of a process that Ctrl-C has ended


@contextmanager
def following(bridge: Bridge) -> Iterator[Bridge]:
    """Follow all copies meanwhile: by bars on a terminal, else by a line on stderr every ten seconds."""
    with _shown(bridge) as watch, _stopping(bridge):
        bridge.watchers.append(watch)
        yield bridge


@contextmanager
def _stopping(bridge: Bridge) -> Iterator[None]:
    """
    Stop copies, which otherwise go on until a file is whole, before the interrupt goes its usual way.

    What hangs in a network beyond that is ended with the process: it can die at any moment, and the next one goes on.
    """
    end = threading.Timer(SOON, lambda: os._exit(INTERRUPTED))
    end.daemon = True

    def stop(number: int, frame: FrameType | None) -> None:
        bridge.budget.halted.set()
        if not end.is_alive():
            end.start()
        signal.default_int_handler(number, frame)

    earlier = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        end.cancel()
        signal.signal(signal.SIGINT, earlier)


@contextmanager
def _shown(bridge: Bridge) -> Iterator[Callable[[Progress], None]]:
    if not sys.stderr.isatty():
        from bridge.copying.progress import ProgressLines

        yield ProgressLines(bridge.clock, say_aside)
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress as Bars,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    with Bars(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bars:
        tasks: dict[SourceVersion, TaskID] = {}

        def show(progress: Progress) -> None:
            version = progress.version
            task = tasks.get(version)
            if task is None:
                task = tasks[version] = bars.add_task("", total=progress.bytes)
            told = f"{version} {progress.files_done}/{progress.files}"
            bars.update(task, completed=progress.bytes_done, description=escape(printable(told)))

        yield show
