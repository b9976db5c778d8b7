"""`bridge status`: how every model is, from the store alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridge.cli.lookup import looking
from bridge.cli.options import DEFAULT_CONFIG, ConfigPath, Json, Mappings
from bridge.cli.printing import say, say_json, table

if TYPE_CHECKING:
    from bridge.core.ports import Store
    from bridge.core.records import Status


def status(mappings: Mappings = None, config: ConfigPath = DEFAULT_CONFIG, *, as_json: Json = False) -> None:
    """Show each model's state, where its aliases are, and what is wrong, if anything is."""
    from bridge.app import chosen

    with looking(config) as (loaded, store):
        names = {spec.name for spec in chosen(loaded, mappings or [])}
        rows = [_row(store, status) for status in store.statuses() if status.key.mapping in names]
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


def _row(store: Store, status: Status) -> dict[str, Any]:
    labels = {record.version_id: record.source.label for record in store.records(status.key)}
    aliases = {
        alias: {"version": version_id, "label": labels.get(version_id)}
        for alias, version_id in sorted(store.mirrored(status.key).items())
    }
    return {
        "mapping": status.key.mapping,
        "model": status.key.model,
        "state": status.state,
        "message": status.message,
        "remedy": status.remedy,
        "collection": status.collection,
        "looked_at": status.looked_at,
        "attempt": status.attempt,
        "next_try": status.next_try,
        "aliases": aliases,
    }


def _aliases(row: dict[str, Any]) -> str:
    return ", ".join(f"{alias} -> {at['label'] or '?'} @{at['version']}" for alias, at in row["aliases"].items())
