"""Threads allocate from one arena, as glibc itself says."""

from __future__ import annotations

import subprocess
import sys

import pytest

ALLOCATE = """
import ctypes, sys, threading
from bridge.run.memory import keep_together
if sys.argv[1] == "together":
    keep_together()
met = threading.Barrier(4)
def take():
    met.wait()
    block = bytes(100_000)
    met.wait()
threads = [threading.Thread(target=take) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
ctypes.CDLL(None).malloc_stats()
"""


def arenas(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", ALLOCATE, how], check=True, capture_output=True, timeout=60)  # noqa: S603  the text above
    return done.stderr.count(b"Arena ")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is done")
def test_threads_allocate_from_one_arena() -> None:
    assert arenas("together") == 1
    assert arenas("apart") > 1
