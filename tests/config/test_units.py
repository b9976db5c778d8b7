"""Durations, sizes, rates and percentages."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bridge.config.units import duration, rate, share, size


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("2h", 7200), ("1d", 86_400), ("1.5m", 90), ("0.2s", 0.2)]
)
def test_durations_are_whole_or_decimal_numbers_of_one_unit(text: str, seconds: float) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "10", "m", "-1s", "1m30s", "1e3s", "1.s", ".5s", "٣s", "1s\n", "9" * 400 + "d"])
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration; write a number and s, m, h or d: 90s, 10m, 2h, 1d"):
        duration(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("8MiB", 8 << 20), ("1GiB", 1 << 30), ("8MB", 8_000_000), ("2.3GB", 2_300_000_000), ("0.25MiB", 256 << 10)],
)
def test_sizes_are_bytes_and_an_i_means_powers_of_1024(text: str, expected: int) -> None:
    assert size(text) == expected
    assert rate(text + "/s") == expected


@pytest.mark.parametrize(
    "text", ["", "8", "MiB", "8 MiB", "8M", "8mib", "8MIB", "8KiB", "-8MiB", "8MiB/s", "8MiB\n", "٣MB"]
)
def test_anything_else_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a size; write a number and MB, MiB, GB or GiB: 8MiB, 1\.5GB$"):
        size(text)


@pytest.mark.parametrize("text", ["", "8", "8MB", "8MB/m", "8 MB/s", "MB/s", "8MB/s/s", "8MB/s\n"])
def test_anything_else_is_no_rate(text: str) -> None:
    with pytest.raises(ValueError, match="is not a rate; write a number and MB/s, MiB/s, GB/s or GiB/s: 200MB/s"):
        rate(text)


@pytest.mark.parametrize(("text", "value"), [("0%", 0), ("30%", 0.3), ("12.5%", 0.125), ("100%", 1)])
def test_percentages_are_shares(text: str, value: float) -> None:
    assert share(text) == value


@pytest.mark.parametrize("text", ["", "30", "-1%", "%", "1e1%", "30 %", "30%\n"])
def test_anything_else_is_no_percentage(text: str) -> None:
    with pytest.raises(ValueError, match="is not a percentage; write it like 30%"):
        share(text)
