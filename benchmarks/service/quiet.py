"""
10,000 collections of W&B, watched and quiet: requests, CPU and memory, cycle by cycle.

So that the first pass, of 10,000 uploads, need not be waited for, it is made here, over Vertex and a bucket in memory;
the store that it leaves, and W&B, are real. The quiet service asks Vertex nothing, so it never notices.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.service import stage
from bridge.app import Bridge
from bridge.config.load import load
from bridge.copying.copier import StreamingCopier
from bridge.core.model import State
from bridge.reconcile.reconciler import Reconciler
from bridge.testing.registry import MemoryRegistry
from bridge.testing.storage import MemoryStorage

if TYPE_CHECKING:
    from benchmarks.table import Row
    from bridge.core.model import MappingSpec

COLLECTIONS = 10_000
TRIES = 3  # of the first pass: on a busy machine an answer may come too late
IN_A_FILE = 1_000  # mappings
POLL = 10  # seconds


def measure(folder: Path, cycles: int = 20) -> list[Row]:
    """Watch for that many cycles; each collection has a mapping of its own."""
    stage.seed(folder / "sandbox", COLLECTIONS, "quiet", versions=1)
    stage.write_config(folder, "", f"poll_every: {POLL}s\nlimits: {{wandb: 1000/s}}\n")
    (folder / "mappings" / "all.yaml").unlink()
    for some in range(0, COLLECTIONS, IN_A_FILE):
        lines = [_mapping(number) for number in range(some, some + IN_A_FILE)]
        (folder / "mappings" / f"{some:05}.yaml").write_text(f"mappings:\n{''.join(lines)}")
    with stage.sandbox(folder / "sandbox", "--no-mlflow"):
        _settle(folder)
        with stage.Service(folder) as service:
            return _watched(service, cycles)


def _mapping(number: int) -> str:
    return (
        f"  - name: m{number}\n"
        f"    source: {{from: acme, registry: model, collection: quiet-{number:05}}}\n"
        f"    target: {{to: prod, model: quiet-{number:05}}}\n"
        "    policy: sync\n    aliases: {production: production}\n    serving: {image: an/image}\n"
    )


def _settle(folder: Path) -> None:
    """Make the first pass; the store is in memory meanwhile, so that no disk is waited for 100,000 times."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as quick:  # that it is memory is the point
        here = Path(quick)
        shutil.copytree(folder / "mappings", here / "mappings")
        text = (folder / "bridge.yaml").read_text()
        (here / "bridge.yaml").write_text(text.replace("sqlite:///", f"sqlite:///{here}/"))
        config = load(here / "bridge.yaml")
        with closing(Bridge(config)) as bridge:
            registry, storage = MemoryRegistry(bridge.clock), MemoryStorage()

            def reconciler(spec: MappingSpec) -> Reconciler:
                source = bridge.source(spec.source.connection)
                store = bridge.store
                copier = StreamingCopier(source, storage, store, store, bridge.clock, bridge.budget, lambda _: None)
                target = bridge.config.connections[spec.target.connection]
                return Reconciler(
                    source=source,
                    copier=copier,
                    registry=registry,
                    store=store,
                    clock=bridge.clock,
                    base=target.bucket,  # type: ignore[union-attr]  # it is a Vertex connection
                    location=target.location,  # type: ignore[union-attr]  # the same
                    guard=config.guard,
                    settle=config.settle,
                )

            passes = replace(bridge.passes, reconciler=reconciler)
            for _ in range(TRIES):
                reports = passes.sync(config.mappings, why="the benchmark begins")
                unwell = [report.status for report in reports if report.status.state is not State.SYNCED]
                if not unwell:
                    break
        assert not unwell, unwell[0]
        assert len(reports) == COLLECTIONS
        shutil.copy(here / "bridge.db", folder / "bridge.db")


def _watched(service: stage.Service, cycles: int) -> list[Row]:
    swept = 0

    def another() -> bool:
        nonlocal swept
        now = service.sweeps("m0")
        is_new, swept = now != swept, now
        return is_new

    stage.until(another, 1.0)
    stage.until(another, 1.0)
    stage.control("DELETE", "/calls")
    cpu, core = service.cpu()
    memory = []
    began = time.monotonic()
    for _ in range(cycles):
        stage.until(another, 1.0)
        service.metric("bridge_models")  # as Prometheus asks, every 10 to 15 s
        memory.append(service.memory())
    after, core_after = service.cpu()
    for line in service.loud()[:3]:
        sys.stderr.write(f"{line}\n")
    minutes = (time.monotonic() - began) / 60
    slope = statistics.linear_regression(range(cycles), memory).slope
    what = "10,000 collections, quiet"
    return [
        (f"{what}, cycles watched", "-", f"in {minutes:.1f} min", [float(cycles)]),
        (f"{what}, requests a cycle", "<= 12", "requests", [stage.calls("wandb") / cycles]),
        (f"{what}, calls to Vertex", "<= 0", "requests", [float(stage.calls("vertex"))]),
        (f"{what}, CPU of the service a cycle", "<= 6", "CPU-s", [(after - cpu) / cycles]),
        (f"{what}, CPU of the SDK's core process a cycle", "-", "CPU-s", [(core_after - core) / cycles]),
        (f"{what}, resident memory", "<= 350", "MB", memory),
        (f"{what}, growth of it", "<= 0.1", "MB a cycle", [slope]),
        (f"{what}, warnings", "<= 0", "lines", [float(len(service.loud()))]),
    ]
