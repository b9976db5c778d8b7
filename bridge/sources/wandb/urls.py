"""The signed URLs of files: asked for many at a time, and few of them kept, since a version may have a million."""

from __future__ import annotations

import threading
from bisect import bisect_left
from itertools import islice
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.core.model import ArtifactFile, SourceVersion
    from bridge.core.packed import Packed

PAGE = 5000  # files in one answer
BATCH = 1000  # names in one question
MOST_URLS = 20_000  # that are kept: W&B's are up to 1 KB each


class FileUrls:
    """
    URLs by version and path; the newest are kept. Thread-safe: threads that read one version ask once for them all.

    `ask` asks W&B for the URLs of these names, or for any PAGE of them if there are none.
    """

    def __init__(self, ask: Callable[[SourceVersion, list[str] | None], dict[str, str]]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._kept: dict[str, dict[str, str]] = {}  # artifact id -> path -> URL; the newest last, of both
        self._files: WeakValueDictionary[str, Packed[ArtifactFile]] = WeakValueDictionary()

    def know(self, version: SourceVersion, files: Packed[ArtifactFile]) -> None:
        """Hear what files a version has, for as long as somebody else needs the list: whoever copies them does."""
        self._files[version.id] = files

    def url(self, version: SourceVersion, path: str, refused: str | None = None) -> str | None:
        """Return a file's URL, another one than that which was refused; None if W&B gives none."""
        with self._lock:
            kept = self._kept.get(version.id)
            files = self._files.get(version.id, ())
            if kept is None and len(files) <= PAGE:
                kept = self._keep(version, self._ask(version, None))
            if kept is None or kept.get(path, refused) == refused:
                kept = self._keep(version, self._ask(version, _beside(path, files)))
            return kept.get(path)

    def _keep(self, version: SourceVersion, urls: dict[str, str]) -> dict[str, str]:
        older = self._kept.pop(version.id, {})
        kept = self._kept[version.id] = {path: url for path, url in older.items() if path not in urls} | urls
        for each in [*self._kept]:
            excess = sum(map(len, self._kept.values())) - MOST_URLS
            for path in [*islice(self._kept[each], max(excess, 0))]:
                del self._kept[each][path]
            if not self._kept[each]:
                del self._kept[each]
        return kept


def _beside(path: str, files: Packed[ArtifactFile] | tuple[()]) -> list[str]:
    """Return the path and those that are probably read next; files are read in their order."""
    at = bisect_left(files, path, key=lambda file: file.path)
    at -= at % BATCH
    return [path, *(file.path for file in files[at : at + BATCH] if file.path != path)]
