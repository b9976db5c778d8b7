"""`notify` in bridge.yaml: whoever has such a URL may write there, so it is a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.config.model import SecretRef

if TYPE_CHECKING:
    from tests.config.folders import Folder


def test_channels_are_where_secrets_lie(folder: Folder) -> None:
    folder.bridge("notify: {slack: {url: {env: SLACK_WEBHOOK_URL}}, webhook: {url: {file: keys/hook}}}\n")

    assert folder.load().notify == {
        "slack": SecretRef(env="SLACK_WEBHOOK_URL"),
        "webhook": SecretRef(file=str(folder.path / "keys/hook")),
    }


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (
            "notify: {slack: {url: 'https://hooks.slack.com/services/T/B/hunter2'}}",
            "23: a secret is never a value here; write {env: NAME}, the variable in capitals, or {file: PATH}",
        ),
        ("notify: {slack: {}}", "17: missing key 'url'; write url: {env: SLACK_WEBHOOK_URL}"),
        ("notify: {slak: {url: {env: A}}}", "10: unknown key 'slak'; did you mean 'slack'?"),
    ],
)
def test_what_makes_no_sense_is_told_where_it_is_and_no_url_is_shown(folder: Folder, said: str, message: str) -> None:
    folder.bridge(f"{said}\n")
    errors = folder.errors()

    assert [str(error) for error in errors] == [f"bridge.yaml:4:{message}"]
    assert "hunter2" not in repr([vars(error) for error in errors])
