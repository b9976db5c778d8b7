"""Users, teams, organizations and their entities; what `viewer`, `entity` and `organization` answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, assert_never

from bridge.sandbox.wandb.errors import Refused
from bridge.sandbox.wandb.features import SUPPORTED
from bridge.sandbox.wandb.ids import global_id
from bridge.sandbox.wandb.paging import Listing, Page, slice_of
from bridge.sandbox.wandb.records import Record, Sql

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.sandbox.wandb.context import Context

MANY = 10_000  # more teams than anyone is in


@dataclass(frozen=True, slots=True)
class Entity(Record):
    """`Entity`: an owner of projects. What it holds is answered by `projects`, `collections` and `artifacts`."""

    table: ClassVar[str] = "entities"
    kinds: ClassVar[tuple[str, ...]] = ("Entity",)

    name: str
    entity_type: str  # "user", "team" or "organization", the literal that the SDK asks for
    user_key: int | None
    organization_key: int | None
    created_at: float

    available = True
    photo_url = None
    read_only = False
    read_only_admin = False
    private_only = False
    storage_bytes = 0
    code_saving_enabled = False
    default_access = "PRIVATE"
    is_paid = True

    @property
    def isTeam(self) -> bool:
        """Say if this is a team's."""
        return self.entity_type == "team"

    def user(self, context: Context) -> User | None:
        """Return whose personal entity this is."""
        return None if self.user_key is None else context.get(User, self.user_key)

    def organization(self, context: Context) -> Organization | None:
        """Return the organization of a team, or of the registries."""
        return None if self.organization_key is None else context.get(Organization, self.organization_key)

    def xxhashDigestsEnabled(self, context: Context) -> bool:
        """Say if artifacts may have XXH128 digests here."""
        return context.switches.xxh128

    def members(self, context: Context) -> Sequence[Member]:
        """Return a team's members."""
        keys = "SELECT user_key FROM team_members WHERE entity_key = ?"
        return [Member(user) for user in context.find_all(User, f"key IN ({keys})", self.key)]


@dataclass(frozen=True, slots=True)
class Organization(Record):
    """`Organization`."""

    table: ClassVar[str] = "organizations"
    kinds: ClassVar[tuple[str, ...]] = ("Organization",)

    name: str
    created_at: float

    coreWeaveOrganizationId = None
    featureFlags: ClassVar[Sequence[object]] = ()

    def orgEntity(self, context: Context) -> Entity | None:
        """Return the entity that holds the registries."""
        return context.find(Entity, "organization_key = ? AND entity_type = 'organization'", self.key)

    def advancedRegistryFeatures(self, context: Context) -> dict[str, bool]:
        """Say if versions are searched by the advanced search."""
        return {"advancedSearch": context.switches.advanced_search}


@dataclass(frozen=True, slots=True)
class User(Record):
    """`User`."""

    table: ClassVar[str] = "users"
    kinds: ClassVar[tuple[str, ...]] = ("User",)

    username: str
    api_key: str
    default_entity_key: int | None
    created_at: float

    admin = False
    account_type = "MEMBER"
    deleted_at = None
    photo_url = None
    flags = '{"code_saving_enabled": false}'

    @property
    def name(self) -> str:
        """The display name is the user name."""
        return self.username

    @property
    def email(self) -> str:
        """An address that leads nowhere."""
        return f"{self.username}@example.test"

    def defaultEntity(self, context: Context) -> Entity | None:
        """Return where projects go if nobody says."""
        return None if self.default_entity_key is None else context.get(Entity, self.default_entity_key)

    def entity(self, context: Context) -> str | None:
        """Return the default entity's name."""
        entity = self.defaultEntity(context)
        return None if entity is None else entity.name

    def teams(self, context: Context) -> Page[Entity]:
        """Return the user's teams, and the personal entity, which the real service lists too (a guess)."""
        where = Sql(
            "(entities.user_key = ? OR entities.key IN (SELECT entity_key FROM team_members WHERE user_key = ?))",
            (self.key, self.key),
        )
        return Listing(Entity, where=where).page(context, MANY, None)

    def organizations(self, context: Context) -> Sequence[Organization]:
        """Return the organizations the user is in."""
        keys = "SELECT organization_key FROM organization_members WHERE user_key = ?"
        return context.find_all(Organization, f"key IN ({keys}) ORDER BY key", self.key)

    def apiKeys(self, context: Context) -> Page[dict[str, Any]]:
        """Return the user's one key, to the user alone; like the real service, without its text."""
        own = context.asker.user_key == self.key
        node = {"id": global_id("ApiKey", self.key), "name": f"{self.api_key[:6]}...", "description": None}
        return slice_of([node] if own else [], None, None, MANY)


