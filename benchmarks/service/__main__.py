"""Prints the table of the service."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from benchmarks.service import crowd, moves, quiet, stage, starting
from benchmarks.table import Row, conditions, say_table, write_json
from bridge.sandbox.address import environment

PARTS = {"starting": starting.measure, "moves": moves.measure, "crowd": crowd.measure, "quiet": quiet.measure}


def main() -> None:
    """Measure, and say it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.service")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all if there is none")
    parser.add_argument("--cycles", type=int, default=20, help="that a quiet service is watched for")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    said = parser.parse_args()
    os.environ |= {**environment(stage.PORTS), "BRIDGE_BENCH_TOKEN": moves.TOKEN, "WANDB_SILENT": "true"}
    under = conditions()
    rows: list[Row] = []
    for part in said.parts or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            at = Path(folder)
            rows += quiet.measure(at, said.cycles) if part == "quiet" else PARTS[part](at)
    say_table(rows, under)
    if said.json:
        write_json(said.json, rows, under)


if __name__ == "__main__":
    main()
