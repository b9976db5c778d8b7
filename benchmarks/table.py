"""How figures look: one table of Markdown, the same for every measurement."""

from __future__ import annotations

import statistics
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Row = tuple[str, str, str, list[float]]  # what, goal, unit, the values of several runs


def say_table(rows: Iterable[Row]) -> None:
    """Print the median and the spread of each row."""
    sys.stdout.write("| what | goal | median | from, to | unit |\n|---|---|---|---|---|\n")
    for what, goal, unit, values in rows:
        spread = f"{min(values):.3g} to {max(values):.3g}"
        sys.stdout.write(f"| {what} | {goal} | {statistics.median(values):.3g} | {spread} | {unit} |\n")
