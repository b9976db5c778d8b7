"""What two mappings cannot both mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.core.naming import model_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bridge.config.report import Report
    from bridge.config.yaml_reader import Node
    from bridge.core.model import MappingSpec


@dataclass(frozen=True, slots=True)
class Declared:
    """A rule, and the text it was read from."""

    spec: MappingSpec
    node: Node


def find_conflicts(declared: Iterable[Declared], registries: Mapping[str, object], report: Report) -> None:
    """
    Report each mapping that has the name of an earlier one, or writes the same Vertex model.

    `registries` tells by equality which connections reach the same registry. Two patterns are compared by
    the text of their templates; what a pattern and a name, or two unlike templates, share is known only
    when collections are listed.
    """
    names: dict[str, Declared] = {}
    models: dict[object, Declared] = {}
    for each in declared:
        spec = each.spec
        first = names.setdefault(spec.name, each)
        if first is not each:
            at = first.node.below["name"].at
            report.add(f"a mapping is already named {spec.name!r} ({at})", each.node.below["name"].at)
        writer = models.setdefault(_writes(spec, registries), each)
        if writer is not each:
            at = _model(writer).at
            same = f"mapping {spec.name!r} writes the Vertex model {spec.target.model!r}"
            report.add(f"{same}, as mapping {writer.spec.name!r} does ({at}); give it another", _model(each).at)


def _writes(spec: MappingSpec, registries: Mapping[str, object]) -> object:
    target = spec.target
    registry = registries.get(target.connection, target.connection)
    return registry, spec.source.is_pattern, target.model if spec.source.is_pattern else model_id(target.model)


def _model(declared: Declared) -> Node:
    return declared.node.below["target"].below["model"]
