"""Changes to automations and integrations. What the sandbox cannot carry out is refused, never kept."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bridge.sandbox.wandb.automations import Automation, GenericWebhookIntegration
from bridge.sandbox.wandb.collections import Collection
from bridge.sandbox.wandb.errors import Refused
from bridge.sandbox.wandb.events import fits
from bridge.sandbox.wandb.people import Entity, entity_to_write
from bridge.sandbox.wandb.projects import Project, check_may_write

if TYPE_CHECKING:
    from bridge.sandbox.wandb.context import Context

EVENTS = frozenset(
    {
        "CREATE_ARTIFACT",
        "LINK_MODEL",
        "UNLINK_ARTIFACT",
        "ADD_ARTIFACT_ALIAS",
        "ADD_ARTIFACT_TAG",
        "REMOVE_ARTIFACT_TAG",
        "ADD_COLLECTION_TAG",
        "REMOVE_COLLECTION_TAG",
    }
)
ENTITIES_WATCHED = ("team", "organization")  # the SDK's EntityScope
NAME_MAX = 255  # CreateFilterTriggerInput.name
INTEGRATION_NAME_MAX = 64  # CreateGenericWebhookIntegrationInput.name, as is the pattern
INTEGRATION_NAME = re.compile(r"[-\w]+([ ]+[-\w]+)*")


class AutomationMutations:
    """
    Changes to automations and integrations.

    Who may make them is a guess: the members of the team or organization, if they may change the project.
    """

    def createFilterTrigger(self, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        """Make an automation. Refuses a name that another one of the same entity has (the entity is a guess)."""
        columns = _columns(context, given) | {"created_at": context.now}
        _check(context, columns, key=0)
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        key = context.write(f"INSERT INTO automations ({names}) VALUES ({marks})", *columns.values())  # noqa: S608  _columns' names
        return {"trigger": context.get(Automation, key)}

    def updateFilterTrigger(self, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        """Change an automation, as far as something is given; what is null stays as it is (a guess)."""
        automation = _to_write(context, given["id"])
        columns = _columns(context, given) | {"updated_at": context.now}
        same = {name: getattr(automation, name) for name in ("entity_key", "collection_key", "event_type", "name")}
        _check(context, same | columns, automation.key)
        assignments = ", ".join(f"{name} = ?" for name in columns)
        context.write(f"UPDATE automations SET {assignments} WHERE key = ?", *columns.values(), automation.key)  # noqa: S608  the same
        return {"trigger": context.get(Automation, automation.key)}

    def deleteTrigger(self, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        """Delete an automation with its history; what it has not sent yet is not sent (a guess)."""
        automation = _to_write(context, given["triggerID"])
        context.write("DELETE FROM automations WHERE key = ?", automation.key)
        return {"success": True}

    def createGenericWebhookIntegration(self, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        """
        Make an integration.

        Secrets may be set later, by their names, and any loopback address will do: the real service wants a name
        of the DNS. That it refuses a name twice is a guess.
        """
        entity = entity_to_write(context, given["entityName"])
        name, url = given["name"], given["urlEndpoint"]
        if len(name) > INTEGRATION_NAME_MAX or not INTEGRATION_NAME.fullmatch(name):
            raise Refused(f"invalid integration name {name!r}", 400)
        _check_url(url)
        if context.find(GenericWebhookIntegration, "entity_key = ? AND name = ?", entity.key, name):
            raise Refused(f"an integration named {name!r} exists already", 409)
        key = context.write(
            "INSERT INTO integrations (entity_key, name, url_endpoint, access_token_ref, secret_ref, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            entity.key,
            name,
            url,
            given.get("accessTokenRef"),
            given.get("secretRef"),
            context.now,
        )
        return {"integration": context.get(GenericWebhookIntegration, key)}


def _check_url(url: str) -> None:
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        scheme = ""
    if scheme not in ("http", "https"):
        raise Refused(f"invalid webhook URL {url!r}", 400)


def _to_write(context: Context, id_: str) -> Automation:
    automation = context.require(Automation, id_)
    _check_scope(context, automation.scope(context))
    return automation


def _columns(context: Context, given: dict[str, Any]) -> dict[str, Any]:
    """Return what an input says, by column of `automations`. Refuses what the sandbox does not do."""
    columns = {name: given[name] for name in ("name", "description", "enabled") if given.get(name) is not None}
    if given.get("scopeID") is not None:
        columns |= _scope(context, given.get("scopeType"), given["scopeID"])
    if (event_type := given.get("triggeringEventType")) is not None:
        if event_type not in EVENTS:
            raise Refused(f"the sandbox does not implement automations on {event_type}", 400)
        columns["event_type"] = event_type
    if (event_filter := given.get("eventFilter")) is not None:
        fits(context, event_filter, (), ())
        columns["event_filter"] = event_filter
    if (action_type := given.get("triggeredActionType")) is not None:
        columns |= _action(context, action_type, given.get("triggeredActionConfig") or {})
    elif given.get("triggeredActionConfig"):
        raise Refused("triggeredActionConfig needs a triggeredActionType", 400)
    return columns


def _scope(context: Context, scope_type: str | None, id_: str) -> dict[str, Any]:
    scope: Collection | Project | Entity
    keys: tuple[int | None, ...]
    match scope_type:
        case "ARTIFACT_COLLECTION":
            scope = context.require(Collection, id_)
            project = scope.project(context)
            keys = (project.entity_key, project.key, scope.key)
        case "PROJECT":
            scope = context.require(Project, id_)
            keys = (scope.entity_key, scope.key, None)
        case "ENTITY":
            scope = context.require(Entity, id_)
            keys = (scope.key, None, None)
        case _:
            raise Refused("scopeID needs a scopeType", 400)
    _check_scope(context, scope)
    return dict(zip(("entity_key", "project_key", "collection_key"), keys, strict=True))


def _check_scope(context: Context, scope: Collection | Project | Entity) -> None:
    match scope:
        case Entity():
            if scope.entity_type not in ENTITIES_WATCHED:
                raise Refused(f"{scope.name} is neither a team nor an organization", 400)
            entity_to_write(context, scope.name)
        case Project():
            check_may_write(context, scope)
        case Collection():
            if scope.state != "READY":
                raise Refused(f"artifact collection {scope.name!r} is deleted", 404)
            check_may_write(context, scope.project(context))


def _action(context: Context, action_type: str, config: dict[str, Any]) -> dict[str, Any]:
    match action_type:
        case "NO_OP":
            return {"integration_key": None, "request_payload": None}
        case "GENERIC_WEBHOOK":
            action = config.get("genericWebhookActionInput")
            if action is None:
                raise Refused("a webhook needs a genericWebhookActionInput", 400)
            integration = context.require(GenericWebhookIntegration, action["integrationID"])
            if integration.entity_key not in context.asker.entity_keys:
                raise Refused(f"permission denied to integration {integration.name!r}", 403)
            return {"integration_key": integration.key, "request_payload": _payload(action.get("requestPayload"))}
        case _:
            raise Refused(f"the sandbox does not implement automations that do {action_type}", 400)


def _payload(text: str | None) -> str | None:
    """Refuse a template that is no JSON before anything is filled in (a guess; the SDK sends objects only)."""
    try:
        json.loads(text or "{}")
    except ValueError as error:
        raise Refused(f"the payload is not JSON: {error}", 400) from error
    return text


def _check(context: Context, columns: dict[str, Any], key: int) -> None:
    name = columns["name"]
    if not name or len(name) > NAME_MAX:
        raise Refused(f"invalid automation name {name!r}", 400)
    if columns["event_type"] == "CREATE_ARTIFACT" and columns["collection_key"] is None:
        raise Refused("CREATE_ARTIFACT is watched for in a collection only", 400)  # the SDK's OnCreateArtifact.scope
    condition = "entity_key = ? AND name = ? AND key <> ?"
    if context.find(Automation, condition, columns["entity_key"], name, key):
        raise Refused(f"an automation named {name!r} exists already", 409)
