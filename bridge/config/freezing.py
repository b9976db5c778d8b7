"""
When a mapping is frozen: cron expressions, read and reckoned with by APScheduler's CronTrigger.

They mean what crontab(5) says, which CronTrigger alone would not: it counts weekdays from Monday (APScheduler 3.11,
triggers/cron/fields.py), so numbers are spelled out as names; and it wants day and weekday both to fit where cron
takes either, so an expression that names both is refused.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger

from bridge.config.wrong import Wrong

if TYPE_CHECKING:
    from bridge.core.model import Freeze, MappingSpec

EXAMPLE = "'0 18 * * 5' for Fridays at 18:00"
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_ITEM = re.compile(r"(?P<first>\*|\w+)(-(?P<last>\w+))?(/(?P<step>[1-9][0-9]?))?", re.ASCII)
_MOST_JOINED = 100  # windows that follow one another without a gap; who asks then is told a time, and asks again


def cron(text: str) -> str:
    """Accept a cron expression that comes true at some time."""
    fields = text.split()
    if len(fields) != 5:  # noqa: PLR2004  see the message
        raise Wrong(f"{text!r} is not a cron expression: write minute, hour, day, month and weekday, as {EXAMPLE}")
    if "*" not in (fields[2][0], fields[4][0]):
        raise Wrong(f"{text!r} names days and weekdays, and cron takes either; write an entry for each")
    try:
        trigger = _trigger(text, "UTC")
    except ValueError as error:
        raise Wrong(f"{text!r} is not a cron expression ({error}); write one like {EXAMPLE}") from error
    if trigger.get_next_fire_time(None, datetime(2024, 1, 1, tzinfo=UTC)) is None:
        raise Wrong(f"{text!r} never comes true; write one like {EXAMPLE}")
    return text


def timezone(text: str) -> str:
    """Accept the name of a time zone that this machine knows."""
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError) as error:  # unknown; a path; a folder of zones
        raise Wrong(
            f"{text!r} is no time zone that is known here; write an IANA name, such as Europe/Berlin"
        ) from error
    return text


def frozen_until(spec: MappingSpec, now: datetime) -> datetime | None:
    """Return when the freeze that a mapping is in ends, in UTC; None if it is in none. A window ends at its end."""
    ends = [end for freeze in spec.freezes if (end := _end(freeze, now)) is not None]
    return max(ends, default=None)


def _end(freeze: Freeze, now: datetime) -> datetime | None:
    trigger = _trigger(freeze.cron, freeze.timezone)
    end = None
    begins = trigger.get_next_fire_time(None, now - freeze.lasts)
    for _ in range(_MOST_JOINED):
        if begins is None or begins > (end or now):
            break
        # Elapsed time, not the clock on the wall: a window over a change of the hour lasts as long as any other.
        end = begins.astimezone(UTC) + freeze.lasts
        begins = trigger.get_next_fire_time(begins, begins)
    return end if end is not None and end > now else None


@lru_cache(maxsize=256)
def _trigger(text: str, zone: str) -> CronTrigger:
    minute, hour, day, month, weekday = text.split()
    return CronTrigger(
        minute=minute, hour=hour, day=day, month=month, day_of_week=_named(weekday), timezone=ZoneInfo(zone)
    )


def _named(weekdays: str) -> str:
    """Spell out weekdays: "1-5" is "mon,tue,wed,thu,fri", and 0 and 7 are both Sunday. Raises ValueError."""
    if weekdays == "*":
        return weekdays
    days = sorted({day for item in weekdays.split(",") for day in _days(item)})
    return ",".join(_WEEKDAYS[day] for day in days)


def _days(item: str) -> list[int]:
    found = _ITEM.fullmatch(item)
    if found is None:
        raise ValueError(f"{item!r} is no weekday")
    first = 0 if found["first"] == "*" else _day(found["first"])
    last = first
    if found["last"]:
        last = _day(found["last"])
    elif found["first"] == "*" or found["step"]:
        last = 6
    if last < first:
        raise ValueError(f"{item!r} goes backwards")
    return [day % 7 for day in range(first, last + 1, int(found["step"] or 1))]


def _day(text: str) -> int:
    if text.lower() in _WEEKDAYS:
        return _WEEKDAYS.index(text.lower())
    if re.fullmatch("[0-7]", text):
        return int(text)
    raise ValueError(f"{text!r} is no weekday; write 0 to 7, or sun to sat")
