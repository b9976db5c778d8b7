"""Reading again: a few files at a time, twice where it matters, and no longer than somebody wants to know."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from bridge.copying.rereading import reread
from bridge.copying.throttle import Throttle
from bridge.core.errors import TryAgain
from bridge.core.model import StoredFile
from bridge.testing.clock import FakeClock
from bridge.testing.storage import MemoryStorage
from tests.contracts.buckets import crc32c

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = "gs://models/f/"
FREE = Throttle(FakeClock(), None)


class Reader:
    """Opens objects that a test has placed, and remembers which; `answers` are given first, by path."""

    def __init__(self, *paths: str) -> None:
        self.bucket = MemoryStorage()
        self.opened: list[str] = []
        self.answers: dict[str, list[bytes]] = {}
        for path in paths:
            self.bucket.place(FOLDER + path, path.encode())

    @contextmanager
    def __call__(self, uri: str) -> Iterator[Iterator[bytes]]:
        path = uri.removeprefix(FOLDER)
        self.opened.append(path)
        if self.answers.get(path):
            yield iter([self.answers[path].pop(0)])
            return
        with self.bucket.open(uri) as pieces:
            yield pieces


def file(path: str) -> StoredFile:
    return StoredFile(path, len(path), crc32c(path.encode()))


def test_a_byte_that_changed_on_its_way_is_read_again_and_is_fine() -> None:
    reader = Reader("ab")
    reader.answers["ab"] = [b"ax"]

    assert list(reread(reader, FOLDER, [file("ab")], FREE)) == [(file("ab"), file("ab"))]
    assert reader.opened == ["ab", "ab"]


def test_bytes_that_stay_wrong_are_read_twice_and_told() -> None:
    reader = Reader("ab")
    reader.answers["ab"] = [b"ax", b"ay"]

    [(_, read)] = reread(reader, FOLDER, [file("ab")], FREE)
    assert read == StoredFile("ab", 2, crc32c(b"ay"))
    assert reader.opened == ["ab", "ab"]


def test_bytes_that_are_the_files_are_read_once() -> None:
    reader = Reader("a", "b")
    assert [read.path for _, read in reread(reader, FOLDER, [file("a"), file("b")], FREE)] == ["a", "b"]
    assert sorted(reader.opened) == ["a", "b"]


def test_files_are_taken_only_as_there_is_room() -> None:
    paths = [f"{number:03}" for number in range(100)]
    taken: list[str] = []

    def asked() -> Iterator[StoredFile]:
        for path in paths:
            taken.append(path)
            yield file(path)

    going = reread(Reader(*paths), FOLDER, asked(), FREE, parallel=2)
    next(going)
    assert len(taken) == 4
    assert len(list(going)) == 99


def test_several_files_are_read_at_a_time() -> None:
    both = threading.Barrier(2, timeout=20)

    @contextmanager
    def meeting(uri: str) -> Iterator[Iterator[bytes]]:
        both.wait()  # returns only when two are here
        yield iter([uri.removeprefix(FOLDER).encode()])

    assert len(list(reread(meeting, FOLDER, [file("a"), file("b")], FREE, parallel=2))) == 2


def test_what_cannot_be_read_ends_it_and_nothing_more_is_begun() -> None:
    reader = Reader(*"abcdefghij")
    reader.bucket.problem = TryAgain("the bucket is unwell")

    with pytest.raises(TryAgain, match="the bucket is unwell"):
        list(reread(reader, FOLDER, map(file, "abcdefghij"), FREE, parallel=1))
    assert len(reader.opened) <= 3


def test_who_has_enough_does_not_wait_for_a_file_without_end() -> None:
    """It returns at all: the endless file is given up at its next piece."""
    begun = threading.Event()

    @contextmanager
    def endless(uri: str) -> Iterator[Iterator[bytes]]:
        def pieces() -> Iterator[bytes]:
            while uri.endswith("z"):
                begun.set()
                yield b"more"
            begun.wait(20)
            yield b"a"

        yield pieces()

    going = reread(endless, FOLDER, [file(path) for path in "azaa"], FREE, parallel=2)
    assert next(going)[0].path == "a"
    going.close()  # type: ignore[attr-defined]  # a generator's
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("reread")]


def test_a_folder_without_files_needs_no_reading() -> None:
    assert list(reread(Reader(), FOLDER, [], FREE)) == []


def test_reading_takes_the_time_that_the_bandwidth_leaves_it() -> None:
    clock = FakeClock()
    began = clock.now()
    paths = [f"{number:0100}" for number in range(20)]

    assert len(list(reread(Reader(*paths), FOLDER, map(file, paths), Throttle(clock, 1000), parallel=1))) == 20
    assert (clock.now() - began).total_seconds() == pytest.approx(2)
