"""`bridge plan`: what would change."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.options import DEFAULT_CONFIG, ConfigPath, Json, Mappings, load_config
from bridge.cli.plan_file import write_plans
from bridge.cli.printing import report_to_json, say_json, say_reports


def plan(
    mappings: Mappings = None,
    config: ConfigPath = DEFAULT_CONFIG,
    *,
    out: Annotated[Path | None, typer.Option("--out", help="Save the plan, for `bridge apply`.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also what needs no change.")] = False,
    detailed: Annotated[bool, typer.Option("--detailed-exitcode", help="Exit with 2 if there are changes.")] = False,
    as_json: Json = False,
) -> None:
    """Show the differences between the sources and Vertex; change nothing anywhere."""
    from bridge.app import Bridge

    with Bridge(load_config(config), read_only=True) as bridge:
        reports = bridge.passes.plan(bridge.specs(mappings or []))
    data = [report_to_json(report) for report in reports]
    if out is not None:
        write_plans(out, [entry for entry in data if entry["compared"]])
    if as_json:
        say_json(data)
    else:
        say_reports(reports, everything=everything)
    if any(report.plan is None for report in reports):
        raise typer.Exit(1)
    if detailed and any(report.plan.changes for report in reports if report.plan):
        raise typer.Exit(2)
