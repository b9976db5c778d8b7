"""Administration of projects and registries: create, rename, delete, members and their roles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridge.sandbox.wandb.collections import type_or_new
from bridge.sandbox.wandb.errors import Refused
from bridge.sandbox.wandb.ids import row_key
from bridge.sandbox.wandb.people import entity_to_write
from bridge.sandbox.wandb.projects import ROLES, Project, check_may_write, make_project, project_to_write

if TYPE_CHECKING:
    from bridge.sandbox.wandb.context import Context


class RegistryMutations:
    """Changes to projects; who makes a registry is its admin."""

    def upsertModel(self, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        """Make a project or a registry, or change what is said about it."""
        entity = entity_to_write(context, given.get("entityName"))
        name = given.get("name") or ""
        project = context.by_id(Project, given.get("id")) or context.find(
            Project, "entity_key = ? AND name = ?", entity.key, name
        )
        inserted = project is None
        if project is None:
            project = make_project(context, entity, name)
            _set_role(context, project, "user_key", context.asker.user_key, "admin")
        check_may_write(context, project)
        takes_all = given.get("allowAllArtifactTypesInRegistry")
        context.write(
            "UPDATE projects SET description = coalesce(?, description), access = coalesce(?, access),"
            " allow_all_types = coalesce(?, allow_all_types), views = coalesce(?, views), updated_at = ? WHERE key = ?",
            given.get("description"),
            given.get("access"),
            takes_all,
            given.get("views"),
            context.now,
            project.key,
        )
        for artifact_type in given.get("artifactTypes") or ():
            type_or_new(context, project, artifact_type["name"], artifact_type.get("description"))
        project = context.get(Project, project.key)
        return {"project": project, "model": project, "inserted": inserted}

    def renameProject(self, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        """Rename a project or a registry; its collections, ids and links go with it."""
        project = project_to_write(context, given["entityName"], given["oldProjectName"])
        name = given["newProjectName"]
        taken = context.find(Project, "entity_key = ? AND name = ?", project.entity_key, name)
        if taken is not None:
            raise Refused(f"a project named {name!r} exists already", 409)
        context.write("UPDATE projects SET name = ?, updated_at = ? WHERE key = ?", name, context.now, project.key)
        return {"project": context.get(Project, project.key), "inserted": False}

    def deleteModel(self, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        """
        Delete a project or a registry, with what it holds.

        Refuses a project whose versions are linked elsewhere: that the real service does so is a guess.
        """
        project = context.require(Project, given["id"])
        check_may_write(context, project)
        linked = context.value(
            "SELECT 1 FROM collections s JOIN artifacts a ON a.sequence_key = s.key"
            " JOIN memberships m ON m.artifact_key = a.key JOIN collections c ON c.key = m.collection_key"
            " WHERE s.project_key = ? AND c.project_key <> s.project_key LIMIT 1",
            project.key,
        )
        if linked is not None:
            raise Refused(f"project {project.name} has versions that are linked elsewhere", 409)
        inner = "SELECT key FROM collections WHERE project_key = ?"
        context.write(f"DELETE FROM memberships WHERE collection_key IN ({inner})", project.key)  # noqa: S608  our own texts
        context.write(f"DELETE FROM artifacts WHERE sequence_key IN ({inner})", project.key)  # noqa: S608  our own texts
        context.write("DELETE FROM collections WHERE project_key = ?", project.key)
        context.write("DELETE FROM projects WHERE key = ?", project.key)
        return {"success": True}

    def createProjectMembers(self, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        """Make users and teams members; the role they get first is "member"."""
        project = _project(context, given)
        for user_id in given.get("userIds") or ():
            _set_role(context, project, "user_key", row_key(user_id, "User"), "member")
        for team_id in given.get("teamIds") or ():
            _set_role(context, project, "team_key", row_key(team_id, "Entity"), "member")
        return {"success": True}

    def deleteProjectMembers(self, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        """Take back what users and teams were given here; those who were given nothing are ignored."""
        project = _project(context, given)
        for user_id in given.get("userIds") or ():
            member = row_key(user_id, "User")
            context.write("DELETE FROM project_members WHERE project_key = ? AND user_key = ?", project.key, member)
        for team_id in given.get("teamIds") or ():
            member = row_key(team_id, "Entity")
            context.write("DELETE FROM project_members WHERE project_key = ? AND team_key = ?", project.key, member)
        return {"success": True}

    def updateProjectMember(self, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        """Give a user another role."""
        project = _project(context, given)
        _set_role(context, project, "user_key", row_key(given["userId"], "User"), given["userProjectRole"])
        return {"success": True}

    def updateProjectTeamMember(self, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        """Give a team another role."""
        project = _project(context, given)
        _set_role(context, project, "team_key", row_key(given["teamId"], "Entity"), given["teamProjectRole"])
        return {"success": True}


def _project(context: Context, given: dict[str, Any]) -> Project:
    project = context.require(Project, given["projectId"])
    check_may_write(context, project)
    return project


def _set_role(context: Context, project: Project, column: str, member: int | None, role: str) -> None:
    table = "users" if column == "user_key" else "entities"
    if context.value(f"SELECT 1 FROM {table} WHERE key = ?", member) is None:  # noqa: S608  one of two
        raise Refused("no such user or team", 404)
    if role not in ROLES:
        raise Refused(f"unknown role {role!r}", 400)
    context.write(
        f"INSERT INTO project_members (project_key, {column}, role) VALUES (?, ?, ?)"  # noqa: S608  one of two
        f" ON CONFLICT (project_key, {column}) DO UPDATE SET role = excluded.role",
        project.key,
        member,
        role,
    )
