"""Bytes per second, over a clock that does as it is told."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from bridge.copying.throttle import BURST, Throttle
from bridge.testing.clock import FakeClock

RATE = 1000


class StandingClock(FakeClock):
    """Time stands still for those who sleep, as it does for many who begin to sleep at once."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def test_without_a_rate_nobody_waits() -> None:
    clock = StandingClock()
    for _ in range(3):
        Throttle(clock, None).take(1 << 40)
    assert clock.slept == []


@pytest.mark.parametrize("size", [1, 100, 1000, 12_345])
def test_bytes_take_their_time(size: int) -> None:
    clock = FakeClock()
    throttle = Throttle(clock, RATE)
    began = clock.now()
    for _ in range(10):
        throttle.take(size)
    assert (clock.now() - began).total_seconds() == pytest.approx(10 * size / RATE)


def test_all_who_wait_at_a_time_wait_for_one_another_however_many_they_are() -> None:
    clock = StandingClock()
    throttle = Throttle(clock, RATE)
    for _ in range(500):
        throttle.take(RATE)
    assert clock.slept == [pytest.approx(number) for number in range(1, 501)]


@given(st.integers(1, 10**9), st.lists(st.tuples(st.floats(0, 100), st.integers(0, 1 << 24)), max_size=50))
def test_no_more_passes_than_the_rate_and_a_burst(rate: int, takes: list[tuple[float, int]]) -> None:
    clock = FakeClock()
    throttle = Throttle(clock, rate)
    began, passed = clock.now(), 0
    for idle, size in takes:
        clock.advance(idle)
        throttle.take(size)
        passed += size
        allowed = rate * ((clock.now() - began + BURST).total_seconds() + 1e-4)  # clocks count in microseconds
        assert passed <= allowed


@given(st.lists(st.integers(0, 1 << 20), min_size=1, max_size=50))
def test_who_never_pauses_gets_the_whole_rate(sizes: list[int]) -> None:
    clock = FakeClock()
    throttle = Throttle(clock, RATE)
    began = clock.now()
    for size in sizes:
        throttle.take(size)
    assert (clock.now() - began).total_seconds() == pytest.approx(sum(sizes) / RATE, abs=1e-3)


def test_a_long_pause_is_no_licence_for_a_flood() -> None:
    clock = FakeClock()
    throttle = Throttle(clock, RATE)
    clock.advance(3600)
    began = clock.now()
    throttle.take(RATE)
    assert clock.now() - began == BURST * 3


@pytest.mark.parametrize("back", [1, 3600, 10 * 365 * 86_400])
def test_a_clock_that_is_set_back_makes_nobody_wait_for_its_old_time(back: int) -> None:
    clock = StandingClock()
    throttle = Throttle(clock, RATE)
    throttle.take(5 * RATE)
    clock.advance(-back)
    throttle.take(RATE)
    clock.advance(1)
    throttle.take(RATE)
    assert clock.slept == [5, 6, 6]


def test_a_clock_that_is_set_forward_lets_no_more_than_a_burst_through() -> None:
    clock = StandingClock()
    throttle = Throttle(clock, RATE)
    throttle.take(RATE)
    clock.advance(3600)
    throttle.take(RATE)
    assert clock.slept == [1, 0.75]
