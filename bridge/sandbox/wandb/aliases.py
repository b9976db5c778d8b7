"""How aliases move, and how versions get into collections and out of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bridge.sandbox.wandb.artifacts import Alias, Artifact, Membership
from bridge.sandbox.wandb.collections import Collection, find_collection, make_collection, touch, type_or_new
from bridge.sandbox.wandb.errors import Refused
from bridge.sandbox.wandb.events import Event, announce
from bridge.sandbox.wandb.projects import check_may_write, project_or_new, project_to_write, role_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bridge.sandbox.wandb.context import Context
    from bridge.sandbox.wandb.projects import Project

ALIAS_MAX = 128  # ArtifactAliasInput.alias (sdk/artifacts/_generated/input_types.py)


def set_alias(context: Context, membership: Membership, alias: str) -> None:
    """
    Make `alias` name this version and no other of the collection.

    Refuses what the SDK would refuse, `vN`, which is the server's to give (a guess), a protected alias of a
    registry, and, if the switch says so, an alias that another version has.
    """
    if not alias or len(alias) > ALIAS_MAX or "/" in alias or ":" in alias:
        raise Refused(f"invalid alias {alias!r}", 400)
    if re.fullmatch(r"v\d+", alias):
        raise Refused(f"alias {alias!r} is reserved for versions", 400)
    _check_protected(context, membership, alias)
    held = context.find(Alias, "collection_key = ? AND alias = ?", membership.collection_key, alias)
    if held is not None and held.membership_key == membership.key:
        return
    if held is not None and context.switches.alias_conflict == "refused":
        raise Refused(f"alias {alias!r} names another version of the collection", 409)
    context.write(
        "INSERT INTO aliases (collection_key, membership_key, alias) VALUES (?, ?, ?)"
        " ON CONFLICT (collection_key, alias) DO UPDATE SET membership_key = excluded.membership_key",
        membership.collection_key,
        membership.key,
        alias,
    )
    _touched(context, membership)
    where = membership.artifactCollection(context)
    announce(context, Event("ADD_ARTIFACT_ALIAS", where, membership, aliases=(alias,)))


def drop_alias(context: Context, membership: Membership, alias: str) -> None:
    """Take `alias` from this version; nothing happens if it names another, or none."""
    _check_protected(context, membership, alias)
    held = context.find(Alias, "membership_key = ? AND alias = ?", membership.key, alias)
    if held is not None:
        context.write("DELETE FROM aliases WHERE key = ?", held.key)
        _touched(context, membership)


def add_member(context: Context, collection_key: int, artifact_key: int) -> Membership:
    """Give a version the next `vN` of a collection; numbers are never used twice."""
    collection = context.get(Collection, collection_key)
    key = context.write(
        "INSERT INTO memberships (collection_key, artifact_key, version_index, created_at) VALUES (?, ?, ?, ?)",
        collection_key,
        artifact_key,
        collection.next_version,
        context.now,
    )
    context.write("UPDATE collections SET next_version = next_version + 1 WHERE key = ?", collection_key)
    touch(context, collection_key)
    return context.get(Membership, key)


def add_link(context: Context, portfolio: Collection, artifact_key: int, aliases: tuple[str, ...]) -> Membership:
    """Make a version a member of a portfolio; `aliases` are those that it will be given there."""
    membership = add_member(context, portfolio.key, artifact_key)
    announce(context, Event("LINK_MODEL", portfolio, membership, aliases=aliases))
    return membership


def remove_member(context: Context, membership: Membership) -> None:
    """Take a version out of a collection, with its aliases there."""
    for alias in context.children(Alias, "membership_key", membership.key):
        _check_protected(context, membership, alias.alias)
    context.write("DELETE FROM memberships WHERE key = ?", membership.key)
    touch(context, membership.collection_key)


def touch_artifact(context: Context, artifact_key: int) -> None:
    """Say that a version changed now."""
    context.write("UPDATE artifacts SET updated_at = ? WHERE key = ?", context.now, artifact_key)


def _check_protected(context: Context, membership: Membership, alias: str) -> None:
    project = membership.artifactCollection(context).project(context)
    if alias in context.switches.protected_aliases and project.is_registry and role_in(context, project) != "admin":
        raise Refused(f"alias {alias!r} is protected: only registry admins may set or remove it", 403)


def _touched(context: Context, membership: Membership) -> None:
    if context.switches.alias_touches_updated_at == "nothing":
        return
    touch(context, membership.collection_key)
    if context.switches.alias_touches_updated_at == "artifact_and_collection":
        touch_artifact(context, membership.artifact_key)


def portfolio_to_link(context: Context, given: dict[str, Any], artifact: Artifact) -> Collection:
    """Return the portfolio that `LinkArtifactInput` means, made now if it is new, and if it takes this type."""
    if given.get("artifactPortfolioID"):
        portfolio = context.require(Collection, given["artifactPortfolioID"])
        check_may_write(context, portfolio.project(context))
    else:
        project = project_or_new(context, given.get("entityName"), given.get("projectName") or "")
        name = given.get("artifactPortfolioName") or ""
        found = find_collection(context, project, name)
        portfolio = found or _new_portfolio(context, project, name, artifact)
    wanted, here = artifact.artifactType(context).name, portfolio.defaultArtifactType(context).name
    if portfolio.collection_type != "PORTFOLIO":
        raise Refused(f"{portfolio.name!r} is a source of versions, nothing can be linked into it", 400)
    if wanted != here:
        raise Refused(f"collection {portfolio.name!r} holds type {here!r}, the artifact has {wanted!r}", 400)
    return portfolio


def _new_portfolio(context: Context, project: Project, name: str, artifact: Artifact) -> Collection:
    type_name = artifact.artifactType(context).name
    listed = "SELECT 1 FROM artifact_types WHERE project_key = ? AND name = ?"
    if not project.allow_all_types and context.value(listed, project.key, type_name) is None:
        raise Refused(f"{project.name} does not take artifacts of type {type_name!r}", 400)
    return make_collection(context, project, "PORTFOLIO", name, type_or_new(context, project, type_name))


class AliasMutations:
    """Changes to aliases and links."""

    def addAliases(self, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        """Set aliases, each in the collection that it names."""
        for membership, alias in _named(context, given):
            set_alias(context, membership, alias)
        return {"success": True}

    def deleteAliases(self, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        """Remove aliases, each from the collection that it names."""
        for membership, alias in _named(context, given):
            drop_alias(context, membership, alias)
        return {"success": True}

    def linkArtifact(self, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        """Link a version into a portfolio; to link it again only adds the aliases."""
        if given.get("artifactID"):
            artifact = context.by_id(Artifact, given["artifactID"])
        else:
            artifact = context.find(Artifact, "client_id = ?", given.get("clientID"))
        if artifact is None or artifact.state != "COMMITTED":
            raise Refused("artifact to link not found, or not yet committed", 404)
        portfolio = portfolio_to_link(context, given, artifact)
        place = "collection_key = ? AND artifact_key = ?"
        membership = context.find(Membership, place, portfolio.key, artifact.key)
        latest = ["latest"] if context.switches.latest_moves_on_link else []
        aliases = tuple(dict.fromkeys([*aliases_of(given), *latest]))
        membership = membership or add_link(context, portfolio, artifact.key, aliases)
        for alias in aliases:
            set_alias(context, membership, alias)
        return {
            "versionIndex": membership.version_index,
            "artifactMembership": context.get(Membership, membership.key),
        }

    def unlinkArtifact(self, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        """Take a version out of a portfolio, with its aliases there."""
        artifact = context.require(Artifact, given["artifactID"])
        portfolio = context.require(Collection, given["artifactPortfolioID"])
        check_may_write(context, portfolio.project(context))
        place = "collection_key = ? AND artifact_key = ?"
        membership = context.find(Membership, place, portfolio.key, artifact.key)
        if membership is None or portfolio.collection_type != "PORTFOLIO":
            raise Refused(f"artifact is not linked into {portfolio.name!r}", 404)
        announce(context, Event("UNLINK_ARTIFACT", portfolio, membership))
        remove_member(context, membership)
        return {"success": True}


def aliases_of(given: dict[str, Any]) -> Iterable[str]:
    """Return the aliases of an input that has `ArtifactAliasInput`s; `vN`, which it may repeat, is the server's."""
    names = (named["alias"] for named in given.get("aliases") or ())
    return [name for name in names if not re.fullmatch(r"v\d+", name)]


def _named(context: Context, given: dict[str, Any]) -> Iterator[tuple[Membership, str]]:
    artifact = context.require(Artifact, given["artifactID"])
    for named in given["aliases"]:
        project = project_to_write(context, named["entityName"], named["projectName"])
        collection = find_collection(context, project, named["artifactCollectionName"])
        place = "collection_key = ? AND artifact_key = ?"
        key = 0 if collection is None else collection.key
        membership = context.find(Membership, place, key, artifact.key)
        if membership is None:
            raise Refused(f"artifact is not in collection {named['artifactCollectionName']!r}", 404)
        yield membership, named["alias"]
