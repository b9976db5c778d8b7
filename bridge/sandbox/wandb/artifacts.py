"""Artifact versions, their memberships in collections, and the aliases that belong to a membership."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bridge.sandbox.wandb.collections import (
    Collection,
)
from bridge.sandbox.wandb.paging import Page, slice_of
from bridge.sandbox.wandb.records import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.sandbox.wandb.collections import ArtifactType
    from bridge.sandbox.wandb.context import Context

TTL_DISABLED = -2  # the SDK's number (sdk/artifacts/artifact.py, _ttl_duration_seconds_to_gql); NULL here: inherited
MANY_MEMBERSHIPS = 10_000


@dataclass(frozen=True, slots=True)
class Artifact(Record):
    """`Artifact`: one version. Its files are answered by `files`, its runs by `runs`."""

    table: ClassVar[str] = "artifacts"
    kinds: ClassVar[tuple[str, ...]] = ("Artifact",)

    sequence_key: int
    state: str  # "PENDING" until the commit, "COMMITTED", "DELETED"
    version_index: int | None  # in its own sequence; None until the commit
    digest: str
    digest_algorithm: str
    commit_hash: str | None
    description: str | None
    metadata: str
    history_step: int | None
    ttl_seconds: int | None
    size: int
    file_count: int
    manifest_blob: str | None  # the whole manifest, once committed
    run_key: int | None
    user_key: int | None
    created_at: float
    updated_at: float

    def artifactSequence(self, context: Context) -> Collection:
        """Return where the version was born."""
        return context.get(Collection, self.sequence_key)

    def artifactType(self, context: Context) -> ArtifactType:
        """Return the type of the sequence."""
        return self.artifactSequence(context).defaultArtifactType(context)

    @property
    def ttlDurationSeconds(self) -> int:
        """The time to live in seconds; -2 for none. That a project without one also says -2 is a guess."""
        return TTL_DISABLED if self.ttl_seconds is None else self.ttl_seconds

    @property
    def ttlIsInherited(self) -> bool:
        """Say if the version has no time to live of its own."""
        return self.ttl_seconds is None

    def tags(self, context: Context) -> Sequence[ArtifactTag]:
        """Return the version's tags, which all its links share."""
        return context.children(ArtifactTag, "artifact_key", self.key)

    def aliases(self, context: Context) -> Sequence[Alias]:
        """Return the version's aliases in all collections that the asker may see."""
        memberships = self.memberships(context)
        return [alias for membership in memberships for alias in membership.aliases(context)]

    def artifactMemberships(self, context: Context) -> Page[Membership]:
        """Return the version's places: where it was born, and every link."""
        return slice_of(self.memberships(context), None, None, MANY_MEMBERSHIPS)

    def memberships(self, context: Context) -> list[Membership]:
        """Return the version's places in collections that the asker may see."""
        places = context.children(Membership, "artifact_key", self.key)
        seen = context.asker.entity_keys
        return [place for place in places if place.artifactCollection(context).project(context).entity_key in seen]


@dataclass(frozen=True, slots=True)
class ArtifactTag(Record):
    """`Tag` on a version."""

    table: ClassVar[str] = "artifact_tags"
    kinds: ClassVar[tuple[str, ...]] = ("Tag",)

    artifact_key: int
    name: str


@dataclass(frozen=True, slots=True)
class Membership(Record):
    """`ArtifactCollectionMembership`: a version's place in one collection, where it is vN and has its aliases."""

    table: ClassVar[str] = "memberships"
    kinds: ClassVar[tuple[str, ...]] = ("ArtifactCollectionMembership",)

    collection_key: int
    artifact_key: int
    version_index: int
    created_at: float

    def artifact(self, context: Context) -> Artifact:
        """Return the version."""
        return context.get(Artifact, self.artifact_key)

    def artifactCollection(self, context: Context) -> Collection:
        """Return the collection."""
        return context.get(Collection, self.collection_key)

    def aliases(self, context: Context) -> Sequence[Alias]:
        """Return the aliases here; with `vN` among them if the switch says so."""
        aliases = context.children(Alias, "membership_key", self.key)
        if not context.switches.version_alias_in_list:
            return aliases
        return [*aliases, Alias(-self.key, self.collection_key, self.key, f"v{self.version_index}")]


@dataclass(frozen=True, slots=True)
class Alias(Record):
    """`ArtifactAlias`: names one version of one collection."""

    table: ClassVar[str] = "aliases"
    kinds: ClassVar[tuple[str, ...]] = ("ArtifactAlias",)

    collection_key: int
    membership_key: int
    alias: str

    def artifactCollection(self, context: Context) -> Collection:
        """Return the collection in which the alias holds."""
        return context.get(Collection, self.collection_key)
