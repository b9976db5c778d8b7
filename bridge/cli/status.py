"""`bridge status`: how every model is, from the store alone, or as a running service tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridge.cli.lookup import looking
from bridge.cli.options import DEFAULT_CONFIG, ConfigPath, Json, Mappings
from bridge.cli.printing import say, say_json, table
from bridge.cli.remote import server

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def status(mappings: Mappings = None, config: ConfigPath = DEFAULT_CONFIG, *, as_json: Json = False) -> None:
    """Show each model's state, where its aliases are, and what is wrong, if anything is."""
    service = server()
    rows = list(service.models(mappings or [])) if service is not None else _rows(config, mappings or [])
    if as_json:
        say_json(rows)
        return
    header = ("MAPPING", "MODEL", "STATE", "ALIASES")
    cells = [header, *((row["mapping"], row["model"], row["state"], _aliases(row)) for row in rows)]
    for line, row in zip(table(cells), [None, *rows], strict=True):
        say(line)
        if row and row["message"]:
            say(f"    {row['message']}; {row['remedy']}")
        if row and row["next_try"]:
            tried = f"tried in vain: {row['attempt']}; " if row["attempt"] else ""
            say(f"    {tried}next try: {row['next_try']}")


def _rows(config: Path, mappings: Sequence[str]) -> list[dict[str, Any]]:
    from bridge.config.choosing import chosen
    from bridge.service.views import model_row

    with looking(config) as (loaded, store):
        names = {spec.name for spec in chosen(loaded, mappings)}
        return [model_row(store, status) for status in store.statuses() if status.key.mapping in names]


def _aliases(row: dict[str, Any]) -> str:
    return ", ".join(f"{alias} -> {at['label'] or '?'} @{at['version']}" for alias, at in row["aliases"].items())
