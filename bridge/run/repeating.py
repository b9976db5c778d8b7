"""Something small that is done again and again beside a command's own work."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import timedelta

log = logging.getLogger(__name__)


@contextmanager
def repeating(pause: timedelta, work: Callable[[], None]) -> Iterator[None]:
    """Do `work` on a thread after every pause, for as long as the block lasts; its errors are only logged."""
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(pause.total_seconds()):
            try:
                work()
            except Exception:  # the next round may do better, and the command goes on without
                log.warning("%s failed; it is done again soon", work.__qualname__, exc_info=True)

    thread = threading.Thread(target=repeat, name="repeating", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
