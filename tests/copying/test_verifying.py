"""No end of a wrong file gets through, however its bytes are cut into pieces and read."""

from __future__ import annotations

import base64
import hashlib
from contextlib import contextmanager
from itertools import repeat
from typing import TYPE_CHECKING, Literal

import google_crc32c
import pytest
import xxhash
from hypothesis import given, strategies as st

from bridge.copying.verifying import VerifiedStream
from bridge.core.errors import IntegrityError, TryAgain
from bridge.core.model import ArtifactFile, Digest
from tests.readers import reader_of, reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Algorithm = Literal["md5", "xxh128", "crc32c"]
ALGORITHMS: list[Algorithm | None] = ["md5", "xxh128", "crc32c", None]

pieces_of_files = st.lists(st.binary(max_size=12), max_size=8)
offsets = st.lists(st.integers(min_value=0, max_value=20), max_size=6)
algorithms = st.sampled_from(ALGORITHMS)


def digest(content: bytes, algorithm: Algorithm | None) -> Digest | None:
    if algorithm is None:
        return None
    raw = {
        "md5": hashlib.md5(content, usedforsecurity=False).digest(),
        "xxh128": xxhash.xxh128(content).digest(),
        "crc32c": google_crc32c.value(content).to_bytes(4, "big"),
    }[algorithm]
    return Digest(algorithm, base64.b64encode(raw).decode())


def file_of(content: bytes, algorithm: Algorithm | None = "md5") -> ArtifactFile:
    return ArtifactFile("dir/model.bin", len(content), digest(content, algorithm))


