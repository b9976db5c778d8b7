"""Shows how far copies are, and has them stop at once when somebody presses Ctrl-C."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bridge.cli.interrupting import ending_soon
from bridge.cli.printing import printable, say_aside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import TaskID

    from bridge.app import Bridge
    from bridge.core.model import SourceVersion
    from bridge.core.records import Progress

INTERRUPTED = 130  # what a shell says of a process that Ctrl-C has ended


@contextmanager
def following(bridge: Bridge) -> Iterator[Bridge]:
    """
    Follow all copies meanwhile: by bars on a terminal, else by a line on stderr every ten seconds.

    Ctrl-C stops copies, which otherwise go on until a file is whole, before the interrupt goes its usual way. What
    hangs in a network beyond that is ended with the process: it can die at any moment, and the next one goes on.
    """
    with _shown(bridge) as watch, ending_soon(lambda: os._exit(INTERRUPTED), bridge.budget.halted.set):
        bridge.watchers.append(watch)
        yield bridge


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
