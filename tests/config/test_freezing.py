"""`freeze` of a mapping: when it is in force, and what an expression that makes no sense gets."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bridge.config.freezing import frozen_until
from bridge.core.model import Freeze
from tests.worlds import mapping

if TYPE_CHECKING:
    from tests.config.folders import Folder


def frozen(now: str, *freezes: Freeze) -> str | None:
    """Say until when; times are written without their zone, which is UTC."""
    end = frozen_until(replace(mapping(), freezes=freezes), datetime.fromisoformat(f"{now}Z"))
    assert end is None or end.tzinfo is UTC
    return end.isoformat()[:16] if end else None


WEEKEND = Freeze("0 18 * * 5", timedelta(hours=62))


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2026-01-09T17:59:59", None),  # a Friday
        ("2026-01-09T18:00:00", "2026-01-12T08:00"),
        ("2026-01-10T18:30:00", "2026-01-12T08:00"),
        ("2026-01-12T07:59:59", "2026-01-12T08:00"),
        ("2026-01-12T08:00:00", None),
    ],
)
def test_a_mapping_is_frozen_from_when_cron_says_and_for_as_long_as_it_lasts(now: str, end: str | None) -> None:
    assert frozen(now, WEEKEND) == end


@pytest.mark.parametrize(
    ("weekdays", "days"),
    [
        ("0", "sun"),
        ("7", "sun"),
        ("1-5", "mon tue wed thu fri"),
        ("fri-7", "sun fri sat"),
        ("MON,3", "mon wed"),
        ("*/3", "sun wed sat"),
        ("1-5/2", "mon wed fri"),
        ("5/1", "fri sat"),
        ("*", "sun mon tue wed thu fri sat"),
    ],
)
def test_weekdays_are_counted_as_cron_counts_them(weekdays: str, days: str) -> None:
    sunday = datetime(2026, 1, 4, 12, tzinfo=UTC)
    noons = {(sunday + timedelta(days=day)).strftime("%a").lower(): sunday + timedelta(days=day) for day in range(7)}
    freeze = Freeze(f"0 12 * * {weekdays}", timedelta(hours=1))

    assert " ".join(day for day, at in noons.items() if frozen(f"{at:%Y-%m-%dT%H:%M}", freeze)) == days


def test_a_freeze_begins_by_the_clock_of_its_zone_in_summer_and_in_winter() -> None:
    evening = Freeze("0 18 * * *", timedelta(hours=1), "Europe/Berlin")

    assert [frozen(f"2026-01-05T{hour}:30", evening) is not None for hour in (16, 17)] == [False, True]
    assert [frozen(f"2026-07-05T{hour}:30", evening) is not None for hour in (16, 17)] == [True, False]


def test_a_window_over_a_change_of_the_hour_lasts_as_long_as_any_other() -> None:
    night = Freeze("0 0 29 3 *", timedelta(hours=6), "Europe/Berlin")  # 2026-03-29: 02:00 is 03:00

    assert frozen("2026-03-28T23:30", night) == "2026-03-29T05:00"


def test_windows_that_overlap_or_touch_end_with_the_last() -> None:
    assert frozen("2026-01-05T10:30", Freeze("0 10,11,12,14 * * *", timedelta(hours=1))) == "2026-01-05T13:00"
    assert frozen("2026-01-05T10:30", Freeze("*/45 10 * * *", timedelta(hours=2))) == "2026-01-05T12:45"


def test_of_two_freezes_the_one_that_ends_last_counts() -> None:
    longer = Freeze("0 9 * * *", timedelta(hours=8))

    assert frozen("2026-01-05T10:30", Freeze("0 10 * * *", timedelta(hours=1)), longer) == "2026-01-05T17:00"
    assert frozen("2026-01-05T10:30") is None


def test_a_mapping_that_is_always_frozen_says_some_time_at_which_to_ask_again() -> None:
    assert frozen("2026-01-05T10:30", Freeze("0 0 * * *", timedelta(days=1))) == "2026-04-15T00:00"


def test_a_mapping_can_say_when_it_is_frozen(folder: Folder) -> None:
    folder.mapping(freeze='[{cron: "0 18 * * 5", for: 62h}, {cron: 0 0 24 12 *, for: 8d, timezone: Europe/Berlin}]')

    assert folder.load().mappings[0].freezes == (
        WEEKEND,
        Freeze("0 0 24 12 *", timedelta(days=8), "Europe/Berlin"),
    )


EXAMPLE = "'0 18 * * 5' for Fridays at 18:00"


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("{cron: 0 18 * * 5}", "13: expected a list, found a mapping"),
        ("[{cron: 0 18 * * 5}]", "14: missing key 'for'"),
        (
            "[{cron: 0 18 * *, for: 2h}]",
            "21: '0 18 * *' is not a cron expression: write minute, hour, day, month and weekday, as " + EXAMPLE,
        ),
        (
            "[{cron: 0 18 1 * 5, for: 2h}]",
            "21: '0 18 1 * 5' names days and weekdays, and cron takes either; write an entry for each",
        ),
        (
            "[{cron: 0 24 * * 5, for: 2h}]",
            (
                "21: '0 24 * * 5' is not a cron expression (Error validating expression '24': the last value (24) is "
                "higher than the maximum value (23)); write one like '0 18 * * 5' for Fridays at 18:00"
            ),
        ),
        (
            "[{cron: 0 18 * * fry, for: 2h}]",
            (
                "21: '0 18 * * fry' is not a cron expression ('fry' is no weekday; write 0 to 7, or sun to sat); write "
                "one like '0 18 * * 5' for Fridays at 18:00"
            ),
        ),
        (
            "[{cron: 0 18 * * 5-1, for: 2h}]",
            f"21: '0 18 * * 5-1' is not a cron expression ('5-1' goes backwards); write one like {EXAMPLE}",
        ),
        (
            "[{cron: 0 18 * * 5/0, for: 2h}]",
            f"21: '0 18 * * 5/0' is not a cron expression ('5/0' is no weekday); write one like {EXAMPLE}",
        ),
        ("[{cron: 0 0 30 2 *, for: 2h}]", f"21: '0 0 30 2 *' never comes true; write one like {EXAMPLE}"),
        ("[{cron: 0 18 * * 5, for: 0s}]", "38: an interval must be longer than nothing"),
        (
            "[{cron: 0 18 * * 5, for: 2h, timezone: Berlin}]",
            "52: 'Berlin' is no time zone that is known here; write an IANA name, such as Europe/Berlin",
        ),
        (
            "[{cron: 0 18 * * 5, for: 2h, timezone: ../UTC}]",
            "52: '../UTC' is no time zone that is known here; write an IANA name, such as Europe/Berlin",
        ),
        (
            "[{cron: 0 18 * * 5, for: 2h, timezone: Europe}]",
            "52: 'Europe' is no time zone that is known here; write an IANA name, such as Europe/Berlin",
        ),
    ],
)
def test_what_a_freeze_that_makes_no_sense_gets(folder: Folder, said: str, message: str) -> None:
    changes: dict[str, Any] = {"freeze": said}
    folder.mapping(**changes)

    assert folder.wrong() == [f"mappings/fraud.yaml:7:{message}"]
