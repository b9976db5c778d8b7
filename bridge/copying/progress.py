"""How far a copy is: counted where bytes pass, told a few times a second at most."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

from bridge.core.records import Progress

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from bridge.core.model import SourceVersion
    from bridge.core.ports import Clock

OFTEN = timedelta(seconds=0.5)  # between two events of one copy
SELDOM = timedelta(seconds=10)  # between two lines


class Meter:
    """Counts the files and bytes of one version; shared by threads. `watch` is called by one of them at a time."""

    def __init__(
        self, clock: Clock, version: SourceVersion, files: int, size: int, watch: Callable[[Progress], None]
    ) -> None:
        self._clock = clock
        self._version = version
        self._files = files
        self._size = size  # bytes
        self._watch = watch
        self._guard = threading.Lock()
        self._began = self._told = clock.now()
        self._done = 0
        self._bytes = 0  # all that is done, and what is under way
        self._moved = 0  # of it, what came through here: the rate is of that

    def passed(self, size: int) -> None:
        """Count bytes that pass through here."""
        with self._guard:
            self._bytes += size
            self._moved += size
            self._tell_sometimes()

    def done(self, size: int) -> None:
        """Count a file, and those of its bytes that did not pass through here; negative if some passed twice."""
        with self._guard:
            self._done += 1
            self._bytes += size
            self._tell_sometimes()

    def end(self) -> None:
        """Tell how it ended."""
        with self._guard:
            self._watch(self._progress(self._clock.now()))

    def _tell_sometimes(self) -> None:
        now = self._clock.now()
        if now - self._told >= OFTEN:
            self._told = now
            self._watch(self._progress(now))

    def _progress(self, now: datetime) -> Progress:
        seconds = (now - self._began).total_seconds()
        rate = self._moved / seconds if seconds > 0 else 0.0
        left = max(self._size - self._bytes, 0)
        return Progress(
            self._version, self._done, self._files, self._bytes, self._size, rate, left / rate if rate else None
        )


class ProgressLines:
    """Says a line every ten seconds for each copy that takes longer; the first one right away."""

    def __init__(self, clock: Clock, say: Callable[[str], None]) -> None:
        self._clock = clock
        self._say = say
        self._told: dict[SourceVersion, datetime] = {}

    def __call__(self, progress: Progress) -> None:
        """Take note of how far a copy is."""
        now = self._clock.now()
        if progress.is_whole:
            self._told.pop(progress.version, None)
        elif progress.version not in self._told or now - self._told[progress.version] >= SELDOM:
            self._told[progress.version] = now
            self._say(f"copying {progress}")
