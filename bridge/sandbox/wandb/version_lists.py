"""How versions are found: by name, by id, or by a sweep of all that meet a filter."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bridge.sandbox.wandb.artifacts import Alias, Artifact, ArtifactTag, Membership
from bridge.sandbox.wandb.collections import Collection, collection_filter, find_collection, load_around
from bridge.sandbox.wandb.filters import Field, any_of, column, metadata, moment, sql_filter
from bridge.sandbox.wandb.paging import Edge, Listing, Page
from bridge.sandbox.wandb.projects import project_filter, visible_projects
from bridge.sandbox.wandb.records import Sql

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.sandbox.wandb.context import Context
    from bridge.sandbox.wandb.people import Entity
    from bridge.sandbox.wandb.projects import Project


ALIASES = any_of("aliases", "aliases.membership_key = memberships.key", "aliases.alias")
# Field names of version filters, basic and advanced (apis/public/registries/_utils.py), and of project listings.
VERSION_FILTERS: dict[str, Field] = {
    "id": column("artifacts.key"),
    "artifact_id": column("artifacts.key"),
    "state": column("artifacts.state"),
    "version": column("('v' || memberships.version_index)"),
    "tag": any_of("artifact_tags", "artifact_tags.artifact_key = artifacts.key", "artifact_tags.name"),
    "created_at": moment("artifacts.created_at"),
    "artifact_created_at": moment("artifacts.created_at"),
    "createdAt": moment("artifacts.created_at"),
    "updated_at": moment("artifacts.updated_at"),
    "updatedAt": moment("artifacts.updated_at"),
    "artifact_size": column("artifacts.size"),
    "acm_created_at": moment("memberships.created_at"),
}
VERSION_ORDERS = {
    "name": "collections.name",
    "created_at": "artifacts.created_at",
    "createdAt": "artifacts.created_at",
    "artifact_created_at": "artifacts.created_at",
    "updated_at": "artifacts.updated_at",
    "updatedAt": "artifacts.updated_at",
    "artifact_size": "artifacts.size",
    "size": "artifacts.size",
    "acm_created_at": "memberships.created_at",
    "versionIndex": "memberships.version_index",
}
# CROSS JOIN keeps memberships in the outer loop: a page is read in the order of their keys and ends after its last row.
VERSION_JOINS = (
    "CROSS JOIN collections ON collections.key = memberships.collection_key"
    " CROSS JOIN projects ON projects.key = collections.project_key"
    " CROSS JOIN artifacts ON artifacts.key = memberships.artifact_key"
)
COMMITTED = Sql("artifacts.state = 'COMMITTED' AND collections.state = 'READY'")


def version_filter(text: str | None, aliases: Field = ALIASES) -> Sql:
    """Translate a filter on versions; `metadata.a.b` reaches into the metadata, `aliases` answers for `alias`."""

    def field(name: str) -> Field | None:
        word, _, path = name.partition(".")
        if word == "metadata" and path:
            return metadata("artifacts.metadata", path)
        return aliases if name == "alias" else VERSION_FILTERS.get(name)

    return sql_filter(text, field)


def searched(context: Context, text: str | None) -> Sql:
    """
    Translate the filter of a sweep; the advanced search knows of aliases and versions only after `search_lag`.

    That what it finds is then shown as it is, not as it was, is a guess.
    """
    lag = context.switches.search_lag
    if not context.switches.advanced_search or lag == 0:
        return version_filter(text)
    known = repr(context.now - lag)
    held = (
        "alias_history.membership_key = memberships.key"
        f" AND alias_history.set_at <= {known} AND coalesce(alias_history.gone_at, 1e99) > {known}"
    )
    aliases = any_of("alias_history", held, "alias_history.alias")
    return Sql(f"memberships.created_at <= {known}") & version_filter(text, aliases)


def list_versions(where: Sql, default_order: str = "") -> Listing[Membership]:
    """List committed versions, each at its place in a collection."""
    return Listing(
        Membership, VERSION_JOINS, COMMITTED & where, VERSION_ORDERS, default_order, prepare=_load_around_places
    )


def _load_around_places(context: Context, memberships: Sequence[Membership]) -> None:
    context.load(Artifact, {membership.artifact_key for membership in memberships})
    artifacts = [membership.artifact(context) for membership in memberships]
    keys = {membership.collection_key for membership in memberships}
    keys |= {artifact.sequence_key for artifact in artifacts}
    context.load(Collection, keys)
    load_around(context, [context.get(Collection, key) for key in keys])
    context.load_children(Alias, "membership_key", [membership.key for membership in memberships])
    context.load_children(ArtifactTag, "artifact_key", [artifact.key for artifact in artifacts])


def find_membership(context: Context, collection: Collection, alias: str) -> Membership | None:
    """Return what an alias, `vN` or a commit hash names in a collection."""
    if named := context.find(Alias, "collection_key = ? AND alias = ?", collection.key, alias):
        return context.get(Membership, named.membership_key)
    if re.fullmatch(r"v\d{1,18}", alias, re.ASCII):
        return context.find(Membership, "collection_key = ? AND version_index = ?", collection.key, int(alias[1:]))
    by_hash = "collection_key = ? AND artifact_key IN (SELECT key FROM artifacts WHERE commit_hash = ?)"
    return context.find(Membership, by_hash, collection.key, alias)


def find_by_name(context: Context, project: Project, name: str) -> Membership | None:
    """Return what `collection:alias` names; without an alias, the latest."""
    collection_name, colon, alias = name.rpartition(":")
    collection = find_collection(context, project, collection_name if colon else name)
    return None if collection is None else find_membership(context, collection, alias if colon else "latest")


class EntityVersions:
    """A field of `Entity`: versions across its projects. This is what a sweep of aliases asks for."""

    @staticmethod
    def artifactMemberships(
        entity: Entity,
        context: Context,
        *,
        projectFilters: str | None = None,
        collectionFilters: str | None = None,
        filters: str | None = None,
        after: str | None = None,
        first: int | None = None,
        order: str | None = None,
    ) -> Page[Membership]:
        """List versions across an entity's projects, in the order they came; nothing to who is no member."""
        where = visible_projects(context, entity) & project_filter(projectFilters)
        where = where & collection_filter(collectionFilters) & searched(context, filters)
        return list_versions(where).page(context, first, after, order)


