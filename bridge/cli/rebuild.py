"""`bridge rebuild`: a store that was lost, made again from Vertex and the bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.options import DEFAULT_CONFIG, ConfigPath, Json, Mappings, load_config
from bridge.cli.printing import say, say_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridge.reconcile.rebuilding import Rebuilt


def rebuild(
    mappings: Mappings = None,
    config: ConfigPath = DEFAULT_CONFIG,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be known again.")] = False,
    as_json: Json = False,
) -> None:
    """Make the store's records again from Vertex and the bucket; nothing is moved, nor written but to the store."""
    from bridge.app import Bridge
    from bridge.reconcile.rebuilding import Rebuilder

    with Bridge(load_config(config), read_only=dry_run) as bridge:
        rebuilder, specs = Rebuilder(bridge.passes), bridge.specs(mappings or [])
        if dry_run:
            found = rebuilder.find(specs)
        else:
            with bridge.renewing():
                found = rebuilder.rebuild(specs)
    if as_json:
        say_json([_data(each) for each in found])
    else:
        for line in _lines(found):
            say(line)
    if any(each.problem for each in found):
        raise typer.Exit(1)


def _data(rebuilt: Rebuilt) -> dict[str, Any]:
    from dataclasses import asdict

    found = rebuilt.found
    return {
        "mapping": rebuilt.key.mapping,
        "model": rebuilt.key.model,
        "records": [
            {"version": record.version_id, "source": str(record.source), "folder": record.artifact_uri}
            for record in found.records
        ],
        "aliases": dict(found.mirrored),
        "left": [asdict(left) for left in found.left],
        "problem": None if rebuilt.problem is None else str(rebuilt.problem),
    }


def _lines(found: Sequence[Rebuilt]) -> Iterator[str]:
    records = aliases = 0
    for rebuilt in found:
        again = rebuilt.found
        records, aliases = records + len(again.records), aliases + len(again.mirrored)
        if rebuilt.problem or again.records or again.mirrored or again.left:
            yield f"{rebuilt.key.mapping} -> model {rebuilt.key.model}"
        yield from (f"  + version  @{record.version_id} = {record.source}" for record in again.records)
        yield from (f"  + alias    {alias} on @{version}" for alias, version in again.mirrored.items())
        yield from (f"  ! {left}" for left in again.left)
        if rebuilt.problem:
            yield f"  ! {rebuilt.problem}"
    known = f"{records} version{'' if records == 1 else 's'}, {aliases} alias{'' if aliases == 1 else 'es'}"
    yield f"known again: {known} ({len(found)} model{'' if len(found) == 1 else 's'})"
