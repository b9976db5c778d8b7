"""What every runner promises, and what threads add."""

from __future__ import annotations

import threading
from datetime import UTC
from typing import TYPE_CHECKING

import pytest

from bridge.core.model import ModelKey
from bridge.run.clock import SystemClock
from bridge.run.threads import ThreadRunner
from bridge.testing.runner import InlineRunner

if TYPE_CHECKING:
    from bridge.core.ports import Runner

KEYS = tuple(ModelKey("fraud", f"m{number}") for number in range(5))
WAIT = 5  # seconds after which a test has failed


@pytest.fixture(params=["inline", "threads"])
def runner(request: pytest.FixtureRequest) -> Runner:
    return InlineRunner() if request.param == "inline" else ThreadRunner(3)


def test_every_key_is_worked_on_once_and_all_is_done_at_the_end(runner: Runner) -> None:
    done: list[ModelKey] = []

    runner.run(KEYS, done.append)

    assert sorted(done) == list(KEYS)


def test_no_keys_are_no_work(runner: Runner) -> None:
    runner.run((), lambda _key: pytest.fail("there was nothing to do"))


def test_an_error_reaches_the_one_who_asked(runner: Runner) -> None:
    def fails(key: ModelKey) -> None:
        raise ValueError(key.model)

    with pytest.raises(ValueError, match="m0"):
        runner.run(KEYS, fails)


def test_inline_work_is_done_in_order_in_this_thread() -> None:
    done: list[tuple[ModelKey, threading.Thread]] = []

    InlineRunner().run(KEYS, lambda key: done.append((key, threading.current_thread())))

    assert done == [(key, threading.current_thread()) for key in KEYS]


def test_as_many_keys_as_there_are_workers_are_worked_on_at_once() -> None:
    together = threading.Barrier(3, timeout=WAIT)

    def work(_key: ModelKey) -> None:
        together.wait()

    ThreadRunner(3).run(KEYS[:3], work)

    assert not together.broken


def test_one_key_is_never_worked_on_twice_at_once_whoever_asks() -> None:
    runner, busy, worked = ThreadRunner(2), threading.Lock(), []

    def work(key: ModelKey) -> None:
        assert busy.acquire(blocking=False), "somebody else is at it"
        threading.Event().wait(0.02)
        worked.append(key)
        busy.release()

    others = [threading.Thread(target=runner.run, args=((KEYS[0], KEYS[0]), work)) for _ in range(2)]
    for other in others:
        other.start()
    for other in others:
        other.join(WAIT)

    assert worked == [KEYS[0]] * 4


def test_an_error_is_raised_when_all_the_rest_is_done() -> None:
    done: list[ModelKey] = []

    def work(key: ModelKey) -> None:
        if key == KEYS[0]:
            raise ValueError(key.model)
        done.append(key)

    with pytest.raises(ValueError, match="m0"):
        ThreadRunner(2).run(KEYS, work)

    assert sorted(done) == list(KEYS[1:])


def test_the_machines_clock_is_in_utc_and_goes_on_while_it_sleeps() -> None:
    clock = SystemClock()
    before = clock.now()

    clock.sleep(0.01)

    assert before.tzinfo is UTC
    assert (clock.now() - before).total_seconds() >= 0.009
