"""What a mapping asks of Vertex, given what the source says. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.core.changes import Kind, Refusal
from bridge.core.errors import NeedsPerson
from bridge.core.model import DEFAULT, Alias
from bridge.core.naming import slug_alias, spell_alias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.core.model import MappingSpec, Remark, SourceState, SourceVersion


@dataclass(frozen=True, slots=True)
class Desired:
    """The state that Vertex should have: the desired end of a plan."""

    versions: tuple[SourceVersion, ...]  # to be registered, oldest first; holds every aliased one
    aliases: Mapping[Alias, SourceVersion]
    refusals: tuple[Refusal, ...]  # what the source says that cannot be said in Vertex
    complete: bool  # False: absence from `aliases` means nothing
    unclear: frozenset[Alias] = frozenset()  # what may have been meant by what was refused: absent, but not gone
    notes: Mapping[Alias, str] = field(default_factory=dict)  # what was decided for an alias, and between what
    is_missing: bool = False  # the collection was there once, and is not found any more


def desire(spec: MappingSpec, state: SourceState) -> Desired:
    """
    Translate one collection's state by the rules of its mapping.

    An alias that cannot be spelled, two that land on one name, and one that the source itself leaves open become
    refusals; the rest is unharmed.
    """
    names, refusals, unclear = _spell_all(spec, state)
    decided = {alias: name for alias, name in names.items() if name in state.aliases}
    undecided = names.keys() - decided.keys()
    aliases = {alias: state.version(state.aliases[name]) for alias, name in decided.items()}
    if spec.default_from is not None and spec.default_from in state.aliases:
        aliases[DEFAULT] = state.version(state.aliases[spec.default_from])
    elif spec.default_from in state.remarks:
        unclear.append(DEFAULT)
    wanted = {version.id for version in aliases.values()} | _unaliased(spec, state)
    return Desired(
        versions=tuple(version for version in state.versions if version.id in wanted),
        aliases=aliases,
        refusals=(*refusals, *(_undecided(alias, state.remarks[names[alias]]) for alias in sorted(undecided))),
        unclear=frozenset(unclear) | undecided,
        complete=state.complete,
        is_missing=state.is_missing,
        notes={alias: state.remarks[name].text for alias, name in decided.items() if name in state.remarks},
    )


def model_name(spec: MappingSpec, collection: str) -> str:
    """
    Fill the pattern's groups into the target's name: `vision-{task}`.

    `collection` is the collection's name, without what holds it. Groups were checked with the configuration.
    """
    if not spec.source.is_pattern:
        return spec.target.model
    match = re.fullmatch(spec.source.name, collection)
    groups = match.groupdict(default="") if match else {}
    return re.sub(r"\{(\w+)\}", lambda group: groups[group[1]], spec.target.model)


def _spell_all(spec: MappingSpec, state: SourceState) -> tuple[dict[Alias, str], list[Refusal], list[Alias]]:
    """Return which source alias each Vertex alias comes from, what cannot be spelled, and what that may have meant."""
    sources: dict[Alias, list[str]] = {}
    refusals, unclear = [], []
    for name in sorted({*state.aliases, *state.remarks}):
        try:
            alias = spell_alias(name, spec.aliases)
        except NeedsPerson as problem:
            refusals.append(Refusal(Kind.NAME, f"alias {name!a}", problem.reason, _at(spec, problem.remedy)))
            unclear.append(slug_alias(name))
            continue
        if alias is not None:
            sources.setdefault(alias, []).append(name)
    single = {}
    for alias, names in sorted(sources.items()):
        if len(names) > 1:
            both = " and ".join(ascii(name) for name in names)
            reason = f"source aliases {both} all land on {alias!r}, and no one of them is preferred"
            remedy = _at(spec, "give each a name of its own under aliases, or null to drop it")
            refusals.append(Refusal(Kind.NAME, f"alias {alias}", reason, remedy))
            unclear.append(alias)
        else:
            single[alias] = names[0]
    return single, refusals, unclear


def _undecided(alias: Alias, remark: Remark) -> Refusal:
    kind = Kind.WAITING if remark.passing else Kind.UNCLEAR
    return Refusal(kind, f"alias {alias}", remark.text, remark.remedy or "it follows when the source is clear about it")


def _unaliased(spec: MappingSpec, state: SourceState) -> set[str]:
    newest = spec.versions.newest
    chosen = state.versions if newest is None else state.versions[max(0, len(state.versions) - newest) :]
    return {version.id for version in chosen}


def _at(spec: MappingSpec, remedy: str) -> str:
    return f"{remedy} ({spec.origin})"
