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


class InlineQueue:
    """The Queue port in the thread that asks: `work` is given the key, the reason and `full`, at once."""

    def __init__(self, work: Callable[[ModelKey, str, bool], object]) -> None:
        self._work = work

    def submit(self, key: ModelKey, why: str, *, full: bool = False) -> bool:
        """Work on the key."""
        self._work(key, why, full)
        return True

    def left(self, mapping: str) -> int:  # noqa: ARG002  the port's name
        """Nothing is ever left."""
        return 0
