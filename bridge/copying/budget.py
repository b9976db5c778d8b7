"""What all copies of a process share: places, memory, bandwidth, connections to buckets, and the word to stop."""

from __future__ import annotations

import threading
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from bridge.copying.pace import Pace
from bridge.copying.parallel import LOOK, stopped
from bridge.copying.throttle import Throttle
from bridge.core.settings import CopySettings
from bridge.net.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from bridge.core.ports import Clock


class Room:
    """Memory for bytes that are on their way. Who asks first is served first, so that nothing large waits for ever."""

    def __init__(self, size: int) -> None:
        self._size = size  # bytes
        self._taken = 0
        self._turn = threading.Lock()
        self._changed = threading.Condition()

    @contextmanager
    def take(self, size: int) -> Iterator[None]:
        """Wait for that much room; what is larger than all of it is let in alone."""
        with self._turn, self._changed:
            self._changed.wait_for(lambda: self._taken + size <= self._size or not self._taken)
            self._taken += size
        try:
            yield
        finally:
            with self._changed:
                self._taken -= size
                self._changed.notify()


class Budget:
    """
    The limits of all copies together, as `settings` say. `halted` makes all of them end within a second.

    One that comes after another with the same settings shares all of that but the word to stop: copies that the other
    has begun may still be under way.
    """

    def __init__(self, clock: Clock, settings: CopySettings | None = None, before: Budget | None = None) -> None:
        self.settings = settings or CopySettings()
        self.pace = Pace(self.settings.parallel_files)
        self.room = Room(self.settings.memory)
        self.throttle = Throttle(clock, self.settings.max_bandwidth)
        self.lines = Lines(self.settings.per_host)  # to buckets; each source has its own, as many
        self._versions = threading.Semaphore(self.settings.parallel_versions)
        if before is not None and before.settings == self.settings:
            self.pace, self.room, self.throttle = before.pace, before.room, before.throttle
            self.lines, self._versions = before.lines, before._versions  # noqa: SLF001  its own kind
        self.halted = threading.Event()
        # Is held while a version waits for its turn, and while it is copied.
        self.aside: Callable[[], AbstractContextManager[None]] = nullcontext

    @contextmanager
    def version(self) -> Iterator[None]:
        """Wait until one version more may be copied. Raises TryAgain if all are halted before."""
        with self.aside():
            while not self._versions.acquire(timeout=LOOK):
                if self.halted.is_set():
                    raise stopped()
            try:
                yield
            finally:
                self._versions.release()
