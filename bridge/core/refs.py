"""
References, written the way people already write them, and what the store knows under them.

    fraud@production, fraud@7                            a version in Vertex, by alias or id
    wandb-registry-model/fraud-detector:v7               a version at the source, by its label
    wandb-registry-model/fraud-detector:production       the same, by an alias, as it is spelled there or in Vertex
    models:/churn/3, models:/churn@champion              the same in MLflow; models:/churn/Production by a stage
    fraud                                                every version of a model or a mapping
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from bridge.core.changes import (
    AdoptVersion,
    ArrangeFiles,
    CopyFiles,
    DeleteFiles,
    DeleteVersion,
    MarkDuplicate,
    MoveAlias,
    RegisterVersion,
    RemoveAlias,
)
from bridge.core.deeds import Paused, Resumed
from bridge.core.errors import NeedsPerson, NotFound
from bridge.core.model import MLFLOW_PLACE, ModelKey
from bridge.core.naming import model_id, serving_uri, spell_alias

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from bridge.core.deeds import Deed
    from bridge.core.model import Alias, AliasRules, MappingRecord, MappingSpec
    from bridge.core.records import Status

SHOWN = 10  # models that a reference may mean, when it means too many


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference: a name, and which version of it; None means all."""

    name: str
    version: str | None
    at_source: bool  # `name` is a collection's; else a model's or a mapping's


def parse_ref(text: str) -> Ref:
    """Read a reference; any text is one, if only the name of a model."""
    if text.startswith(f"{MLFLOW_PLACE}/"):
        # As MLflow reads it: a name holds no "/", but may hold "@".
        name, between, version = text.removeprefix(f"{MLFLOW_PLACE}/").partition("/")
        if not between and "@" in name:
            name, _, version = name.rpartition("@")
        return Ref(f"{MLFLOW_PLACE}/{name}", version or None, at_source=True)
    if "/" in text and ":" in text:
        name, _, version = text.rpartition(":")
        return Ref(name, version or None, at_source=True)
    name, at, version = text.rpartition("@")
    return Ref(name, version or None, at_source=False) if at else Ref(text, None, at_source="/" in text)


def find(
    ref: Ref,
    records: Iterable[MappingRecord],
    mirrored: Mapping[ModelKey, Mapping[Alias, str]],
    rules: Mapping[str, AliasRules] | None = None,
) -> list[MappingRecord]:
    """
    Return the records that a reference means, in the order given; several mappings may have one model.

    `rules`, by mapping, say what an alias of the source is called in Vertex.
    """
    return [
        record
        for record in records
        if means(ref, record.key, record.source.collection)
        and (
            ref.version is None
            or _is_version(ref, record, mirrored.get(record.key, {}), (rules or {}).get(record.key.mapping))
        )
    ]


def means(ref: Ref, key: ModelKey, collection: str) -> bool:
    """Tell whether a reference is to something of this model, or of the collection that it follows."""
    if ref.at_source:
        return collection == ref.name or collection.endswith(f"/{ref.name}")
    return ref.name in (key.model, key.mapping, str(key))


def model_of(ref: Ref, followed: Mapping[ModelKey, str], remedy: str) -> ModelKey | None:
    """
    Return the one model that a reference means, among those that are `followed`, with their collections, or None.

    A version or an alias only says which model: whether there is such a one is not asked. MAPPING/MODEL means just
    that model, whatever else has such a name. Raises NeedsPerson, with the remedy, if several are meant.
    """
    whole = ref.version is None or not ref.at_source
    if exact := [key for key in followed if whole and ref.name == str(key)]:
        return exact[0]
    meant = sorted(key for key, collection in followed.items() if means(ref, key, collection))
    if len(meant) > 1:
        more = f" and {len(meant) - SHOWN} more" if len(meant) > SHOWN else ""
        raise NeedsPerson(f"{ref.name!a} may be any of {', '.join(map(str, meant[:SHOWN]))}{more}", remedy)
    return meant[0] if meant else None


def model_to_retry(text: str, statuses: Iterable[Status], mappings: Collection[str]) -> ModelKey:
    """
    Return the model of these mappings that a reference means, of those whose status is known.

    Raises NotFound if there is none, NeedsPerson if there are several.
    """
    followed = {status.key: status.collection for status in statuses if status.key.mapping in mappings}
    key = model_of(parse_ref(text), followed, "name one of them: bridge retry MAPPING/MODEL")
    if key is None:
        raise NotFound(f"the store knows no model {text!a}", "see what it knows: bridge status")
    return key


def may_mean(ref: Ref, spec: MappingSpec) -> bool:
    """Tell whether a reference may be to something of this mapping, before its collections are known."""
    if spec.source.is_pattern:
        return True
    collection = f"{spec.source.place}/{spec.source.name}"
    whole = ref.at_source and ref.name.endswith(f"/{collection}")  # it may say whose the place is, too
    return whole or means(ref, ModelKey(spec.name, model_id(spec.target.model)), collection)


def concerns(change: Deed, records: Iterable[MappingRecord]) -> bool:  # noqa: PLR0911  one kind a case
    """Tell whether a change made or deleted one of these versions, or moved an alias to or from one."""
    folders = {record.artifact_uri for record in records}
    ids = {record.version_id for record in records}
    match change:
        case CopyFiles(artifact_uri=folder):
            return folder in folders or serving_uri(folder) in folders
        case ArrangeFiles(artifact_uri=folder) | RegisterVersion(artifact_uri=folder):
            return folder in folders
        case AdoptVersion(artifact_uri=folder):
            return folder in folders
        case MoveAlias(artifact_uri=folder, previous=previous):
            return folder in folders or (previous is not None and previous.version_id in ids)
        case RemoveAlias(previous=previous):
            return previous.version_id in ids
        case MarkDuplicate(of=of):
            return of in ids
        case DeleteVersion(version_id=version_id):
            return version_id in ids
        case DeleteFiles(artifact_uri=folder):
            return folder in folders
        case Paused() | Resumed():
            return False
        case _:
            assert_never(change)


def _is_version(ref: Ref, record: MappingRecord, aliases: Mapping[Alias, str], rules: AliasRules | None) -> bool:
    label = record.source.label if ref.at_source else record.version_id
    names = {ref.version}
    if ref.at_source and rules is not None and ref.version is not None:
        with suppress(NeedsPerson):
            names.add(spell_alias(ref.version, rules))
    return ref.version == label or any(
        alias in names and version_id == record.version_id for alias, version_id in aliases.items()
    )
