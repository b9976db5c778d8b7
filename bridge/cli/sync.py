"""`bridge sync`: one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.following import following
from bridge.cli.options import DEFAULT_CONFIG, ConfigPath, Json, Mappings, load_config, read_span
from bridge.cli.outcome import exit_by, finish
from bridge.cli.printing import say, say_aside, say_json
from bridge.cli.remote import refuse, server
from bridge.cli.status import spell_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from bridge.cli.remote import Server

LASTS = "1h"


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
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Only ask the service for it (BRIDGE_SERVER).")] = False,
    timeout: Annotated[
        str | None, typer.Option("--timeout", metavar=LASTS, help="How long to wait for the service (BRIDGE_SERVER).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Do one pass: observe, plan, apply; or have a running service do it, and wait for it."""
    patience = read_span(timeout or LASTS, "--timeout")
    if (service := server()) is not None:
        if dry_run:
            raise refuse("--dry-run", "compare without it: bridge plan")
        if allow_removals:
            raise refuse("--allow-removals", "unset BRIDGE_SERVER: the command then works on the store, beside it")
        names = mappings or service.mappings()
        _have_it_done(service, names, None if no_wait else patience, full=full, as_json=as_json)
        return
    for option, is_given in (("--no-wait", no_wait), ("--timeout", timeout)):
        if is_given:
            raise typer.BadParameter("there is no service to wait for; set BRIDGE_SERVER", param_hint=option)
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


def _have_it_done(
    service: Server, names: Sequence[str], patience: timedelta | None, *, full: bool, as_json: bool
) -> None:
    """Have a service look at mappings, and wait if there is patience for it."""
    before = [service.mapping(name) for name in names] if patience is not None else []
    answers = [service.sync(name, full=full) for name in names]
    if patience is None:
        if as_json:
            say_json(answers)
        for answer in () if as_json else answers:
            say(f"{answer['mapping']} {'is looked at' if answer['queued'] else 'was to be looked at anyhow'}")
        return
    rows = service.await_syncs(before, patience, say_aside)
    if as_json:
        say_json(rows)
    for line in () if as_json else spell_rows(rows):
        say(line)
    exit_by(row["state"] for row in rows)
