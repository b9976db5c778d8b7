"""How changes are read back from the journal and from saved plans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
from bridge.core.errors import NeedsPerson
from bridge.core.model import Alias, Container, SourceVersion, VersionRef

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.core.changes import Change
    from bridge.core.deeds import Deed


def deed_from_json(values: Mapping[str, Any]) -> Deed:
    """Read what `deed_to_json` wrote. Raises NeedsPerson as `change_from_json` does."""
    match values["change"]:
        case "pause":
            return Paused(**_fields(values))
        case "resume":
            return Resumed(**_fields(values))
        case _:
            return change_from_json(values)


def change_from_json(values: Mapping[str, Any]) -> Change:  # noqa: PLR0911  one kind a case
    """
    Read what `change_to_json` wrote.

    Raises NeedsPerson for a kind that this bridge does not know: a newer one wrote it.
    """
    match values["change"]:
        case "copy":
            return CopyFiles(SourceVersion(**values["version"]), values["artifact_uri"])
        case "arrange":
            renames = tuple((old, new) for old, new in values["renames"])
            version = SourceVersion(**values["version"])
            return ArrangeFiles(version, values["copied_uri"], values["artifact_uri"], renames)
        case "register":
            return RegisterVersion(
                SourceVersion(**values["version"]),
                values["artifact_uri"],
                _container_from_json(values.get("container", {"image": ""})),  # entries from before there were layouts
                values.get("why", ""),
            )
        case "adopt":
            return AdoptVersion(**{**_fields(values), "version": SourceVersion(**values["version"])})
        case "move-alias":
            previous = values["previous"]
            return MoveAlias(
                Alias(values["alias"]),
                SourceVersion(**values["to"]),
                values["artifact_uri"],
                None if previous is None else VersionRef(**previous),
                values.get("why", ""),
            )
        case "remove-alias":
            return RemoveAlias(Alias(values["alias"]), VersionRef(**values["previous"]))
        case "mark-duplicate":
            return MarkDuplicate(**_fields(values))
        case "delete-version":
            return DeleteVersion(SourceVersion(**values["version"]), values["artifact_uri"], values["version_id"])
        case "delete-files":
            return DeleteFiles(SourceVersion(**values["version"]), values["artifact_uri"], tuple(values["folders"]))
        case kind:
            raise NeedsPerson(
                reason=f"the journal holds a change of the kind {kind!r}, which this bridge does not know",
                remedy="upgrade the bridge: a newer one wrote it",
            )


def _fields(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name != "change"}


def _container_from_json(values: Mapping[str, Any]) -> Container:
    env = tuple((name, value) for name, value in values.get("env", ()))
    return Container(**{**values, "ports": tuple(values.get("ports", ())), "env": env})
