"""`bridge explain REF`: why a model, a version or an alias is where it is, asked of both sides just now."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.options import DEFAULT_CONFIG, REFERENCES, ConfigPath, Json, load_config
from bridge.cli.printing import report_to_json, say, say_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.core.scenes import Answer
    from bridge.reconcile.explaining import Explained
    from bridge.reconcile.orders import Sight


def explain(
    ref: Annotated[str, typer.Argument(help=REFERENCES)],
    config: ConfigPath = DEFAULT_CONFIG,
    *,
    as_json: Json = False,
) -> None:
    """Say why something is where it is or is not, by which rule, whether serving suffers, and what to do next."""
    from bridge.app import Bridge
    from bridge.core.refs import parse_ref
    from bridge.reconcile.explaining import Explainer

    with Bridge(load_config(config), read_only=True) as bridge:
        found, others = Explainer(bridge.passes).explain(parse_ref(ref), bridge.config.mappings)
    if as_json:
        say_json([*map(_data, found), *({"answers": [asdict(answer)]} for answer in others)])
        return
    for each in found:
        for line in _lines(each):
            say(line)
    for answer in others:
        say(f"{answer.about}: {answer.verdict}: {answer.reason}")
        say(f"  serving  {answer.serving}")
        say(f"  next     {answer.next}")


def _data(found: Explained) -> dict[str, Any]:
    from bridge.service.views import grave_row

    report, spec = found.report, found.spec
    return report_to_json(report) | {
        "rule": str(spec.origin),
        "policy": spec.policy,
        "layout": spec.serving.layout,
        "aliases": list(_aliases(report.sight)) if report.sight else [],
        "versions": list(_versions(report.sight)) if report.sight else [],
        "answers": list(map(asdict, found.answers)),
        "deleted": list(map(grave_row, found.graves)),
    }


def _lines(found: Explained) -> Iterator[str]:
    from bridge.service.views import grave_line

    report, spec = found.report, found.spec
    status, plan, sight = report.status, report.plan, report.sight
    yield f"{status.key.mapping} -> model {status.key.model}  [{status.state}]"
    yield f"  rule     {spec.origin}: policy {spec.policy}, layout {spec.serving.layout}"
    yield f"  source   {status.collection} of connection {spec.source.connection}"
    if plan is not None and sight is not None:
        for alias in _aliases(sight):
            at = f"@{alias['version']}" if alias["version"] else "on no version"
            yield f"  alias    {alias['alias']}: {alias['desired'] or 'not there'} at the source, {at} in Vertex"
        for version in _versions(sight):
            said = " ".join(version[key] for key in ("source", "folder", "facts"))
            yield f"  version  @{version['version']}: {said}".rstrip()
        yield from (f"  i        {note}" for note in (*plan.notes, *plan.holds))
        yield from (f"  {step}" for step in (*plan.changes, *plan.refusals))
    for grave in found.graves:
        yield f"  deleted  {grave_line(grave)}"
    for answer in found.answers:
        yield from _answer(answer)


def _answer(answer: Answer) -> Iterator[str]:
    yield f"  = {answer.about}: {answer.verdict}: {answer.reason}"
    yield f"    serving  {answer.serving}"
    yield f"    next     {answer.next}"


def _aliases(sight: Sight) -> Iterator[dict[str, str | None]]:
    in_vertex = {alias: version.id for version in sight.actual.versions for alias in version.aliases}
    for alias in sorted({*in_vertex, *sight.desired.aliases}):
        desired = sight.desired.aliases.get(alias)
        yield {"alias": alias, "desired": str(desired) if desired else None, "version": in_vertex.get(alias)}


def _versions(sight: Sight) -> Iterator[dict[str, str]]:
    from bridge.core.describing import facts_line

    records = {record.version_id: record for record in sight.settlement.known.records}
    for version in sight.actual.versions:
        if (record := records.get(version.id)) is not None:
            yield {
                "version": version.id,
                "source": str(record.source),
                "folder": record.artifact_uri,
                "facts": facts_line(record.facts),
            }
        else:
            yield {"version": version.id, "source": "not ours", "folder": version.artifact_uri, "facts": ""}
