"""Many at a time: how many, how much, in what order they are told, and what an error ends."""

from __future__ import annotations

import contextvars
import gc
import threading
import weakref
from itertools import count, cycle, islice
from typing import TYPE_CHECKING, NoReturn

import pytest

from bridge.copying.parallel import in_parallel
from bridge.core.errors import IntegrityError, NeedsPerson, TryAgain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WAIT = 5  # seconds that a thread waits for another, so that a wrong program fails and does not hang


class Watched:
    """Work that notes how many, and how much, are on their way at a time."""

    def __init__(self) -> None:
        self.guard = threading.Lock()
        self.now: list[int] = []
        self.most = 0
        self.begun: list[int] = []

    def __call__(self, item: int, _: threading.Event) -> int:
        with self.guard:
            self.begun.append(item)
            self.now.append(item)
            self.most = max(self.most, len(self.now))
        threading.Event().wait(0.001)
        with self.guard:
            self.now.remove(item)
        return -item


def run(
    work: Callable[[int, threading.Event], int],
    items: Iterator[int],
    *,
    parallel: int = 4,
    halted: threading.Event | None = None,
) -> list[int]:
    return list(in_parallel(work, items, parallel=lambda: parallel, halted=halted))


@pytest.mark.parametrize("parallel", [1, 2, 16])
def test_every_item_has_its_result(parallel: int) -> None:
    watched = Watched()

    assert sorted(run(watched, iter(range(200)), parallel=parallel)) == [-item for item in range(199, -1, -1)]
    assert watched.most <= parallel


def test_threads_know_what_whoever_has_called_knows() -> None:
    about = contextvars.ContextVar("about", default="nothing")
    about.set("a copy")
    assert set(in_parallel(lambda _item, _halted: about.get(), range(20), parallel=lambda: 4)) == {"a copy"}


def test_nothing_to_do_is_done() -> None:
    assert run(Watched(), iter(())) == []


def test_many_are_on_their_way_at_a_time() -> None:
    together = threading.Barrier(4, timeout=WAIT)

    def work(item: int, _: threading.Event) -> int:
        together.wait()
        return item

    assert sorted(run(work, iter(range(8)))) == list(range(8))


def test_more_are_begun_when_more_may_be_and_fewer_go_on_when_fewer_may() -> None:
    may = 1
    together = threading.Barrier(4, timeout=WAIT)
    threads: dict[int, int] = {}  # by item

    def work(item: int, _: threading.Event) -> int:
        nonlocal may
        threads[item] = threading.get_ident()
        if item == 9:
            may = 4
        elif 10 <= item < 14:
            together.wait()
        elif item == 14:
            may = 1
        return item

    assert sorted(in_parallel(work, iter(range(80)), parallel=lambda: may)) == list(range(80))
    assert len({threads[item] for item in range(10)}) == 1
    assert len({threads[item] for item in range(10, 14)}) == 4
    assert len({threads[item] for item in range(18, 80)}) == 1  # the others were at 15 to 17, at most


def test_items_are_taken_as_there_is_room_and_not_before() -> None:
    done: list[int] = []
    ahead: list[int] = []

    def items() -> Iterator[int]:
        for item in range(1000):
            ahead.append(item + 1 - len(done))
            yield item

    def work(item: int, _: threading.Event) -> int:
        done.append(item)
        return item

    run(work, items())
    assert max(ahead) <= 4  # one for each thread


@pytest.mark.parametrize("parallel", [1, 4])
def test_after_an_error_nothing_new_begins(parallel: int) -> None:
    begun: list[int] = []

    def work(item: int, _: threading.Event) -> int:
        begun.append(item)
        raise TryAgain("unwell")

    with pytest.raises(TryAgain, match="unwell"):
        run(work, count(), parallel=parallel)
    assert len(begun) <= parallel


def test_what_runs_is_waited_for() -> None:
    failed = threading.Event()
    ended: list[int] = []

    def work(item: int, _: threading.Event) -> int:
        if item == 0:
            failed.set()
            raise TryAgain("unwell")
        failed.wait(WAIT)
        threading.Event().wait(0.05)
        ended.append(item)
        return item

    with pytest.raises(TryAgain):
        run(work, iter([1, 0]))
    assert ended == [1]


class Dead(BaseException):
    pass


@pytest.mark.parametrize(
    ("errors", "gravest"),
    [
        ([TryAgain("a"), NeedsPerson("b", "c")], NeedsPerson),
        ([TryAgain("a"), IntegrityError("b", "c")], IntegrityError),
        ([NeedsPerson("b", "c"), ZeroDivisionError()], ZeroDivisionError),
        ([TryAgain("a"), Dead()], Dead),
    ],
)
def test_the_gravest_error_is_the_one_that_is_raised(errors: list[BaseException], gravest: type[BaseException]) -> None:
    together = threading.Barrier(2, timeout=WAIT)

    def work(item: int, _: threading.Event) -> int:
        together.wait()
        raise errors[item]

    for order in ([0, 1], [1, 0]):
        with pytest.raises(gravest):
            run(work, iter(order), parallel=2)


