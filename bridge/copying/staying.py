"""A copy has its folder to itself for as long as it gets on."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from bridge.core.errors import TryAgain

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.core.ports import Clock, Uploads
    from bridge.core.records import Progress

STAYS = timedelta(minutes=10)  # between two times that a copy says that it goes on


class Stay:
    """Keeps a folder for a copy for as long as that gets on, so that what is in it is not taken for left behind."""

    def __init__(self, uploads: Uploads, clock: Clock, folder: str, watch: Callable[[Progress], None]) -> None:
        self._uploads, self._clock, self._folder, self._watch = uploads, clock, folder, watch
        self._since = clock.now()
        if not uploads.enter(folder, self._since):
            raise TryAgain(f"{folder}: what an earlier copy has left in it is just being removed")

    def __call__(self, progress: Progress) -> None:
        """Take note of how far the copy is; from one thread at a time."""
        if self._clock.now() - self._since >= STAYS:
            self.go_on()
        self._watch(progress)

    def go_on(self) -> None:
        """Keep it for some time more. Raises TryAgain if somebody took it for left behind."""
        now = self._clock.now()
        if not self._uploads.stay(self._folder, self._since, now):
            raise TryAgain(f"{self._folder}: this copy stood still so long that what it had brought was removed")
        self._since = now
