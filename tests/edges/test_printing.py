"""How numbers, durations and names from outside look."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bridge.cli.printing import printable, size, span


@pytest.mark.parametrize(
    ("count", "spelled"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (1_234_567_890, "1.2 GB"),
        (5_000_000_000_000_000, "5000.0 TB"),
    ],
)
def test_a_number_of_bytes_is_spelled_in_the_unit_that_fits(count: int, spelled: str) -> None:
    assert size(count) == spelled


@pytest.mark.parametrize(
    ("seconds", "spelled"),
    [
        (-1.0, "0 s"),
        (0.9, "0 s"),
        (119.9, "119 s"),
        (120, "2 m"),
        (239, "3 m"),
        (7199, "119 m"),
        (7200, "2 h"),
        (172_799, "47 h"),
        (172_800, "2 d"),
        (31_536_000, "365 d"),
    ],
)
def test_a_duration_is_spelled_in_whole_units_two_at_least(seconds: float, spelled: str) -> None:
    assert span(timedelta(seconds=seconds)) == spelled


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("modèle 日本", "modèle 日本"),
        ("churn\n0 changes", "churn\\n0 changes"),
        ("churn\r\x1b[2K", "churn\\r\\x1b[2K"),
        ("churn\u2028\u202edrahc", "churn\\u2028\\u202edrahc"),
    ],
)
def test_a_name_from_outside_stays_in_its_line_and_moves_no_cursor(name: str, shown: str) -> None:
    assert printable(name) == shown