@pytest.mark.parametrize("parallel", [1, 4])
def test_an_error_of_the_items_themselves_is_raised(parallel: int) -> None:
    def items() -> Iterator[int]:
        yield 1
        raise TryAgain("the list broke off")

    with pytest.raises(TryAgain, match="the list broke off"):
        run(Watched(), items(), parallel=parallel)


def test_a_word_to_stop_ends_what_looks_at_it_and_begins_nothing_new() -> None:
    halted, under_way = threading.Event(), threading.Event()

    def work(item: int, told: threading.Event) -> int:
        under_way.set()
        assert told.wait(WAIT)
        raise TryAgain(f"{item} was stopped")

    def stop() -> None:
        under_way.wait(WAIT)
        halted.set()

    stopping = threading.Thread(target=stop)
    stopping.start()
    with pytest.raises(TryAgain, match="was stopped"):
        run(work, count(), halted=halted)
    stopping.join()


def test_what_does_not_hear_a_word_to_stop_is_left_to_itself() -> None:
    halted, never, heard = threading.Event(), threading.Event(), threading.Event()

    def work(item: int, _: threading.Event) -> int:
        halted.set()
        never.wait(WAIT)
        heard.set()
        return item

    with pytest.raises(TryAgain, match="the copy was stopped; it goes on where it was the next time"):
        run(work, iter([1]), halted=halted)
    assert not heard.is_set()
    never.set()


def test_who_waits_for_the_next_item_holds_no_word_to_stop_back() -> None:
    halted, never, come = threading.Event(), threading.Event(), threading.Event()

    def items() -> Iterator[int]:
        yield 1
        halted.set()
        never.wait(WAIT)  # for the next page of a list
        come.set()
        yield 2

    with pytest.raises(TryAgain, match="the copy was stopped"):
        run(Watched(), items(), halted=halted)
    assert not come.is_set()
    never.set()


def test_a_machine_that_gives_no_more_threads_has_all_done_by_those_that_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begin, left = threading.Thread.start, iter(range(2))

    def start(thread: threading.Thread) -> None:
        if next(left, None) is None:
            raise RuntimeError("can't start new thread")
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    watched = Watched()
    assert sorted(run(watched, iter(range(20)))) == [-item for item in range(19, -1, -1)]
    assert watched.most <= 2
    with pytest.raises(RuntimeError):
        run(watched, iter(range(20)))


def test_a_thread_that_fails_outside_of_its_work_is_not_waited_for() -> None:
    looks = iter(range(3))

    def parallel() -> int:
        if next(looks, None) is None:
            raise LookupError("of the number of threads")
        return 2

    with pytest.raises(LookupError, match="of the number of threads"):
        list(in_parallel(lambda item, _: item, range(20), parallel=parallel))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_is_gone_before_it_begins_is_not_waited_for_and_nothing_is_called_done() -> None:
    def gone(*_: object) -> NoReturn:
        raise LookupError("in a profiler")

    before = threading.getprofile()
    threading.setprofile(gone)
    try:
        with pytest.raises(RuntimeError, match="copy-0, copy-1 ended in the middle of what was to be done"):
            list(in_parallel(lambda item, _: item, range(2), parallel=lambda: 2))
    finally:
        threading.setprofile(before)


def test_threads_that_have_ended_are_not_remembered() -> None:
    begun: set[weakref.ref[threading.Thread]] = set()
    sizes = cycle((1, 4))

    def work(item: int, _: threading.Event) -> int:
        begun.add(weakref.ref(threading.current_thread()))
        return item

    results = in_parallel(work, iter(range(4000)), parallel=lambda: next(sizes))
    for _ in islice(results, 4000):
        pass
    gc.collect()  # while whoever takes the results may still be at it
    assert len(begun) > 50
    assert sum(each() is not None for each in begun) <= 20
    assert list(results) == []


def test_an_interrupt_goes_through_and_the_work_is_told() -> None:
    heard = threading.Event()

    def work(item: int, told: threading.Event) -> int:
        if told.wait(WAIT):
            heard.set()
        return item

    results = in_parallel(lambda item, told: item if item == 0 else work(item, told), count(), parallel=lambda: 2)
    assert next(results) == 0
    with pytest.raises(KeyboardInterrupt):
        results.throw(KeyboardInterrupt)
    assert heard.wait(WAIT)
