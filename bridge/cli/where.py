"""`bridge where REF`: source version <-> bucket folder <-> Vertex version, from the store alone."""

from __future__ import annotations

from typing import Annotated

import typer

from bridge.cli.lookup import looking, records_of
from bridge.cli.options import DEFAULT_CONFIG, ConfigPath, Json
from bridge.cli.printing import say, say_json


def where(
    ref: Annotated[str, typer.Argument(help="fraud@production, fraud@7, wandb-registry-model/fraud:v7, fraud")],
    config: ConfigPath = DEFAULT_CONFIG,
    *,
    as_json: Json = False,
) -> None:
    """Show where a version is: at the source, in the bucket, in Vertex."""
    with looking(config) as (_, store):
        found, mirrored = records_of(store, ref)
    rows = [
        {
            "source": str(record.source),
            "url": record.source.url,
            "folder": record.artifact_uri,
            "model": record.key.model,
            "version": record.version_id,
            "aliases": sorted(a for a, version in mirrored[record.key].items() if version == record.version_id),
            "mapping": record.key.mapping,
            "first_seen": record.first_seen,
        }
        for record in found
    ]
    if as_json:
        say_json(rows)
        return
    for row in rows:
        aliases = ", ".join(row["aliases"]) or "no alias"
        say(f"source  {row['source']}  {row['url']}")
        say(f"folder  {row['folder']}")
        say(
            f"vertex  {row['model']}@{row['version']}  ({aliases}; mapping {row['mapping']}; since {row['first_seen']})"
        )