class Counting:
    """Pieces, of which it is known how many bytes were taken, and from where on they were asked for."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces
        self.taken = 0
        self.asked: list[int] = []

    @contextmanager
    def __call__(self, start: int) -> Iterator[Iterator[bytes]]:
        self.asked.append(start)
        with reader_of(lambda: self._pieces)(start) as pieces:
            yield self._counted(pieces)

    def _counted(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.taken += len(piece)
            yield piece


def stream(file: ArtifactFile, pieces: Iterable[bytes], *, md5: bool = True) -> VerifiedStream:
    return VerifiedStream(file, reader_of(lambda: pieces), md5=md5)


def handed_out(stream: VerifiedStream, starts: list[int]) -> tuple[bytes, bool]:
    """Read from these offsets on, a piece each, and then all; return that, and whether it was found wrong."""
    got = bytearray()
    try:
        for start in starts:
            next(stream.pieces(start), None)
        for piece in stream.pieces():
            got += piece
    except IntegrityError:
        return bytes(got), True
    return bytes(got), False


@given(pieces_of_files, offsets, algorithms)
def test_a_right_file_is_handed_out_whole_however_it_is_cut_and_read(
    pieces: list[bytes], starts: list[int], algorithm: Algorithm | None
) -> None:
    content = b"".join(pieces)
    starts = [start for start in starts if start < len(content)]

    assert handed_out(stream(file_of(content, algorithm), pieces), starts) == (content, False)


@given(pieces_of_files, offsets, algorithms)
def test_a_seal_has_every_digest_whatever_was_read_before(
    pieces: list[bytes], starts: list[int], algorithm: Algorithm | None
) -> None:
    content = b"".join(pieces)
    read = stream(file_of(content, algorithm), pieces)
    for start in starts:
        if start < len(content):
            next(read.pieces(start))
    sealed = read.seal()

    assert (sealed.path, sealed.size) == ("dir/model.bin", len(content))
    assert sealed.crc32c == base64.b64encode(google_crc32c.value(content).to_bytes(4, "big")).decode()
    assert sealed.md5 == base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
    xxh128 = base64.b64encode(xxhash.xxh128(content).digest()).decode()
    assert sealed.xxh128 == (xxh128 if algorithm == "xxh128" else None)
    sha256 = base64.b64encode(hashlib.sha256(content).digest()).decode()
    assert sealed.sha256 == (sha256 if algorithm is None else None)
    assert read.seal() == sealed
    assert read.whole


@given(pieces_of_files, offsets, algorithms, st.integers(min_value=1, max_value=30))
def test_the_last_byte_of_a_short_file_is_never_handed_out(
    pieces: list[bytes], starts: list[int], algorithm: Algorithm | None, missing: int
) -> None:
    content = b"".join(pieces)
    promised = file_of(content + b"?" * missing, algorithm)
    got, refused = handed_out(stream(promised, pieces), starts)

    assert refused
    assert content.startswith(got)
    assert len(got) < promised.size


@given(pieces_of_files, offsets, algorithms, st.binary(min_size=1, max_size=9))
def test_the_last_byte_of_a_long_file_is_never_handed_out(
    pieces: list[bytes], starts: list[int], algorithm: Algorithm | None, more: bytes
) -> None:
    content = b"".join(pieces)
    got, refused = handed_out(stream(file_of(content, algorithm), [*pieces, more]), starts)

    assert refused
    assert len(got) < max(len(content), 1)


@given(pieces_of_files, offsets, st.sampled_from(["md5", "xxh128", "crc32c"]))
def test_the_last_byte_of_a_file_with_another_digest_is_never_handed_out(
    pieces: list[bytes], starts: list[int], algorithm: Algorithm
) -> None:
    content = b"".join(pieces)
    promised = ArtifactFile("f", len(content), digest(content + b"!", algorithm))
    got, refused = handed_out(stream(promised, pieces), starts)

    assert refused
    assert len(got) < max(len(content), 1)


@given(pieces_of_files, offsets, st.sampled_from(["short", "long", "other"]))
def test_a_wrong_file_is_never_sealed(pieces: list[bytes], starts: list[int], wrong: str) -> None:
    content = b"".join(pieces)
    promised = file_of({"short": content + b"!", "long": content, "other": content}[wrong])
    if wrong == "other":
        promised = ArtifactFile("f", len(content), digest(content + b"!", "md5"))
    read = stream(promised, [*pieces, b"x"] if wrong == "long" else pieces)
    handed_out(read, starts)

    for _ in range(2):
        with pytest.raises(IntegrityError):
            read.seal()
    assert not read.whole


def test_a_source_that_never_ends_is_not_read_to_its_end() -> None:
    source = Counting(repeat(b"x" * 10))
    read = VerifiedStream(ArtifactFile("f", 100, None), source)
    with pytest.raises(IntegrityError, match="more than 100"):
        list(read.pieces())
    with pytest.raises(IntegrityError, match="more than 100"):
        read.seal()
    assert source.taken <= 240


def test_an_error_of_the_source_goes_through_and_reading_goes_on_behind_what_was_hashed() -> None:
    content = b"0123456789"
    breaks = [True]

    def pieces() -> Iterator[bytes]:
        yield content[:4]
        if breaks.pop() if breaks else False:
            raise TryAgain("the source went away")
        yield content[4:]

    source = Counting(())
    source._pieces = _Anew(pieces)  # noqa: SLF001  its own test
    read = VerifiedStream(file_of(content), source, md5=True)
    with pytest.raises(TryAgain):
        list(read.pieces())

    assert read.seal().size == 10
    assert source.asked == [0, 4]


class _Anew:
    def __init__(self, make: Callable[[], Iterator[bytes]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[bytes]:
        return self._make()


def test_what_comes_before_an_offset_is_read_for_its_digest_and_not_handed_out() -> None:
    content = bytes(range(100))
    source = Counting([content[at : at + 7] for at in range(0, 100, 7)])
    read = VerifiedStream(file_of(content, "xxh128"), source)

    assert b"".join(read.pieces(45)) == content[45:]
    assert (source.asked, read.whole, read.seal().size) == ([0], True, 100)


def test_what_the_bucket_compares_is_not_read_again_before_an_offset() -> None:
    content = bytes(range(100))
    source = Counting([content[at : at + 7] for at in range(0, 100, 7)])
    read = VerifiedStream(file_of(content), source)

    assert b"".join(read.pieces(45, blind=True)) == content[45:]
    assert (source.asked, source.taken, read.whole) == ([45], 55, False)
    assert read.seal().crc32c == base64.b64encode(google_crc32c.value(content).to_bytes(4, "big")).decode()
    assert read.whole


def test_bytes_that_passed_are_not_hashed_twice() -> None:
    content = bytes(range(100))
    source = Counting([content[at : at + 10] for at in range(0, 100, 10)])
    read = VerifiedStream(file_of(content, "crc32c"), source)
    for _ in range(6):
        next(read.pieces(25))

    assert b"".join(read.pieces(35)) == content[35:]
    assert read.whole


def test_a_file_that_is_read_blind_is_held_to_its_size() -> None:
    for content, found in ((bytes(99), "99"), (bytes(101), "more than 100")):
        read = VerifiedStream(ArtifactFile("f", 100, None), reading(content))
        with pytest.raises(IntegrityError, match=f"promises 100 bytes, and its bytes have {found}"):
            list(read.pieces(50, blind=True))


def test_what_was_promised_and_what_came_are_both_named() -> None:
    promised = ArtifactFile("a\u202eb", 3, digest(b"abc", "md5"))
    with pytest.raises(IntegrityError) as caught:
        stream(promised, [b"abd"]).seal()

    assert promised.digest is not None
    assert promised.digest.value in str(caught.value)
    assert "\u202e" not in str(caught.value)
    with pytest.raises(IntegrityError, match="promises 3 bytes, and its bytes have 2"):
        stream(promised, [b"ab"]).seal()


def test_of_a_file_without_digest_what_has_passed_is_compared_when_it_is_opened_again() -> None:
    contents = [b"0123456789", b"9876543210"]
    changing = VerifiedStream(file_of(contents[0], None), reader_of(lambda: [contents.pop(0)]))
    assert next(changing.pieces()) == b"0123456789"
    assert changing.whole

    with pytest.raises(
        IntegrityError, match=r"^'dir/model\.bin' has changed at the source while it was read; see to it"
    ):
        list(changing.pieces(4))


@given(pieces_of_files, offsets)
def test_a_file_without_digest_that_stays_is_read_from_any_offset(pieces: list[bytes], starts: list[int]) -> None:
    content = b"".join(pieces)
    again = stream(file_of(content, None), pieces)
    for start in (each for each in starts if each <= len(content)):
        assert b"".join(again.pieces(start)) == content[start:]
