"""`bridge where REF`: source version <-> bucket folder <-> Vertex version, from the store alone."""

from __future__ import annotations

from typing import Annotated

import typer

from bridge.cli.lookup import graves_of, known_or, looking
from bridge.cli.options import DEFAULT_CONFIG, REFERENCES, ConfigPath, Json
from bridge.cli.printing import say, say_json


def where(
    ref: Annotated[str, typer.Argument(help=REFERENCES)],
    config: ConfigPath = DEFAULT_CONFIG,
    *,
    as_json: Json = False,
) -> None:
    """Show where a version is: at the source, in the bucket, in Vertex."""
    from bridge.core.describing import facts_line
    from bridge.service.views import grave_line, grave_row

    with looking(config) as (loaded, store):
        graves = graves_of(loaded, store, ref)
        found = known_or(graves, loaded, store, ref)
        mirrored = {record.key: store.mirrored(record.key) for record in found}
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
            "known": facts_line(record.facts),
        }
        for record in found
    ]
    if as_json:
        say_json([*rows, *(grave_row(grave) for grave in graves)])
        return
    for row in rows:
        aliases = ", ".join(row["aliases"]) or "no alias"
        say(f"source  {row['source']}  {row['url']}")
        say(f"folder  {row['folder']}")
        if row["known"]:
            say(f"model   {row['known']}")
        say(
            f"vertex  {row['model']}@{row['version']}  ({aliases}; mapping {row['mapping']}; since {row['first_seen']})"
        )
    for grave in graves:
        say(f"source  {grave.record.source}  {grave.record.source.url}")
        say(f"folder  {grave.record.artifact_uri}")
        say(f"deleted {grave_line(grave)}")
