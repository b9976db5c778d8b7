"""What automations are told of, and which of them an event triggers."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.sandbox.wandb import deliveries, payloads
from bridge.sandbox.wandb.automations import Automation, GenericWebhookIntegration
from bridge.sandbox.wandb.errors import Refused
from bridge.sandbox.wandb.filters import Field, Operand, any_of, column, sql_filter
from bridge.sandbox.wandb.records import Sql

if TYPE_CHECKING:
    from bridge.sandbox.wandb.artifacts import Membership
    from bridge.sandbox.wandb.collections import Collection
    from bridge.sandbox.wandb.context import Context


@dataclass(frozen=True, slots=True)
class Event:
    """
    Something that happened in a collection. There is none for an alias that is removed: the real service has none.

    What the real service makes of these is a guess: `latest` is an alias like any other, so a link or a commit
    adds it; a link that is there already is no new link; a version's deletion unlinks nothing.
    """

    event_type: str  # EventTriggeringConditionType; payloads.shown_type says how a payload spells it
    collection: Collection
    membership: Membership | None = None  # None: the event is about the collection
    aliases: tuple[str, ...] = ()  # the one that was added; of a link, all that came with it
    tags: tuple[str, ...] = ()


def announce(context: Context, *events: Event) -> None:
    """
    Trigger the automations that watch for these events: note what is to be sent once this transaction is kept.

    Several events are one change seen from several places; an automation is triggered by the first that fits.
    """
    told: set[int] = set()
    for event in events:
        for automation in _watching(context, event):
            if automation.key not in told and fits(context, automation.event_filter, event.aliases, event.tags):
                told.add(automation.key)
                _trigger(context, automation, event)


def announce_tag(context: Context, event_type: str, places: list[Membership], tag: str) -> None:
    """Tell of a version's tag, which all its places share: an automation hears of it once (a guess)."""
    collections = [place.artifactCollection(context) for place in places]
    events = [Event(event_type, where, place, tags=(tag,)) for where, place in zip(collections, places, strict=True)]
    announce(context, *events)


def fits(context: Context, event_filter: str, aliases: tuple[str, ...], tags: tuple[str, ...]) -> bool:
    """
    Say if an event with these aliases and tags passes a filter such as {"$or": [{"$and": [{"alias": "production"}]}]}.

    Refuses a filter that the sandbox cannot work out, so that one is refused when its automation is made.
    """
    condition = sql_filter(event_filter, EVENT_FILTERS.get)
    query = f"SELECT 1 FROM (SELECT ? AS aliases, ? AS tags) AS event WHERE {condition.text}"  # noqa: S608  our own texts
    try:
        return context.value(query, json.dumps(aliases), json.dumps(tags), *condition.parameters) is not None
    except sqlite3.Error as error:
        raise Refused(f"the sandbox does not implement the event filter {event_filter}: {error}", 400) from error


def _one_of(listed: str) -> Field:
    some = f"json_each(event.{listed})"
    whole = any_of(f"{some} AS one", "1", "one.value")

    def condition(operator: str, operand: Operand) -> Sql:
        if operator != "$contains":
            return whole(operator, operand)
        # Here, unlike among a version's aliases, it means a part of the text (wandb 0.31.0, _filters/operators.py).
        inner = column("one.value")(operator, operand)
        return Sql(f"EXISTS (SELECT 1 FROM {some} AS one WHERE {inner.text})", inner.parameters)  # noqa: S608  our own texts

    return condition


EVENT_FILTERS: dict[str, Field] = {"alias": _one_of("aliases"), "tag": _one_of("tags")}  # the SDK's ArtifactEvent


def _watching(context: Context, event: Event) -> list[Automation]:
    project = event.collection.project_key
    return context.find_all(
        Automation,
        "enabled AND event_type = ? AND (collection_key = ? OR (collection_key IS NULL AND project_key = ?)"
        " OR (project_key IS NULL AND entity_key = (SELECT entity_key FROM projects WHERE key = ?))) ORDER BY key",
        event.event_type,
        event.collection.key,
        project,
        project,
    )


def _trigger(context: Context, automation: Automation, event: Event) -> None:
    """Note a delivery, unless the automation was triggered less than the cooldown ago."""
    last = automation.last_triggered_at
    if last is not None and context.now < last + context.switches.webhook_cooldown:
        return
    context.write("UPDATE automations SET last_triggered_at = ? WHERE key = ?", context.now, automation.key)
    event_type = payloads.shown_type(event.event_type)
    if automation.integration_key is None:
        deliveries.note_nothing_done(context, automation.key, event_type)
        return
    integration = context.get(GenericWebhookIntegration, automation.integration_key)
    webhook = payloads.webhook(context, integration, automation.request_payload, event)
    deliveries.note(context, automation.key, event_type, webhook)
