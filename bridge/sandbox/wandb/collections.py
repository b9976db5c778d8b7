"""Artifact types and collections: sequences, where versions are born, and portfolios, which they are linked into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bridge.sandbox.wandb.errors import Refused
from bridge.sandbox.wandb.filters import Field, any_of, column, moment, sql_filter
from bridge.sandbox.wandb.ids import global_id
from bridge.sandbox.wandb.paging import Listing, Page, slice_of
from bridge.sandbox.wandb.projects import (
    NAME_MAX,
    Project,
    project_filter,
    visible_projects,
)
from bridge.sandbox.wandb.records import Record, Sql

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.sandbox.wandb.context import Context
    from bridge.sandbox.wandb.people import Entity

MANY_TAGS = 10_000


@dataclass(frozen=True, slots=True)
class ArtifactType(Record):
    """`ArtifactType`: of one project."""

    table: ClassVar[str] = "artifact_types"
    kinds: ClassVar[tuple[str, ...]] = ("ArtifactType",)

    project_key: int
    name: str
    description: str | None
    created_at: float

    def artifactCollection(self, context: Context, name: str) -> Collection | None:
        """Return a collection of this type."""
        return context.find(
            Collection,
            "project_key = ? AND name = ? AND type_key = ? AND state = 'READY'",
            self.project_key,
            name,
            self.key,
        )

    def artifactCollections(
        self,
        context: Context,
        *,
        after: str | None = None,
        first: int | None = None,
        filters: str | None = None,
        order: str | None = None,
    ) -> Page[Collection]:
        """List the collections of this type."""
        where = Sql("collections.type_key = ?", (self.key,)) & collection_filter(filters)
        return list_collections(where).page(context, first, after, order)


@dataclass(frozen=True, slots=True)
class Collection(Record):
    """`ArtifactSequence` or `ArtifactPortfolio`. Its versions and aliases are answered by `artifacts`."""

    table: ClassVar[str] = "collections"
    kinds: ClassVar[tuple[str, ...]] = ("ArtifactSequence", "ArtifactPortfolio", "ArtifactCollection")

    project_key: int
    type_key: int
    collection_type: str  # "SEQUENCE" or "PORTFOLIO"
    name: str
    description: str | None
    state: str  # "READY" or "DELETED"
    digest_algorithm: str | None  # of a sequence's versions; None until the first
    next_version: int
    created_at: float
    updated_at: float

    @property
    def typename(self) -> str:
        """The name of the GraphQL type."""
        return "ArtifactSequence" if self.collection_type == "SEQUENCE" else "ArtifactPortfolio"

    @property
    def id(self) -> str:
        """The id says which of the two it is."""
        return global_id(self.typename, self.key)

    def project(self, context: Context) -> Project:
        """Return where the collection is."""
        return context.get(Project, self.project_key)

    def defaultArtifactType(self, context: Context) -> ArtifactType:
        """Return the type of its versions."""
        return context.get(ArtifactType, self.type_key)

    def tags(self, context: Context) -> Page[CollectionTag]:
        """Return the collection's own tags; those of its versions are others."""
        return slice_of(context.children(CollectionTag, "collection_key", self.key), None, None, MANY_TAGS)


@dataclass(frozen=True, slots=True)
class CollectionTag(Record):
    """`Tag` on a collection."""

    table: ClassVar[str] = "collection_tags"
    kinds: ClassVar[tuple[str, ...]] = ("Tag",)

    collection_key: int
    name: str


# Field names of collection filters, basic and advanced (apis/public/registries/_utils.py), and of project listings.
COLLECTION_FILTERS: dict[str, Field] = {
    "id": column("collections.key"),
    "artifact_collection_id": column("collections.key"),
    "name": column("collections.name"),
    "tag": any_of("collection_tags", "collection_tags.collection_key = collections.key", "collection_tags.name"),
    "description": column("collections.description"),
    "created_at": moment("collections.created_at"),
    "updated_at": moment("collections.updated_at"),
}
COLLECTION_FILTERS |= {
    "createdAt": COLLECTION_FILTERS["created_at"],
    "updatedAt": COLLECTION_FILTERS["updated_at"],
}
COLLECTION_ORDERS = {
    "name": "collections.name",
    "created_at": "collections.created_at",
    "updated_at": "collections.updated_at",
    "createdAt": "collections.created_at",
    "updatedAt": "collections.updated_at",
}
COLLECTION_JOINS = "CROSS JOIN projects ON projects.key = collections.project_key"


def collection_filter(text: str | None) -> Sql:
    """Translate a filter on collections."""
    return sql_filter(text, COLLECTION_FILTERS.get)


