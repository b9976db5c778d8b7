"""One run: all shapes, all ways, round by round."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.copying import rows, shapes, sink
from benchmarks.copying.files import Content, served
from benchmarks.copying.job import Cost, Job

if TYPE_CHECKING:
    from benchmarks.copying.shapes import Shape
    from benchmarks.table import Row


def measure(*, quick: bool = False) -> list[Row]:
    """Return the figures of all shapes, or none, and why on stderr, if the programs that it takes are not here."""
    tools = Path(os.environ.get("BRIDGE_BENCH", ""))
    if not shutil.which("gcc") or not all(Path(tools, code).is_file() for code in ("sink.c", "phys.c")):
        needed = "gcc, and sink.c and phys.c in the folder that BRIDGE_BENCH names"
        _say(f"copies are not measured: that takes {needed} (how to get them: benchmarks/README.md, Copies)")
        return []
    if not shutil.which("rclone"):
        _say("there is no comparison with rclone: it is not installed (apt-get install rclone, or rclone.org)")
    chosen = [shapes.quick(shape) for shape in shapes.SHAPES] if quick else list(shapes.SHAPES)
    result: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sink.build(tools, folder)
        content = Content(max((shape.files + shape.changed) * shape.size for shape in chosen))
        with sink.running(folder) as target, served(content) as source:
            for shape in chosen:
                digests = tuple(content.digests(shape.size, shape.files + shape.changed))
                job = Job("", shape.files, shape.size, shape.changed, digests, source, target, name)
                result += rows.rows(shape, _costs(shape, job))
    return result


def _costs(shape: Shape, job: Job) -> dict[str, list[Cost]]:
    lines = "".join(f"/{job.name}/f{number:05} {job.size}\n" for number in range(job.files))
    Path(job.tools, f"{job.name}.lst").write_text(lines)
    ways = [way for way in shape.ways if way != "rclone" or shutil.which("rclone")]
    costs: dict[str, list[Cost]] = {way: [] for way in ways}
    for number in range(shape.rounds):
        for way, spent in costs.items():
            sink.reset(job.sink, delay=shape.delay, cap=shape.cap)
            spent.append(_cost({**asdict(job), "way": way}))
        told = ", ".join(f"{way} {spent[-1].seconds:.3g} s" for way, spent in costs.items())
        _say(f"{shape}: {number + 1} of {shape.rounds}: {told}")
    return costs


def _cost(job: dict[str, object]) -> Cost:
    command = [sys.executable, "-m", "benchmarks.copying.work"]
    done = subprocess.run(command, check=True, input=json.dumps(job).encode(), stdout=subprocess.PIPE)  # noqa: S603  our own words
    return Cost(**json.loads(done.stdout))


def _say(what: str) -> None:
    sys.stderr.write(f"{what}\n")
