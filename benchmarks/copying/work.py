"""
One copy in a process of its own: `python -m benchmarks.copying.work` reads a Job and writes its Cost.

The ways:
    ours      the bridge
    kept      the bridge, with a store in SQLite, which does not keep in memory what it knows of each file
    again     the bridge, of a version whose files are mostly those of another that it copied before
    naive     W&B's SDK downloads to disk, then Google's client uploads
    limit:N   phys with N threads: crc32c of every byte and nothing else, in C
    rclone    rclone, if it is there; it compares no md5, since the source gives it none
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from benchmarks.copying.engine import FIRST, SECOND, engine
from benchmarks.copying.job import Cost, Job
from benchmarks.copying.sink import tally
from bridge.store.sql import open_store

if TYPE_CHECKING:
    from collections.abc import Callable

THREADS = 8  # of rclone


def work(job: Job) -> Cost:
    """Do a job, and see that all has arrived."""
    if job.way == "again":
        with engine(job) as copier:
            copier.copy(FIRST, "gs://bk/first/")
            return cost(lambda: copier.copy(SECOND, "gs://bk/second/"), job)
    does = chosen(job.way)
    spent = cost(lambda: does(job), job)
    assert spent.objects >= job.files, f"{spent.objects} of {job.files} files have arrived"
    assert spent.sent >= job.files * job.size
    return spent


def chosen(way: str) -> Callable[[Job], object]:
    """Return what copies that way, with all imported that it needs."""
    way, _, threads = way.partition(":")
    if way == "naive":
        # By no other way, or the memory that these hold idle would count for them all.
        from benchmarks.copying.naive import naive  # noqa: PLC0415

        return naive
    ways: dict[str, Callable[[Job], object]] = {
        "ours": ours,
        "kept": kept,
        "limit": partial(limit, threads=threads),
        "rclone": rclone,
    }
    return ways[way]


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
