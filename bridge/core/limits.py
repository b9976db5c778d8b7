"""No limit, where none is wanted: see the port `Limit`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.core.ports import Limit


class _Unlimited:
    def take(self) -> None:
        """Return at once."""

    def slow(self, after: float | None = None) -> None:
        """Go on as before."""

    def answered(self, status: int | None) -> None:
        """Keep no count."""


UNLIMITED: Limit = _Unlimited()
