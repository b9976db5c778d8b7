"""What opens the bytes of a file at an offset, out of pieces; and a copier with nothing around it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bridge.copying.budget import Budget
from bridge.copying.copier import StreamingCopier
from bridge.testing.store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bridge.core.ports import Clock, Reader, Source, Storage, Store
    from bridge.core.records import Progress
    from bridge.core.settings import CopySettings


def copier_of(
    source: Source,
    storage: Storage,
    clock: Clock,
    settings: CopySettings | None = None,
    *,
    store: Store | None = None,
    watch: Callable[[Progress], None] = lambda _progress: None,
) -> StreamingCopier:
    """Make a copier between these two ends."""
    store = store or MemoryStore()
    return StreamingCopier(source, storage, store, store, clock, Budget(clock, settings), watch)


def reader_of(make: Callable[[], Iterable[bytes]]) -> Reader:
    """Open what `make` gives, each time anew, and leave out what comes before the offset."""

    @contextmanager
    def opened(start: int) -> Iterator[Iterator[bytes]]:
        yield _from(start, make())

    return opened


def reading(content: bytes, size: int = 1 << 20) -> Reader:
    """Open a content that comes in pieces of that size."""
    return reader_of(lambda: [content[at : at + size] for at in range(0, len(content), size)])


def _from(start: int, pieces: Iterable[bytes]) -> Iterator[bytes]:
    at = 0
    for piece in pieces:
        at += len(piece)
        if at > start or start == 0:
            yield piece[max(len(piece) - (at - start), 0) :] if start else piece
