"""
What a source of MLflow selects, together with the rest of its mapping: functions from plain values to faults.

What a server holds is unknown here, so a name is judged only where a file says it: among the stages and aliases of
the source. Without `aliases` there, any alias may come; the planner refuses what cannot be spelled then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from bridge.config import checks
from bridge.config.relations_aliases import OTHERS, alias_fault
from bridge.config.schema_source import Stage
from bridge.config.wrong import Fault, Wrong, did_you_mean
from bridge.core.errors import NeedsPerson
from bridge.core.model import DEFAULT, Alias, AliasRules
from bridge.core.naming import spell_alias

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Key = Literal["stages", "aliases"]


@dataclass(frozen=True, slots=True)
class _Selected:
    """One entry of a list in the source."""

    name: str
    key: Key
    index: int

    def fault(self, message: str) -> Fault:
        return Fault(message, ("source", self.key, self.index))


def faults_of_selection(said: object) -> Iterator[Fault]:
    """Yield what is wrong between the stages and aliases that a source selects, and what the mapping makes of them."""
    match said:
        case {"source": {"model": _, **rest}, **others}:
            selected = (*_entries(rest, "stages"), *_entries(rest, "aliases"))
            yield from _selected_twice(selected)
            yield from _landings(selected, _rules(others))
            yield from _nothing(rest, others)
            if isinstance(rest.get("aliases"), list) and selected:
                yield from _never_selected([each.name for each in selected], others)
        case _:
            return


def _entries(source: dict[object, object], key: Key) -> Iterator[_Selected]:
    listed = source.get(key)
    if not isinstance(listed, list):
        return
    for index, name in enumerate(listed):
        if isinstance(name, str) and name not in listed[:index]:
            yield _Selected(name, key, index)


def _selected_twice(selected: Sequence[_Selected]) -> Iterator[Fault]:
    stages = {each.name for each in selected if each.key == "stages"}
    for each in selected:
        if each.key == "aliases" and each.name in stages:
            message = "is selected as a stage already, and one name cannot follow both; take one of them out"
            yield each.fault(f"{each.name!r} {message}")


def _nothing(source: dict[object, object], mapping: dict[object, object]) -> Iterator[Fault]:
    nothing = source.get("aliases") == [] and source.get("stages") is None
    if nothing and mapping.get("versions", "aliased") == "aliased":
        message = "neither an alias nor a stage is selected, so nothing would be mirrored; add stages: [Production]"
        yield Fault(message, ("source", "aliases"))


def _landings(selected: Sequence[_Selected], rules: AliasRules | None) -> Iterator[Fault]:
    """Judge the Vertex aliases of what `aliases` does not name; what it names is judged where it stands there."""
    if rules is None:
        return
    sources = {spelled: name for name, spelled in rules.named.items() if spelled is not None}
    for each in selected:
        name = each.name
        if name in rules.named or not _can_come(each):
            continue
        try:
            alias = spell_alias(name, rules)
        except NeedsPerson as problem:
            yield each.fault(str(problem) if name == DEFAULT else f"{alias_fault(name, name)} under aliases")
            continue
        twin = sources.setdefault(alias, name) if alias is not None else name
        if twin != name:
            both = f"{twin!r} and {name!r} both land on {alias!r}"
            yield each.fault(f"{both}; give each a name of its own under aliases")


def _can_come(selected: _Selected) -> bool:
    """Tell whether MLflow can have it; what it cannot is a mistake of its own, reported by the shape."""
    if selected.key == "stages":
        return selected.name in get_args(Stage)
    try:
        checks.mlflow_alias(selected.name)
    except Wrong:
        return False
    return True


def _rules(mapping: dict[object, object]) -> AliasRules | None:
    """Return how a mapping spells aliases, as translate does; None if that cannot be told."""
    style: Literal["pass", "slug"] = "pass" if mapping.get("alias_style") is None else "slug"
    match mapping.get("aliases"):
        case None:
            return AliasRules({}, style)
        case list(names):
            return AliasRules({name: Alias(name) for name in names if isinstance(name, str)}, "drop")
        case dict(table):
            named = {name: Alias(to) if isinstance(to, str) else None for name, to in table.items() if name != OTHERS}
            return AliasRules(named, "drop" if OTHERS in table else style)
        case _:
            return None


def _never_selected(names: Sequence[str], mapping: dict[object, object]) -> Iterator[Fault]:
    """Find each place where the mapping waits for a name that never comes, given that only `names` do."""
    for name, fault in _waited_for(mapping):
        if isinstance(name, str) and name.strip() and name not in (OTHERS, *names):
            advice = did_you_mean(name, names, "it selects")
            message = f"{name!r} is neither a stage nor an alias that the source selects; {advice}"
            yield Fault(message, fault.below, on_key=fault.on_key)


def _waited_for(mapping: dict[object, object]) -> Iterator[tuple[object, Fault]]:
    """Yield what a mapping says of source aliases, each with a fault at its place."""
    match mapping.get("aliases"):
        case dict(table):
            yield from ((name, Fault("", ("aliases", name), on_key=True)) for name in table)
        case list(listed):
            yield from ((name, Fault("", ("aliases", index))) for index, name in enumerate(listed))
        case _:
            pass
    yield mapping.get("default_from"), Fault("", ("default_from",))
