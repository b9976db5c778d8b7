"""Projects and registries, which are projects of an organization's entity; who may do what in them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bridge.sandbox.wandb.errors import Refused
from bridge.sandbox.wandb.filters import Field, column, moment, sql_filter
from bridge.sandbox.wandb.ids import global_id
from bridge.sandbox.wandb.paging import Listing, Page
from bridge.sandbox.wandb.people import Entity, User, entity_to_write, find_entity, may_see
from bridge.sandbox.wandb.records import ALWAYS, Record, Sql

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.sandbox.wandb.context import Context

REGISTRY_PREFIX = "wandb-registry-"
# The SDK's roles (apis/public/registries/_members.py), weakest first. Who was given none, and is a member of the
# entity, is a "member".
ROLES = ("restricted_viewer", "viewer", "member", "admin")
FORBIDDEN_IN_NAMES = frozenset("/\\#?%:\r\n")
NAME_MAX = 128


@dataclass(frozen=True, slots=True)
class Project(Record):
    """`Project`. Its collections, artifacts and runs are answered by the modules of those names."""

    table: ClassVar[str] = "projects"
    kinds: ClassVar[tuple[str, ...]] = ("Project", "ProjectInternalId")

    entity_key: int
    name: str
    description: str | None
    access: str
    allow_all_types: int
    user_key: int | None
    views: str | None
    created_at: float
    updated_at: float

    isBenchmark = False

    @property
    def internalId(self) -> str:
        """The id that registry filters speak of, once decoded."""
        return global_id("ProjectInternalId", self.key)

    @property
    def is_registry(self) -> bool:
        """Say if this project is a registry, by its name."""
        return self.name.startswith(REGISTRY_PREFIX)

    @property
    def allowAllArtifactTypesInRegistry(self) -> bool:
        """Say if artifacts of any type may be linked here."""
        return bool(self.allow_all_types)

    def entity(self, context: Context) -> Entity:
        """Return the owner."""
        return context.get(Entity, self.entity_key)

    def entityName(self, context: Context) -> str:
        """Return the owner's name."""
        return self.entity(context).name

    def user(self, context: Context) -> User | None:
        """Return who made the project, if a user did."""
        return None if self.user_key is None else context.get(User, self.user_key)

    def readOnly(self, context: Context) -> bool:
        """Say if the asker may not change anything here."""
        return not may_write(context, self)

    def members(self, context: Context) -> Sequence[ProjectMember]:
        """Return the users who were given a role here."""
        return context.find_all(ProjectMember, "project_key = ? AND user_key IS NOT NULL ORDER BY key", self.key)

    def teamMembers(self, context: Context) -> Sequence[ProjectMember]:
        """Return the teams that were given a role here."""
        return context.find_all(ProjectMember, "project_key = ? AND team_key IS NOT NULL ORDER BY key", self.key)


@dataclass(frozen=True, slots=True)
class ProjectMember(Record):
    """`ProjectMember`, whose id is the user's, and `ProjectTeamMember`."""

    table: ClassVar[str] = "project_members"
    kinds: ClassVar[tuple[str, ...]] = ("ProjectMember",)

    project_key: int
    user_key: int | None
    team_key: int | None
    role_name: str

    @classmethod
    def columns(cls) -> str:
        """List the columns; `role` is a GraphQL field of its own, so the row calls it otherwise."""
        return "key, project_key, user_key, team_key, role"

    @property
    def id(self) -> str:
        """The user's id, by which roles are changed."""
        return global_id("User", self.user_key or 0)

    @property
    def role(self) -> dict[str, str]:
        """The role here."""
        return {"name": self.role_name}

    def name(self, context: Context) -> str:
        """Return the user's name."""
        return context.get(User, self.user_key or 0).name

    def username(self, context: Context) -> str:
        """Return the user's name again."""
        return self.name(context)

    def email(self, context: Context) -> str:
        """Return the user's address."""
        return context.get(User, self.user_key or 0).email

    def team(self, context: Context) -> Entity:
        """Return the team."""
        return context.get(Entity, self.team_key or 0)


def role_in(context: Context, project: Project) -> str | None:
    """Return the asker's role in a project: given to them, or to a team of theirs; None to an outsider."""
    if project.entity_key not in context.asker.entity_keys:
        return None
    given = context.rows(
        "SELECT role FROM project_members WHERE project_key = ? AND"
        " (user_key = ? OR team_key IN (SELECT entity_key FROM team_members WHERE user_key = ?))",
        project.key,
        context.asker.user_key,
        context.asker.user_key,
    )
    return max((str(role) for [role] in given), key=ROLES.index, default="member")


def may_write(context: Context, project: Project) -> bool:
    """Say if the asker may change things in a project."""
    return role_in(context, project) in ("member", "admin")


def find_project(context: Context, entity_name: str | None, name: str | None) -> Project | None:
    """Return the project that the asker may see; None if there is none."""
    entity = find_entity(context, entity_name)
    if entity is None or not may_see(context, entity):
        return None
    return context.find(Project, "entity_key = ? AND name = ?", entity.key, name)


