"""The bridge's copy engine, made here as app.py makes it; nothing else of this benchmark knows how that is done."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bridge.copying.budget import Budget
from bridge.copying.copier import StreamingCopier
from bridge.copying.gcs import GcsStorage
from bridge.core.model import ArtifactFile, Description, Digest, Facts, SourceVersion
from bridge.core.packed import pack_files
from bridge.core.settings import CopySettings
from bridge.net.lines import Lines
from bridge.run.clock import SystemClock
from bridge.sources.streams import open_url
from bridge.testing.store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from benchmarks.copying.job import Job
    from bridge.core.model import CollectionSelector, Sweep
    from bridge.core.ports import Copier, Source, Store

PROJECT = "bench"
FIRST, SECOND = (SourceVersion("bench", "acme/bench/model", f"v{n}", f"id-{n}", f"digest-{n}", "") for n in (0, 1))


@contextmanager
def engine(job: Job, *, source: Source | None = None, store: Store | None = None) -> Iterator[Copier]:
    """Make what copies from the job's source to its target."""
    clock, store = SystemClock(), store or MemoryStore()
    chosen: dict[str, Any] = dict(job.settings)
    budget = Budget(clock, replace(CopySettings(), **chosen))
    with closing(GcsStorage(PROJECT, job.sink, clock=clock, uploads=store, budget=budget)) as there:
        yield StreamingCopier(source or Slices(job), there, store, store, clock, budget, lambda _progress: None)


class Slices:
    """The Source port over a server of slices, read as the real sources read theirs; the second version is changed."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._lines = Lines()

    def describe(self, version: SourceVersion) -> Description:
        """See the port."""
        job = self._job
        files = pack_files(
            ArtifactFile(f"f{number:05}", job.size, self._digest(self._slice(version, number)))
            for number in range(job.files)
        )
        return Description(files, Facts())

    def open(
        self, version: SourceVersion, file: ArtifactFile, start: int = 0
    ) -> AbstractContextManager[Iterator[bytes]]:
        """See the port."""
        url = self._job.url(self._slice(version, int(file.path[1:])))
        return open_url(self._lines, lambda _: url, file.path, start, checked=file.digest is not None)

    def is_deleted(self, version: SourceVersion, selector: CollectionSelector) -> bool:
        """Is not asked for."""
        raise NotImplementedError

    def sweep(self, _: Sequence[CollectionSelector]) -> Sweep:
        """Is not asked for."""
        raise NotImplementedError

    def is_gone(self, _: str, __: str, ___: CollectionSelector | None = None) -> bool:
        """Is not asked for."""
        raise NotImplementedError

    def check_access(self) -> None:
        """Is not asked for."""
        raise NotImplementedError

    def _digest(self, number: int) -> Digest | None:
        return Digest("md5", self._job.digests[number]) if self._job.digests else None

    def _slice(self, version: SourceVersion, number: int) -> int:
        """Return which slice a file is; the last files of the second version are slices of their own."""
        job = self._job
        return number + job.changed if version == SECOND and number >= job.files - job.changed else number
