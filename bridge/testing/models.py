"""What a registry in memory holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from bridge.core.model import DEFAULT, ModelVersion

if TYPE_CHECKING:
    from datetime import datetime

    from bridge.core.model import Alias
    from bridge.core.records import Operation


@dataclass
class HeldVersion:
    """A version."""

    number: int
    artifact_uri: str
    marked: bool
    listed_from: datetime
    owner: str | None = None  # whose mark it carries, if not ours
    duplicate_of: str | None = None
    aliases: set[Alias] = field(default_factory=set)
    endpoints: tuple[str, ...] = ()


@dataclass
class HeldModel:
    """A model with its versions."""

    name: str
    marked: bool  # labels of the first upload belong to the model, where label_scope says so
    versions: list[HeldVersion] = field(default_factory=list)
    given: int = 0  # version ids are never given twice

    def version(self, version_id: str) -> HeldVersion | None:
        """Return the version with that id."""
        return next((version for version in self.versions if str(version.number) == version_id), None)

    def holder(self, alias: Alias) -> HeldVersion | None:
        """Return the version with that alias."""
        return next((version for version in self.versions if alias in version.aliases), None)

    def demand(self, version_id: str) -> HeldVersion:
        """Return the version with that id. Raises KeyError."""
        return {str(version.number): version for version in self.versions}[version_id]

    def give(self, alias: Alias, version: HeldVersion | None) -> None:
        """Let an alias name a version and no other; None: nobody."""
        for each in self.versions:
            each.aliases.discard(alias)
        if version is not None:
            version.aliases.add(alias)

    def add(self, artifact_uri: str, listed_from: datetime, *, marked: bool) -> HeldVersion:
        """Add a version; `default` is on the first one."""
        self.given += 1
        version = HeldVersion(self.given, artifact_uri, marked, listed_from)
        if not self.versions:
            version.aliases.add(DEFAULT)
        self.versions.append(version)
        return version

    def lose(self, version_id: str) -> bool:
        """Lose a version with its aliases, `default` to the latest; tell whether any version is left."""
        self.versions = [version for version in self.versions if str(version.number) != version_id]
        if self.versions and not any(DEFAULT in version.aliases for version in self.versions):
            self.versions[-1].aliases.add(DEFAULT)
        return bool(self.versions)

    def shown(self, version: HeldVersion, label_scope: Literal["model", "version"]) -> ModelVersion:
        """Return a version as Vertex shows it; with the scope "model" it shows the labels of its model too."""
        shared = self.marked and label_scope == "model" and version.owner is None
        return ModelVersion(
            str(version.number),
            version.artifact_uri,
            frozenset(version.aliases),
            version.marked or shared,
            version.owner,
            version.duplicate_of is not None,
            version.endpoints,
        )

    def shows_mark(self, label_scope: Literal["model", "version"]) -> bool:
        """Tell whether the model shows our mark."""
        return any(DEFAULT in each.aliases and self.shown(each, label_scope).marked for each in self.versions)


@dataclass
class HeldUpload:
    """An upload that was asked for."""

    name: str  # of the operation
    model: str
    display_name: str
    artifact_uri: str
    is_first: bool  # it asks for a new model
    commits_at: datetime
    end: Operation | None  # None: not yet; otherwise how it ends, once it is time