def project_to_write(context: Context, entity_name: str | None, name: str) -> Project:
    """Return the project that the asker may change. Refuses if there is none."""
    entity = entity_to_write(context, entity_name)
    project = context.find(Project, "entity_key = ? AND name = ?", entity.key, name)
    if project is None:
        raise Refused(f"project {entity.name}/{name} not found", 404)
    check_may_write(context, project)
    return project


def check_may_write(context: Context, project: Project) -> None:
    """Refuse an asker who may only look."""
    if not may_write(context, project):
        raise Refused(f"permission denied to change {project.name}", 403)


def make_project(context: Context, entity: Entity, name: str) -> Project:
    """Make a project, as `wandb.init` does with a new name. Refuses a name the SDK would refuse."""
    if not name or len(name) > NAME_MAX or FORBIDDEN_IN_NAMES & set(name):
        raise Refused(f"invalid project name {name!r}", 400)
    key = context.write(
        "INSERT INTO projects (entity_key, name, access, allow_all_types, user_key, created_at, updated_at)"
        " VALUES (?, ?, 'PRIVATE', 1, ?, ?, ?)",
        entity.key,
        name,
        context.asker.user_key or None,
        context.now,
        context.now,
    )
    return context.get(Project, key)


def project_or_new(context: Context, entity_name: str | None, name: str) -> Project:
    """Return the project, made now if it is not there. Refuses a missing registry: only `upsertModel` makes one."""
    entity = entity_to_write(context, entity_name)
    here = context.find(Project, "entity_key = ? AND name = ?", entity.key, name)
    if here is None and not name.startswith(REGISTRY_PREFIX):
        return make_project(context, entity, name)
    return project_to_write(context, entity_name, name)


# Field names of registry filters, basic and advanced (apis/public/registries/_utils.py).
PROJECT_FILTERS: dict[str, Field] = {
    "id": column("projects.key"),
    "project_id": column("projects.key"),
    "name": column("projects.name"),
    "entity_id": column("projects.entity_key"),
    "description": column("projects.description"),
    "created_at": moment("projects.created_at"),
    "updated_at": moment("projects.updated_at"),
}
PROJECT_ORDERS = {
    "name": "projects.name",
    "created_at": "projects.created_at",
    "updated_at": "projects.updated_at",
}


def project_filter(text: str | None) -> Sql:
    """Translate a filter on projects."""
    return sql_filter(text, PROJECT_FILTERS.get)


class EntityProjects:
    """Fields of `Entity` that are about projects."""

    @staticmethod
    def project(entity: Entity, context: Context, name: str | None = None) -> Project | None:
        """Return a project by name."""
        return find_project(context, entity.name, name)

    @staticmethod
    def projects(
        entity: Entity,
        context: Context,
        *,
        filters: str | None = None,
        after: str | None = None,
        first: int | None = None,
        order: str | None = None,
    ) -> Page[Project]:
        """List projects."""
        return list_projects(context, entity, project_filter(filters)).page(context, first, after, order)


class UserProjects:
    """A field of `User`: projects."""

    @staticmethod
    def projects(user: User, context: Context, *, after: str | None = None, first: int | None = None) -> Page[Project]:
        """List the projects of all that the asker is a member of; of another user, none (both are guesses)."""
        keys = context.asker.entity_keys if user.key == context.asker.user_key else ()
        mine = Sql("projects.entity_key IN (SELECT value FROM json_each(?))", (json.dumps(sorted(keys)),))
        return Listing(Project, where=mine).page(context, first, after)


def visible_projects(context: Context, entity: Entity) -> Sql:
    """Hold for the entity's projects that the asker may see: of an organization's, only the registries (a guess)."""
    if not may_see(context, entity):
        return Sql("0")
    mine = Sql("projects.entity_key = ?", (entity.key,))
    if entity.entity_type == "organization":
        mine &= Sql("substr(projects.name, 1, ?) = ?", (len(REGISTRY_PREFIX), REGISTRY_PREFIX))
    return mine


def list_projects(context: Context, entity: Entity, where: Sql) -> Listing[Project]:
    """List an entity's projects, newest first unless asked otherwise; none to who is no member."""
    visible = visible_projects(context, entity)
    return Listing(Project, where=visible & where, orders=PROJECT_ORDERS, default_order="-created_at")


class ProjectQueries:
    """Root fields that find projects."""

    def project(self, context: Context, name: str | None = None, entityName: str | None = None) -> Project | None:
        """Find a project."""
        return find_project(context, entityName, name)

    model = project  # its older name

    def models(
        self,
        context: Context,
        *,
        entityName: str | None = None,
        after: str | None = None,
        first: int | None = None,
        order: str | None = None,
    ) -> Page[Project]:
        """List an entity's projects."""
        entity = find_entity(context, entityName)
        if entity is None:
            raise Refused(f"entity {entityName} not found", 404)
        return list_projects(context, entity, ALWAYS).page(context, first, after, order)
