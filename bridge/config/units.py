"""Durations and percentages, as people write them."""

from __future__ import annotations

import re
from datetime import timedelta

DURATION_PATTERN = r"^[0-9]{1,9}(\.[0-9]{1,6})?[smhd]$"
PERCENTAGE_PATTERN = r"^[0-9]{1,3}(\.[0-9]{1,6})?%$"

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LONGEST = timedelta(days=365)


def duration(text: str) -> timedelta:
    """Read `90s`, `10m`, `2h`, `1.5d`: at most 365 days. Raises ValueError, with a sentence, for anything else."""
    if not re.fullmatch(DURATION_PATTERN, text, re.ASCII):
        raise ValueError(f"{text!r} is not a duration; write a number and s, m, h or d: 90s, 10m, 2h, 1d")
    seconds = float(text[:-1]) * _SECONDS[text[-1]]
    if seconds > _LONGEST.total_seconds():
        raise ValueError(f"{text} is too long; at most 365d is allowed")
    return timedelta(seconds=seconds)


def share(text: str) -> float:
    """Read a percentage as a share: `30%` is 0.3. Raises ValueError, with a sentence, for anything else."""
    if not re.fullmatch(PERCENTAGE_PATTERN, text, re.ASCII):
        raise ValueError(f"{text!r} is not a percentage; write it like 30%")
    percent = float(text[:-1])
    if percent > 100:  # noqa: PLR2004  the whole
        raise ValueError(f"{text} is more than 100%")
    return percent / 100
