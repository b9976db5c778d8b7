"""Which collections of a registry the selectors mean, and where things are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from bridge.core.model import CollectionSelector
    from bridge.sources.wandb.session import Artifact, ArtifactCollection

REGISTRY_PREFIX = "wandb-registry-"
PAGE = 1000  # versions or collections in one answer
MOST_NAMES = 200  # collections that are asked for by name in one filter


@dataclass(frozen=True, slots=True)
class Listed:
    """A collection that exists."""

    path: str
    tags: frozenset[str] = frozenset()


def path_of(thing: Artifact | ArtifactCollection, name: str) -> str:
    """Return the full path of a collection, from anything in it: "acme_org/wandb-registry-model/fraud-detector"."""
    return f"{thing.entity}/{thing.project}/{name}"


def page_of(artifact: Artifact, base_url: str, organization: str | None) -> str:
    """Return the address of a version's page (wandb 0.31.0, sdk/artifacts/artifact.py, without its requests)."""
    collection = artifact.name.rpartition(":")[0]
    if not artifact.project.startswith(REGISTRY_PREFIX):
        path = (artifact.entity, artifact.project, "artifacts", artifact.type, collection, artifact.version)
        return f"{base_url}/{'/'.join(quote(part) for part in path)}"
    registry = quote(artifact.project.removeprefix(REGISTRY_PREFIX))
    return (
        f"{base_url}/orgs/{quote(organization or '')}/registry/{registry}"
        f"?selectionPath={quote(path_of(artifact, collection), safe='')}&view=membership&version={artifact.version}"
    )


def names_of(group: list[CollectionSelector]) -> list[str] | None:
    """Return the names of all selected collections, or None if they are too many or not known by name."""
    names = sorted({selector.name for selector in group})
    return None if any(selector.is_pattern for selector in group) or len(names) > MOST_NAMES else names


def chosen(selector: CollectionSelector, listed: dict[str, Listed]) -> list[str]:
    """Return the names of the listed collections that a selector means, in order."""
    if selector.is_pattern:
        names = [name for name in sorted(listed) if re.fullmatch(selector.name, name)]
    else:
        names = [selector.name] if selector.name in listed else []
    return [name for name in names if selector.tags <= listed[name].tags]
