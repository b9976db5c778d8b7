"""`bridge verify [REF]`: whether the bytes in the bucket, and Vertex, are still what was registered."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.following import following
from bridge.cli.lookup import records_of
from bridge.cli.options import DEFAULT_CONFIG, REFERENCES, ConfigPath, Json, load_config
from bridge.cli.printing import say, say_json, size

if TYPE_CHECKING:
    from bridge.reconcile.verifying import Verdict


def verify(
    ref: Annotated[str | None, typer.Argument(help=f"{REFERENCES}; everything if left out.")] = None,
    config: ConfigPath = DEFAULT_CONFIG,
    *,
    deep: Annotated[bool, typer.Option("--deep", help="Read every byte in the bucket again.")] = False,
    as_json: Json = False,
) -> None:
    """Compare source, bucket and Vertex with what was recorded; writes nothing. Exits with 1 if anything is not so."""
    from bridge.app import Bridge

    with Bridge(load_config(config), read_only=True) as opened, following(opened) as bridge:
        records, _ = records_of(bridge.config, bridge.store, ref)
        verdicts = []
        for verdict in bridge.verifier().verify(records, deep=deep):
            if not as_json:
                for line in _lines(verdict, deep=deep):
                    say(line)
            verdicts.append(verdict)
    bad = sum(bool(verdict.found) for verdict in verdicts)
    if as_json:
        say_json([_data(verdict, deep=deep) for verdict in verdicts])
    elif len(verdicts) > 1:
        say(f"{len(verdicts)} versions, {bad} not as recorded")
    if bad:
        raise typer.Exit(1)


def _lines(verdict: Verdict, *, deep: bool) -> list[str]:
    """Return one line if all is well, else one for each kind of finding."""
    from bridge.core.findings import sentence
    from bridge.core.model import MLFLOW_PLACE

    record, source = verdict.record, str(verdict.record.source)
    short = source if source.startswith(MLFLOW_PLACE) else source.rpartition("/")[2]
    what = f"{record.key.model}@{record.version_id}  ({short})"
    if verdict.found:
        return [f"!!  {what}  {sentence(found)}" for found in verdict.found]
    files = f"{verdict.files} file{'' if verdict.files == 1 else 's'}"
    how = "by every byte" if deep else "by metadata"
    return ["; ".join([f"ok  {what}  {files}, {size(verdict.size)}, {how}", *verdict.notes])]


def _data(verdict: Verdict, *, deep: bool) -> dict[str, Any]:
    from bridge.core.findings import sentence

    record, counts = verdict.record, Counter[str]()
    for found in verdict.found:
        counts[found.first[0].kind] += found.count
    return {
        "mapping": record.key.mapping,
        "model": record.key.model,
        "version": record.version_id,
        "source": str(record.source),
        "folder": record.artifact_uri,
        "ok": not verdict.found,
        "files": verdict.files,
        "bytes": verdict.size,
        "deep": deep,
        "notes": list(verdict.notes),
        "problems": [sentence(found) for found in verdict.found],
        "counts": dict(counts),
        "findings": [asdict(finding) for found in verdict.found for finding in found.first],
    }
