"""
W&B's automations: the Webhooks port over the SDK; the one module beside `session` that imports `wandb`.

An automation sends to a webhook of a team, which a person makes in the team's settings, for two reasons: the access
token and the secret are written there, and the SDK (0.31.0) has no method that makes one.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import requests
from wandb.automations import OnAddArtifactAlias, OnLinkArtifact, OnUnlinkArtifact, SendWebhook

from bridge.core.errors import NeedsPerson, TryAgain
from bridge.core.webhooks import Webhook, mac
from bridge.sources.wandb.session import WandbSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from wandb.automations import Automation, WebhookIntegration

    from bridge.core.model import CollectionSelector
    from bridge.sources.wandb.session import Api

# There is no event of an alias that is removed.
EVENTS = {"alias added": OnAddArtifactAlias, "version linked": OnLinkArtifact, "version unlinked": OnUnlinkArtifact}
PAYLOAD = {"event": "${event_type}", "project": "${project_name}", "collection": "${artifact_collection_name}"}
REGISTRY_PREFIX = "wandb-registry-"
NOTHING = "registry-bridge: a test, of no collection"  # which no collection can be named: it has a colon
TIMEOUT = 10  # seconds


class WandbAutomations:
    """The automations of a connection: three for each registry or project that mappings follow collections of."""

    def __init__(
        self,
        connection: str,
        base_url: str,
        api_key: Callable[[], str],
        organization: str | None,
        team: str | None,  # which has the webhook; None: the default one of the account
        *,
        owner: str,
        token: str | None,
        secret: str | None,
    ) -> None:
        self._session = WandbSession(connection, base_url, api_key)
        self._connection = connection
        self._owner = owner
        self._organization = organization
        self._token = token
        self._secret = secret
        self._team = team

    def install(self, url: str, selectors: Sequence[CollectionSelector], *, again: bool = False) -> list[Webhook]:
        """See the port. A webhook to that URL has to be there; the automations are made, or moved to it."""
        endpoint = f"{url}/hooks/wandb/{self._connection}"

        def work(api: Api) -> list[Webhook]:
            hook = next((each for each in api.webhook_integrations(self._team) if each.url_endpoint == endpoint), None)
            if hook is None:
                raise self._no_webhook(api, endpoint)
            done = []
            for place in _places(selectors):
                scope = self._scope(api, place)
                there = {each.name: each for each in api.automations(scope.entity)}
                for event, made in EVENTS.items():
                    name = self._name(place, event)
                    happened = self._settle(api, name, made(scope=scope), hook, there.get(name), again=again)
                    done.append(Webhook(name, endpoint, (event,), happened))
            return done

        return self._session.call(work)

    def installed(self, selectors: Sequence[CollectionSelector]) -> list[Webhook]:
        """See the port."""
        return self._session.call(lambda api: [self._shown(api, each) for each in self._ours(api, selectors)])

    def remove(self, selectors: Sequence[CollectionSelector]) -> list[Webhook]:
        """See the port. The team's webhook stays: a person has made it."""

        def work(api: Api) -> list[Webhook]:
            gone = []
            for each in self._ours(api, selectors):
                shown = self._shown(api, each)
                api.delete_automation(each)
                gone.append(Webhook(shown.name, shown.url, shown.events, "removed"))
            return gone

        return self._session.call(work)

    def test(self, selectors: Sequence[CollectionSelector]) -> str:
        """See the port. The SDK has no call for it, so this sends what W&B would send, signed with our own secrets."""
        urls = sorted({each.url for each in self.installed(selectors)} - {""})
        if not urls:
            raise NeedsPerson(
                f"connection {self._connection} has no automations of ours at W&B",
                f"install them: bridge hooks install --connection {self._connection} --url URL",
            )
        answers = [f"{url} answered HTTP {self._send(url)}" for url in urls]
        return f"sent from here what W&B would send (its SDK sends none on demand): {'; '.join(answers)}"

    def _settle(
        self,
        api: Api,
        name: str,
        event: Any,  # noqa: ANN401  one of EVENTS, made
        hook: WebhookIntegration,
        there: Automation | None,
        *,
        again: bool,
    ) -> Any:  # noqa: ANN401  Webhook.happened
        action = SendWebhook.from_integration(hook, payload=PAYLOAD)
        if there is None:
            api.create_automation(event >> action, name=name, description="tells registry-bridge to look")
            return "created"
        saved: Any = there.action  # whatever somebody made of it
        is_same = (
            there.enabled,
            there.scope.id,
            there.event.event_type,
            getattr(getattr(saved, "integration", None), "id", None),
            getattr(saved, "request_payload", None),
        ) == (True, event.scope.id, event.event_type, hook.id, PAYLOAD)
        if is_same and not again:
            return "unchanged"
        api.update_automation(there, enabled=True, event=event, scope=event.scope, action=action)
        return "changed"

    def _ours(self, api: Api, selectors: Sequence[CollectionSelector]) -> Iterator[Automation]:
        entities = {self._scope(api, place).entity for place in _places(selectors)}
        for entity in sorted(entities):
            yield from [each for each in api.automations(entity) if each.name.startswith(self._name())]

    def _shown(self, api: Api, each: Automation) -> Webhook:
        hook = getattr(getattr(each.action, "integration", None), "id", None)
        urls = (every.url_endpoint for every in api.webhook_integrations(self._team) if every.id == hook)
        return Webhook(each.name, next(urls, ""), (each.name.rpartition(": ")[2],), is_on=each.enabled)

    def _scope(self, api: Api, place: str) -> Any:  # noqa: ANN401  a registry or a project of the SDK
        if "/" not in place:
            return api.registry(place.removeprefix(REGISTRY_PREFIX), self._organization)
        entity, _, project = place.partition("/")
        return api.project(project, entity)

    def _name(self, *parts: str) -> str:
        return ": ".join((f"{self._owner}/{self._connection}", *parts)) + ("" if parts else ": ")

    def _no_webhook(self, api: Api, endpoint: str) -> NeedsPerson:
        team = self._team or api.default_entity
        shown = [kind for kind, value in (("access token", self._token), ("secret", self._secret)) if value is not None]
        return NeedsPerson(
            f"team {team!a} has no webhook to {endpoint}, and W&B lets nobody but a person make one",
            f"make it in W&B under Team settings, Webhooks, with the same {' and '.join(shown)} as the connection's "
            "'webhook' in bridge.yaml, and run this again; --team names another team",
        )

    def _send(self, url: str) -> int:
        body = json.dumps(PAYLOAD | {"event": "TEST", "project": "", "collection": NOTHING}).encode()
        headers = {"Content-Type": "application/json"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        if self._secret is not None:
            headers["X-Wandb-Signature"] = mac(self._secret, body)
        try:
            answer = requests.post(url, body, headers=headers, timeout=TIMEOUT, allow_redirects=False)
        except requests.RequestException as problem:
            raise TryAgain(f"{url} cannot be reached from here ({type(problem).__name__})") from None
        if answer.status_code != requests.codes.accepted:
            raise NeedsPerson(
                f"{url} did not take a webhook with the connection's secrets: HTTP {answer.status_code}",
                "see that 'bridge run' answers there, and with the same bridge.yaml",
            )
        return answer.status_code


def _places(selectors: Sequence[CollectionSelector]) -> list[str]:
    return sorted({selector.place for selector in selectors})
