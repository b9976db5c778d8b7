"""Reading what lies in a bucket again, to know what its bytes are."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from bridge.copying.digesting import Digesting
from bridge.core.errors import TryAgain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future
    from contextlib import AbstractContextManager

    from bridge.copying.throttle import Throttle
    from bridge.core.model import StoredFile

    Open = Callable[[str], AbstractContextManager[Iterator[bytes]]]

PARALLEL = 4  # files that are read at a time; of each, two pieces of the reader's are in memory


def reread(
    open_as_is: Open, folder: str, files: Iterable[StoredFile], throttle: Throttle, *, parallel: int = PARALLEL
) -> Iterator[tuple[StoredFile, StoredFile]]:
    """
    Read files again as Storage.reread says; `open_as_is` streams the object of a URI, whatever its bytes are.

    Files are taken as there is room, in the caller's thread, and bytes as `throttle` lets them. When the caller has
    enough, or is interrupted, what is being read is given up at its next piece.
    """
    halted = threading.Event()
    ahead: deque[Future[tuple[StoredFile, StoredFile]]] = deque()
    with ThreadPoolExecutor(parallel, thread_name_prefix="reread") as pool:
        try:
            for file in files:
                ahead.append(pool.submit(_read, open_as_is, folder, file, throttle, halted))
                if len(ahead) == 2 * parallel:  # so that one large file does not keep the others waiting
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            halted.set()
            pool.shutdown(wait=False, cancel_futures=True)


def _read(
    open_as_is: Open, folder: str, file: StoredFile, throttle: Throttle, halted: threading.Event
) -> tuple[StoredFile, StoredFile]:
    found = file
    for _ in range(2):  # the second time is for bytes that changed on their way
        with open_as_is(f"{folder}{file.path}") as pieces:
            found = _digested(file, throttle.passed(pieces), halted)
        if found == file:
            break
    return file, found


def _digested(file: StoredFile, pieces: Iterator[bytes], halted: threading.Event) -> StoredFile:
    digesting = Digesting(file)
    for piece in pieces:
        if halted.is_set():
            raise TryAgain("reading was stopped")
        digesting.take(piece)
    return digesting.stored()
