"""What a webhook says: the user's template filled in, the token, the signature."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.sandbox.wandb.people import User
from bridge.sandbox.wandb.projects import Project

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.sandbox.wandb.artifacts import Artifact
    from bridge.sandbox.wandb.automations import GenericWebhookIntegration
    from bridge.sandbox.wandb.context import Context
    from bridge.sandbox.wandb.events import Event

VARIABLE = re.compile(r"\$\{([^{}]+)\}")
METADATA = "artifact_metadata."
# How the documentation writes an event; that the others are written as the schema has them is a guess.
SHOWN_TYPES = {"LINK_MODEL": "LINK_ARTIFACT"}
NOBODY = "sandbox"  # the author of what WandbServer's own methods did


@dataclass(frozen=True, slots=True)
class Webhook:
    """One HTTP POST, complete: whoever sends it has nothing to look up."""

    url: str
    headers: Mapping[str, str]
    body: bytes


def shown_type(event_type: str) -> str:
    """Return what `${event_type}` says."""
    return SHOWN_TYPES.get(event_type, event_type)


def webhook(context: Context, integration: GenericWebhookIntegration, template: str | None, event: Event) -> Webhook:
    """Write the request that tells an integration's endpoint of an event."""
    token = _secret(context, integration, integration.access_token_ref)
    secret = _secret(context, integration, integration.secret_ref)
    values = _variables(context, event)
    if integration.secret_ref:
        values[integration.secret_ref] = secret
    if integration.access_token_ref:
        values["ACCESS_TOKEN"] = token
    # What is sent without a template is a guess.
    body = render(template or "{}", values).encode()
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if secret or (integration.secret_ref and context.switches.webhook_signature == "base64"):
        headers["X-Wandb-Signature"] = signature(secret, body)
    return Webhook(integration.url_endpoint, headers, body)


def signature(secret: str, body: bytes) -> str:
    """Return base64 of the HMAC-SHA256 of the raw body, as the vendor's sample reads it."""
    return base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()


def render(template: str, values: Mapping[str, str]) -> str:
    """
    Fill in a template, which is JSON; values are escaped as the inside of a JSON string.

    Metadata that the version has not is blank. A variable that nobody knows stays as it is (both are guesses).
    """

    def value(found: re.Match[str]) -> str:
        name = found[1]
        known = values.get(name, "" if name.startswith(METADATA) else None)
        return found[0] if known is None else json.dumps(known)[1:-1]

    return VARIABLE.sub(value, template)


def _variables(context: Context, event: Event) -> dict[str, str]:
    """Return the documented variables. What is said of an event they do not fit is blank: so is it documented."""
    project = context.get(Project, event.collection.project_key)
    author = context.asker.user_key
    values = {
        "project_name": project.name,
        "entity_name": project.entityName(context),
        "event_type": shown_type(event.event_type),
        "event_author": context.get(User, author).username if author else NOBODY,
        "alias": event.aliases[0] if event.event_type == "ADD_ARTIFACT_ALIAS" else "",
        "tag": "".join(event.tags),  # documented for an added one; for the other events of tags, a guess
        "artifact_collection_name": event.collection.name,
        "artifact_version": "",
        "artifact_version_string": "",
    }
    if event.membership is not None:
        artifact = event.membership.artifact(context)
        # The documentation shows an alias; what stands there if the event has none is a guess.
        label = values["alias"] or f"v{event.membership.version_index}"
        place = f"{values['entity_name']}/{project.name}/{event.collection.name}"
        values |= {
            "artifact_version": f"wandb-artifact://_id/{artifact.id}",
            "artifact_version_string": f"{place}:{label}",
        }
        values |= _metadata(artifact)
    return values


def _metadata(artifact: Artifact) -> dict[str, str]:
    """Return the top level of the metadata; how what is no text looks is a guess: as JSON."""
    metadata = json.loads(artifact.metadata) or {}
    return {METADATA + key: value if isinstance(value, str) else json.dumps(value) for key, value in metadata.items()}


def _secret(context: Context, integration: GenericWebhookIntegration, name: str | None) -> str:
    """Return a secret of the integration's team; one that nobody has set is empty (a guess)."""
    query = "SELECT value FROM team_secrets WHERE entity_key = ? AND name = ?"
    return str(context.value(query, integration.entity_key, name) or "")
