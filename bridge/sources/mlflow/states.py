"""What a model's versions, aliases and stages mean to a selector. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from bridge.core.model import MLFLOW_PLACE, Remark, SourceState, SourceVersion
from bridge.sources.mlflow.failures import shown
from bridge.sources.mlflow.records import PENDING, READY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bridge.core.model import CollectionSelector
    from bridge.sources.mlflow.records import Model, Version


def source_version(version: Version, connection: str, tracking_uri: str) -> SourceVersion:
    """Return a version as the rest of the bridge knows it."""
    page = f"{MLFLOW_PLACE}/{version.model}/{version.number}"
    if urlsplit(tracking_uri).scheme.lower() in ("http", "https"):
        page = f"{shown(tracking_uri)}/#/models/{quote(version.model, safe='')}/versions/{version.number}"
    collection = f"{MLFLOW_PLACE}/{version.model}"
    return SourceVersion(connection, collection, str(version.number), version.id, None, page)


def asked_for(selector: CollectionSelector, model: Model) -> dict[str, int]:
    """Return those of a model's aliases that a selector asks for, with the numbers of their versions."""
    return {name: to for name, to in model.aliases.items() if selector.aliases is None or name in selector.aliases}


def state_of(
    selector: CollectionSelector, model: Model, known: Mapping[int, Version], tracking_uri: str
) -> SourceState:
    """
    Say what a selector sees of a model.

        alias       stage of that name   it is
        3           (not selected)       on 3
        3           versions 3           on 3
        3           version 5            undecided
        -           version 5            on 5
        -           versions 3 and 5     on the one that was updated last, with a remark
        4, pending                       undecided, and that will pass
        4, failed                        undecided
        4, unknown                       left out, and the state is not complete
    """
    aliases: dict[str, str] = {}
    remarks: dict[str, Remark] = {}
    wanted = asked_for(selector, model)
    for alias, number in wanted.items():
        version = known.get(number)
        if version is None:
            continue
        if version.status == READY:
            aliases[alias] = version.id
        else:
            remarks[alias] = _not_ready(version)
    for stage in sorted(selector.stages):
        members = [version for version in known.values() if version.stage == stage]
        _add_stage(stage, members, wanted.get(stage), aliases, remarks)
    versions = [known[number] for number in sorted(known) if known[number].status == READY]
    return SourceState(
        f"{MLFLOW_PLACE}/{model.name}",
        model.name,
        tuple(source_version(version, selector.connection, tracking_uri) for version in versions),
        aliases,
        complete=all(number in known for number in wanted.values()),
        remarks=remarks,
    )


def _add_stage(
    stage: str, members: list[Version], aliased: int | None, aliases: dict[str, str], remarks: dict[str, Remark]
) -> None:
    ready = [version for version in members if version.status == READY]
    if not ready:
        if members and stage not in aliases:
            remarks.setdefault(stage, _not_ready(max(members, key=_last)))
        return
    taken = max(ready, key=_last)
    if aliased is not None:
        if aliased != taken.number:
            aliases.pop(stage, None)
            remarks[stage] = Remark(
                f"alias {stage!a} is on version {aliased}, and stage {stage!a} on version {taken.number}",
                "rename the alias, or take the stage out of the mapping",
            )
        return
    aliases[stage] = taken.id
    if len(ready) > 1:
        numbers = _enumerated(version.number for version in sorted(ready, key=lambda version: version.number))
        remarks[stage] = Remark(
            f"versions {numbers} are {'both' if len(ready) == 2 else 'all'} in stage {stage!a}; "  # noqa: PLR2004  a word
            f"{taken.number} is taken by its last update: MLflow keeps no time of the transition",
            "move all but one out of the stage, or use an alias instead",
        )


def _last(version: Version) -> tuple[int, int]:
    return version.updated, version.number


def _not_ready(version: Version) -> Remark:
    if version.status == PENDING:
        return Remark(
            f"version {version.number} is still being registered ({PENDING})",
            "it follows when MLflow calls the version READY",
            passing=True,
        )
    return Remark(
        f"version {version.number} has not become ready ({version.status})",
        "register the model again, and move the alias to that version",
    )


def _enumerated(numbers: Iterable[int]) -> str:
    *first, last = map(str, numbers)
    return f"{', '.join(first)} and {last}"
