"""Makes organizations, teams and users; knows who an API key belongs to."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from bridge.sandbox.wandb.context import Asker

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

# The SDK's own rule (sdk/lib/wbauth/validation.py): an on-premises prefix before the first "-", then 40 or more.
WELL_FORMED_KEY = re.compile(r"(?:[^-]*-)?[\w-]{40,}")


def organization_entity_name(organization: str) -> str:
    """Return the name of the entity that holds an organization's registries: acme_org for Acme."""
    return re.sub(r"\W+", "_", organization).lower() + "_org"


def create_organization(database: sqlite3.Connection, name: str, registries: Sequence[str], *, now: float) -> None:
    """Make an organization, its entity and its registries, as far as they are missing."""
    database.execute("INSERT OR IGNORE INTO organizations (name, created_at) VALUES (?, ?)", (name, now))
    database.execute(
        "INSERT OR IGNORE INTO entities (name, entity_type, organization_key, created_at)"
        " SELECT ?, 'organization', key, ? FROM organizations WHERE name = ?",
        (organization_entity_name(name), now, name),
    )
    for registry in registries:
        database.execute(
            "INSERT OR IGNORE INTO projects (entity_key, name, access, allow_all_types, created_at, updated_at)"
            " SELECT key, ?, 'ORGANIZATION', 1, ?, ? FROM entities WHERE name = ?",
            (f"wandb-registry-{registry}", now, now, organization_entity_name(name)),
        )
    _join_all(database)


def create_team(database: sqlite3.Connection, name: str, organization: str, *, now: float) -> None:
    """Make a team of an existing organization. Raises LookupError if there is none of that name."""
    row = database.execute("SELECT key FROM organizations WHERE name = ?", (organization,)).fetchone()
    if row is None:
        raise LookupError(f"no organization {organization!r}: create it before the team {name!r}")
    database.execute(
        "INSERT OR IGNORE INTO entities (name, entity_type, organization_key, created_at) VALUES (?, 'team', ?, ?)",
        (name, row[0], now),
    )
    _join_all(database)


def create_user(
    database: sqlite3.Connection, name: str, api_key: str, organization: str | None, team: str | None, *, now: float
) -> None:
    """
    Make a user with a personal entity, and a member of `organization` and `team`; the team is their default.

    Raises ValueError if the key is another user's.
    """
    row = database.execute("SELECT username FROM users WHERE api_key = ?", (api_key,)).fetchone()
    if row is not None and row[0] != name:
        raise ValueError(f"the API key of {name!r} is that of {row[0]!r} already")
    database.execute(
        "INSERT OR IGNORE INTO users (username, api_key, created_at) VALUES (?, ?, ?)", (name, api_key, now)
    )
    database.execute(
        "INSERT OR IGNORE INTO entities (name, entity_type, user_key, created_at)"
        " SELECT username, 'user', key, ? FROM users WHERE username = ?",
        (now, name),
    )
    database.execute(
        "INSERT OR IGNORE INTO organization_members SELECT o.key, u.key FROM organizations o, users u"
        " WHERE u.username = ? AND (o.name = ?"
        " OR o.key = (SELECT organization_key FROM entities WHERE name = ? AND entity_type = 'team'))",
        (name, organization, team),
    )
    database.execute(
        "INSERT OR IGNORE INTO team_members SELECT e.key, u.key FROM entities e, users u"
        " WHERE u.username = ? AND e.name = ? AND e.entity_type = 'team'",
        (name, team),
    )
    database.execute(
        "UPDATE users SET default_entity_key = (SELECT key FROM entities WHERE name = coalesce(?, ?))"
        " WHERE username = ? AND default_entity_key IS NULL",
        (team, name, name),
    )


def create_user_for_key(database: sqlite3.Connection, api_key: str, *, now: float) -> None:
    """Make a user for a key nobody has: a member of everything there is and will be, at home in the first team."""
    name = "user-" + hashlib.sha256(api_key.encode()).hexdigest()[:8]
    team = database.execute("SELECT name FROM entities WHERE entity_type = 'team' ORDER BY key LIMIT 1").fetchone()
    create_user(database, name, api_key, None, team and team[0], now=now)
    database.execute("UPDATE users SET joins_all = 1 WHERE username = ?", (name,))
    _join_all(database)


def set_secret(database: sqlite3.Connection, entity: str, name: str, value: str) -> None:
    """Keep a secret of an entity, in place of one of the same name. Raises LookupError if there is no such entity."""
    row = database.execute("SELECT key FROM entities WHERE name = ?", (entity,)).fetchone()
    if row is None:
        raise LookupError(f"no entity {entity!r}: create it before its secrets")
    database.execute(
        "INSERT OR REPLACE INTO team_secrets (entity_key, name, value) VALUES (?, ?, ?)", (row[0], name, value)
    )


def _join_all(database: sqlite3.Connection) -> None:
    database.execute(
        "INSERT OR IGNORE INTO organization_members SELECT o.key, u.key FROM organizations o, users u WHERE u.joins_all"
    )
    database.execute(
        "INSERT OR IGNORE INTO team_members SELECT e.key, u.key FROM entities e, users u"
        " WHERE u.joins_all AND e.entity_type = 'team'"
    )


def find_asker(database: sqlite3.Connection, api_key: str) -> Asker | None:
    """Return who has this key, and the entities they are a member of."""
    row = database.execute("SELECT key FROM users WHERE api_key = ?", (api_key,)).fetchone()
    if row is None:
        return None
    found = database.execute(
        "SELECT key FROM entities WHERE user_key = ?1"
        " OR key IN (SELECT entity_key FROM team_members WHERE user_key = ?1)"
        " OR entity_type = 'organization' AND organization_key IN"
        " (SELECT organization_key FROM organization_members WHERE user_key = ?1)",
        (row[0],),
    )
    return Asker(row[0], frozenset(key for [key] in found))
