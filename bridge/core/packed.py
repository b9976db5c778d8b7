"""
Many small frozen values in little memory: a version may have a million files.

A million of them as objects take 300 MB and more; packed, about 100 bytes each, and they are made anew when asked for.
"""

from __future__ import annotations

import marshal
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, overload

from bridge.core.model import ArtifactFile, Digest, StoredFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")


class _Form(NamedTuple, Generic[T]):
    """How a value becomes a tuple of plain things, its path first, and is made again."""

    row: Callable[[T], tuple[Any, ...]]
    value: Callable[..., T]


class Packed(Sequence[T]):
    """
    Values by path, read-only, equal to any packed or plain tuple of the same ones; made by `pack` below.

    Two reads of one item give equal objects, not the same one. May be referred to weakly.
    """

    __slots__ = ("__weakref__", "_ends", "_form", "_rows", "_starts")
    __hash__ = None  # type: ignore[assignment]  # as of a list: too many values to hash

    def __init__(self, form: _Form[T], rows: bytearray, starts: array[int], ends: array[int]) -> None:
        self._form = form
        self._rows = rows  # marshalled tuples; never leaves the process, so its format is nobody's business
        self._starts, self._ends = starts, ends  # of each row

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Packed[T]: ...
    def __getitem__(self, index: int | slice) -> T | Packed[T]:
        if isinstance(index, slice):
            return Packed(self._form, self._rows, self._starts[index], self._ends[index])
        return self._form.value(*_row(self._rows, self._starts[index], self._ends[index]))

    def __iter__(self) -> Iterator[T]:
        make = self._form.value
        for start, end in zip(self._starts, self._ends, strict=True):
            yield make(*_row(self._rows, start, end))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Packed | tuple):
            return NotImplemented
        return len(self) == len(other) and all(ours == theirs for ours, theirs in zip(self, other, strict=True))

    def __repr__(self) -> str:
        return f"<{len(self)} packed values>"


def pack_files(files: Iterable[ArtifactFile]) -> Packed[ArtifactFile]:
    """Pack files, which may come in any order, by path; holds no more than one of them meanwhile, and all paths."""
    return _pack(_FILE, files)


def pack_stored(files: Iterable[StoredFile]) -> Packed[StoredFile]:
    """Pack stored files as `pack_files` does."""
    return _pack(_STORED, files)


def _pack(form: _Form[T], values: Iterable[T]) -> Packed[T]:
    rows, starts, ends = bytearray(), array("Q"), array("Q")
    ordered, last = True, ""
    for value in values:
        row = form.row(value)
        starts.append(len(rows))
        rows += marshal.dumps(row)
        ends.append(len(rows))
        ordered = ordered and last <= row[0]
        last = row[0]
    if not ordered:
        paths = [_row(rows, start, end)[0] for start, end in zip(starts, ends, strict=True)]
        order = sorted(range(len(paths)), key=paths.__getitem__)
        starts, ends = (array("Q", map(border.__getitem__, order)) for border in (starts, ends))
    return Packed(form, rows, starts, ends)


def _row(rows: bytearray, start: int, end: int) -> tuple[Any, ...]:
    # A row says itself where it ends; but where there is an audit hook, all that is handed over here is copied for it.
    row: tuple[Any, ...] = marshal.loads(memoryview(rows)[start:end])  # noqa: S302  written here, in this process
    return row


def _of_file(file: ArtifactFile) -> tuple[Any, ...]:
    digest = file.digest
    if digest is None:
        return file.path, file.size, None, None, file.location
    return file.path, file.size, digest.algorithm, digest.value, file.location


def _file(path: str, size: int, algorithm: Any, value: str, location: str | None) -> ArtifactFile:  # noqa: ANN401  as it was packed
    return ArtifactFile(path, size, None if algorithm is None else Digest(algorithm, value), location)


def _of_stored(file: StoredFile) -> tuple[Any, ...]:
    return file.path, file.size, file.crc32c, file.md5, file.xxh128, file.sha256


_FILE = _Form(_of_file, _file)
_STORED = _Form(_of_stored, StoredFile)
