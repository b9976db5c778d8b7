"""
Measures what a version of a million files takes: described from W&B, planned, its manifest written to the bucket, read.

`python -m benchmarks.manifests` prints a table. The work is done by a fresh process, through the real SDK, against the
stand-ins; no file has bytes, so nothing is copied. The SDK's own process, wandb-core, is not counted.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from benchmarks.table import Row, say_table
from bridge.copying.budget import Budget
from bridge.copying.gcs import GcsStorage
from bridge.core.model import CollectionSelector, Layout, Manifest, Serving, StoredFile
from bridge.core.packed import pack_stored
from bridge.core.serving import fit
from bridge.run.clock import SystemClock
from bridge.sandbox.address import API_KEY, BUCKET, LOCATION, ORG_ENTITY, ORGANIZATION, PROJECT
from bridge.sandbox.world import World
from bridge.sources.wandb.source import WandbSource
from bridge.testing.store import MemoryStore

FILES = 1_000_000
MEMORY = 512  # MB, of the whole process
PLACE = "wandb-registry-model"
NAME = "many-files"
SERVING = Serving("europe-docker.pkg.dev/acme/serve/own:1", layout=Layout.AUTO)


def seed(world: World, files: int) -> None:
    """Publish a version of so many files, which the manifest lists in no order."""
    names = (f"data/shard-{(n * 7919) % files // 1000:04}/part-{(n * 7919) % files:07}.parquet" for n in range(files))
    world.wandb.seed_version(f"{ORG_ENTITY}/{PLACE}/{NAME}", {}, listed=names)


def work(wandb: str, gcs: str) -> dict[str, float]:
    """Do all of it in this process; return the seconds of each step, and MB."""
    cost = {"idle": held("VmRSS")}
    with closing(WandbSource("acme", wandb, lambda: API_KEY, ORGANIZATION)) as source:
        selector = CollectionSelector("acme", PLACE, NAME)
        [state] = source.sweep([selector]).found[selector]
        [version] = state.versions
        begun = time.perf_counter()
        described = source.describe(version)
        cost["describe"] = time.perf_counter() - begun
    begun = time.perf_counter()
    fit(SERVING, [file.path for file in described.files], described.facts, LOCATION)
    cost["plan"] = time.perf_counter() - begun
    stored = pack_stored(
        StoredFile(file.path, file.size, "AAAAAA==", "1B2M2Y8AsgTpgAmY7PhCfg==") for file in described.files
    )
    facts = described.facts
    del described  # a copier needs it no longer either, when all files are stored
    manifest = Manifest(version.collection, version.label, version.id, version.digest, stored, "", facts)
    folder = f"gs://{BUCKET}/many/{version.digest}/"
    clock = SystemClock()
    with closing(GcsStorage(PROJECT, gcs, clock=clock, uploads=MemoryStore(), budget=Budget(clock))) as storage:
        for step, do in (
            ("write", lambda: storage.commit(folder, manifest)),
            ("header", lambda: storage.header(folder)),
            ("read", lambda: storage.manifest(folder)),
        ):
            begun = time.perf_counter()
            found = do()
            cost[step] = time.perf_counter() - begun
    assert isinstance(found, Manifest)
    cost["peak"] = held("VmHWM")
    assert found == manifest
    return cost | {"files": len(found.files)}


def held(which: str) -> float:
    """Return the memory that this process holds (VmRSS), or held at most (VmHWM), in MB."""
    # ru_maxrss would also count what the parent held when it forked.
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith(which))


def measure_in(world: World, files: int) -> dict[str, float]:
    """Publish such a version, and have a fresh process do the work."""
    seed(world, files)
    command = [sys.executable, "-m", "benchmarks.manifests", "work", world.wandb.url, world.gcs.url]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)  # noqa: S603  our own words
    cost: dict[str, float] = json.loads(done.stdout)
    assert cost["files"] == files
    return cost


def measure() -> list[Row]:
    """Measure a million files."""
    with tempfile.TemporaryDirectory() as folder, World(Path(folder)) as world:
        cost = measure_in(world, FILES)
    what = f"version of {FILES:,} files"
    return [
        (f"{what}: memory of the process, at most", f"<= {MEMORY}", "MB", [cost["peak"]]),
        (f"{what}: memory before, with all imported", "-", "MB", [cost["idle"]]),
        (f"{what}: described from W&B", "-", "s", [cost["describe"]]),
        (f"{what}: layout planned", "-", "s", [cost["plan"]]),
        (f"{what}: manifest written", "-", "s", [cost["write"]]),
        (f"{what}: manifest's header read", "-", "s", [cost["header"]]),
        (f"{what}: manifest read", "<= 15", "s", [cost["read"]]),
    ]


def main() -> None:
    """Print the table; or be the process that it takes."""
    match sys.argv[1:]:
        case ["work", wandb, gcs]:
            sys.stdout.write(json.dumps(work(wandb, gcs)))
        case _:
            say_table(measure())


if __name__ == "__main__":
    main()
