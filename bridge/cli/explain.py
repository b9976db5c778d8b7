"""`bridge explain REF`: why a model, a version or an alias is where it is, asked of both sides just now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.options import DEFAULT_CONFIG, REFERENCES, ConfigPath, Json, load_config
from bridge.cli.printing import report_to_json, say, say_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.core.model import MappingSpec
    from bridge.reconcile.orders import Sight
    from bridge.reconcile.passes import Report


def explain(
    ref: Annotated[str, typer.Argument(help=REFERENCES)],
    config: ConfigPath = DEFAULT_CONFIG,
    *,
    as_json: Json = False,
) -> None:
    """Say what the source has, what Vertex has, which rule ties them, and what is still to come or refused, and why."""
    from bridge.app import Bridge
    from bridge.core.errors import NeedsPerson
    from bridge.core.refs import may_mean, means, parse_ref

    asked = parse_ref(ref)
    with Bridge(load_config(config), read_only=True) as bridge:
        specs = {spec.name: spec for spec in bridge.config.mappings if may_mean(asked, spec)}
        reports = bridge.passes.plan(list(specs.values()))
    reports = [each for each in reports if means(asked, each.key, each.status.collection)]
    if not reports:
        raise NeedsPerson(f"no mapping follows {ref!a}, or brings it about", "see what there is: bridge plan --all")
    if as_json:
        say_json([_data(report, specs[report.key.mapping]) for report in reports])
        return
    for report in reports:
        for line in _lines(report, specs[report.key.mapping]):
            say(line)


def _data(report: Report, spec: MappingSpec) -> dict[str, Any]:
    return report_to_json(report) | {
        "rule": str(spec.origin),
        "policy": spec.policy,
        "layout": spec.serving.layout,
        "aliases": list(_aliases(report.sight)) if report.sight else [],
        "versions": list(_versions(report.sight)) if report.sight else [],
    }


def _lines(report: Report, spec: MappingSpec) -> Iterator[str]:
    status, plan, sight = report.status, report.plan, report.sight
    yield f"{status.key.mapping} -> model {status.key.model}  [{status.state}]"
    yield f"  rule     {spec.origin}: policy {spec.policy}, layout {spec.serving.layout}"
    yield f"  source   {status.collection} of connection {spec.source.connection}"
    if plan is None or sight is None:
        yield f"  ! {status.message}; {status.remedy}"
        return
    for alias in _aliases(sight):
        at = f"@{alias['version']}" if alias["version"] else "on no version"
        yield f"  alias    {alias['alias']}: {alias['desired'] or 'not there'} at the source, {at} in Vertex"
    for version in _versions(sight):
        yield f"  version  @{version['version']}: {version['source']} {version['folder']} {version['facts']}".rstrip()
    yield from (f"  i        {note}" for note in plan.notes)
    yield from (f"  {step}" for step in (*plan.changes, *plan.refusals))


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
