"""
One copy in a process of its own: `python -m benchmarks.copying.work` reads a Job and writes its Cost.

The ways:
    ours      the bridge
    kept      the bridge, with a store in SQLite, which does not keep in memory what it knows of each file
    again     the bridge, of a version whose files are mostly those of another that it copied before
    naive     download to disk with threads, then upload_many_from_filenames with threads
    limit:N   phys with N threads: crc32c of every byte and nothing else, in C
    rclone    rclone, if it is there; it compares no md5, since the source gives it none
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage  # noqa: TID251  the naive way is Google's client
from google.cloud.storage import transfer_manager  # noqa: TID251  the same

from benchmarks.copying.engine import FIRST, PROJECT, SECOND, engine
from benchmarks.copying.job import Cost, Job
from benchmarks.copying.shapes import MIB
from benchmarks.copying.sink import tally
from bridge.store.sql import open_store

if TYPE_CHECKING:
    from collections.abc import Callable

THREADS = 8  # of the naive way


def work(job: Job) -> Cost:
    """Do a job, and see that all has arrived."""
    if job.way == "again":
        with engine(job) as copier:
            copier.copy(FIRST, "gs://bk/first/")
            return cost(lambda: copier.copy(SECOND, "gs://bk/second/"), job)
    way, _, threads = job.way.partition(":")
    does: dict[str, Callable[[], object]] = {
        "ours": lambda: ours(job),
        "kept": lambda: kept(job),
        "naive": lambda: naive(job),
        "limit": lambda: limit(job, threads),
        "rclone": lambda: rclone(job),
    }
    spent = cost(does[way], job)
    assert spent.objects >= job.files, f"{spent.objects} of {job.files} files have arrived"
    assert spent.sent >= job.files * job.size
    return spent


def ours(job: Job) -> None:
    """Copy as the bridge does."""
    with engine(job) as copier:
        manifest = copier.copy(FIRST, "gs://bk/ours/")
    assert len(manifest.files) == job.files


def kept(job: Job) -> None:
    """Copy as the bridge does, with a store on disk."""
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(open_store(f"sqlite:///{folder}/bridge.db")) as store,
        engine(job, store=store) as copier,
    ):
        manifest = copier.copy(FIRST, "gs://bk/ours/")
    assert len(manifest.files) == job.files


def naive(job: Job) -> None:
    """Download all to disk, then upload all, with threads."""
    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=THREADS))
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(THREADS) as pool:
        names = [f"f{number:05}" for number in range(job.files)]

        def download(number: int) -> None:
            with (
                session.get(job.url(number), stream=True, timeout=60) as answer,
                Path(folder, names[number]).open("wb") as file,
            ):
                shutil.copyfileobj(answer.raw, file, MIB)

        list(pool.map(download, range(job.files)))
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


def limit(job: Job, threads: str) -> None:
    """Copy with nothing around it."""
    ports = [str(urlsplit(url).port) for url in (job.source, job.sink)]
    phys, listed = Path(job.tools, "phys"), Path(job.tools, f"{job.name}.lst")
    run(str(phys), str(listed), "1", threads, *ports)


def rclone(job: Job) -> None:
    """Copy with rclone."""
    source = ["--http-url", f"{job.source}/{job.name}/", ":http:"]
    target = [":gcs:bk/rclone", "--gcs-anonymous", "--gcs-endpoint", f"{job.sink}/storage/v1/", "--gcs-no-check-bucket"]
    run("rclone", "copy", "--config", "", "--quiet", "--transfers", str(THREADS), *source, *target)


def run(*command: str) -> None:
    """Run a program to its end, without what it says."""
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603  our own words


def cost(work: Callable[[], object], job: Job) -> Cost:
    """Return what `work` costs."""
    before, idle, spent = tally(job.sink), held("VmRSS"), used()
    begun = time.perf_counter()
    work()
    seconds = time.perf_counter() - begun
    cpu, written = (after - earlier for after, earlier in zip(used(), spent, strict=True))
    after = tally(job.sink)
    return Cost(
        seconds,
        cpu,
        held("VmHWM") - idle,
        round(written),
        after.requests - before.requests,
        after.objects - before.objects,
        after.sent - before.sent,
    )


def used() -> tuple[float, float]:
    """Return the CPU seconds, and the bytes written to disk, of this process and those that it started."""
    both = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in both), sum(each.ru_oublock * 512 for each in both)


def held(which: str) -> float:
    """Return the memory that this process holds (VmRSS), or held at most (VmHWM), in MB."""
    # ru_maxrss would also count what the parent held when it forked.
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in status if line.startswith(which))


if __name__ == "__main__":
    os.environ["DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA"] = "true"  # or the naive way asks once more
    sys.stdout.write(json.dumps(asdict(work(Job(**json.load(sys.stdin))))))
