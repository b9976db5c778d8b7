"""A queue works on each key as seldom as will do, and lets no lane hold up another."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from bridge.core.model import ModelKey
from bridge.run import queue as queues
from bridge.run.queue import AT_WORK, CAUSE, KeyQueue, Submission
from bridge.testing.runner import InlineQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

A, B, C = (ModelKey("fraud", name) for name in "abc")
LARGE = [ModelKey("large", f"m{number}") for number in range(5)]  # are aside before they come to the gate
WAIT = 20  # seconds after which a test has failed


class Gate:
    """Work that stops at a gate until it is let through; says what was begun, in order."""

    def __init__(self) -> None:
        self.begun: list[Submission] = []
        self.threads: list[threading.Thread] = []
        self.aside: Callable[[], AbstractContextManager[None]] = nullcontext  # where keys of LARGE stop
        self._arrived = threading.Semaphore(0)
        self._open = threading.Semaphore(0)
        self._copied = threading.Semaphore(0)

    def work(self, submission: Submission) -> None:
        self.begun.append(submission)
        self.threads.append(threading.current_thread())
        if submission.key in LARGE:
            with self.aside():
                self._arrived.release()
                assert self._copied.acquire(timeout=WAIT)
        self._arrived.release()
        assert self._open.acquire(timeout=WAIT)

    def await_arrivals(self, count: int = 1) -> None:
        for _ in range(count):
            assert self._arrived.acquire(timeout=WAIT)

    def let_through(self, count: int = 1) -> None:
        self._open.release(count)

    def let_aside_through(self, count: int = 1) -> None:
        self._copied.release(count)

    def keys(self) -> list[ModelKey]:
        return [submission.key for submission in self.begun]


def await_that(it_is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT
    while not it_is_so():
        assert time.monotonic() < end
        threading.Event().wait(0.001)


def await_load(queue: KeyQueue, load: tuple[int, int]) -> None:
    await_that(lambda: queue.load == load)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def start(gate: Gate) -> Iterator[Callable[..., KeyQueue]]:
    started: list[KeyQueue] = []

    def start(workers: int, lane: Callable[[ModelKey], str] = lambda _key: "") -> KeyQueue:
        queue = KeyQueue(gate.work, workers, lane)
        gate.aside = queue.aside
        started.append(queue)
        queue.start()
        return queue

    yield start
    gate.let_through(1000)
    gate.let_aside_through(1000)
    for queue in started:
        queue.stop(WAIT)


def test_a_key_that_waits_is_not_queued_twice(start: Callable[..., KeyQueue], gate: Gate) -> None:
    queue = start(1)
    assert queue.submit(A, "a sweep")
    gate.await_arrivals()
    assert queue.submit(B, "a sweep")
    assert not queue.submit(B, "a person")
    assert queue.load == (1, 1)

    gate.let_through(2)
    gate.await_arrivals()
    assert queue.stop(WAIT) == ()
    assert [(each.key, each.why) for each in gate.begun] == [(A, "a sweep"), (B, "a sweep")]


def test_a_key_that_is_at_work_is_worked_on_once_more_afterwards(start: Callable[..., KeyQueue], gate: Gate) -> None:
    queue = start(2)
    queue.submit(A, "a sweep")
    gate.await_arrivals()
    assert queue.submit(A, "it has changed")
    assert not queue.submit(A, "it has changed again")
    queue.submit(B, "a sweep")
    gate.await_arrivals()
    assert gate.keys() == [A, B], "A is at work, and not twice at a time"

    gate.let_through(2)
    gate.await_arrivals()
    gate.let_through()
    queue.stop(WAIT)
    assert gate.keys() == [A, B, A]


def test_whoever_wants_all_compared_is_not_forgotten_for_one_who_does_not(
    start: Callable[..., KeyQueue], gate: Gate
) -> None:
    queue = start(1)
    queue.submit(A, "a sweep")
    gate.await_arrivals()
    queue.submit(B, "a sweep")
    queue.submit(B, "it is time", full=True)
    queue.submit(B, "a sweep")
    gate.let_through(2)
    gate.await_arrivals()

    assert [each.full for each in gate.begun] == [False, True]


def test_no_more_keys_are_at_work_than_there_are_workers(start: Callable[..., KeyQueue], gate: Gate) -> None:
    queue = start(2)
    for key in (A, B, C):
        queue.submit(key, "a sweep")
    gate.await_arrivals(2)

    assert queue.load == (1, 2)


def test_a_lane_with_much_to_do_does_not_hold_up_another(start: Callable[..., KeyQueue], gate: Gate) -> None:
    many = [ModelKey("acme", f"m{number}") for number in range(5)]
    one = ModelKey("other", "one")
    queue = start(2, lambda key: key.mapping)
    queue.submit(many[0], "a sweep")
    gate.await_arrivals()
    for key in many[1:]:
        queue.submit(key, "a sweep")
    queue.submit(one, "a sweep")
    gate.await_arrivals()
    gate.let_through(2)
    gate.await_arrivals(2)

    assert gate.keys().index(one) <= 2


def test_keys_aside_hold_up_no_other_and_are_still_at_work(start: Callable[..., KeyQueue], gate: Gate) -> None:
    queue = start(2)
    for key in (*LARGE, A):
        queue.submit(key, "a sweep")
    gate.await_arrivals(6)

    assert gate.keys() == [*LARGE, A]
    assert queue.load == (0, 6)
    assert (queue.left("large"), queue.left("fraud")) == (5, 1)
    assert queue.submit(LARGE[0], "it has changed")
    assert queue.load == (1, 6), "not twice at a time"
    assert queue.stop(0) == (A, *LARGE)


def test_a_key_goes_on_from_aside_at_once_and_counts_again_then(start: Callable[..., KeyQueue], gate: Gate) -> None:
    queue = start(1)
    queue.submit(LARGE[0], "a sweep")
    gate.await_arrivals()
    queue.submit(A, "a sweep")
    gate.await_arrivals()
    gate.let_aside_through()
    gate.await_arrivals()
    queue.submit(B, "a sweep")
    gate.let_through()
    await_load(queue, (1, 1))
    assert gate.keys() == [LARGE[0], A], "two were at work, so one has to end before the next"

    gate.let_through()
    gate.await_arrivals()
    assert gate.keys() == [LARGE[0], A, B]


def test_there_is_an_end_to_how_many_keys_are_aside(
    start: Callable[..., KeyQueue], gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "BESIDE", 2)
    queue = start(1)
    for key in LARGE:
        queue.submit(key, "a sweep")
    gate.await_arrivals(3)
    assert queue.load == (2, 3)

    gate.let_through(5)
    gate.let_aside_through(5)
    gate.await_arrivals(7)
    await_load(queue, (0, 0))


def test_threads_end_that_were_only_needed_for_keys_aside(start: Callable[..., KeyQueue], gate: Gate) -> None:
    queue = start(2)
    for key in LARGE:
        queue.submit(key, "a sweep")
    gate.await_arrivals(5)
    assert len(set(gate.threads)) == 5
    gate.let_through(5)
    gate.let_aside_through(5)
    await_load(queue, (0, 0))
    await_that(lambda: sum(thread.is_alive() for thread in gate.threads) == 2)

    for key in (*LARGE, A):
        queue.submit(key, "another sweep")
    gate.await_arrivals(5 + 6)
    assert sorted(gate.keys()[5:]) == [A, *LARGE]


def test_a_lane_is_not_held_up_for_its_keys_aside(start: Callable[..., KeyQueue], gate: Gate) -> None:
    queue = start(1, lambda key: "acme" if key in (*LARGE, B) else "other")
    for key in (LARGE[0], LARGE[1], A):
        queue.submit(key, "a sweep")
        gate.await_arrivals()
    queue.submit(B, "a sweep")
    queue.submit(C, "a sweep")
    gate.let_through()
    gate.await_arrivals()

    assert gate.keys()[-1] == B


def test_where_keys_aside_have_all_threads_the_next_is_of_a_lane_that_has_none(
    start: Callable[..., KeyQueue], gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "BESIDE", 2)
    queue = start(1, lambda key: "acme" if key in LARGE else "other")
    for key in LARGE:
        queue.submit(key, "a sweep")
    gate.await_arrivals(3)
    queue.submit(A, "a sweep")

    gate.let_aside_through()
    gate.let_through()
    gate.await_arrivals(2)

    assert gate.keys() == [*LARGE[:3], A]


def test_who_is_aside_twice_or_at_no_key_of_the_queue_lets_nobody_begin() -> None:
    both, seen = threading.Event(), list[tuple[int, int]]()

    def work(submission: Submission) -> None:
        if submission.key == B:
            both.set()
            return
        with queue.aside(), queue.aside():
            assert both.wait(WAIT)
        await_load(queue, (0, 1))
        with other.aside():
            queue.submit(B, "A asks for it")
            seen.append(queue.load)

    queue, other = KeyQueue(work, 1), KeyQueue(work, 1)
    queue.submit(A, "a sweep")
    queue.submit(B, "a sweep")
    with queue.aside():
        queue.start()
        await_load(queue, (0, 0))
    queue.stop(WAIT)

    assert seen == [(1, 1)]


def test_what_is_left_of_a_mapping_is_what_waits_and_what_is_at_work(
    start: Callable[..., KeyQueue], gate: Gate
) -> None:
    queue = start(1)
    for key in (A, B, ModelKey("churn", "a")):
        queue.submit(key, "a test")
    gate.await_arrivals()
    queue.submit(A, "a test")
    assert [queue.left(mapping) for mapping in ("fraud", "churn", "vision")] == [3, 1, 0]
    gate.let_through(4)
    gate.await_arrivals(3)
    queue.stop(WAIT)

    assert [queue.left(mapping) for mapping in ("fraud", "churn")] == [0, 0]


def test_an_error_of_one_key_is_logged_and_the_next_is_worked_on(caplog: pytest.LogCaptureFixture) -> None:
    done = threading.Event()

    def work(submission: Submission) -> None:
        if submission.key == A:
            raise ValueError("a bug")
        done.set()

    queue = KeyQueue(work, 1)
    with caplog.at_level(logging.ERROR):
        queue.start()
        queue.submit(A, "a sweep")
        queue.submit(B, "a sweep")
        assert done.wait(WAIT)
        queue.stop(WAIT)

    assert "unexpected error while working on fraud/a" in caplog.text


def test_a_queue_that_stops_forgets_what_waits_and_says_what_is_still_at_work(
    start: Callable[..., KeyQueue], gate: Gate
) -> None:
    queue = start(1)
    queue.submit(A, "a sweep")
    gate.await_arrivals()
    queue.submit(B, "a sweep")
    queue.submit(A, "it has changed")

    assert queue.stop(0) == (A,)
    assert not queue.submit(C, "too late")
    gate.let_through()
    assert queue.stop(WAIT) == ()
    assert gate.keys() == [A]


def test_what_is_at_work_is_known_to_whoever_logs_and_has_an_id_of_its_own() -> None:
    seen: list[Submission | None] = []
    queue = KeyQueue(lambda _submission: seen.append(AT_WORK.get()), 1)
    queue.submit(A, "a sweep")
    queue.submit(B, "a sweep")
    queue.start()
    await_load(queue, (0, 0))
    queue.stop(WAIT)

    assert [each.key for each in seen if each] == [A, B]
    assert len({each.id for each in seen if each}) == 2
    assert AT_WORK.get() is None


def test_what_has_a_cause_has_its_id_and_so_has_what_it_sets_off() -> None:
    seen: list[str] = []

    def work(submission: Submission) -> None:
        seen.append(submission.id)
        if submission.key == A:
            queue.submit(B, "A asks for it")

    queue = KeyQueue(work, 1)
    cause = CAUSE.set("a webhook")
    queue.submit(A, "a webhook")
    CAUSE.reset(cause)
    queue.start()
    await_load(queue, (0, 0))
    queue.stop(WAIT)

    assert seen == ["a webhook", "a webhook"]
    assert CAUSE.get() is None


def test_an_inline_queue_works_at_once() -> None:
    done: list[tuple[ModelKey, str, bool]] = []

    assert InlineQueue(lambda *told: done.append(told)).submit(A, "a sweep", full=True)
    assert done == [(A, "a sweep", True)]
