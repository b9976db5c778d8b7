"""Automations, webhook integrations, and where they are listed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bridge.sandbox.wandb.collections import Collection
from bridge.sandbox.wandb.filters import Field, column, sql_filter
from bridge.sandbox.wandb.paging import Listing, Page
from bridge.sandbox.wandb.people import Entity, Organization, may_see
from bridge.sandbox.wandb.projects import Project
from bridge.sandbox.wandb.records import Record, Sql

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.sandbox.wandb.context import Context


@dataclass(frozen=True, slots=True)
class GenericWebhookIntegration(Record):
    """`GenericWebhookIntegration`: an endpoint of a team, and the names of the secrets that go with it."""

    table: ClassVar[str] = "integrations"
    kinds: ClassVar[tuple[str, ...]] = ("GenericWebhookIntegration", "Integration")

    entity_key: int
    name: str
    url_endpoint: str
    access_token_ref: str | None
    secret_ref: str | None
    created_at: float


@dataclass(frozen=True, slots=True)
class FilterEventTriggeringCondition:
    """`FilterEventTriggeringCondition`."""

    event_type: str
    event_filter: str  # as it was sent

    @property
    def filter(self) -> str:
        """The filter in a wrapper that it was sent without; the SDK reads the inner one as JSON in JSON, too."""
        return json.dumps({"filter": self.event_filter})


@dataclass(frozen=True, slots=True)
class GenericWebhookTriggeredAction:
    """`GenericWebhookTriggeredAction`."""

    integration: GenericWebhookIntegration
    request_payload: str | None


@dataclass(frozen=True, slots=True)
class NoOpTriggeredAction:
    """`NoOpTriggeredAction`."""

    no_op: bool = True


@dataclass(frozen=True, slots=True)
class Automation(Record):
    """`Trigger`: an automation."""

    table: ClassVar[str] = "automations"
    kinds: ClassVar[tuple[str, ...]] = ("Trigger",)

    entity_key: int  # the owner of whatever the scope is
    project_key: int | None  # None: the scope is the entity
    collection_key: int | None  # None: the scope is the project, or the entity
    name: str
    description: str | None
    enabled: int
    event_type: str
    event_filter: str
    integration_key: int | None  # None: it does nothing
    request_payload: str | None
    last_triggered_at: float | None
    created_at: float
    updated_at: float | None

    def scope(self, context: Context) -> Collection | Project | Entity:
        """Return where its events happen."""
        if self.collection_key is not None:
            return context.get(Collection, self.collection_key)
        if self.project_key is not None:
            return context.get(Project, self.project_key)
        return context.get(Entity, self.entity_key)

    @property
    def triggeringCondition(self) -> FilterEventTriggeringCondition:
        """What it watches for."""
        return FilterEventTriggeringCondition(self.event_type, self.event_filter)

    def triggeredAction(self, context: Context) -> GenericWebhookTriggeredAction | NoOpTriggeredAction:
        """Return what it does then."""
        if self.integration_key is None:
            return NoOpTriggeredAction()
        integration = context.get(GenericWebhookIntegration, self.integration_key)
        return GenericWebhookTriggeredAction(integration, self.request_payload)


AUTOMATION_FILTERS: dict[str, Field] = {"name": column("automations.name")}  # what the SDK filters by
AUTOMATION_ORDERS = {"name": "automations.name", "created_at": "automations.created_at"}


def list_automations(where: Sql, filters: str | None) -> Listing[Automation]:
    """List automations, in the order they were made."""
    chosen = sql_filter(filters, AUTOMATION_FILTERS.get)
    return Listing(Automation, where=where & chosen, orders=AUTOMATION_ORDERS)


class EntityAutomations:
    """Fields of `Entity` that are about automations and integrations."""

    @staticmethod
    def triggers(
        entity: Entity,
        context: Context,
        *,
        after: str | None = None,
        first: int | None = None,
        order: str | None = None,
        filters: str | None = None,
    ) -> Page[Automation]:
        """List what watches the entity, its projects and their collections; nothing to who is no member."""
        mine = Sql("automations.entity_key = ?", (entity.key,)) if may_see(context, entity) else Sql("0")
        return list_automations(mine, filters).page(context, first, after, order)

    @staticmethod
    def integrations(
        entity: Entity, context: Context, *, after: str | None = None, first: int | None = None
    ) -> Page[GenericWebhookIntegration]:
        """List the entity's integrations; nothing to who is no member."""
        mine = Sql("integrations.entity_key = ?", (entity.key,)) if may_see(context, entity) else Sql("0")
        return Listing(GenericWebhookIntegration, where=mine).page(context, first, after)


class OrganizationAutomations:
    """A field of `Organization`: automations."""

    @staticmethod
    def triggers(
        organization: Organization,
        context: Context,
        *,
        after: str | None = None,
        first: int | None = None,
        order: str | None = None,
        filters: str | None = None,
    ) -> Page[Automation]:
        """List what watches the registries, and the teams that the asker is in; that teams belong here is a guess."""
        seen = json.dumps(sorted(context.asker.entity_keys))
        mine = Sql(
            "automations.entity_key IN (SELECT key FROM entities WHERE organization_key = ?)"
            " AND automations.entity_key IN (SELECT value FROM json_each(?))",
            (organization.key, seen),
        )
        return list_automations(mine, filters).page(context, first, after, order)


class ProjectAutomations:
    """A field of `Project`: automations, as older servers list them."""

    @staticmethod
    def triggers(project: Project, context: Context) -> Sequence[Automation]:
        """Return what watches the project or one of its collections; what watches the whole entity is not here."""
        return context.children(Automation, "project_key", project.key)
