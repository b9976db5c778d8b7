"""One run: all shapes, all ways, round by round."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.copying import rows, shapes, sink
from benchmarks.copying.files import Content, served
from benchmarks.copying.job import Cost, Job

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.copying.shapes import Shape
    from benchmarks.table import Row


@dataclass(frozen=True, slots=True)
class Stage:
    """A source of slices and a target; in the folder are the programs that were built."""

    content: Content
    source: str  # URL
    target: str  # URL
    folder: Path

    def job(self, way: str, files: int, size: int, changed: int = 0, **settings: int) -> Job:
        """Say what to copy, and how."""
        digests = tuple(self.content.digests(size, files + changed))
        return Job(way, files, size, changed, digests, self.source, self.target, str(self.folder), settings)


@contextmanager
def staged(largest: int) -> Iterator[Stage | None]:
    """Run source and target, of so many bytes; None, and why on stderr, if the programs that it takes are not here."""
    tools = Path(os.environ.get("BRIDGE_BENCH", ""))
    if not shutil.which("gcc") or not all(Path(tools, code).is_file() for code in ("sink.c", "phys.c")):
        needed = "gcc, and sink.c and phys.c in the folder that BRIDGE_BENCH names"
        say(f"copies are not measured: that takes {needed} (how to get them: benchmarks/README.md, Copies)")
        yield None
        return
    with tempfile.TemporaryDirectory() as name:
        folder, content = Path(name), Content(largest)
        sink.build(tools, folder)
        with sink.running(folder) as target, served(content) as source:
            yield Stage(content, source, target, folder)


def measure(of: Sequence[Shape] = shapes.SHAPES, *, quick: bool = False) -> list[Row]:
    """Return the figures of these shapes; none if they cannot be measured here."""
    chosen = [shapes.quick(shape) for shape in of] if quick else list(of)
    result: list[Row] = []
    with staged(max((shape.files + shape.changed) * shape.size for shape in chosen)) as stage:
        if stage is None:
            return []
        if not shutil.which("rclone"):
            say("there is no comparison with rclone: it is not installed (apt-get install rclone, or rclone.org)")
        for shape in chosen:
            result += rows.rows(shape, _costs(shape, stage.job("", shape.files, shape.size, shape.changed)))
    return result


def _costs(shape: Shape, job: Job) -> dict[str, list[Cost]]:
    lines = "".join(f"/{job.name}/f{number:05} {job.size}\n" for number in range(job.files))
    Path(job.tools, f"{job.name}.lst").write_text(lines)
    ways = [way for way in shape.ways if way != "rclone" or shutil.which("rclone")]
    costs: dict[str, list[Cost]] = {way: [] for way in ways}
    for number in range(shape.rounds):
        for way, spent in costs.items():
            spent.append(cost(replace(job, way=way), delay=shape.delay, cap=shape.cap))
        told = ", ".join(f"{way} {spent[-1].seconds:.3g} s" for way, spent in costs.items())
        say(f"{shape}: {number + 1} of {shape.rounds}: {told}")
    return costs


def cost(job: Job, *, delay: int, cap: int) -> Cost:
    """Have a job done by a process of its own, the target being as slow as is said: see sink.reset."""
    sink.reset(job.sink, delay=delay, cap=cap)
    command = [sys.executable, "-m", "benchmarks.copying.work"]
    done = subprocess.run(command, check=True, input=json.dumps(asdict(job)).encode(), stdout=subprocess.PIPE)  # noqa: S603  our own words
    return Cost(**json.loads(done.stdout))


def say(what: str) -> None:
    """Tell whoever waits how far it is."""
    sys.stderr.write(f"{what}\n")
