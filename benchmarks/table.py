"""How figures look: one table of Markdown, the same for every measurement, and the same as JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Row = tuple[str, str, str, list[float]]  # what, goal, unit, the values of several runs


def conditions() -> str:
    """Say when and where something is measured; to be asked before, for the load."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    return f"{datetime.now(UTC):%Y-%m-%d}, {machine}, load before {os.getloadavg()[0]:.1f}"  # noqa: TID251  the date of a measurement


def say_table(rows: Iterable[Row], under: str | None = None) -> None:
    """Print the median and the spread of each row, and first `under` which conditions."""
    if under is not None:
        sys.stdout.write(f"{under}\n\n")
    sys.stdout.write("| what | goal | median | from, to | unit |\n|---|---|---|---|---|\n")
    for what, goal, unit, values in rows:
        spread = f"{min(values):.3g} to {max(values):.3g}"
        sys.stdout.write(f"| {what} | {goal} | {statistics.median(values):.3g} | {spread} | {unit} |\n")


def write_json(path: Path, rows: Iterable[Row], under: str) -> None:
    """Write the same, with every value."""
    figures = [
        {"what": what, "goal": goal, "unit": unit, "median": statistics.median(values), "values": values}
        for what, goal, unit, values in rows
    ]
    path.write_text(json.dumps({"conditions": under, "figures": figures}, indent=1) + "\n")
