"""Durations, sizes, rates, budgets and percentages, as people write them."""

from __future__ import annotations

import re
from datetime import timedelta

DURATION_PATTERN = r"^[0-9]{1,9}(\.[0-9]{1,6})?[smhd]$"
SIZE_PATTERN = r"^[0-9]{1,9}(\.[0-9]{1,6})?[MG]i?B$"
RATE_PATTERN = SIZE_PATTERN[:-1] + "/s$"
BUDGET_PATTERN = r"^[0-9]{1,6}/[sm]$"
PERCENTAGE_PATTERN = r"^[0-9]{1,3}(\.[0-9]{1,6})?%$"

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_BYTES = {"MB": 10**6, "MiB": 1 << 20, "GB": 10**9, "GiB": 1 << 30}
_LONGEST = timedelta(days=365)


def duration(text: str) -> timedelta:
    """Read `90s`, `10m`, `2h`, `1.5d`: at most 365 days. Raises ValueError, with a sentence, for anything else."""
    if not re.fullmatch(DURATION_PATTERN, text, re.ASCII):
        raise ValueError(f"{text!r} is not a duration; write a number and s, m, h or d: 90s, 10m, 2h, 1d")
    seconds = float(text[:-1]) * _SECONDS[text[-1]]
    if seconds > _LONGEST.total_seconds():
        raise ValueError(f"{text} is too long; at most 365d is allowed")
    return timedelta(seconds=seconds)


def size(text: str) -> int:
    """Read `8MiB`, `1.5GB` as bytes. Raises ValueError, with a sentence, for anything else."""
    if not re.fullmatch(SIZE_PATTERN, text, re.ASCII):
        raise ValueError(f"{text!r} is not a size; write a number and MB, MiB, GB or GiB: 8MiB, 1.5GB")
    return _bytes(text)


def rate(text: str) -> int:
    """Read `200MB/s` as bytes per second. Raises ValueError, with a sentence, for anything else."""
    if not re.fullmatch(RATE_PATTERN, text, re.ASCII):
        raise ValueError(f"{text!r} is not a rate; write a number and MB/s, MiB/s, GB/s or GiB/s: 200MB/s")
    return _bytes(text.removesuffix("/s"))


def budget(text: str) -> tuple[int, timedelta]:
    """Read `60/m`, `5/s` as so many in any span of that length. Raises ValueError, with a sentence, for all else."""
    if not re.fullmatch(BUDGET_PATTERN, text, re.ASCII):
        raise ValueError(f"{text!r} is not a budget of requests; write a whole number and /s or /m: 60/m, 5/s")
    if (number := int(text[:-2])) < 1:
        raise ValueError(f"{text} lets no request pass; at least 1/m is needed")
    return number, timedelta(seconds=_SECONDS[text[-1]])


def share(text: str) -> float:
    """Read a percentage as a share: `30%` is 0.3. Raises ValueError, with a sentence, for anything else."""
    if not re.fullmatch(PERCENTAGE_PATTERN, text, re.ASCII):
        raise ValueError(f"{text!r} is not a percentage; write it like 30%")
    percent = float(text[:-1])
    if percent > 100:  # noqa: PLR2004  the whole
        raise ValueError(f"{text} is more than 100%")
    return percent / 100


def _bytes(text: str) -> int:
    number = text.rstrip("MGiB")
    return round(float(number) * _BYTES[text.removeprefix(number)])