def list_collections(where: Sql) -> Listing[Collection]:
    """List living collections, in the order they were made."""
    alive = Sql("collections.state = 'READY'")
    return Listing(Collection, COLLECTION_JOINS, alive & where, COLLECTION_ORDERS, prepare=load_around)


def load_around(context: Context, collections: Sequence[Collection]) -> None:
    """Read in one go what every answer about these collections needs."""
    context.load(Project, {collection.project_key for collection in collections})
    context.load(ArtifactType, {collection.type_key for collection in collections})
    context.load_children(CollectionTag, "collection_key", {collection.key for collection in collections})


def find_collection(context: Context, project: Project, name: str) -> Collection | None:
    """Return a living collection by name."""
    return context.find(Collection, "project_key = ? AND name = ? AND state = 'READY'", project.key, name)


def type_or_new(context: Context, project: Project, name: str, description: str | None = None) -> ArtifactType:
    """Return the project's type of this name, made now if it is not there."""
    context.write(
        "INSERT OR IGNORE INTO artifact_types (project_key, name, description, created_at) VALUES (?, ?, ?, ?)",
        project.key,
        name,
        description,
        context.now,
    )
    found = context.find(ArtifactType, "project_key = ? AND name = ?", project.key, name)
    assert found is not None  # noqa: S101  it was there, or is now
    return found


def make_collection(context: Context, project: Project, kind: str, name: str, of_type: ArtifactType) -> Collection:
    """Make a collection; `kind` is "SEQUENCE" or "PORTFOLIO"."""
    check_name(name)
    key = context.write(
        "INSERT INTO collections (project_key, type_key, collection_type, name, state, created_at, updated_at)"
        " VALUES (?, ?, ?, ?, 'READY', ?, ?)",
        project.key,
        of_type.key,
        kind,
        name,
        context.now,
        context.now,
    )
    return context.get(Collection, key)


def check_name(name: str) -> None:
    """Refuse a name that the SDK would refuse (sdk/artifacts/_validators.py)."""
    if not name or "/" in name or len(name) > NAME_MAX:
        raise Refused(f"invalid collection name {name!r}", 400)


def touch(context: Context, collection_key: int) -> None:
    """Say that a collection changed now."""
    context.write("UPDATE collections SET updated_at = ? WHERE key = ?", context.now, collection_key)


class EntityCollections:
    """A field of `Entity`: collections across its projects."""

    @staticmethod
    def artifactCollections(
        entity: Entity,
        context: Context,
        *,
        projectFilters: str | None = None,
        filters: str | None = None,
        collectionTypes: Sequence[str] | None = None,
        after: str | None = None,
        first: int | None = None,
        order: str | None = None,
    ) -> Page[Collection]:
        """List collections across an entity's projects; nothing to who is no member."""
        where = visible_projects(context, entity) & project_filter(projectFilters)
        if collectionTypes:
            marks = ", ".join("?" * len(collectionTypes))
            where &= Sql(f"collections.collection_type IN ({marks})", tuple(collectionTypes))
        return list_collections(where & collection_filter(filters)).page(context, first, after, order)


class ProjectCollections:
    """Fields of `Project` that are about types and collections."""

    @staticmethod
    def artifactType(project: Project, context: Context, name: str) -> ArtifactType | None:
        """Return a type by name."""
        return context.find(ArtifactType, "project_key = ? AND name = ?", project.key, name)

    @staticmethod
    def artifactTypes(
        project: Project,
        context: Context,
        *,
        after: str | None = None,
        first: int | None = None,
        includeAll: bool | None = None,  # noqa: ARG004  accepted: what else there would be is unknown
    ) -> Page[ArtifactType]:
        """List the project's types."""
        return Listing(ArtifactType, where=Sql("project_key = ?", (project.key,))).page(context, first, after)

    @staticmethod
    def artifactCollection(project: Project, context: Context, name: str) -> Collection | None:
        """Return a collection by name."""
        return find_collection(context, project, name)

    @staticmethod
    def artifactCollections(
        project: Project,
        context: Context,
        *,
        after: str | None = None,
        first: int | None = None,
        filters: str | None = None,
        order: str | None = None,
    ) -> Page[Collection]:
        """List the project's collections."""
        where = Sql("collections.project_key = ?", (project.key,)) & collection_filter(filters)
        return list_collections(where).page(context, first, after, order)


class CollectionQueries:
    """Root fields that find collections."""

    def artifactCollection(self, context: Context, id_: str) -> Collection | None:
        """Find a collection by id."""
        collection = context.by_id(Collection, id_)
        return collection if collection and collection.state == "READY" else None
