"""How far a copy is said to be, and how often."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from bridge.copying.progress import Meter, ProgressLines
from bridge.core.records import Progress
from bridge.testing.clock import FakeClock
from tests.core.builders import version

if TYPE_CHECKING:
    from bridge.core.model import SourceVersion

V7, V8 = version("v7"), version("v8")


def metered(clock: FakeClock, files: int = 2, size: int = 1000) -> tuple[Meter, list[Progress]]:
    told: list[Progress] = []
    return Meter(clock, V7, files, size, told.append), told


def test_it_is_told_twice_a_second_at_most() -> None:
    clock = FakeClock()
    meter, told = metered(clock)
    for _ in range(100):
        clock.advance(0.1)
        meter.passed(1)
    assert [progress.bytes_done for progress in told] == list(range(5, 101, 5))


def test_a_copy_that_is_quick_tells_only_its_end() -> None:
    meter, told = metered(FakeClock())
    meter.passed(400)
    meter.done(0)
    meter.done(600)
    assert told == []
    meter.end()
    assert told == [Progress(V7, 2, 2, 1000, 1000, 0.0, None)]
    assert told[0].is_whole


def test_rate_and_time_left_are_of_what_came_through_here() -> None:
    clock = FakeClock()
    meter, told = metered(clock)
    meter.done(500)  # copied inside the bucket
    clock.advance(2)
    meter.passed(100)
    assert told == [Progress(V7, 1, 2, 600, 1000, 50.0, 8.0)]


def test_nothing_that_came_through_here_is_no_rate() -> None:
    clock = FakeClock()
    meter, told = metered(clock)
    clock.advance(2)
    meter.done(500)
    assert told == [Progress(V7, 1, 2, 500, 1000, 0.0, None)]


def test_bytes_that_pass_twice_count_once_in_the_end() -> None:
    clock = FakeClock()
    meter, told = metered(clock, files=1)
    meter.passed(1000)
    clock.advance(1)
    meter.passed(1000)  # the connection broke, and all was sent again
    meter.done(1000 - 2000)
    meter.end()
    assert [(progress.bytes_done, progress.seconds_left) for progress in told] == [(2000, 0.0), (1000, 0.0)]


def test_threads_lose_no_byte() -> None:
    clock = FakeClock()
    meter, told = metered(clock, files=16, size=16_000)

    def bring(_: int) -> None:
        for _ in range(100):
            meter.passed(10)
        meter.done(0)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(bring, range(16), timeout=60))
    meter.end()
    assert (told[-1].files_done, told[-1].bytes_done) == (16, 16_000)


# lines


def at(done: int, of: SourceVersion = V7) -> Progress:
    return Progress(of, done, 2, done * 10, 20, 1e6, 3.4)


def test_a_line_is_said_right_away_and_then_every_ten_seconds() -> None:
    clock = FakeClock()
    said: list[str] = []
    lines = ProgressLines(clock, said.append)
    for second in range(25):
        lines(at(0))
        clock.advance(1)
        assert len(said) == 1 + second // 10
    assert set(said) == {f"copying {V7}: 0 of 2 files, 0.0 of 0.0 MB, 1.0 MB/s, 3 s left"}


def test_each_copy_has_lines_of_its_own() -> None:
    said: list[str] = []
    lines = ProgressLines(FakeClock(), said.append)
    for _ in range(3):
        lines(at(0, V7))
        lines(at(0, V8))
    assert [line.partition(":v")[2][0] for line in said] == ["7", "8"]


@pytest.mark.parametrize("ends", [1, 2])
def test_a_copy_that_is_whole_says_nothing_and_is_forgotten(ends: int) -> None:
    said: list[str] = []
    lines = ProgressLines(FakeClock(), said.append)
    lines(at(1))
    for _ in range(ends):
        lines(at(2))
    assert len(said) == 1
    lines(at(0))  # it is copied again, somewhere else
    assert len(said) == 2


def test_what_is_not_known_is_not_said() -> None:
    assert str(Progress(V7, 0, 2, 0, 5_000_000, 0.0, None)) == f"{V7}: 0 of 2 files, 0.0 of 5.0 MB, 0.0 MB/s"
