"""`bridge status`: how every model is, from the store alone, or as a running service tells it."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.lookup import looking
from bridge.cli.options import DEFAULT_CONFIG, ConfigPath, Json, Mappings
from bridge.cli.printing import say, say_json, span, table
from bridge.cli.remote import server
from bridge.cli.watching import spell_aliases, watch as watch_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path


def status(
    mappings: Mappings = None,
    config: ConfigPath = DEFAULT_CONFIG,
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Go on, until Ctrl-C; off a terminal, only changes.")] = False,
    as_json: Json = False,
) -> None:
    """Show each model's state, how long it has been behind its source, its aliases, and what is wrong."""
    with _looking(config, mappings or []) as look:
        if watch:
            watch_rows(look, spell_rows, as_json=as_json)
            return
        rows = look()
    if as_json:
        say_json(rows)
        return
    for line in spell_rows(rows):
        say(line)


@contextmanager
def _looking(config: Path, mappings: Sequence[str]) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Yield what returns the rows as they are now, of a running service or of the store."""
    if (service := server()) is not None:
        yield lambda: list(service.models(mappings))
        return
    from bridge.config.choosing import chosen
    from bridge.service.views import model_row

    with looking(config) as (loaded, store):
        names = {spec.name for spec in chosen(loaded, mappings)}
        yield lambda: [model_row(store, status) for status in store.statuses() if status.key.mapping in names]


def spell_rows(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Spell models as they are now: see `spell_rows_at`."""
    from bridge.run.clock import SystemClock

    return spell_rows_at(SystemClock().now(), rows)


def spell_rows_at(now: datetime, rows: Sequence[dict[str, Any]]) -> list[str]:
    """Spell models as a table, with their lag at that time, and what is wrong below each."""
    lines: list[str] = []
    header = ("MAPPING", "MODEL", "STATE", "LAG", "ALIASES")
    cells = [
        header,
        *((row["mapping"], row["model"], row["state"], _lag(row, now), spell_aliases(row)) for row in rows),
    ]
    for line, row in zip(table(cells), [None, *rows], strict=True):
        lines.append(line)
        if row and row["message"]:
            lines.append(f"    {row['message']}; {row['remedy']}")
        if row and row["next_try"]:
            tried = f"tried in vain: {row['attempt']}; " if row["attempt"] else ""
            lines.append(f"    {tried}next try: {row['next_try']}")
    return lines


def _lag(row: dict[str, Any], now: datetime) -> str:
    """Spell how long a model has been behind its source; "-": it is not, or a service of an older bridge was asked."""
    since = row.get("behind_since")
    return span(now - datetime.fromisoformat(since)) if since else "-"
