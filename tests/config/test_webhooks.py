"""`webhook` of a connection: what must be shown by whoever tells of changes."""

from __future__ import annotations

import pytest

from bridge.config.model import MlflowConnection, SecretRef, WandbConnection, WebhookSecrets
from tests.config.folders import ACME, ML, Folder
from tests.config.test_secrets import CANARY, REFERENCE, all_text_of

AT_LEAST_ONE = "at least one of token and secret is needed, or anybody could send webhooks"


def with_webhook(connection: str, said: str) -> str:
    return f"{connection[:-1]}, webhook: {said}}}"


def test_wandb_shows_a_token_or_a_signature_or_both(folder: Folder) -> None:
    for said, webhook in (
        ("{token: {env: TOKEN}}", WebhookSecrets(SecretRef("TOKEN"), None)),
        ("{secret: {env: SECRET}}", WebhookSecrets(None, SecretRef("SECRET"))),
        ("{token: {file: t}, secret: {env: S}}", WebhookSecrets(SecretRef(None, f"{folder.path}/t"), SecretRef("S"))),
        ("null", None),
    ):
        folder.bridge(acme=with_webhook(ACME, said))
        connection = folder.load().connections["acme"]
        assert isinstance(connection, WandbConnection)
        assert connection.webhook == webhook


def test_mlflow_signs(folder: Folder) -> None:
    folder.bridge(f"  ml: {with_webhook(ML, '{secret: {env: SECRET}}')}\n")
    connection = folder.load().connections["ml"]
    assert isinstance(connection, MlflowConnection)
    assert connection.webhook == WebhookSecrets(secret=SecretRef("SECRET"))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("{}", f"{{at}}: {AT_LEAST_ONE}"),
        ("{tokn: {env: A}, secret: {env: B}}", "{in}: unknown key 'tokn'; did you mean 'token'?"),
        (CANARY, "{at}: expected a mapping, found a text"),
        (f"{{token: {CANARY}}}", f"{{value}}: {REFERENCE}"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_no_secret_is_shown(folder: Folder, said: str, message: str) -> None:
    folder.bridge(acme=with_webhook(ACME, said))
    at = len(f"  acme: {ACME[:-1]}, webhook: ") + 1
    places = {"{at}": at, "{in}": at + 1, "{value}": at + len("{token: ")}
    for name, column in places.items():
        message = message.replace(name, f"bridge.yaml:2:{column}")
    assert folder.wrong() == [message]
    assert CANARY not in all_text_of(folder)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("{}", "missing key 'secret'; write secret: {env: BRIDGE_WEBHOOK_SECRET}"),
        (
            "{secret: {env: S}, token: {env: T}}",
            "unknown key 'token'; MLflow sends no token; write secret: {env: BRIDGE_WEBHOOK_SECRET}",
        ),
    ],
)
def test_mlflow_without_a_signature_is_refused(folder: Folder, said: str, message: str) -> None:
    folder.bridge(f"  ml: {with_webhook(ML, said)}\n")
    [wrong] = folder.wrong()
    assert wrong.endswith(f": {message}")
