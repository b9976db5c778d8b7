"""Which mappings come nearest to a reference that none follows, and why they do not. Pure."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.core.model import CollectionSelector, MappingSpec
    from bridge.core.refs import Ref

MOST = 3


def nearest(ref: Ref, specs: Sequence[MappingSpec]) -> list[tuple[MappingSpec, str]]:
    """Return the nearest few mappings, the nearest first, each with the reason why it does not follow a reference."""
    ranked = sorted(specs, key=lambda spec: (-_likeness(ref, spec), spec.name))
    return [(spec, _why_not(ref, spec)) for spec in ranked[:MOST]]


def in_place(place: str, selector: CollectionSelector) -> bool:
    """Tell whether a place is the one that a selector looks in; either may leave out whose it is."""
    return place == selector.place or place.endswith(f"/{selector.place}") or selector.place.endswith(f"/{place}")


def _why_not(ref: Ref, spec: MappingSpec) -> str:
    source = spec.source
    place, _, name = ref.name.rpartition("/")
    if not ref.at_source:
        return f"it is called {spec.name}, and its model in Vertex {spec.target.model}"
    if not in_place(place, source):
        return f"it follows collections in {source.place}, not in {place}"
    if source.is_pattern:
        return f"its pattern {source.name!a} does not match the whole of {name!a}"
    return f"it follows {source.name!a}, not {name!a}"


def _likeness(ref: Ref, spec: MappingSpec) -> float:
    place, _, name = ref.name.rpartition("/")
    if not ref.at_source:
        return max(_alike(name, spec.name), _alike(name, spec.target.model))
    return 2.0 * in_place(place, spec.source) + _alike(name, spec.source.name)


def _alike(one: str, other: str) -> float:
    return SequenceMatcher(None, one.lower(), other.lower()).ratio()
