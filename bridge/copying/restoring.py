"""
The way back: a version's files from the bucket to a folder on disk, every byte verified by the manifest.

What is under way lies beside the folder, in `DIR.unfinished`, and is renamed to DIR when all of it is there:

    of          which folder of the bucket it is; locked while somebody is at it
    parts/7     bytes of the manifest's file 7, as far as they have come
    files/…     files that are whole and verified, under their own names

So DIR is whole or not there, no name from a manifest is ever that of anything but a verified file, and whoever is
interrupted goes on where it was. Nothing that is there is overwritten.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.copying.digesting import WRONG_IN_BUCKET, Digesting
from bridge.copying.parallel import in_parallel, stopped
from bridge.copying.progress import Meter
from bridge.core.errors import IntegrityError, NeedsPerson
from bridge.core.naming import check_paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from threading import Event

    from bridge.copying.budget import Budget
    from bridge.core.model import Manifest, SourceVersion, StoredFile
    from bridge.core.ports import Bucket, Clock
    from bridge.core.records import Progress

PARALLEL = 8  # files at a time, at most; of each, two pieces of the reader's are in memory
PIECE = 1 << 20  # bytes of a file on disk that are read again at a time
AGAIN = "mend that, and run it again: it goes on where it was"


def free_space(folder: Path) -> int:
    """Return how many bytes a folder's disk has left."""
    return shutil.disk_usage(folder).free


@dataclass(frozen=True, slots=True)
class _Job:
    """One file to bring: from where, and where it is to lie, first in part and then whole."""

    folder: str
    file: StoredFile
    part: Path
    final: Path


@dataclass(frozen=True, slots=True)
class Restorer:
    """Restores versions from one bucket; `watch` is told how far it is."""

    bucket: Bucket
    clock: Clock
    budget: Budget
    watch: Callable[[Progress], None] = lambda _progress: None
    free: Callable[[Path], int] = free_space

    def restore(self, version: SourceVersion, folder: str, into: Path, *, kept: str | None = None) -> Manifest:
        """
        Bring all files of a version's folder to a directory that is empty or not there yet; return the manifest.

        That lies in `kept`, if a person filled the folder; what is in the folder by now and not in it is left alone.
        Raises NeedsPerson if the folder is not whole or not the version's, a name of its manifest is refused, the
        directory is taken, or the disk does not take it all; IntegrityError if bytes are not the manifest's; TryAgain.
        """
        target = _free_place(into)
        holds = kept or folder
        manifest = self.bucket.manifest(holds)
        if manifest is None:
            raise NeedsPerson(
                f"{holds} has no manifest, so it is not whole, and nothing is restored from it",
                "look for another copy: bridge where, bridge history",
            )
        if not manifest.is_of(version):
            raise NeedsPerson(
                f"{holds} holds {manifest.collection} {manifest.label} and not the bytes that were registered as "
                f"{version}, so nothing is restored from it",
                "see what differs: bridge verify",
            )
        check_names([file.path for file in manifest.files])
        with _unwell(target), _opened(target, f"{folder} {manifest.created}\n") as desk:
            self._bring_all(version, folder, manifest.files, desk)
            (desk / "files").rename(target)
            shutil.rmtree(desk)
        return manifest

    def _bring_all(self, version: SourceVersion, folder: str, files: Sequence[StoredFile], desk: Path) -> None:
        total = sum(file.size for file in files)
        left = (each for kind in ("parts", "files") for each in (desk / kind).rglob("*") if each.is_file())
        there = sum(each.stat().st_size for each in left)
        if (free := self.free(desk)) < total - there:
            raise NeedsPerson(
                f"{total - there} bytes are still to come, and the disk of {desk.parent} has {free} left",
                "make room, or name a folder on a larger disk",
            )
        meter = Meter(self.clock, version, len(files), total, self.watch)

        def bring(item: tuple[int, StoredFile], halted: Event) -> None:
            number, file = item
            with _unwell(desk):
                job = _Job(folder, file, desk / "parts" / str(number), desk / "files" / file.path)
                meter.done(file.size - self._bring(job, meter, halted))

        parallel = max(1, min(PARALLEL, self.budget.settings.parallel_files, len(files)))
        with closing(
            in_parallel(bring, enumerate(files), parallel=lambda: parallel, halted=self.budget.halted)
        ) as brought:
            for _ in brought:
                pass
        meter.end()

    def _bring(self, job: _Job, meter: Meter, halted: Event) -> int:
        """Bring one file, unless it is there; return how many bytes came through here."""
        if _is_whole(job.final, job.file):
            return 0
        passed = 0
        for begun in (job.part.exists(), False):
            digesting = Digesting(job.file)
            with job.part.open("ab" if begun else "wb") as written:
                if begun:
                    _reread(job.part, digesting)
                for piece in self._pieces(job, digesting.size, halted):
                    written.write(piece)
                    digesting.take(piece)
                    meter.passed(len(piece))
                    passed += len(piece)
                written.flush()
                os.fsync(written.fileno())
            found = digesting.stored()
            if found == job.file:
                _put_in_place(job)
                return passed
            job.part.unlink()
            if not begun:  # else what was there from before may be wrong, and all of it is read once more
                break
        raise _other_bytes(job, found)

    def _pieces(self, job: _Job, start: int, halted: Event) -> Iterator[bytes]:
        if start >= job.file.size:
            return
        with self.bucket.read(job.folder, job.file.path, start) as pieces:
            for piece in pieces:
                if halted.is_set() or self.budget.halted.is_set():  # the second is seen at once
                    raise stopped()
                self.budget.throttle.take(len(piece))
                yield piece


