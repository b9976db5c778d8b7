"""
Measures copies of three shapes against the naive way: download to disk, then upload_many_from_filenames.

`BRIDGE_BENCH=… python -m benchmarks.copying` prints a table; `measure` gives its rows to benchmarks.run. BRIDGE_BENCH
names the folder of sink.c, a target shaped like Cloud Storage that is no bottleneck; without it there are no rows.

Each copy runs in a process of its own; the ways alternate in one run, and only their ratios mean anything. The source
is a server of files that are all alike, read from the page cache; there is no TLS and no distance. Ours takes md5 and
crc32c of every byte, the naive way crc32c alone.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import requests
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage  # noqa: TID251  the naive way is Google's client
from google.cloud.storage import transfer_manager  # noqa: TID251  the same

from benchmarks.table import Row, say_table
from bridge.copying.copier import StreamingCopier
from bridge.copying.gcs import GcsStorage
from bridge.core.model import ArtifactFile, Description, Digest, Facts, SourceVersion
from bridge.net.lines import Lines
from bridge.run.clock import SystemClock
from bridge.sources.streams import open_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from bridge.core.model import CollectionSelector, Sweep

MIB, GIB = 1 << 20, 1 << 30
ROUNDS = 3
THREADS = 8  # of the naive way
PROJECT = "bench"
VERSION = SourceVersion("bench", "acme/bench/model", "v0", "id-0", "digest-0", "")


@dataclass(frozen=True, slots=True)
class Shape:
    """Some files of one size, and what is to be reached: speed against the naive way, CPU-s/GiB."""

    files: int
    size: int  # bytes
    speed: float
    cpu: float

    def __str__(self) -> str:
        size = f"{self.size // MIB} MiB" if self.size >= MIB else f"{self.size // 1024} KiB"
        return f"{self.files:,} x {size}"


# The goal for one large file is of 2 GiB; a quarter of that takes a fresh machine long enough.
SHAPES = (Shape(1, 512 * MIB, 3, 1.3), Shape(16, 64 * MIB, 3, 1.3), Shape(2000, 64 << 10, 4, 8))
MEMORY = 100  # MB above idle, at most


@dataclass(frozen=True, slots=True)
class Cost:
    """What one copy cost the process that made it."""

    seconds: float
    cpu: float  # seconds
    memory: float  # MB at most, above what it held before


@dataclass(frozen=True, slots=True)
class Job:
    """What a process is asked to do, as JSON."""

    way: str
    files: int
    size: int
    md5: str
    source: str  # URL of the one file that all are
    sink: str  # URL


class OneFile:
    """The Source port over a server: a version whose files are all alike, read as the real sources read theirs."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._lines = Lines()

    def describe(self, _: SourceVersion) -> Description:
        """See the port."""
        digest = Digest("md5", self._job.md5)
        files = (ArtifactFile(f"f{number:05}", self._job.size, digest) for number in range(self._job.files))
        return Description(tuple(files), Facts())

    def open(self, _: SourceVersion, file: ArtifactFile, start: int = 0) -> AbstractContextManager[Iterator[bytes]]:
        """See the port."""
        return open_url(self._lines, lambda _: self._job.source, file.path, start)

    def sweep(self, _: Sequence[CollectionSelector]) -> Sweep:
        """Is not asked for."""
        raise NotImplementedError

    def is_gone(self, _: str, __: str, ___: CollectionSelector | None = None) -> bool:
        """Is not asked for."""
        raise NotImplementedError


def ours(job: Job) -> None:
    """Copy as the bridge does."""
    with closing(GcsStorage(PROJECT, job.sink)) as there:
        manifest = StreamingCopier(OneFile(job), there, SystemClock()).copy(VERSION, "gs://bk/ours/")
    assert len(manifest.files) == job.files


def naive(job: Job) -> None:
    """Download all to disk, then upload all, with threads."""
    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=THREADS))
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(THREADS) as pool:
        names = [f"f{number:05}" for number in range(job.files)]

        def download(name: str) -> None:
            with session.get(job.source, stream=True, timeout=60) as answer, Path(folder, name).open("wb") as file:
                shutil.copyfileobj(answer.raw, file, MIB)

        list(pool.map(download, names))
        client = storage.Client(PROJECT, AnonymousCredentials(), client_options={"api_endpoint": job.sink})
        # Its threads would open a connection for each request without a pool of that size.
        client._http.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=THREADS))  # noqa: SLF001  the same
        results = transfer_manager.upload_many_from_filenames(
            client.bucket("bk"),
            names,
            source_directory=folder,
            blob_name_prefix="naive/",
            skip_if_exists=True,
            raise_exception=True,
            max_workers=THREADS,
            worker_type=transfer_manager.THREAD,
        )
    assert len(results) == job.files


def work(job: Job) -> Cost:
    """Do a job in this process."""
    os.environ["DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA"] = "true"
    idle = held("VmRSS")
    cpu, wall = time.process_time(), time.perf_counter()
    {"ours": ours, "naive": naive}[job.way](job)
    spent = time.perf_counter() - wall, time.process_time() - cpu
    return Cost(*spent, held("VmHWM") - idle)


