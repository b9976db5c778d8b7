"""A runner without threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.core.model import ModelKey


class InlineRunner:
    """The Runner port in the thread that asks: one key after the other, in their order."""

    def run(self, keys: Sequence[ModelKey], work: Callable[[ModelKey], None]) -> None:
        """Do `work` for every key. An error ends the run at once, as death would."""
        for key in keys:
            work(key)
