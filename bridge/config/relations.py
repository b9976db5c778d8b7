"""
What several values of one mapping, or one connection, must be together: functions from plain values to faults.

They run whatever else is wrong, so they judge only what has the right type, and say nothing of the rest.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bridge.config import checks
from bridge.config.addresses import is_loopback
from bridge.config.wrong import Fault, Wrong, did_you_mean
from bridge.core.model import DEFAULT
from bridge.core.naming import alias_problem, slug_alias

if TYPE_CHECKING:
    from collections.abc import Iterator

OTHERS = "*"  # among the aliases of a mapping: all that are not named

_GROUP = re.compile(r"\{([^{}]*)\}")


def faults_of_mapping(said: object) -> Iterator[Fault]:
    """Yield what is wrong between the parts of one rule of a mapping file."""
    yield from _aliases(said)
    yield from _style(said)
    yield from _model(said)
    yield from _ports(said)


def faults_of_connection(said: object) -> Iterator[Fault]:
    """Yield what is wrong between the parts of one connection."""
    match said:
        case {"insecure": True, "endpoint": str(endpoint)} if is_loopback(endpoint):
            return
        case {"insecure": True}:
            message = "insecure is only for an endpoint on this machine, such as endpoint: localhost:9022"
            yield Fault(message, ("insecure",))
        case _:
            return


def _aliases(said: object) -> Iterator[Fault]:
    match said:
        case {"aliases": dict(table)}:
            yield from _alias_table(table)
        case {"aliases": list(names)}:
            yield from _alias_list(names)
        case _:
            return


def _style(said: object) -> Iterator[Fault]:
    match said:
        case {"alias_style": str(), "aliases": list()} | {"alias_style": str(), "aliases": {"*": _}}:
            message = "alias_style says how unnamed aliases are spelled, but aliases drops them all; write one of both"
            yield Fault(message, ("alias_style",), on_key=True)
        case _:
            return


def _model(said: object) -> Iterator[Fault]:
    match said:
        case {"source": {"registry": _, "collection": {"regex": str(regex)}}, "target": {"model": str(model)}}:
            problem = _groups_fault(model, regex)
        case {"source": {"collection": str()}, "target": {"model": str(model)}}:
            problem = _groups_fault(model, None)
        case _:
            return
    if problem:
        yield Fault(problem, ("target", "model"))


def _ports(said: object) -> Iterator[Fault]:
    match said:
        case {"serving": {"port": int(), "ports": list()}}:
            yield Fault("write port or ports, not both", ("serving", "ports"), on_key=True)
        case _:
            return


def _groups_fault(model: str, pattern: str | None) -> str | None:
    """Say what is wrong with the `{group}`s of a target's model, given its source's pattern, if there is one."""
    asked = _GROUP.findall(model)
    if re.search(r"[{}]", _GROUP.sub("", model)):
        return "'{' and '}' stand only around the name of a group"
    if pattern is None:
        return f"{{{asked[0]}}} needs a source whose collection is a {{regex: …}} with that group" if asked else None
    try:
        known = re.compile(checks.regex(pattern)).groupindex
    except Wrong:
        return None
    unknown = next((group for group in asked if group not in known), None)
    if unknown is not None:
        return f"the pattern has no group {unknown!r}; {did_you_mean(unknown, known, 'its named groups:')}"
    if not asked:
        return "many collections would land on one model; put a {group} of the pattern, (?P<group>…), into its name"
    return None


def _alias_fault(source: str, target: str) -> str | None:
    """Say why `target` cannot be the Vertex alias of the source alias `source`, or None if it can."""
    if target == DEFAULT:
        return f"only default_from moves 'default'; write 'default_from: {source}'"
    problem = alias_problem(target)
    if problem is None:
        return None
    return f"{target!r} is not a legal Vertex AI version alias ({problem}); write '{source}: {slug_alias(target)}'"


def _alias_table(table: dict[str, object]) -> Iterator[Fault]:
    sources: dict[str, str] = {}
    for source, target in table.items():
        if source == OTHERS:
            if target is not None:
                yield Fault("'*' can only be null, which drops all aliases that are not named", ("aliases", source))
        elif not source.strip():
            yield Fault("an alias must not be empty", ("aliases", source), on_key=True)
        elif isinstance(target, str):
            if fault := _alias_fault(source, target):
                yield Fault(fault, ("aliases", source))
            twin = sources.setdefault(target, source)
            if twin != source:
                message = f"{twin!r} and {source!r} both land on {target!r}; give each a name of its own"
                yield Fault(message, ("aliases", source))


def _alias_list(names: list[object]) -> Iterator[Fault]:
    for index, alias in enumerate(names):
        if not isinstance(alias, str):
            continue
        if alias == OTHERS:
            yield Fault("'*' has no place in a list; what a list does not name is dropped", ("aliases", index))
        elif alias in names[:index]:
            yield Fault(f"{alias!r} is listed twice", ("aliases", index))
        elif fault := _alias_fault(alias, alias):
            yield Fault(fault, ("aliases", index))
