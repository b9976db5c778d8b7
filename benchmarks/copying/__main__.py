"""Prints the table of copies."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.copying import shapes, thresholds
from benchmarks.copying.measuring import measure
from benchmarks.table import conditions, say_table, write_json


def main() -> None:
    """Measure, and say it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.copying")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--quick", action="store_true", help="smaller shapes, once: shows only that it works")
    parser.add_argument("--thresholds", action="store_true", help="instead, compare the ways that settings choose from")
    parser.add_argument("--million", action="store_true", help="instead, copy a version of a million files")
    said = parser.parse_args()
    under = conditions()
    chosen = (shapes.MILLION,) if said.million else shapes.SHAPES
    rows = thresholds.measure() if said.thresholds else measure(chosen, quick=said.quick)
    say_table(rows, under)
    if said.json:
        write_json(said.json, rows, under)


if __name__ == "__main__":
    main()
