"""Real time: the Clock port's adapter."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """See the port."""
        return datetime.now(UTC)  # noqa: TID251  the one place where the product reads real time

    def sleep(self, seconds: float) -> None:
        """See the port."""
        time.sleep(seconds)  # noqa: TID251  the same
