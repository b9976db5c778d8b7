"""`bridge history`: what was done, when, and who or what asked, from the store alone."""

from __future__ import annotations

from typing import Annotated

import typer

from bridge.cli.lookup import entries_of, looking
from bridge.cli.options import DEFAULT_CONFIG, REFERENCES, ConfigPath, Json
from bridge.cli.printing import say, say_json


def history(
    ref: Annotated[str | None, typer.Argument(help=REFERENCES)] = None,
    config: ConfigPath = DEFAULT_CONFIG,
    *,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many entries, newest first.")] = 50,
    as_json: Json = False,
) -> None:
    """Show the journal, newest first."""
    from bridge.service.views import entry_row

    with looking(config) as (loaded, store):
        entries = entries_of(loaded, store, ref, limit)
    if as_json:
        say_json([entry_row(entry) for entry in entries])
        return
    for entry in entries:
        when = entry.begun.partition(".")[0]
        outcome = entry.outcome or "not finished"
        detail = f"{entry.detail} " if entry.detail else ""
        say(f"{when}  {entry.key}  {entry.change}  [{outcome}] {detail}({entry.why})")