class ProjectVersions:
    """Fields of `Project` that find a version by name."""

    @staticmethod
    def artifact(project: Project, context: Context, name: str) -> Artifact | None:
        """Return the version that `collection:alias` names."""
        membership = find_by_name(context, project, name)
        return None if membership is None else membership.artifact(context)

    @staticmethod
    def artifactCollectionMembership(project: Project, context: Context, name: str) -> Membership | None:
        """Return the place that `collection:alias` names."""
        return find_by_name(context, project, name)


class CollectionVersions:
    """Fields of `ArtifactSequence` and `ArtifactPortfolio` that are about versions and aliases."""

    @staticmethod
    def aliases(
        collection: Collection, context: Context, after: str | None = None, first: int | None = None
    ) -> Page[Alias]:
        """List the collection's aliases."""
        return Listing(Alias, where=Sql("collection_key = ?", (collection.key,))).page(context, first, after)

    @staticmethod
    def artifacts(
        collection: Collection,
        context: Context,
        *,
        after: str | None = None,
        first: int | None = None,
        order: str | None = None,
        filters: str | None = None,
    ) -> Page[Artifact]:
        """List the versions, each edge with its `vN` here; newest first unless asked otherwise (a guess)."""
        where = Sql("memberships.collection_key = ?", (collection.key,)) & version_filter(filters)
        page = list_versions(where, "-versionIndex").page(context, first, after, order)
        edges = [Edge(edge.node.artifact(context), edge.cursor, f"v{edge.node.version_index}") for edge in page.edges]
        return Page(edges, page.page_info, page.count)

    @staticmethod
    def artifactMembership(collection: Collection, context: Context, aliasName: str) -> Membership | None:
        """Return what an alias or `vN` names."""
        return find_membership(context, collection, aliasName)

    @staticmethod
    def artifactMemberships(
        collection: Collection,
        context: Context,
        *,
        after: str | None = None,
        first: int | None = None,
        order: str | None = None,
        filters: str | None = None,
    ) -> Page[Membership]:
        """List the versions' places; that the real service has this field is unknown (`nested_memberships`)."""
        where = Sql("memberships.collection_key = ?", (collection.key,)) & version_filter(filters)
        return list_versions(where).page(context, first, after, order)

    @staticmethod
    def latestArtifact(collection: Collection, context: Context) -> Artifact | None:
        """Return the newest committed version; an incremental artifact starts from it."""
        condition = "sequence_key = ? AND state = 'COMMITTED' ORDER BY version_index DESC"
        return context.find(Artifact, condition, collection.key)


class VersionQueries:
    """Root fields that find versions."""

    def artifact(self, context: Context, id_: str) -> Artifact | None:
        """Find a version by id; a deleted one is gone, and so is one the asker may not see."""
        artifact = context.by_id(Artifact, id_)
        if artifact is None or artifact.state == "DELETED":
            return None
        born = artifact.artifactSequence(context).project(context).entity_key in context.asker.entity_keys
        return artifact if born or artifact.memberships(context) else None

    def clientIDMapping(self, context: Context, clientID: str) -> dict[str, str] | None:
        """Find the id of a version that the client knew before the server did."""
        artifact = context.find(Artifact, "client_id = ?", clientID)
        return None if artifact is None else {"serverID": artifact.id}
