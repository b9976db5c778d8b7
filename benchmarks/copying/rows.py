"""Costs to rows. A ratio is taken within a round, of copies that were made one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.copying.shapes import GIB

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.copying.job import Cost
    from benchmarks.copying.shapes import Shape
    from benchmarks.table import Row

Costs = dict[str, list["Cost"]]  # by way, one per round


def rows(shape: Shape, costs: Mapping[str, Sequence[Cost]]) -> Iterator[Row]:
    """Turn what the ways cost into figures, those with a goal first."""
    if "again" in costs:
        shares = [cost.sent / shape.total for cost in costs["again"]]
        yield (f"copy {shape}: bytes through us", shape.goals["sent"], "of all", shares)
        return
    if "kept" in costs:
        memory = [cost.memory for cost in costs["kept"]]
        yield (f"copy {shape}: memory above idle", shape.goals["memory"], "MB", memory)
        yield (f"copy {shape}: speed", "-", "files/s", [shape.files / cost.seconds for cost in costs["kept"]])
        return
    ours = costs["ours"]
    for than, others in _others(costs):
        ratios = [other / own.seconds for other, own in zip(others, ours, strict=True)]
        yield (f"copy {shape}: speed", shape.goals.get(f"x {than}", "-"), f"x {than}", ratios)
    rates = [shape.total / 1e6 / own.seconds for own in ours]
    if shape.cap:
        yield (f"copy {shape}: speed", shape.goals["x cap"], "x one stream", [rate / shape.cap for rate in rates])
    if shape.files > 1:
        counts = [shape.files / own.seconds for own in ours]
        yield (f"copy {shape}: speed", shape.goals.get("files/s", "-"), "files/s", counts)
    yield (f"copy {shape}: speed", "-", "MB/s", rates)
    for way, spent in costs.items():
        goals = shape.goals if way == "ours" else {}
        per_gib = [cost.cpu / shape.total * GIB for cost in spent]
        yield (f"copy {shape}, {way}: CPU", goals.get("CPU", "-"), "CPU-s/GiB", per_gib)
        if way not in ("ours", "naive"):
            continue
        memory, disk = [cost.memory for cost in spent], [cost.disk / 1e6 for cost in spent]
        yield (f"copy {shape}, {way}: memory above idle", goals.get("memory", "-"), "MB", memory)
        yield (f"copy {shape}, {way}: written to disk", goals.get("disk", "-"), "MB", disk)
        asked = [cost.requests / shape.files for cost in spent]
        yield (f"copy {shape}, {way}: requests per file", "-", "", asked)


def _others(costs: Mapping[str, Sequence[Cost]]) -> Iterator[tuple[str, list[float]]]:
    """Return the seconds of what we are compared with; the limit is the better one of its numbers of threads."""
    for than in ("naive", "limit", "rclone"):
        several = [spent for way, spent in costs.items() if way.partition(":")[0] == than]
        if several:
            yield than, [min(cost.seconds for cost in of_round) for of_round in zip(*several, strict=True)]
