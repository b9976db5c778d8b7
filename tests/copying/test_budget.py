"""Room in memory, first come, first served."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from bridge.copying.budget import Budget, Room
from bridge.copying.parallel import LOOK
from bridge.core.errors import TryAgain
from bridge.core.settings import CopySettings
from bridge.testing.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator


class Taker:
    """Somebody who takes room, and keeps it until told."""

    def __init__(self, room: Room, size: int) -> None:
        self._room = room
        self._size = size
        self.asked = threading.Event()
        self.entered = threading.Event()
        self._may_leave = threading.Event()
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()
        assert self.asked.wait(10)

    def _take(self) -> None:
        self.asked.set()
        with self._room.take(self._size):
            self.entered.set()
            self._may_leave.wait(10)

    def waits(self) -> bool:
        """Whether it has not been let in; who is wrongly let in may be seen too late, but who waits is never missed."""
        return not self.entered.wait(0.05)

    def leave(self) -> None:
        assert self.entered.wait(10)
        self._may_leave.set()
        self._thread.join(10)


def test_what_fits_is_let_in_at_once() -> None:
    room = Room(10)
    with room.take(4), room.take(6), room.take(0):
        pass
    with room.take(10):
        pass


def test_what_does_not_fit_waits_until_there_is_room_for_it() -> None:
    room = Room(10)
    one, other = Taker(room, 4), Taker(room, 4)
    third = Taker(room, 5)
    assert third.waits()
    one.leave()
    assert third.entered.wait(10)
    other.leave()
    third.leave()


def test_what_is_larger_than_all_of_it_is_let_in_alone() -> None:
    room = Room(10)
    small = Taker(room, 1)
    large = Taker(room, 99)
    assert large.waits()
    small.leave()
    assert large.entered.wait(10)
    after = Taker(room, 1)
    assert after.waits()
    large.leave()
    after.leave()


def test_nothing_small_overtakes_what_is_large() -> None:
    room = Room(10)
    first = Taker(room, 6)
    large = Taker(room, 9)
    assert large.waits()
    small = Taker(room, 1)  # there would be room for it
    assert small.waits()
    first.leave()
    for each in (large, small):
        each.leave()


def test_who_fails_gives_the_room_back() -> None:
    room = Room(10)
    for _ in range(3):
        with pytest.raises(ValueError, match="a file's"), room.take(10):
            raise ValueError("a file's")


def test_there_is_never_more_on_its_way_than_there_is_room_for() -> None:
    room, guard = Room(100), threading.Lock()
    inside: list[int] = []
    peaks: list[tuple[int, int]] = []  # bytes and files

    def bring(size: int) -> None:
        with room.take(size):
            with guard:
                inside.append(size)
                peaks.append((sum(inside), len(inside)))
            threading.Event().wait(0.0005)  # or it is gone before anybody else is there
            with guard:
                inside.remove(size)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(bring, [number * 37 % 130 + 1 for number in range(1000)], timeout=60))

    assert len(peaks) == 1000
    assert all(size <= 100 or files == 1 for size, files in peaks)


def test_a_budget_is_as_its_settings_say() -> None:
    budget = Budget(FakeClock(), CopySettings(parallel_files=3, parallel_versions=1))
    assert budget.pace.lane(1).limit == 3
    assert not budget.halted.is_set()
    assert Budget(FakeClock()).settings == CopySettings()


def test_a_version_waits_for_its_turn_and_is_told_when_all_is_to_stop() -> None:
    budget = Budget(FakeClock(), CopySettings(parallel_versions=1))
    entered = threading.Event()

    def another() -> None:
        with budget.version():
            entered.set()

    with ThreadPoolExecutor(1) as pool:
        with budget.version():
            waiting = pool.submit(another)
            assert not entered.wait(LOOK * 2)
        waiting.result(timeout=10)
        with budget.version():
            stopping = pool.submit(another)
            budget.halted.set()
            with pytest.raises(TryAgain, match="the copy was stopped"):
                stopping.result(timeout=10)


def test_a_budget_with_the_settings_of_one_before_shares_all_with_it_but_the_word_to_stop() -> None:
    settings = CopySettings(parallel_versions=1)
    before = Budget(FakeClock(), settings)
    after = Budget(FakeClock(), settings, before)
    other = Budget(FakeClock(), CopySettings(parallel_versions=2), before)
    assert (after.pace, after.room, after.throttle) == (before.pace, before.room, before.throttle)
    assert other.pace is not before.pace
    assert other.room is not before.room
    assert other.throttle is not before.throttle
    assert after.lines is before.lines
    assert other.lines is not before.lines

    with before.version():
        with other.version():
            pass
        after.halted.set()
        with pytest.raises(TryAgain, match="the copy was stopped"), after.version():
            pass
        assert not before.halted.is_set()
    with after.version():
        pass


def test_who_waits_for_a_turn_or_has_it_is_aside() -> None:
    budget = Budget(FakeClock(), CopySettings(parallel_versions=1))
    told: list[str] = []
    both = threading.Semaphore(0)

    @contextmanager
    def aside() -> Iterator[None]:
        told.append("aside")
        both.release()
        yield
        told.append("back")

    def copy() -> None:
        with budget.version():
            told.append("copied")

    budget.aside = aside
    with ThreadPoolExecutor(1) as pool:
        with budget.version():
            waiting = pool.submit(copy)
            for _ in range(2):
                assert both.acquire(timeout=10)
        waiting.result(timeout=10)

    assert sorted(told[2:]) == ["back", "back", "copied"]
    assert (told[:2], told[-1]) == (["aside", "aside"], "back")
