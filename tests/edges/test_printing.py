"""How numbers look."""

from __future__ import annotations

import pytest

from bridge.cli.printing import size


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
