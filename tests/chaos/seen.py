"""What the sides say, as values: nothing here knows how it was asked, or what it should be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.chaos.ledger import Files

MANIFEST = ".bridge-manifest.json"


@dataclass(frozen=True, slots=True)
class Registered:
    """A version in Vertex."""

    model: str
    id: str
    folder: str  # ends in "/"
    aliases: frozenset[str]
    created: float  # seconds since the epoch


@dataclass(frozen=True, slots=True)
class Look:
    """All versions in Vertex, as they were asked for up to a moment."""

    at: float
    versions: tuple[Registered, ...]

    def holder(self, model: str, alias: str) -> Registered | None:
        return next((each for each in self.versions if each.model == model and alias in each.aliases), None)


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object in the bucket."""

    uri: str
    md5: str  # of its bytes, which were read if all was quiet
    created: float  # seconds since the epoch
    generation: int


@dataclass(frozen=True, slots=True)
class ModelRow:
    """What `bridge status --json` says of a model."""

    model: str
    state: str
    message: str
    looked_at: float
    aliases: Mapping[str, tuple[str, str | None]]  # alias -> Vertex version id, label


@dataclass(frozen=True, slots=True)
class Quiet:
    """What all sides say when nothing happens and nothing is broken."""

    look: Look
    objects: Mapping[str, StoredObject]  # by URI
    sources: Mapping[str, Mapping[str, str]]  # collection -> alias -> label
    labels: Mapping[str, frozenset[str]]  # collection -> versions that are there
    rows: tuple[ModelRow, ...]
    journal: tuple[Mapping[str, Any], ...]  # what `bridge history --json` says, oldest first
    writes: Mapping[str, int] = field(default_factory=dict)  # by the bridge, after it had said that all is settled
    leaks: tuple[str, ...] = ()  # where a secret was found
    rebuilt: tuple[Mapping[str, Any], ...] | None = None  # `bridge rebuild --json` into an empty store; None: not asked
    complaints: tuple[str, ...] = ()  # of services that ended though nobody told them to, or met a bug
    _known: dict[str, Files] = field(default_factory=dict)

    def files(self, folder: str) -> Files:
        """Say which bytes a folder holds."""
        if folder not in self._known:
            self._known[folder] = frozenset(
                (uri.removeprefix(folder), each.md5)
                for uri, each in self.objects.items()
                if uri.startswith(folder) and not uri.endswith(MANIFEST)
            )
        return self._known[folder]
