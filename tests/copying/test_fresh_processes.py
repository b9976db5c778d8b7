"""Copies by processes of their own: one that is killed and one that goes on, and how much memory each takes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from benchmarks.killed import copying, killed, stage, told
from bridge.core.settings import MIB, CopySettings

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.sandbox

SIZE = 128 * MIB
MEMORY = 16 * MIB
OURS = 20e6  # bytes that the program takes while it copies: buffers, pools, threads, and what malloc keeps for them


@pytest.mark.parametrize("has_digest", [True, False], ids=["md5", "no digest"])
def test_what_a_killed_copy_has_sent_is_not_sent_again(*, has_digest: bool) -> None:
    again = killed(SIZE, has_digest=has_digest)

    assert again.sent - SIZE <= 32 * MIB  # one GiB is measured by `python -m benchmarks.killed`
    # The bucket takes md5, so that half of the file need not be seen; all else is taken here, of all of it.
    assert again.read <= SIZE // 2 if has_digest else again.read == SIZE


@pytest.mark.parametrize("files", [1, 64])
def test_memory_is_bounded_by_the_settings_and_not_by_the_files(tmp_path: Path, files: int) -> None:
    size = 256 * MIB
    with stage(size, tmp_path) as (whole, _, _):
        job = replace(whole, files=files, size=size // files)

        copied = told(copying(job, tmp_path / "bridge.db", CopySettings(memory=MEMORY)))

    assert copied.read == size
    assert copied.memory * 1e6 <= MEMORY + OURS