@dataclass(frozen=True, slots=True)
class Member:
    """`Member`: a user as a team sees them."""

    user: User

    role = "member"
    admin = False
    pending = False
    photo_url = None
    api_key = None
    account_type = "MEMBER"

    @property
    def id(self) -> str:
        """The user's id."""
        return self.user.id

    @property
    def name(self) -> str:
        """The user's name."""
        return self.user.name

    @property
    def username(self) -> str:
        """The user's name again."""
        return self.user.username

    @property
    def email(self) -> str:
        """The user's address."""
        return self.user.email


def may_see(context: Context, entity: Entity) -> bool:
    """Say if the asker is a member; if not, answer as the switch `denied` has it."""
    if entity.key in context.asker.entity_keys:
        return True
    match context.switches.denied:
        case "empty_page":
            return False
        case "http_403":
            raise Refused(f"permission denied to {entity.name}", 403)
        case "graphql_error":
            raise Refused(f"permission denied to {entity.name}", 200)
        case never:
            assert_never(never)


def entity_to_write(context: Context, name: str | None) -> Entity:
    """Return the entity by name, or the asker's own for none. Refuses who may not write there."""
    entity = find_entity(context, name)
    if entity is None:
        raise Refused(f"entity {name} not found", 404)
    if entity.key not in context.asker.entity_keys:
        raise Refused(f"permission denied to {entity.name}", 403)
    return entity


def find_entity(context: Context, name: str | None) -> Entity | None:
    """Return the entity by name, or the asker's default for none."""
    if name:
        return context.find(Entity, "name = ?", name)
    return context.get(User, context.asker.user_key).defaultEntity(context)


class PeopleQueries:
    """Root fields about the asker and the server."""

    def viewer(self, context: Context) -> User:
        """Return who asks."""
        return context.get(User, context.asker.user_key)

    def users(self, context: Context, query: str | None = None) -> Page[User]:
        """Search users by a part of their name or address."""
        where = Sql("instr(users.username || '@example.test', ?) > 0", (query or "",))
        return Listing(User, where=where).page(context, MANY, None)

    def entity(self, context: Context, name: str | None = None) -> Entity | None:
        """Find an entity; none named is the asker's default."""
        return find_entity(context, name)

    def organization(self, context: Context, name: str | None = None, id_: str | None = None) -> Organization | None:
        """Find an organization by its display name, or by id."""
        if id_ is not None:
            return context.by_id(Organization, id_)
        return context.find(Organization, "name = ?", name)

    def serverInfo(self, context: Context) -> dict[str, Any]:
        """Say what this server can do: the SDK decides by the features' names."""
        switches = context.switches
        return {
            "features": [{"name": name, "isEnabled": name not in switches.features_off} for name in SUPPORTED],
            "cliVersionInfo": {"max_cli_version": "99.0.0"},
            "latestLocalVersionInfo": {
                "outOfDate": False,
                "latestVersionString": switches.server_version,
                "versionOnThisInstanceString": switches.server_version,
            },
        }


class PeopleMutations:
    """Changes to users."""

    def updateUser(self, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        """Set the asker's default entity."""
        entity = entity_to_write(context, given.get("defaultEntity"))
        context.write("UPDATE users SET default_entity_key = ? WHERE key = ?", entity.key, context.asker.user_key)
        return {"user": context.get(User, context.asker.user_key)}
