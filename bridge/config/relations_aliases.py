"""What a mapping's `aliases` must be: functions from plain values to faults, as in relations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.config.wrong import Fault
from bridge.core.model import DEFAULT
from bridge.core.naming import alias_problem, slug_alias

if TYPE_CHECKING:
    from collections.abc import Iterator

OTHERS = "*"  # among the aliases of a mapping: all that are not named


def faults_of_aliases(said: object) -> Iterator[Fault]:
    """Yield what is wrong with the aliases of one rule of a mapping file."""
    match said:
        case {"aliases": dict(table)}:
            yield from _alias_table(table)
        case {"aliases": list(names)}:
            yield from _alias_list(names)
        case _:
            pass
    yield from _style(said)


def _style(said: object) -> Iterator[Fault]:
    match said:
        case {"alias_style": str(), "aliases": list()} | {"alias_style": str(), "aliases": {"*": _}}:
            message = "alias_style says how unnamed aliases are spelled, but aliases drops them all; write one of both"
            yield Fault(message, ("alias_style",), on_key=True)
        case _:
            return


def alias_fault(source: str, target: str) -> str | None:
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
            if fault := alias_fault(source, target):
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
        elif fault := alias_fault(alias, alias):
            yield Fault(fault, ("aliases", index))
