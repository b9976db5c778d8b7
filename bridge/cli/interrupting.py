"""What Ctrl-C does: the interrupt goes its usual way, and the process ends soon, whatever hangs."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

SOON = 0.6  # seconds after Ctrl-C


@contextmanager
def ending_soon(give_up: Callable[[], None], at_once: Callable[[], None] = lambda: None) -> Iterator[None]:
    """On Ctrl-C within the block call `at_once`, before KeyboardInterrupt; if the block does not end, `give_up`."""
    end = threading.Timer(SOON, give_up)
    end.daemon = True

    def stop(number: int, frame: FrameType | None) -> None:
        at_once()
        if not end.is_alive():
            end.start()
        signal.default_int_handler(number, frame)

    earlier = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        end.cancel()
        signal.signal(signal.SIGINT, earlier)
