"""Changes to collections: renamed, described, tagged, given another type, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridge.sandbox.wandb.collections import Collection, CollectionTag, check_name, find_collection, touch, type_or_new
from bridge.sandbox.wandb.errors import Refused
from bridge.sandbox.wandb.events import Event, announce
from bridge.sandbox.wandb.projects import check_may_write, project_to_write

if TYPE_CHECKING:
    from bridge.sandbox.wandb.context import Context


class CollectionMutations:
    """Changes to collections."""

    def updateArtifactSequence(self, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        """Rename a sequence, or describe it."""
        return _updated(context, _to_write(context, given["artifactSequenceID"]), given)

    def updateArtifactPortfolio(self, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        """Rename a portfolio, or describe it."""
        return _updated(context, _to_write(context, given["artifactPortfolioID"]), given)

    def moveArtifactSequence(self, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        """Give a sequence another type, which is made if it is new."""
        collection = _to_write(context, given["artifactSequenceID"])
        of_type = type_or_new(context, collection.project(context), given["destinationArtifactTypeName"])
        context.write("UPDATE collections SET type_key = ? WHERE key = ?", of_type.key, collection.key)
        touch(context, collection.key)
        return {"artifactCollection": context.get(Collection, collection.key)}

    def deleteArtifactSequence(self, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        """
        Delete a sequence with its versions, wherever they are linked, whatever aliases they have.

        W&B warns in its pages and does it (wandb#8631); that links vanish at once is a guess.
        """
        collection = _to_write(context, given["artifactSequenceID"])
        born_here = "SELECT key FROM artifacts WHERE sequence_key = ?"
        context.write(f"DELETE FROM memberships WHERE artifact_key IN ({born_here})", collection.key)  # noqa: S608  our own texts
        context.write("UPDATE artifacts SET state = 'DELETED' WHERE sequence_key = ?", collection.key)
        return _deleted(context, collection)

    def deleteArtifactPortfolio(self, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        """Delete a portfolio; the versions stay where they were born."""
        collection = _to_write(context, given["artifactPortfolioID"])
        context.write("DELETE FROM memberships WHERE collection_key = ?", collection.key)
        return _deleted(context, collection)

    def createArtifactCollectionTagAssignments(self, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        """Add tags to a collection."""
        collection = _by_names(context, given)
        for name in (tag["tagName"] for tag in given["tags"]):
            if _tag(context, collection, name) is None:
                context.write("INSERT INTO collection_tags (collection_key, name) VALUES (?, ?)", collection.key, name)
                announce(context, Event("ADD_COLLECTION_TAG", collection, tags=(name,)))
        touch(context, collection.key)
        return {"tags": context.children(CollectionTag, "collection_key", collection.key)}

    def deleteArtifactCollectionTagAssignments(self, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        """Remove tags from a collection; those it has not are ignored."""
        collection = _by_names(context, given)
        for name in (tag["tagName"] for tag in given["tags"]):
            if (tag := _tag(context, collection, name)) is not None:
                context.write("DELETE FROM collection_tags WHERE key = ?", tag.key)
                announce(context, Event("REMOVE_COLLECTION_TAG", collection, tags=(name,)))
        touch(context, collection.key)
        return {"success": True}


def _to_write(context: Context, id_: str) -> Collection:
    collection = context.require(Collection, id_)
    check_may_write(context, collection.project(context))
    return collection


def _by_names(context: Context, given: dict[str, Any]) -> Collection:
    project = project_to_write(context, given["entityName"], given["projectName"])
    name = given["artifactCollectionName"]
    collection = find_collection(context, project, name)
    if collection is None:
        raise Refused(f"artifact collection {name!r} not found in {project.name}", 404)
    return collection


def _tag(context: Context, collection: Collection, name: str) -> CollectionTag | None:
    return context.find(CollectionTag, "collection_key = ? AND name = ?", collection.key, name)


def _updated(context: Context, collection: Collection, given: dict[str, Any]) -> dict[str, Any]:
    name = given.get("name") or collection.name
    check_name(name)
    taken = find_collection(context, collection.project(context), name)
    if taken is not None and taken.key != collection.key:
        raise Refused(f"an artifact collection named {name!r} exists already", 409)
    description = given.get("description", collection.description)
    context.write("UPDATE collections SET name = ?, description = ? WHERE key = ?", name, description, collection.key)
    touch(context, collection.key)
    return {"artifactCollection": context.get(Collection, collection.key)}


def _deleted(context: Context, collection: Collection) -> dict[str, Any]:
    context.write("DELETE FROM automations WHERE collection_key = ?", collection.key)  # that they go with it is a guess
    context.write("UPDATE collections SET state = 'DELETED' WHERE key = ?", collection.key)
    touch(context, collection.key)
    return {"artifactCollection": context.get(Collection, collection.key)}
