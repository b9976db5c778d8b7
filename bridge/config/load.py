"""Files to Config."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.config.conflicts import Declared, find_conflicts
from bridge.config.explain import note, validate
from bridge.config.relations import faults_of_connection, faults_of_mapping
from bridge.config.report import Report
from bridge.config.schema_bridge import BridgeYaml, VertexYaml
from bridge.config.schema_mapping import MappingsYaml, MappingYaml
from bridge.config.schema_models import Known
from bridge.config.translate import to_config, to_spec
from bridge.config.yaml_reader import read_yaml, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from bridge.config.model import Config
    from bridge.config.yaml_reader import Node


def load(path: Path) -> Config:
    """
    Read bridge.yaml and the mapping files it goes with: `mappings/*.yaml|*.yml` beside it, or another folder.

    Files whose names begin with a dot are skipped. Raises ConfigErrors with everything that is wrong.
    """
    report = Report()
    try:
        is_there = path.is_file()
    except OSError as problem:  # of a folder that may not be searched, for one
        report.add(f"{shown(path)} cannot be looked at: {problem.strerror}; mend its rights, or pass --config")
        raise report.errors() from problem
    if not is_there:
        report.add(f"no {shown(path)} here; write one (see README.md) or pass --config")
        raise report.errors()
    root = read_yaml(path, report)
    bridge = validate(BridgeYaml, root, report, Known(None)) if root is not None else None
    for node in _connections(root):
        for fault in faults_of_connection(node.plain):
            note(report, node, fault)
    known = Known(_kinds(root))
    declared = [each for file in _mapping_files(path, root, report) for each in _declared(file, report, known)]
    find_conflicts(declared, _registries(bridge), report)
    if bridge is None or not report.is_clean:
        raise report.errors()
    return to_config(bridge, path, tuple(each.spec for each in declared))


def _kinds(root: Node | None) -> dict[str, str] | None:
    """Return what is declared of each connection, even if something else is wrong there; None if none can be read."""
    connections = root.below.get("connections") if root is not None else None
    if connections is None or not isinstance(connections.plain, dict):
        return None
    return {name: str(said.get("kind") if isinstance(said, dict) else None) for name, said in connections.plain.items()}


def _connections(root: Node | None) -> Iterable[Node]:
    connections = root.below.get("connections") if root is not None else None
    return connections.below.values() if connections is not None else ()


def _registries(bridge: BridgeYaml | None) -> dict[str, object]:
    """Return what each Vertex connection reaches, so that two names of one registry are seen to be one."""
    connections = bridge.connections.items() if bridge is not None else ()
    return {
        name: (each.project, each.location, each.endpoint) for name, each in connections if isinstance(each, VertexYaml)
    }


def _mapping_files(path: Path, root: Node | None, report: Report) -> list[Path]:
    named = root.below.get("mappings") if root is not None else None
    folder = path.parent / (named.plain if named is not None and isinstance(named.plain, str) else "mappings")
    at = named.at if named is not None else None
    try:
        files = sorted(each for each in folder.iterdir() if _is_mapping_file(each))
    except FileNotFoundError:
        report.add(f"there is no folder {shown(folder)}; make it, and a mapping in it (see mappings/README.md)", at)
        return []
    except OSError as error:
        report.add(f"the folder {shown(folder)} of mappings cannot be read: {error.strerror}", at)
        return []
    if not files:
        report.add(f"no mapping file in {shown(folder)}; write one, ending in .yaml (see mappings/README.md)", at)
    return files


def _is_mapping_file(path: Path) -> bool:
    return path.suffix in (".yaml", ".yml") and not path.name.startswith(".") and path.is_file()


def _declared(file: Path, report: Report, known: Known) -> Iterator[Declared]:
    """Yield the rules of a file that are whole; the others are in the report."""
    root = read_yaml(file, report)
    if root is None or validate(MappingsYaml[object], root, report, known) is None:
        return
    for node in root.below["mappings"].below.values():
        for fault in faults_of_mapping(node.plain):
            note(report, node, fault)
        said = validate(MappingYaml, node, report, known)
        if said is not None:
            yield Declared(to_spec(said, node.at), node)
