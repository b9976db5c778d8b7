"""A bucket lets so many requests pass in any span of its length, and slows down when it is told."""

from __future__ import annotations

import itertools
import threading
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings, strategies as st

from bridge.core.limits import UNLIMITED
from bridge.run.buckets import Buckets, Heard, TokenBucket
from bridge.run.queue import LANE
from bridge.testing.clock import FakeClock

MINUTE = timedelta(minutes=1)


def taken(bucket: TokenBucket | Heard, clock: FakeClock, count: int) -> list[datetime]:
    """Take one after the other; return when each was let pass."""
    times = []
    for _ in range(count):
        bucket.take()
        times.append(clock.now())
    return times


def most_in(times: list[datetime], span: timedelta) -> int:
    return max(sum(first <= each < first + span for each in times) for first in times)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 200), st.lists(st.floats(0, 90), max_size=30))
def test_never_more_pass_than_the_budget_in_any_span_of_its_length(number: int, pauses: list[float]) -> None:
    clock = FakeClock()
    bucket = TokenBucket(number, MINUTE, clock)
    times = []
    for pause in pauses:
        times += taken(bucket, clock, number // 4 + 1)
        clock.advance(pause)
    times += taken(bucket, clock, 2 * number + 2)

    assert most_in(times, MINUTE) <= number


def test_a_sixth_of_the_budget_passes_at_once_and_the_rest_evenly() -> None:
    clock = FakeClock()
    times = taken(TokenBucket(60, MINUTE, clock), clock, 62)
    gaps = [(after - before).total_seconds() for before, after in itertools.pairwise(times)]

    assert gaps[:9] == [0] * 9
    assert gaps[9:] == pytest.approx([60 / 51] * 52, abs=1e-4)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 200), st.lists(st.floats(0, 90) | st.none(), max_size=30), st.none() | st.floats(0, 90))
def test_the_pause_is_just_what_a_request_would_wait(
    number: int, doings: list[float | None], slowed: float | None
) -> None:
    clock = FakeClock()
    bucket = TokenBucket(number, MINUTE, clock)
    for pause in doings:
        if pause is None:
            bucket.take()
        else:
            clock.advance(pause)
    if slowed is not None:
        bucket.slow(slowed)

    now, seconds = clock.now(), bucket.pause()
    bucket.take()

    assert (clock.now() - now).total_seconds() == pytest.approx(seconds, abs=1e-3)


def test_what_was_not_used_is_not_saved_beyond_what_passes_at_once() -> None:
    clock = FakeClock()
    bucket = TokenBucket(60, MINUTE, clock)
    clock.advance(timedelta(days=1))

    times = taken(bucket, clock, 11)

    assert times[9] == times[0] < times[10]


def test_an_api_that_complains_is_asked_at_half_the_pace_until_a_minute_has_passed_without_a_complaint() -> None:
    clock = FakeClock()
    bucket = TokenBucket(61, MINUTE, clock)  # ten at once, and then 52 a minute

    def gap() -> float:
        first, second = taken(bucket, clock, 2)
        return (second - first).total_seconds() * 52 / 60

    taken(bucket, clock, 10)
    bucket.slow()
    assert gap() == pytest.approx(2, abs=1e-4)
    bucket.slow()
    assert gap() == pytest.approx(4, abs=1e-4)
    taken(bucket, clock, 20)
    assert gap() == pytest.approx(2, abs=1e-4)
    taken(bucket, clock, 40)
    assert gap() == pytest.approx(1, abs=1e-4)


def test_nothing_passes_before_the_time_that_an_api_has_named() -> None:
    clock = FakeClock()
    bucket = TokenBucket(60, MINUTE, clock)
    before = clock.now()
    bucket.slow(after=30)

    (first, second) = taken(bucket, clock, 2)

    assert (first - before).total_seconds() == pytest.approx(30 + 2 * 60 / 51, abs=1e-3)
    assert (second - first).total_seconds() == pytest.approx(2 * 60 / 51, abs=1e-3)


