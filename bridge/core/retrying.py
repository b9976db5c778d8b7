"""When a model is worked on, and when something that the outside was too unwell for is tried again."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.core.records import Status

FIRST = 5.0  # seconds; twice as long after each further attempt
LONGEST = 3600.0  # seconds
LOOKS_EVERY = timedelta(minutes=1)  # while a change that was sent may still take effect
SHARE = 0.5  # of the pause that chance decides, so that what failed together is not tried together


def pause_after(attempt: int, asked: float | None, chance: float) -> timedelta:
    """
    Return how long to wait after the attempt of that number, counted from 1.

    `asked` is what the service said, in seconds: never less than that. `chance` is at least 0 and below 1.
    """
    doubled = min(FIRST * 2.0 ** min(attempt - 1, 20), LONGEST)
    return timedelta(seconds=max(doubled * (1 - SHARE * chance), asked or 0.0))


def why_now(fingerprint: str, before: Status | None, now: datetime) -> str | None:
    """
    Say why a model whose desired state has this fingerprint is to be worked on now; None if it is not.

        nothing is known of it                                 it is new
        all was well with just this                            (not)
        something else was tried last, or nothing to its end   it has changed
        the same was tried, and its time has come              it is tried again, or what held it has ended
        the same was tried, and its time has not come          (not)
        the same was tried, and no time mends it               (not)
    """
    if before is None:
        return "it is new"
    if before.fingerprint == fingerprint:
        return None
    if before.tried != fingerprint:
        return "it has changed"
    if before.next_try is None or datetime.fromisoformat(before.next_try) > now:
        return None
    return f"try {before.attempt + 1}" if before.attempt else "what held it has ended"


def looks_on(status: Status, awaited: datetime | None, now: datetime) -> Status:
    """Have a model looked at again until the time `awaited`, be it well or not; None if nothing is awaited."""
    if awaited is None:
        return status
    held_until = datetime.fromisoformat(status.next_try) if status.next_try else awaited
    return replace(status, fingerprint=None, next_try=min(held_until, awaited, now + LOOKS_EVERY).isoformat())
