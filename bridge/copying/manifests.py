"""
A manifest as JSON: one document that people and other programs read, and that streams, with one file on each line.

    {
     "format": 2,
     "collection": "models:/churn",
     …
     "count": 1000000,
     "size": 73400320,
     "files": [
    {"path":"data/part-0","size":4096,"crc32c":"…","md5":"…"},
    …
    ]}

What earlier releases wrote, with the files in the middle and no format, is read as well; then it is read whole.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from contextlib import contextmanager
from itertools import chain, islice
from typing import TYPE_CHECKING, Literal, TypeVar

import google_crc32c
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from bridge.core.model import Facts, Manifest, StoredFile
from bridge.core.packed import pack_stored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bridge.core.model import ManifestHeader

T = TypeVar("T")

LONGEST = 8 << 20  # bytes of one line, and of all before the files: an MLmodel's signature is in one line, too
WHOLE = 256 << 20  # bytes of a manifest of an earlier release

_MARK = b'{\n "format": 2,\n'
_OPEN = b' "files": ['
_CLOSE = b"]}"
_LINES = 4096  # that are written at once


class NotAManifest(ValueError):
    """These bytes are no manifest: why, in a clause without any of them."""


class _Head(BaseModel):
    # A metric can be NaN or infinite, which JSON has no numbers for; the default, null, could not be read again.
    model_config = ConfigDict(ser_json_inf_nan="strings")

    format: Literal[2] | None = None
    collection: str
    label: str
    source_id: str
    source_digest: str | None
    created: str
    facts: Facts = Facts()
    count: int | None = None  # of files
    size: int | None = None  # of all of them together, in bytes


class _Whole(_Head):
    files: tuple[StoredFile, ...]


_Whole.model_rebuild(_types_namespace={"Mapping": Mapping})  # core.model knows it only while types are checked
_Head.model_rebuild(_types_namespace={"Mapping": Mapping})
_FILE = TypeAdapter(StoredFile)


class ManifestText:
    """A manifest's JSON: its size in bytes and crc32c, and its bytes, made anew each time they are asked for."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._total = sum(file.size for file in manifest.files)
        self.size = 0
        crc32c = google_crc32c.Checksum()
        for piece in self.pieces():
            self.size += len(piece)
            crc32c.update(piece)
        self.crc32c = base64.b64encode(crc32c.digest()).decode()

    @contextmanager
    def read(self, start: int) -> Iterator[Iterator[bytes]]:
        """Write what comes from a byte on."""
        yield _beyond(start, self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """Write it piece by piece."""
        manifest = self._manifest
        head = _Head(
            format=2,
            collection=manifest.collection,
            label=manifest.label,
            source_id=manifest.source_id,
            source_digest=manifest.source_digest,
            created=manifest.created,
            facts=manifest.facts,
            count=len(manifest.files),
            size=self._total,
        )
        yield head.model_dump_json(indent=1).removesuffix("\n}").encode() + b",\n" + _OPEN
        files = iter(manifest.files)
        before = b"\n"
        while lines := [_FILE.dump_json(file, exclude_none=True) for file in islice(files, _LINES)]:
            yield before + b",\n".join(lines)
            before = b",\n"
        yield b"\n" + _CLOSE + b"\n"


def _beyond(start: int, pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        if len(piece) > start:
            yield piece[start:]
        start = max(start - len(piece), 0)


def read_manifest(pieces: Iterable[bytes]) -> Manifest:
    """Read a manifest as its bytes come. Raises NotAManifest, and what `pieces` raises."""
    begun, pieces = b"", iter(pieces)
    while len(begun) < len(_MARK) and (piece := next(pieces, None)) is not None:
        begun += piece
    pieces = chain((begun,), pieces)
    if not begun.startswith(_MARK):
        return _read_whole(pieces)
    lines = _lines(pieces)
    head = _read_head(lines)
    return _manifest(head, pack_stored(_checked(_files(lines), head)))


def read_header(begun: bytes) -> ManifestHeader | None:
    """Read the header of a manifest that begins so; None if more of it must be read. Raises NotAManifest."""
    if not begun.startswith(_MARK) or b"\n" + _OPEN + b"\n" not in begun:
        return None
    return _manifest(_read_head(_lines((begun,))), ()).header


def _read_whole(pieces: Iterator[bytes]) -> Manifest:
    text = bytearray()
    for piece in pieces:
        text += piece
        if len(text) > WHOLE:
            raise NotAManifest(f"it is longer than {WHOLE} bytes, and not one file per line")
    whole = _valid(_Whole.model_validate_json, bytes(text), "as a whole")
    return _manifest(whole, pack_stored(_checked(whole.files, whole)))


def _read_head(lines: Iterator[bytes]) -> _Head:
    text = bytearray()
    for line in lines:
        text += line + b"\n"
        if line == _OPEN:
            break
        if len(text) > LONGEST:
            raise NotAManifest(f"its header is longer than {LONGEST} bytes")
    head = _valid(_Head.model_validate_json, bytes(text + _CLOSE), "its header")
    if head.count is None or head.size is None:
        raise NotAManifest("its header does not say how many files there are")
    return head


def _files(lines: Iterator[bytes]) -> Iterator[StoredFile]:
    """Read one file from each line. A comma stands behind all but the last, or no JSON reader would take the whole."""
    last = None
    for number, line in enumerate(lines, 1):
        if line == _CLOSE and last is not False:
            if any(lines):
                break
            return
        if last:
            raise NotAManifest(f"there is no comma before file {number}")
        last = not line.endswith(b",")
        yield _valid(_file_of, line.removesuffix(b","), f"file {number}")
    raise NotAManifest("it does not end where its files do")


def _checked(files: Iterable[StoredFile], head: _Head) -> Iterator[StoredFile]:
    """Make sure that files are by path, no two of one, and as many and large as the header says."""
    last, count, size = None, 0, 0
    for file in files:
        if (last is not None and file.path <= last) or file.size < 0:
            raise NotAManifest(f"file {count + 1} is not by path, there twice, or of a negative size")
        last, count, size = file.path, count + 1, size + file.size
        yield file
    if (head.count, head.size) not in ((None, None), (count, size)):
        raise NotAManifest(f"it has {count} files of {size} bytes, and its header says {head.count} of {head.size}")


def _manifest(head: _Head, files: Sequence[StoredFile]) -> Manifest:
    return Manifest(head.collection, head.label, head.source_id, head.source_digest, files, head.created, head.facts)


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines
        if len(rest) > LONGEST:
            raise NotAManifest(f"it has a line of more than {LONGEST} bytes")
    yield rest


def _file_of(line: bytes) -> StoredFile:
    return _FILE.validate_json(line, strict=True)


def _valid(read: Callable[[bytes], T], text: bytes, what: str) -> T:
    try:
        return read(text)
    except ValidationError as wrong:  # its own text shows the input, which may hold anything
        raise NotAManifest(f"{what}: {wrong.error_count()} errors") from wrong