def test_however_often_an_api_complains_something_passes() -> None:
    clock = FakeClock()
    bucket = TokenBucket(60, MINUTE, clock)
    for _ in range(100):
        bucket.slow()
    before = clock.now()
    bucket.take()

    assert clock.now() - before < timedelta(minutes=2)


def test_a_clock_that_goes_back_gives_nothing_away_and_takes_nothing() -> None:
    clock = FakeClock()
    bucket = TokenBucket(6, MINUTE, clock)
    clock.advance(timedelta(minutes=-5))
    bucket.take()

    assert len(set(taken(bucket, clock, 3))) == 3


def test_threads_share_one_budget() -> None:
    clock = FakeClock()
    bucket = TokenBucket(60, MINUTE, clock)
    threads = [threading.Thread(target=bucket.take) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert bucket._tokens <= 0  # noqa: SLF001  all twelve were counted: ten at once, and two that waited


class Bed(FakeClock):
    """A clock on which whoever sleeps is asleep until all are woken."""

    def __init__(self) -> None:
        super().__init__()
        self.asleep: list[tuple[str, float]] = []  # lane, seconds
        self.changed = threading.Condition()
        self.woken = False

    def sleep(self, seconds: float) -> None:
        with self.changed:
            self.asleep.append((LANE.get(), seconds))
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.woken)

    def wait_for(self, sleepers: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.asleep) >= sleepers, timeout=30)

    def wake(self) -> None:
        with self.changed:
            self.woken = True
            self.changed.notify_all()


def test_a_crowd_of_one_lane_does_not_hold_up_another() -> None:
    clock = Bed()
    bucket = TokenBucket(1, MINUTE, clock)
    bucket.take()

    def take(lane: str) -> None:
        LANE.set(lane)
        bucket.take()

    threads = [threading.Thread(target=take, args=(lane,)) for lane in (*["crowd"] * 20, "aside")]
    try:
        for thread in threads:
            thread.start()
            clock.wait_for(1)
        clock.wait_for(2)
        assert clock.asleep == [("crowd", 60.0), ("aside", 120.0)]
    finally:
        clock.wake()
    for thread in threads:
        thread.join()


def test_an_api_has_one_budget_at_a_place_and_another_elsewhere() -> None:
    buckets = Buckets({"wandb": (60, MINUTE), "mlflow": (60, MINUTE)}, FakeClock(), lambda _api, _status: None)

    assert buckets.at("wandb", "a").bucket is buckets.at("wandb", "a").bucket
    assert len({id(buckets.at(kind, place).bucket) for kind in ("wandb", "mlflow") for place in "ab"}) == 4


def test_buckets_of_one_limit_are_shared_with_those_before_and_each_hears_its_own_answers() -> None:
    clock = FakeClock()
    heard: list[tuple[str, str, int | None]] = []

    def made(name: str, wandb: int, before: Buckets | None = None) -> Buckets:
        limits = {"wandb": (wandb, MINUTE), "mlflow": (60, MINUTE)}
        return Buckets(limits, clock, lambda api, status: heard.append((name, api, status)), before)

    first = made("first", 60)
    second = made("second", 60, first)
    third = made("third", 30, second)
    times = taken(first.at("wandb", "a"), clock, 30) + taken(second.at("wandb", "a"), clock, 90)
    assert most_in(times, MINUTE) <= 60, "of both together"
    second.at("wandb", "a").slow(3600)
    began = clock.now()
    taken(third.at("wandb", "a"), clock, 1)
    assert clock.now() == began, "another limit is another bucket"
    assert third.at("mlflow", "a").bucket is first.at("mlflow", "a").bucket
    taken(first.at("wandb", "a"), clock, 1)
    assert clock.now() - began >= timedelta(hours=1), "what one is told counts for both"
    first.at("wandb", "a").answered(200)
    second.at("wandb", "a").answered(None)
    assert heard == [("first", "wandb", 200), ("second", "wandb", None)]


def test_no_limit_is_none() -> None:
    limit = UNLIMITED
    limit.slow(3600)
    limit.take()
