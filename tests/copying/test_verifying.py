"""No end of a wrong file gets through, however its bytes are cut into pieces and read."""

from __future__ import annotations

import base64
import hashlib
from itertools import repeat
from typing import TYPE_CHECKING, Literal

import google_crc32c
import pytest
import xxhash
from hypothesis import given, strategies as st

from bridge.copying.verifying import VerifiedStream
from bridge.core.errors import IntegrityError, TryAgain
from bridge.core.model import ArtifactFile, Digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Algorithm = Literal["md5", "xxh128", "crc32c"]
ALGORITHMS: list[Algorithm | None] = ["md5", "xxh128", "crc32c", None]

pieces_of_files = st.lists(st.binary(max_size=12), max_size=8)
sizes_to_read = st.lists(st.integers(min_value=0, max_value=20), max_size=12)
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
    """Pieces, of which it is known how many bytes were taken."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self.taken = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece = next(self._pieces)
        self.taken += len(piece)
        return piece


def handed_out(stream: VerifiedStream, sizes: list[int]) -> tuple[bytes, bool]:
    """Read by these sizes, then by single bytes or as pieces come; return what came, and whether it was found wrong."""
    got = bytearray()
    try:
        for size in sizes:
            got += stream.read(size)
        for rest in stream.pieces() if len(sizes) % 2 else iter(lambda: stream.read(1), b""):
            got += rest
        stream.read(0)
    except IntegrityError:
        return bytes(got), True
    return bytes(got), False


@given(pieces_of_files, sizes_to_read, algorithms)
def test_a_right_file_is_handed_out_whole_however_it_is_cut_and_read(
    pieces: list[bytes], sizes: list[int], algorithm: Algorithm | None
) -> None:
    content = b"".join(pieces)
    stream = VerifiedStream(file_of(content, algorithm), iter(pieces))

    assert handed_out(stream, sizes) == (content, False)
    assert stream.tell() == len(content)


@given(pieces_of_files, sizes_to_read, algorithms)
def test_a_seal_has_every_digest_whatever_was_read_before(
    pieces: list[bytes], sizes: list[int], algorithm: Algorithm | None
) -> None:
    content = b"".join(pieces)
    stream = VerifiedStream(file_of(content, algorithm), iter(pieces))
    for size in sizes:
        stream.read(size)
    sealed = stream.seal()

    assert (sealed.path, sealed.size) == ("dir/model.bin", len(content))
    assert sealed.crc32c == base64.b64encode(google_crc32c.value(content).to_bytes(4, "big")).decode()
    assert sealed.md5 == base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
    xxh128 = base64.b64encode(xxhash.xxh128(content).digest()).decode()
    assert sealed.xxh128 == (xxh128 if algorithm == "xxh128" else None)
    sha256 = base64.b64encode(hashlib.sha256(content).digest()).decode()
    assert sealed.sha256 == (sha256 if algorithm is None else None)
    assert stream.seal() == sealed


@given(pieces_of_files, sizes_to_read, algorithms, st.integers(min_value=1, max_value=30))
def test_the_last_byte_of_a_short_file_is_never_handed_out(
    pieces: list[bytes], sizes: list[int], algorithm: Algorithm | None, missing: int
) -> None:
    content = b"".join(pieces)
    promised = file_of(content + b"?" * missing, algorithm)
    got, refused = handed_out(VerifiedStream(promised, iter(pieces)), sizes)

    assert refused
    assert content.startswith(got)
    assert len(got) < promised.size


@given(pieces_of_files, sizes_to_read, algorithms, st.binary(min_size=1, max_size=9))
def test_the_last_byte_of_a_long_file_is_never_handed_out(
    pieces: list[bytes], sizes: list[int], algorithm: Algorithm | None, more: bytes
) -> None:
    content = b"".join(pieces)
    got, refused = handed_out(VerifiedStream(file_of(content, algorithm), iter([*pieces, more])), sizes)

    assert refused
    assert len(got) < max(len(content), 1)


@given(pieces_of_files, sizes_to_read, st.sampled_from(["md5", "xxh128", "crc32c"]))
def test_the_last_byte_of_a_file_with_another_digest_is_never_handed_out(
    pieces: list[bytes], sizes: list[int], algorithm: Algorithm
) -> None:
    content = b"".join(pieces)
    promised = ArtifactFile("f", len(content), digest(content + b"!", algorithm))
    got, refused = handed_out(VerifiedStream(promised, iter(pieces)), sizes)

    assert refused
    assert len(got) < max(len(content), 1)


@given(pieces_of_files, sizes_to_read, st.sampled_from(["short", "long", "other"]))
def test_a_wrong_file_is_never_sealed(pieces: list[bytes], sizes: list[int], wrong: str) -> None:
    content = b"".join(pieces)
    promised = file_of({"short": content + b"!", "long": content, "other": content}[wrong])
    if wrong == "other":
        promised = ArtifactFile("f", len(content), digest(content + b"!", "md5"))
    stream = VerifiedStream(promised, iter([*pieces, b"x"] if wrong == "long" else pieces))
    handed_out(stream, sizes)

    for _ in range(2):
        with pytest.raises(IntegrityError):
            stream.seal()


@given(pieces_of_files, sizes_to_read)
def test_no_more_than_a_piece_beyond_what_was_asked_for_is_held(pieces: list[bytes], sizes: list[int]) -> None:
    source = Counting(pieces)
    stream = VerifiedStream(file_of(b"".join(pieces)), source)
    largest = max(map(len, pieces), default=0)
    given_out = 0
    for size in sizes:
        given_out += len(stream.read(size))
        assert source.taken - given_out <= largest


@pytest.mark.parametrize("size", [-1, 1 << 20])
def test_a_source_that_never_ends_is_not_read_to_its_end(size: int) -> None:
    source = Counting(repeat(b"x" * 10))
    with pytest.raises(IntegrityError, match="more than 100"):
        VerifiedStream(ArtifactFile("f", 100, None), source).read(size)
    assert source.taken <= 120

    source = Counting(repeat(b"x" * 10))
    with pytest.raises(IntegrityError, match="more than 100"):
        VerifiedStream(ArtifactFile("f", 100, None), source).seal()
    assert source.taken <= 120


def test_all_that_is_left_is_read_at_once() -> None:
    stream = VerifiedStream(file_of(b"0123456789"), iter([b"0123", b"456", b"789"]))

    assert (stream.read(2), stream.tell(), stream.read(), stream.tell(), stream.read()) == (
        b"01",
        2,
        b"23456789",
        10,
        b"",
    )


def test_an_error_of_the_source_goes_through_and_nothing_after_it_is_a_whole_file() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"0123"
        raise TryAgain("the source went away")

    stream = VerifiedStream(file_of(b"0123456789"), pieces())
    assert stream.read(4) == b"0123"
    with pytest.raises(TryAgain):
        stream.read(6)
    with pytest.raises(IntegrityError):
        stream.seal()


def test_what_was_promised_and_what_came_are_both_named() -> None:
    promised = ArtifactFile("a\u202eb", 3, digest(b"abc", "md5"))
    with pytest.raises(IntegrityError) as caught:
        VerifiedStream(promised, iter([b"abd"])).read()

    assert promised.digest is not None
    assert promised.digest.value in str(caught.value)
    assert "\u202e" not in str(caught.value)
    with pytest.raises(IntegrityError, match="promises 3 bytes, and its bytes have 2"):
        VerifiedStream(promised, iter([b"ab"])).read()
