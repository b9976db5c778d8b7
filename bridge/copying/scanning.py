"""A program of the user's looks at a version before it is registered: it reads a tar of all files on its stdin."""

from __future__ import annotations

import os
import signal
import subprocess
import tarfile
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING, cast

from bridge.copying.digesting import WRONG_IN_BUCKET, Digesting
from bridge.copying.parallel import stopped
from bridge.core.errors import IntegrityError, NeedsPerson, TryAgain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.copying.budget import Budget
    from bridge.core.model import Scan, SourceVersion, StoredFile
    from bridge.core.ports import Bucket

PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR")  # of our environment: nothing that may hold a secret
PIECE = 1 << 20  # bytes that a bucket's pieces have, at most
KEPT = 4096  # bytes of what the program says
LISTENS_FOR = 1.0  # seconds after its end, should something that it has started hold its output open
SHOWN = 200  # characters of its last line
AGAIN = "see what it found; log a version that is clean, or mend the scanner, and run: bridge retry"


@dataclass(frozen=True, slots=True)
class Scanner:
    """
    Asks a program about whole folders of one bucket. Only its word that a version is clean counts as that.

    It is run once a version, in an empty directory, without our credentials; it is clean if the program takes all of
    the tar and ends with 0. Bytes go from the bucket to it as they come, and are those of the manifest.
    """

    bucket: Bucket
    budget: Budget
    program: Scan

    def scan(self, version: SourceVersion, folder: str) -> None:
        """Return if the version in this folder is clean. Raises NeedsPerson if it is not known to be, TryAgain."""
        manifest = self.bucket.manifest(folder)
        if manifest is None:
            raise TryAgain(f"{folder} has no manifest any more, so there is nothing to scan")
        with self._run(version) as run:
            try:
                # What tarfile buffers it slices anew for each block, so its blocks are as large as what comes.
                with tarfile.open(fileobj=run.input, mode="w|", bufsize=PIECE, format=tarfile.PAX_FORMAT) as tar:
                    tar.copybufsize = PIECE  # type: ignore[attr-defined]  # typeshed does not know it
                    for file in manifest.files:
                        self._add(tar, folder, file)
                run.input.close()
            except BrokenPipeError:
                run.took_all = False
            code = run.process.wait()
        if run.is_late:
            raise self._not_clean(version, f"it had not ended after {self.program.within:g} s", run)
        if code != 0:
            raise self._not_clean(version, f"it ended with {code}", run)
        if not run.took_all:
            raise self._not_clean(version, "it ended before it had read all of it", run)

    def _add(self, tar: tarfile.TarFile, folder: str, file: StoredFile) -> None:
        entry = tarfile.TarInfo(file.path)
        entry.size = file.size
        with self.bucket.read(folder, file.path) as pieces:
            reader = _Reader(self._bounded(pieces), folder, file)
            tar.addfile(entry, cast("IO[bytes]", reader))
            reader.finish()

    def _bounded(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in self.budget.throttle.passed(pieces):
            if self.budget.halted.is_set():
                raise stopped()
            yield piece

    @contextmanager
    def _run(self, version: SourceVersion) -> Iterator[_Run]:
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        with TemporaryDirectory(prefix="bridge-scan-") as desk:
            try:
                process = subprocess.Popen(  # noqa: S603  whoever writes the configuration says what is run
                    self.program.command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    cwd=desk,
                    env=environment,
                    start_new_session=True,  # so that what it starts ends with it, and no Ctrl-C reaches it
                )
            except (OSError, ValueError) as problem:
                raise NeedsPerson(
                    f"{version} is not registered, since the scanner {self.program.command[0]!a} cannot be started: "
                    f"{problem.strerror if isinstance(problem, OSError) else problem}",
                    "install it where the bridge runs, or mend scan.command of the mapping, and run: bridge retry",
                ) from problem
            run = _Run(process)
            clock = threading.Timer(self.program.within, run.end_late)
            listener = threading.Thread(target=run.listen, name="scan-output", daemon=True)
            clock.daemon = True
            clock.start()
            listener.start()
            try:
                yield run
            finally:
                clock.cancel()
                run.kill()
                with suppress(BrokenPipeError):
                    run.input.close()
                process.wait()
                listener.join(LISTENS_FOR)

    def _not_clean(self, version: SourceVersion, why: str, run: _Run) -> NeedsPerson:
        program = self.program.command[0]
        said = f" and said {run.last_line!a}" if run.last_line else ""
        return NeedsPerson(
            f"{version} is not registered, since the scanner {program!a} did not call it clean: {why}{said}", AGAIN
        )


@dataclass(slots=True)
class _Run:
    """One process, and what is known of it."""

    process: subprocess.Popen[bytes]
    took_all: bool = True
    is_late: bool = False
    _said: bytearray = field(default_factory=bytearray)

    @property
    def input(self) -> IO[bytes]:
        assert self.process.stdin is not None  # noqa: S101  it was asked for
        return self.process.stdin

    @property
    def last_line(self) -> str:
        """What it said last, of the first few KiB."""
        lines = bytes(self._said).decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")[:SHOWN]

    def listen(self) -> None:
        """Keep the beginning of what it says, and take the rest from it, so that it need not wait."""
        assert self.process.stdout is not None  # noqa: S101  the same
        with self.process.stdout as said:
            while piece := said.read1(KEPT):  # type: ignore[attr-defined]  # a BufferedReader
                self._said += piece[: KEPT - len(self._said)]

    def end_late(self) -> None:
        """End it, and note that it had time enough."""
        self.is_late = True
        self.kill()

    def kill(self) -> None:
        """End it and all that it started. Idempotent."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


class _Reader:
    """A file as tarfile reads one, of pieces that come; its bytes are compared with the manifest."""

    def __init__(self, pieces: Iterator[bytes], folder: str, file: StoredFile) -> None:
        self._pieces = pieces
        self._uri = f"{folder}{file.path}"
        self._file = file
        self._digesting = Digesting(file)
        self._left = b""

    def read(self, size: int) -> bytes:
        """Return so many bytes. Raises IntegrityError if there are no more."""
        while len(self._left) < size:
            piece = next(self._pieces, None)
            if piece is None:
                raise self._wrong()
            self._digesting.take(piece)
            self._left += piece
        taken, self._left = self._left[:size], self._left[size:]
        return taken

    def finish(self) -> None:
        """See that it ends here, and was what the manifest says. Raises IntegrityError."""
        if self._left or next(self._pieces, b"") or self._digesting.stored() != self._file:
            raise self._wrong()

    def _wrong(self) -> IntegrityError:
        return IntegrityError(
            f"{self._uri}: its bytes are not those that the manifest tells of, so the version is not registered",
            WRONG_IN_BUCKET,
        )
