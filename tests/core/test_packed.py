"""Packed values: a tuple that takes little memory."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from typing import TYPE_CHECKING, get_args, get_type_hints

import pytest
from hypothesis import given, strategies as st

from bridge.core.model import ArtifactFile, Digest, StoredFile
from bridge.core.packed import pack_files, pack_stored

if TYPE_CHECKING:
    from collections.abc import Iterator

A, B, C = (ArtifactFile(path, 1, Digest("md5", "1B2M2Y8AsgTpgAmY7PhCfg==")) for path in "abc")

PATHS = st.text(st.characters(), max_size=20)  # lone surrogates, too
SIZES = st.integers(0, 1 << 70)
DIGESTS = st.builds(Digest, st.sampled_from(get_args(get_type_hints(Digest)["algorithm"])), st.text())
FILES = st.builds(ArtifactFile, PATHS, SIZES, st.none() | DIGESTS, st.none() | st.text())
STORED = st.builds(StoredFile, PATHS, SIZES, st.text(), *[st.none() | st.text()] * 3)


@given(st.lists(FILES))
def test_files_are_what_they_were_and_by_path(files: list[ArtifactFile]) -> None:
    assert pack_files(files) == tuple(sorted(files, key=lambda file: file.path))


@given(st.lists(STORED))
def test_stored_files_are_what_they_were_and_by_path(files: list[StoredFile]) -> None:
    assert pack_stored(files) == tuple(sorted(files, key=lambda file: file.path))


@pytest.mark.parametrize("given", [(A, B, C), (C, A, B), (C, B, A)], ids=["in order", "not", "the other way round"])
def test_packed_values_are_read_as_a_tuple_is(given: tuple[ArtifactFile, ...]) -> None:
    packed = pack_files(iter(given))

    assert list(packed) == [A, B, C]
    assert (packed[0], packed[-1], len(packed)) == (A, C, 3)
    assert packed[1:] == (B, C)
    assert packed[::-1] == (C, B, A)
    assert B in packed
    with pytest.raises(IndexError):
        packed[3]


def test_no_values_are_packed_too() -> None:
    assert pack_files(()) == ()
    assert not pack_files(())


def test_equal_is_what_holds_the_same_values_whatever_holds_them() -> None:
    packed = pack_files((A, B))

    assert packed == pack_files((B, A))
    assert packed == (A, B)
    assert packed != (A, C)
    assert packed != (A,)
    assert packed != [A, B], "as a tuple is not"
    assert packed != pack_stored((StoredFile("a", 1, ""), StoredFile("b", 1, "")))


def test_a_million_values_are_not_printed() -> None:
    assert repr(pack_files((A, B))) == "<2 packed values>"


def test_packed_values_cannot_be_a_key() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(pack_files((A,)))


def test_packed_values_go_when_only_a_weak_reference_is_left() -> None:
    packed = pack_files((A,))
    weak = weakref.ref(packed)
    del packed
    gc.collect()

    assert weak() is None


def test_a_packed_value_takes_a_hundred_bytes_and_more_than_one_object_is_never_there() -> None:
    count = 20_000

    def many() -> Iterator[StoredFile]:
        for number in range(count):
            yield StoredFile(f"data/part-{number:07}.parquet", number, "AAAAAA==", "1B2M2Y8AsgTpgAmY7PhCfg==")

    tracemalloc.start()
    try:
        packed = pack_stored(many())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(packed) == count
    assert peak < 130 * count