def check_names(paths: Sequence[str]) -> None:
    """Make sure that names out of a manifest are those of files below a folder, and none is also a directory's."""
    check_paths(paths)
    files = set(paths)
    for path in paths:
        for parent in Path(path).parents:
            if str(parent) in files:
                raise NeedsPerson(
                    f"{str(parent)!a} is a file of this version, and {path!a} lies below it: no disk takes both",
                    "take the files out of the bucket with a tool that gives them other names",
                )


def _free_place(into: Path) -> Path:
    """Return where a folder may come to be, as an absolute path. Raises NeedsPerson if something is there."""
    target = Path(os.path.abspath(into))  # noqa: PTH100  resolve() would follow a link that stands in its place
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise NeedsPerson(f"{target} is there, and no folder", "name a folder that is empty, or not there yet")
    if target.is_dir() and any(target.iterdir()):
        raise NeedsPerson(
            f"{target} is not empty, and nothing in it is overwritten", "name a folder that is empty, or not there yet"
        )
    if not target.parent.is_dir():
        raise NeedsPerson(f"the folder {target.parent} is not there", "make it, or name another one")
    if target.is_mount():
        raise NeedsPerson(f"{target} is a disk of its own, which no folder can be put in place of", "name one below it")
    return target


@contextmanager
def _opened(target: Path, of: str) -> Iterator[Path]:
    """Have what is under way to ourselves: made anew, or as an earlier attempt at just the same has left it."""
    desk = target.with_name(f"{target.name}.unfinished")
    if desk.is_symlink():
        raise NeedsPerson(f"{desk} is a link, which nothing is written through", "remove it")
    desk.mkdir(mode=0o700, exist_ok=True)
    with (desk / "of").open("a+", encoding="utf-8") as note:
        try:
            fcntl.flock(note, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as busy:
            raise NeedsPerson(f"somebody else is just restoring to {target}", "wait for them") from busy
        note.seek(0)
        if (said := note.read()) not in ("", of):
            raise NeedsPerson(
                f"{desk} is what is left of another restore, from {said.partition(' ')[0]!a}",
                "finish that one, or remove it",
            )
        if not said:
            note.write(of)
            note.flush()
        for folder in ("parts", "files"):
            (desk / folder).mkdir(exist_ok=True)
        _refuse_links(desk)
        yield desk


def _refuse_links(desk: Path) -> None:
    for each in desk.rglob("*"):
        if each.is_symlink():
            raise NeedsPerson(f"{each} is a link, which the bridge has not made", "remove it, or the whole folder")


def _is_whole(final: Path, file: StoredFile) -> bool:
    """Tell whether a file is there as it should be; one that is not is removed."""
    if not final.is_file():
        return False
    digesting = Digesting(file)
    _reread(final, digesting)
    if digesting.stored() == file:
        return True
    final.unlink()
    return False


def _put_in_place(job: _Job) -> None:
    job.final.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(job.final):
        raise NeedsPerson(
            f"{job.file.path!a} and another file of this version are one and the same on this disk",
            "name a folder on a disk that tells upper case from lower case",
        )
    job.part.rename(job.final)


def _reread(path: Path, digesting: Digesting) -> None:
    with path.open("rb") as there:
        while piece := there.read(PIECE):
            digesting.take(piece)


def _other_bytes(job: _Job, found: StoredFile) -> IntegrityError:
    wanted = {name: getattr(job.file, name) for name in ("size", "crc32c", "md5", "xxh128", "sha256")}
    what = next(name for name, value in wanted.items() if getattr(found, name) != value)
    has, promised = getattr(found, what), wanted[what]
    return IntegrityError(
        f"{job.folder}{job.file.path}: its bytes have the {what} {has}, and the manifest says {promised}, "
        f"so the version is not restored",
        WRONG_IN_BUCKET,
    )


@contextmanager
def _unwell(place: Path) -> Iterator[None]:
    """Say what a disk does not take, in a sentence."""
    try:
        yield
    except OSError as problem:
        where = problem.filename or place
        if problem.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NeedsPerson(f"the disk of {place} is full", "make room, and run it again: it goes on") from problem
        raise NeedsPerson(f"{str(where)!a} cannot be written: {problem.strerror}", AGAIN) from problem
