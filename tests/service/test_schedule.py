"""The schedule says when; what is called and how it ends is not its business."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from apscheduler.events import EVENT_JOB_EXECUTED

from bridge.core.errors import TryAgain
from bridge.run.clock import SystemClock
from bridge.service.schedule import Schedule
from bridge.testing.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT = 20  # seconds after which a test has failed
SOON, HOUR, NEVER = timedelta(milliseconds=20), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def schedule() -> Iterator[Schedule]:
    made = Schedule(SystemClock())
    yield made
    made.stop(WAIT)


def test_what_is_to_be_called_is_called_again_and_again(schedule: Schedule) -> None:
    called = threading.Semaphore(0)
    schedule.every(SOON, "often", called.release)
    schedule.every(NEVER, "never", lambda: pytest.fail("its time has not come"))
    schedule.start()

    assert all(called.acquire(timeout=WAIT) for _ in range(3))


def test_what_is_to_be_called_once_is_called_at_once(schedule: Schedule) -> None:
    called = threading.Semaphore(0)
    schedule.once("first", called.release)
    schedule.start()

    assert called.acquire(timeout=WAIT)
    assert schedule.names == []


def test_first_calls_are_spread_over_the_interval_with_a_little_chance() -> None:
    clock = FakeClock()
    made = Schedule(clock)
    for number in (1, 2, 3, 4):
        made.every(timedelta(minutes=1), f"sweep {number}", lambda: None, first=number / 4)
    jobs = {job.id: job for job in made._scheduler.get_jobs()}  # noqa: SLF001  it has no other window
    begin = [(job.trigger.start_date - clock.now()).total_seconds() for _, job in sorted(jobs.items())]

    assert begin == [15, 30, 45, 60]
    assert {job.trigger.jitter for job in jobs.values()} == {3.0}
    assert {job.trigger.interval for job in jobs.values()} == {timedelta(minutes=1)}


def test_every_job_is_called_once_for_all_times_that_were_missed_however_late_and_never_beside_itself(
    schedule: Schedule,
) -> None:
    for number in (1, 2):
        schedule.every(NEVER, f"sweep {number}", lambda: None)
    schedule.start()  # until then APScheduler gives a job no defaults
    jobs = schedule._scheduler.get_jobs()  # noqa: SLF001  it has no other window

    assert [(job.coalesce, job.max_instances, job.misfire_grace_time) for job in jobs] == [(True, 1, None)] * 2


def test_times_that_were_missed_count_once(schedule: Schedule) -> None:
    called, done = [], threading.Event()
    schedule.every(HOUR, "sweep", lambda: called.append(1))
    scheduler = schedule._scheduler  # noqa: SLF001  it has no other window
    scheduler.add_listener(lambda _: done.set(), EVENT_JOB_EXECUTED)  # is told when all calls that were due have ended
    schedule.start()
    scheduler.modify_job("sweep", next_run_time=SystemClock().now() - 5.5 * HOUR)  # as of a machine that has slept

    assert done.wait(WAIT)
    assert len(called) == 1


def test_what_is_still_running_is_not_called_a_second_time_and_holds_up_nothing_else(schedule: Schedule) -> None:
    inside, calls, others, let_go = threading.Event(), [], threading.Semaphore(0), threading.Event()

    def hangs() -> None:
        calls.append(1)
        inside.set()
        assert let_go.wait(WAIT)

    schedule.every(SOON, "hangs", hangs)
    schedule.every(SOON, "goes on", others.release)
    schedule.start()
    assert inside.wait(WAIT)
    assert all(others.acquire(timeout=WAIT) for _ in range(5))
    assert len(calls) == 1
    let_go.set()


def test_an_error_is_logged_and_the_next_call_comes(schedule: Schedule, caplog: pytest.LogCaptureFixture) -> None:
    calls, enough = [], threading.Event()

    def fails() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise TryAgain("the store is busy")
        if len(calls) == 2:
            raise ValueError("a bug")
        enough.set()

    with caplog.at_level(logging.WARNING):
        schedule.every(SOON, "sweep of acme", fails)
        schedule.start()
        assert enough.wait(WAIT)

    told = [(record.levelname, record.getMessage(), bool(record.exc_info)) for record in caplog.records]
    assert told == [
        ("WARNING", "sweep of acme: the store is busy", False),
        ("ERROR", "unexpected error in sweep of acme", True),
    ]


def test_a_schedule_that_stops_tells_whether_all_has_ended() -> None:
    schedule, inside, let_go = Schedule(SystemClock()), threading.Event(), threading.Event()

    def hangs() -> None:
        inside.set()
        let_go.wait(WAIT)

    schedule.once("hangs", hangs)
    schedule.start()
    assert inside.wait(WAIT)
    assert not schedule.stop(0)
    let_go.set()
    assert schedule.stop(WAIT)


def test_all_but_what_is_needed_to_the_end_can_be_dropped(schedule: Schedule) -> None:
    for name in ("sweep", "retries", "leases"):
        schedule.every(NEVER, name, lambda: None)
    schedule.start()
    schedule.drop_all_but(["leases"])

    assert schedule.names == ["leases"]
