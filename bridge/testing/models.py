"""What a registry in memory is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from bridge.core.model import Alias
    from bridge.core.records import Operation


@dataclass
class Version:
    """One version; it is not listed before a time."""

    number: int
    artifact_uri: str
    marked: bool
    listed_from: datetime
    aliases: set[Alias] = field(default_factory=set)
    endpoints: tuple[str, ...] = ()


@dataclass
class Model:
    """A model with its versions."""

    name: str
    marked: bool  # labels of the first upload belong to the model, where label_scope says so
    versions: list[Version] = field(default_factory=list)
    given: int = 0  # version ids are never given twice

    def version(self, version_id: str) -> Version | None:
        """Return the version with that id."""
        return next((version for version in self.versions if str(version.number) == version_id), None)

    def demand(self, version_id: str) -> Version:
        """Return the version with that id. Raises KeyError."""
        return {str(version.number): version for version in self.versions}[version_id]


@dataclass
class Upload:
    """A version that was asked for."""

    name: str  # of the operation
    model: str
    display_name: str
    artifact_uri: str
    is_first: bool  # it asks for a new model
    commits_at: datetime
    end: Operation | None  # None: not yet; otherwise how it ends, once it is time
