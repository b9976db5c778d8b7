"""A version of very many files, from the source to its manifest in the bucket and back, in a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.manifests import measure_in

if TYPE_CHECKING:
    from bridge.sandbox.world import World

pytestmark = pytest.mark.sandbox

FILES = 100_000
FIXED, EACH = 45, 0.00027  # MB


def test_a_version_of_many_files_takes_few_bytes_for_each(world: World) -> None:
    """So a million takes less than 512 MB: 190 of them are what the SDKs and libraries take before."""
    cost = measure_in(world, FILES)

    assert cost["peak"] - cost["idle"] <= FIXED + EACH * FILES
