"""MLflow's own webhooks: the Webhooks port over its registry."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from bridge.core.errors import NeedsPerson
from bridge.core.webhooks import Webhook
from bridge.sources.mlflow.session import MlflowSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TypeVar

    from mlflow import MlflowClient
    from mlflow.entities.webhook import Webhook as Theirs, WebhookEvent, WebhookEventStr

    from bridge.core.model import CollectionSelector

    T = TypeVar("T")

# All that concerns models. Of a stage that changes, and of a version or a model that is deleted, MLflow tells nobody.
EVENTS: tuple[WebhookEventStr, ...] = (
    "model_version.created",
    "model_version_alias.created",
    "model_version_alias.deleted",
    "model_version_tag.deleted",
    "model_version_tag.set",
    "registered_model.created",
)
LONGEST = 60  # characters of a name; MLflow takes 63
PAGE = 100
ADMINISTRATORS = "where MLflow has accounts, only an administrator may see and change webhooks"


class MlflowWebhooks:
    """The one webhook of a connection, for all models of the server, or of its workspace."""

    def __init__(self, connection: str, tracking_uri: str, workspace: str | None, owner: str, secret: str) -> None:
        self._session = MlflowSession(connection, tracking_uri, workspace)
        self._connection = connection
        self._secret = secret
        self._name = _name(owner, connection)

    def install(self, url: str, selectors: Sequence[CollectionSelector], *, again: bool = False) -> list[Webhook]:  # noqa: ARG002  MLflow cannot choose models
        """See the port."""
        endpoint = f"{url}/hooks/mlflow/{self._connection}"
        events: list[WebhookEventStr | WebhookEvent] = list(EVENTS)
        there = self._ours()
        if there is None:
            made = self._call(
                lambda client: client.create_webhook(
                    self._name, endpoint, events, "tells registry-bridge of changes", self._secret
                ),
                endpoint,
            )
            return [Webhook(made.name, made.url, EVENTS, "created")]
        if not again and (there.url, _events(there), str(there.status)) == (endpoint, EVENTS, "ACTIVE"):
            return [_shown(there)]
        self._call(
            lambda client: client.update_webhook(
                there.webhook_id, url=endpoint, events=events, secret=self._secret, status="ACTIVE"
            ),
            endpoint,
        )
        return [Webhook(there.name, endpoint, EVENTS, "changed")]

    def installed(self, selectors: Sequence[CollectionSelector]) -> list[Webhook]:  # noqa: ARG002  the same
        """See the port."""
        there = self._ours()
        return [] if there is None else [_shown(there)]

    def remove(self, selectors: Sequence[CollectionSelector]) -> list[Webhook]:  # noqa: ARG002  the same
        """See the port."""
        there = self._ours()
        if there is None:
            return []
        self._call(lambda client: client.delete_webhook(there.webhook_id))
        return [Webhook(there.name, there.url, _events(there), "removed")]

    def test(self, selectors: Sequence[CollectionSelector]) -> str:  # noqa: ARG002  the same
        """See the port. MLflow sends one itself, of a model that does not exist."""
        there = self._ours()
        if there is None:
            raise NeedsPerson(
                f"{self._session.failures.where} has no webhook {self._name!r}",
                f"install it: bridge hooks install --connection {self._connection} --url URL",
            )
        told = self._call(lambda client: client.test_webhook(there.webhook_id))
        if not told.success:
            answer = f"HTTP {told.response_status}" if told.response_status else "no answer"
            raise NeedsPerson(
                f"{there.url} did not take the webhook that MLflow sent: {answer}",
                "see that MLflow reaches 'bridge run' there, and if it was HTTP 401, install it --again",
            )
        return f"MLflow sent a webhook to {there.url}, and was answered HTTP {told.response_status}"

    def _ours(self) -> Theirs | None:
        return next((hook for hook in self._all() if hook.name == self._name), None)

    def _all(self) -> Iterator[Theirs]:
        token: str | None = None
        while True:
            page = self._call(lambda client, token=token: client.list_webhooks(PAGE, token))  # type: ignore[misc]  # mypy infers no default of a lambda
            yield from page
            token = page.token or None
            if token is None:
                return

    def _call(self, work: Callable[[MlflowClient], T], endpoint: str | None = None) -> T:
        def refusable(client: MlflowClient) -> T:
            try:
                return work(client)
            except Exception as problem:
                code = getattr(problem, "error_code", None)
                if endpoint is None or code != "INVALID_PARAMETER_VALUE":
                    raise
                raise NeedsPerson(
                    f"{self._session.failures.where} refuses to send webhooks to {endpoint}",
                    "it takes https at public addresses, unless MLFLOW_WEBHOOK_ALLOWED_SCHEMES and "
                    "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS say otherwise where it runs",
                ) from None

        try:
            return self._session.call("its webhooks", refusable)
        except NeedsPerson as problem:
            if endpoint is not None and endpoint in problem.reason:
                raise
            raise NeedsPerson(problem.reason, f"{problem.remedy}; {ADMINISTRATORS}") from None


def _shown(hook: Theirs) -> Webhook:
    return Webhook(hook.name, hook.url, _events(hook), is_on=str(hook.status) == "ACTIVE")


def _events(hook: Theirs) -> tuple[str, ...]:
    return tuple(sorted(map(str, hook.events)))


def _name(owner: str, connection: str) -> str:
    """Return a name of ours: letters, digits, '.', '_' and '-', with a letter first and last."""
    whole = f"bridge.{owner}.{connection}.hook"
    if len(whole) <= LONGEST:
        return whole
    return f"{whole[:40]}.{hashlib.sha256(whole.encode()).hexdigest()[:12]}.hook"
