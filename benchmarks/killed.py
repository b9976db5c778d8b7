"""
A copy that is killed at half, and the one after it: how much is sent again, and read again.

`python -m benchmarks.killed` prints a table. The source and the copies have processes of their own; the bucket is the
sandbox's, here, where all that comes is counted. The store is SQLite, with the addresses of uploads sealed in it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from benchmarks.copying.engine import FIRST, PROJECT, Slices, engine
from benchmarks.copying.files import Content, served
from benchmarks.copying.job import Job
from benchmarks.copying.shapes import GIB, MIB
from benchmarks.copying.work import held
from benchmarks.table import conditions, say_table
from bridge.copying.gcs.uploading import TRIAL
from bridge.core.settings import CopySettings
from bridge.sandbox.clock import SandboxClock
from bridge.sandbox.gcs.routes import router
from bridge.sandbox.gcs.server import Front, GcsServer
from bridge.sandbox.traffic import Traffic
from bridge.store.sql import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping
    from typing import Any

    from starlette.types import ASGIApp, Receive, Scope, Send

    from benchmarks.table import Row
    from bridge.core.model import ArtifactFile, SourceVersion

HOUSE = Path(__file__).parents[1]
BUCKET = "killed"
FOLDER = f"gs://{BUCKET}/v0/"
CHOSEN = ("memory", "parts_above", "slow_stream")  # settings that a copy is told


@dataclass(frozen=True, slots=True)
class Told:
    """What a copy that came to its end says of itself."""

    read: int  # bytes of the source
    memory: float  # MB at most, above what it held before


@dataclass(frozen=True, slots=True)
class Again:
    """What two copies of one file cost, the first of which was killed."""

    sent: int  # bytes to the bucket, in both
    read: int  # bytes of the source, in the second


class Counting(Front):
    """Counts the bytes of files that come, and kills a process when it is enough."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app)
        self.come = 0
        self.enough: int | None = None
        self.victim: subprocess.Popen[bytes] | None = None

    async def before_answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and count its body."""

        async def counted() -> MutableMapping[str, Any]:
            message = await receive()
            if scope["method"] == "PUT":
                self.come += len(message.get("body", b""))
                if self.victim is not None and self.enough is not None and self.come >= self.enough:
                    self.victim.send_signal(signal.SIGKILL)
            return message

        await super().before_answer(scope, counted, send)


class Counted(Slices):
    """Counts the bytes that are read."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.read = 0

    @contextmanager
    def open(self, version: SourceVersion, file: ArtifactFile, start: int = 0) -> Iterator[Iterator[bytes]]:
        """See the port."""
        with super().open(version, file, start) as pieces:
            yield self._counted(pieces)

    def _counted(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.read += len(piece)
            yield piece


@contextmanager
def stage(size: int, folder: Path) -> Iterator[tuple[Job, Counting, str]]:
    """Run both ends of a copy of one file without digest; yield it, what counts, and the md5 of the file after all."""
    content = Content(size)
    try:
        with _bucket(folder / "gcs") as (sink, front), served(content) as source:
            yield Job("", 1, size, 0, (), source, sink, ""), front, content.digests(size, 1)[0]
    finally:
        content.close()


@contextmanager
def _bucket(folder: Path) -> Iterator[tuple[str, Counting]]:
    server = GcsServer(folder, traffic=Traffic(), clock=SandboxClock())
    server.service.app = server.front = front = Counting(router(server.service))
    server.start()
    try:
        made = requests.post(
            f"{server.url}/storage/v1/b", params={"project": PROJECT}, json={"name": BUCKET}, timeout=10
        )
        made.raise_for_status()
        yield server.url, front
    finally:
        server.stop()


def copying(job: Job, store: Path, settings: CopySettings | None = None) -> subprocess.Popen[bytes]:
    """Start a copy in a fresh process; `told` says what came of it."""
    chosen = {name: getattr(settings or CopySettings(), name) for name in CHOSEN}
    asked = {"job": asdict(replace(job, settings=chosen)), "store": str(store)}
    command = [sys.executable, "-m", "benchmarks.killed", "--copy", json.dumps(asked)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, cwd=HOUSE)  # noqa: S603  our own words


def told(process: subprocess.Popen[bytes]) -> Told:
    """Wait for a copy to end well."""
    said, _ = process.communicate()
    assert process.returncode == 0
    return Told(**json.loads(said))


def copy(asked: dict[str, Any]) -> Told:
    """Copy, here."""
    job = Job(**asked["job"])
    source = Counted(job)
    with (
        closing(open_store(f"sqlite:///{asked['store']}")) as store,
        engine(job, source=source, store=store) as copier,
    ):
        idle = held("VmRSS")
        copier.copy(FIRST, FOLDER)
    return Told(source.read, held("VmHWM") - idle)


def killed(size: int, *, has_digest: bool, settings: CopySettings | None = None, trial: int = 0) -> Again:
    """Kill a copy of one file, after a trial of so many bytes, when the bucket has half; have another one end it."""
    with tempfile.TemporaryDirectory() as name, stage(size, Path(name)) as (bare, front, digest):
        job = replace(bare, digests=(digest,)) if has_digest else bare
        store = Path(name, "bridge.db")
        front.enough = trial + size // 2
        front.victim = copying(job, store, settings)
        front.victim.communicate()
        assert front.victim.returncode == -signal.SIGKILL
        front.victim = None
        again = told(copying(job, store, settings))
        lying = requests.get(f"{job.sink}/storage/v1/b/{BUCKET}/o", timeout=10).json()["items"]
        assert [(each["name"], each.get("md5Hash", digest)) for each in lying[1:]] == [
            ("v0/f00000", digest)
        ]  # parts: none
        return Again(front.come - trial, again.read)


def rows(size: int) -> Iterator[Row]:
    """Return the figures of one size."""
    for has_digest, which in ((True, "md5"), (False, "no digest")):
        again = killed(size, has_digest=has_digest)
        yield (f"1 x {size // MIB} MiB, {which}: sent again", "<= 32", "MiB", [(again.sent - size) / MIB])
        yield (f"1 x {size // MIB} MiB, {which}: read by the second copy", "-", "MiB", [again.read / MIB])
    # One stream is tried first, and is never quick enough here.
    settings = CopySettings(parts_above=TRIAL, slow_stream=1 << 50)
    sent = [(killed(size, has_digest=True, settings=settings, trial=TRIAL).sent - size) / MIB for _ in range(3)]
    yield (f"1 x {size // MIB} MiB, in parts: sent again", "<= 32", "MiB", sent)


def main() -> None:
    """Copy, if that is asked; else measure, and say it."""
    os.environ["DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA"] = "true"
    if sys.argv[1:2] == ["--copy"]:
        sys.stdout.write(json.dumps(asdict(copy(json.loads(sys.argv[2])))))
        return
    under = conditions()
    say_table(rows(GIB), under)


if __name__ == "__main__":
    main()
