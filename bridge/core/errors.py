"""
Every error the bridge raises on purpose.

    BridgeError
    ├── ConfigError      a file says something that cannot be meant; where, what, and what was probably meant
    ├── TryAgain         the outside was unwell, or it is too early; the same pass may succeed later
    │   ├── StillUnderWay    what was begun has not ended: whatever does not build on it need not wait
    │   └── TakenElsewhere   another process has the model: this one writes nothing more about it
    └── NeedsPerson      nothing will change by itself: why, and what a person can do
        ├── NotFound         a service says positively that there is no such thing
        └── IntegrityError   bytes are not what the source said they are

A vendor's error is translated into one of the last three where it enters, once.
"""

from __future__ import annotations

from dataclasses import dataclass


class BridgeError(Exception):
    """An error the bridge knows how to report: `str()` of it is one sentence for a person."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class ConfigError(BridgeError):
    """
    A configuration that cannot be meant.

    `excerpt` is the offending line, or None where it cannot be shown (a file that is missing, a secret).
    """

    def __init__(self, message: str, at: Position | None = None, excerpt: str | None = None) -> None:
        super().__init__(f"{at}: {message}" if at else message)
        self.message = message
        self.at = at
        self.excerpt = excerpt


SHOWN = 20  # mistakes at a time: one that is in every mapping is not told ten thousand times


class ConfigErrors(BridgeError):
    """All that is wrong with a configuration, at once, in the order of files and lines; the text tells the first."""

    def __init__(self, errors: tuple[ConfigError, ...]) -> None:
        self.errors = errors
        self.shown = errors[:SHOWN]
        left_out = len(errors) - SHOWN
        self.more = f"… and {left_out} more; mend these first" if left_out > 0 else ""
        super().__init__("\n".join([*map(str, self.shown), *filter(None, [self.more])]))


class TryAgain(BridgeError):
    """
    The outside was unwell, or it is too early; `after` is in seconds, None if nobody said.

    What was asked for may or may not have happened, unless `nothing_happened`: then it was turned away.
    """

    def __init__(self, reason: str, after: float | None = None, *, nothing_happened: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after
        self.nothing_happened = nothing_happened


class StillUnderWay(TryAgain):
    """What was begun has not ended, or how is not known yet; the outside is well, as far as this tells."""


class TakenElsewhere(TryAgain):
    """Another process works on this model, or has taken it over: nothing more may be written down about it here."""


class NeedsPerson(BridgeError):
    """Trying again changes nothing: `reason` says what was refused and why, `remedy` what to do next."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(f"{reason}; {remedy}")
        self.reason = reason
        self.remedy = remedy


class NotFound(NeedsPerson):
    """A service says positively that there is no such thing, or none that this account may see."""


class IntegrityError(NeedsPerson):
    """Bytes are not what the source, or the receiving end, says they are."""
