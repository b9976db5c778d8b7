"""`bridge sync`: one pass."""

from __future__ import annotations

from typing import Annotated

import typer

from bridge.cli.following import following
from bridge.cli.options import DEFAULT_CONFIG, ConfigPath, Json, Mappings, load_config
from bridge.cli.outcome import finish
from bridge.cli.printing import say, say_json
from bridge.cli.remote import refuse, server


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
    """Do one pass: observe, plan, apply; or have a running service do it soon."""
    if (service := server()) is not None:
        if dry_run:
            raise refuse("--dry-run", "compare without it: bridge plan")
        if allow_removals:
            raise refuse("--allow-removals", "unset BRIDGE_SERVER: the command then works on the store, beside it")
        answers = [service.sync(name, full=full) for name in mappings or service.mappings()]
        if as_json:
            say_json(answers)
        for answer in () if as_json else answers:
            say(f"{answer['mapping']} {'is looked at' if answer['queued'] else 'was to be looked at anyhow'}")
        return
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