def held(which: str) -> float:
    """Return the memory that this process holds (VmRSS), or held at most (VmHWM), in MB."""
    # ru_maxrss would also count what the parent held when it forked.
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith(which))


def serve(listener: socket.socket, path: Path) -> NoReturn:
    """Answer every request on a socket by one whole file, each connection in a thread."""
    size = path.stat().st_size
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode()

    def talk(peer: socket.socket) -> None:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with peer, path.open("rb") as file:
            while asked := peer.recv(65536):
                assert asked.endswith(b"\r\n\r\n")
                peer.sendall(head, socket.MSG_MORE)
                at = 0
                while at < size:
                    at += os.sendfile(peer.fileno(), file.fileno(), at, size - at)

    while True:
        threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()


@contextmanager
def source(path: Path) -> Iterator[str]:
    """Serve a file from a process of its own; yield its URL."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        command = [sys.executable, "-m", "benchmarks.copying", "serve", str(listener.fileno()), str(path)]
        with ended(subprocess.Popen(command, pass_fds=(listener.fileno(),))):  # noqa: S603  our own words
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/file"


@contextmanager
def sink(folder: Path, sources: Path) -> Iterator[str]:
    """Compile the target and run it; yield its URL."""
    built, code = folder / "sink", sources / "sink.c"
    gcc = ["gcc", "-O2", "-msse4.2", "-w", "-o", str(built), str(code), "-lcrypto", "-lpthread"]
    subprocess.run(gcc, check=True)  # noqa: S603  our own words
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    # Its md5 would be the bottleneck (its README), so it compares none.
    with ended(subprocess.Popen([str(built), str(port)], env={**os.environ, "SINK_MD5": "0"})):  # noqa: S603  the same
        url = f"http://127.0.0.1:{port}"
        for _ in range(100):
            try:
                requests.get(f"{url}/stats", timeout=5)
                break
            except requests.ConnectionError:
                threading.Event().wait(0.05)
        yield url


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End a process with the block."""
    try:
        yield
    finally:
        process.kill()
        process.wait()


def run(job: Job) -> Cost:
    """Do a job in a fresh process, and see that all has arrived."""
    requests.get(f"{job.sink}/reset", timeout=5)
    command = [sys.executable, "-m", "benchmarks.copying", "work", json.dumps(asdict(job))]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)  # noqa: S603  our own words
    stats = requests.get(f"{job.sink}/stats", timeout=5).json()
    assert stats["put"] == job.files + (job.way == "ours")  # and the manifest
    assert stats["bytes"] >= job.files * job.size
    return Cost(**json.loads(done.stdout))


def rows(shape: Shape, costs: dict[str, list[Cost]]) -> list[Row]:
    """Turn the costs of both ways into rows."""
    total = shape.files * shape.size
    pairs = list(zip(costs["naive"], costs["ours"], strict=True))
    result: list[Row] = [
        (
            f"copy {shape}: speed",
            f">= {shape.speed:g}",
            "x naive",
            [naive.seconds / ours.seconds for naive, ours in pairs],
        ),
    ]
    for way, goals in (("ours", (f"<= {shape.cpu:g}", f"<= {MEMORY}")), ("naive", ("-", "-"))):
        spent = costs[way]
        result += [
            (f"copy {shape}, {way}: CPU", goals[0], "CPU-s/GiB", [cost.cpu / total * GIB for cost in spent]),
            (f"copy {shape}, {way}: memory above idle", goals[1], "MB", [cost.memory for cost in spent]),
            (f"copy {shape}, {way}", "-", "MB/s", [total / cost.seconds / 1e6 for cost in spent]),
        ]
    return result


def measure(shapes: Sequence[Shape] = SHAPES) -> list[Row]:
    """Measure all shapes, each way in turn, some times; nothing without BRIDGE_BENCH."""
    named = os.environ.get("BRIDGE_BENCH")
    if not named:
        sys.stderr.write("copies are not measured: BRIDGE_BENCH does not name the folder of sink.c\n")
        return []
    result: list[Row] = []
    with tempfile.TemporaryDirectory() as folder, sink(Path(folder), Path(named)) as target:
        block = os.urandom(64 << 10)
        for shape in shapes:
            path, md5 = Path(folder, "file"), hashlib.md5(usedforsecurity=False)
            with path.open("wb") as file:
                for _ in range(shape.size // len(block)):
                    md5.update(block)
                    file.write(block)
            costs: dict[str, list[Cost]] = {"naive": [], "ours": []}
            with source(path) as url:
                for _ in range(ROUNDS):
                    for way, spent in costs.items():
                        digest = base64.b64encode(md5.digest()).decode()
                        spent.append(run(Job(way, shape.files, shape.size, digest, url, target)))
            result += rows(shape, costs)
    return result


def main() -> None:
    """Print the table; or be one of the processes that it takes."""
    match sys.argv[1:]:
        case ["work", job]:
            sys.stdout.write(json.dumps(asdict(work(Job(**json.loads(job))))))
        case ["serve", number, path]:
            serve(socket.socket(fileno=int(number)), Path(path))
        case _:
            say_table(measure())


if __name__ == "__main__":
    main()
