"""How many files may be on their way: round by round, and after a refusal."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Semaphore

import pytest
from hypothesis import given, strategies as st

from bridge.copying.pace import CROWDED, FEWEST, FREE, FULL, SMALL, START, Lane, Pace

MOST = 64


def small(most: int = MOST) -> Lane:
    return Lane(START, most, Semaphore(most), learns=True)


def large(most: int = MOST) -> Lane:
    return Lane(START, most, Semaphore(most), learns=False)


def a_round(pace: Lane, seconds: float, cpu: float = 0.0) -> int:
    """Bring as many files as may be on their way, all at the same pace; return how many may be afterwards."""
    for _ in range(pace.limit):
        with pace.turn():
            pace.took(seconds, cpu)
    return pace.limit


def refused_at_once(pace: Lane, files: int) -> None:
    """Have that many files on their way, and all of them refused before any of them is there."""
    with ExitStack() as on_their_way:
        for _ in range(files):
            on_their_way.enter_context(pace.turn())
        for _ in range(files):
            pace.refused()


@pytest.mark.parametrize(("most", "start"), [(1, 1), (5, 5), (8, 8), (64, 8)])
def test_it_begins_with_a_few_and_never_with_more_than_there_may_be(most: int, start: int) -> None:
    assert small(most).limit == start


def test_it_doubles_while_files_take_no_longer() -> None:
    pace = small()
    assert [a_round(pace, 1.0) for _ in range(5)] == [16, 32, 64, 64, 64]


def test_a_round_is_of_as_many_files_as_may_be_on_their_way() -> None:
    pace = small()
    for _ in range(START - 1):
        pace.took(1.0, 0.0)
    assert pace.limit == START
    pace.took(1.0, 0.0)
    assert pace.limit == 2 * START


def test_where_more_at_a_time_only_wait_for_one_another_it_goes_back_and_then_by_ones() -> None:
    pace = small()
    assert [a_round(pace, seconds) for seconds in (1.0, 1.0, 1.6)] == [16, 32, 16]
    assert [a_round(pace, seconds) for seconds in (1.0, 1.5, 1.6, 1.6, 1.0)] == [17, 18, 17, 16, 17]


def test_slowness_alone_never_brings_it_below_the_fewest() -> None:
    pace = small()
    a_round(pace, 0.001)
    assert min(a_round(pace, 0.01 * 1.6**number) for number in range(40)) == FEWEST


def test_where_few_are_as_slow_as_many_it_was_not_for_the_crowd_and_it_grows_again() -> None:
    pace = small()
    assert [a_round(pace, 1.0) for _ in range(3)] == [16, 32, 64]
    limits = [a_round(pace, 2.0) for _ in range(200)]
    assert min(limits) == FEWEST
    assert limits[limits.index(FEWEST) :][:5] == [4, 4, 5, 6, 7]
    assert limits[-1] == MOST


def test_where_there_may_be_fewer_than_the_fewest_slowness_takes_none_away() -> None:
    pace = small(2)
    a_round(pace, 0.001)
    assert a_round(pace, 9.0) == 2


def test_files_that_leave_the_interpreter_no_time_go_one_at_a_time_in_the_end() -> None:
    pace = small()
    busy = [a_round(pace, 1.0 * pace.limit, CROWDED + 0.05) for _ in range(6)]  # n at a time take n times as long
    assert busy == [6, 4, 3, 2, 1, 1]


def test_a_crowd_that_costs_no_time_becomes_only_as_small_as_the_interpreter_can_bear() -> None:
    pace = small()
    assert a_round(pace, 1.0, (CROWDED + 0.05) / START) == int(START * FULL / (CROWDED + 0.05))
    assert a_round(pace, 1.0, (CROWDED + 0.05) / START) == 6  # which now uses less


def test_files_that_leave_it_little_time_stay_as_they_are() -> None:
    pace = small()
    assert [a_round(pace, 1.0, (FREE + 0.1) / START) for _ in range(3)] == [START] * 3
    assert a_round(pace, 1.0, FREE / START) == 2 * START


def test_large_files_teach_nothing() -> None:
    pace = large()
    assert [a_round(pace, seconds, 0.5 * seconds) for seconds in (1.0, 9.0, 0.1)] == [START] * 3


def test_each_kind_of_file_has_a_lane_of_its_own() -> None:
    pace = Pace(MOST, processors=2)
    few, many = pace.lane(SMALL + 1), pace.lane(SMALL)
    assert (few.limit, many.limit) == (4, START)
    assert pace.threads == START
    with few.turn(), few.turn():
        assert pace.threads == START + 2
    a_round(many, 1.0)
    assert (few.limit, many.limit) == (4, 2 * START)
    pace.refused()
    assert (few.limit, many.limit) == (2, START)


@pytest.mark.parametrize(("processors", "limit"), [(1, 2), (4, 8), (64, 8)])
def test_large_files_are_at_most_eight_and_fewer_on_few_processors(processors: int, limit: int) -> None:
    assert Pace(MOST, processors).lane(SMALL + 1).limit == limit


def test_all_that_are_refused_at_once_are_one_refusal() -> None:
    pace = small()
    a_round(pace, 1.0)
    refused_at_once(pace, 16)
    assert pace.limit == 8
    refused_at_once(pace, 8)
    assert pace.limit == 4


def test_files_that_were_on_their_way_at_a_refusal_tell_nothing_of_after_it() -> None:
    pace = small()
    with ExitStack() as on_their_way:
        for _ in range(START):
            on_their_way.enter_context(pace.turn())
        pace.refused()
        for _ in range(START):
            pace.took(0.001, 0.0)
    assert pace.limit == 4
    assert [a_round(pace, 1.0) for _ in range(3)] == [5, 6, 7]


def test_a_bucket_that_refuses_again_and_again_is_asked_for_one_file_at_a_time_in_the_end() -> None:
    pace = small()
    limits = []
    for _ in range(5):
        refused_at_once(pace, pace.limit)
        limits.append(pace.limit)
    assert limits == [4, 2, 1, 1, 1]
    assert a_round(pace, 1.0) == 2


@pytest.mark.parametrize("pace", [small(), large()], ids=["small files", "large files"])
def test_after_refusals_it_grows_again_by_ones(pace: Lane) -> None:
    refused_at_once(pace, START)
    refused_at_once(pace, 4)
    assert [a_round(pace, 1.0) for _ in range(6)] == [3, 4, 5, 6, 7, 8]


def test_a_refusal_of_files_that_never_arrive_is_not_the_last_one_that_counts() -> None:
    pace = small()
    for _ in range(2):  # nobody takes note of a file that failed
        refused_at_once(pace, pace.limit)
    assert pace.limit == 2


def test_who_comes_when_all_places_are_taken_waits_until_one_is_free() -> None:
    pace = small(2)
    entered: list[int] = []
    third_is_in = threading.Event()

    def third() -> None:
        with pace.turn():
            entered.append(3)
            third_is_in.set()

    thread = threading.Thread(target=third)
    with pace.turn():
        with pace.turn():
            thread.start()
            thread.join(0.05)
            assert entered == []
        assert third_is_in.wait(10)
    thread.join(10)


def test_growth_lets_in_all_who_wait() -> None:
    pace = small(16)
    inside = threading.Barrier(16, timeout=10)
    waiting = threading.Semaphore(0)

    def bring() -> None:
        waiting.release()
        with pace.turn():
            inside.wait()

    with ThreadPoolExecutor(16) as pool:
        files = [pool.submit(bring) for _ in range(16)]
        for _ in files:
            waiting.acquire()
        for _ in range(START):
            pace.took(1.0, 0.0)
        for file in files:
            file.result()


def test_a_file_that_fails_gives_its_place_back() -> None:
    pace = small(1)
    for _ in range(3):
        with pytest.raises(ValueError, match="a file's"), pace.turn():
            raise ValueError("a file's")


def test_nobody_waits_for_ever_however_much_is_refused() -> None:
    pace = small()

    def bring(number: int) -> int:
        with pace.turn():
            if number % 3 == 0:
                pace.refused()
            else:
                pace.took(float(number % 7), 0.1)
        return number

    with ThreadPoolExecutor(32) as pool:
        assert list(pool.map(bring, range(2000), timeout=60)) == list(range(2000))


@given(st.integers(1, 100), st.lists(st.one_of(st.just("refused"), st.floats(0, 1e6)), max_size=300), st.booleans())
def test_the_limit_stays_within_its_bounds(most: int, events: list[float | str], learns: bool) -> None:  # noqa: FBT001  Hypothesis's
    pace = Lane(START, most, Semaphore(most), learns=learns)
    for event in events:
        with pace.turn():
            if isinstance(event, str):
                pace.refused()
            else:
                pace.took(event, event / 3)
        assert 1 <= pace.limit <= most
