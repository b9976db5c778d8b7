"""`bridge sync`: one pass."""

from __future__ import annotations

from typing import Annotated

import typer

from bridge.cli.following import following
from bridge.cli.options import DEFAULT_CONFIG, ConfigPath, Json, Mappings, load_config
from bridge.cli.outcome import finish


def sync(
    mappings: Mappings = None,
    config: ConfigPath = DEFAULT_CONFIG,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Look at Vertex even where the source is as it was.")] = False,
    allow_removals: Annotated[
        list[str] | None,
        typer.Option("--allow-removals", metavar="CHECKSUM", help="Let just these removals past the guard."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Do one pass: observe, plan, apply."""
    from bridge.app import Bridge

    with Bridge(load_config(config), read_only=dry_run) as opened, following(opened) as bridge:
        specs = bridge.specs(mappings or [])
        if dry_run:
            reports = bridge.passes.plan(specs)
        else:
            with bridge.renewing():
                allowed = allow_removals or ()
                reports = bridge.passes.sync(specs, why="bridge sync", full=full, allowed_removals=allowed)
    finish(reports, as_json=as_json)
