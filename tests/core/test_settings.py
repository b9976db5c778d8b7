"""Settings of copying: what is refused, and what is just allowed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bridge.core.settings import MIB, CopySettings, UnfitSettings


@pytest.mark.parametrize(
    ("field", "bad", "good"),
    [
        ("parallel_files", 0, 1),
        ("parallel_versions", 0, 1),
        ("per_host", 0, 1),
        ("slow_stream", 0, 1),
        ("max_bandwidth", 0, 1),
        ("max_bandwidth", -1, None),
        ("memory", 16 * MIB - 1, 16 * MIB),
        ("one_request", 0, 1),
        ("one_request", 128 * MIB + 1, 128 * MIB),
        ("parts_above", 8 * MIB, 8 * MIB + 1),
        ("part", 5 * MIB - (256 << 10), 5 * MIB),
        ("part", 16_000_000, 16 * MIB + (256 << 10)),
        ("leftovers_after", timedelta(minutes=59), timedelta(hours=1)),
    ],
)
def test_a_setting_is_allowed_up_to_its_limit(field: str, bad: object, good: object) -> None:
    said = "one_request" if field == "memory" else field
    with pytest.raises(UnfitSettings, match=f"^{said} must be ") as raised:
        CopySettings(**{field: bad})  # type: ignore[arg-type]  # one field after the other
    assert [name for name, _ in raised.value.faults] == [said]
    assert getattr(CopySettings(**{field: good}), field) == good  # type: ignore[arg-type]  # the same


def test_all_unfit_settings_are_told_at_once() -> None:
    with pytest.raises(UnfitSettings, match=r"^parallel_files must be at least 1; part must be at least 5MiB"):
        CopySettings(parallel_files=0, part=1)
