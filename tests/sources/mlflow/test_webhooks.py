"""Webhooks at MLflow: a contract over its real server is in tests/e2e/test_hooks.py; here is what it refuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bridge.core.errors import NeedsPerson, TryAgain
from bridge.sources.mlflow.webhooks import EVENTS, LONGEST, MlflowWebhooks
from tests.sources.servers import Reply, ScriptedServer

if TYPE_CHECKING:
    from bridge.sandbox.mlflow.server import MlflowServer

URL = "http://127.0.0.1:9"


def hooks_at(url: str, owner: str = "a-bridge") -> MlflowWebhooks:
    return MlflowWebhooks("ml", url, None, owner, "a secret")


@pytest.fixture
def hooks(mlflow_server: MlflowServer) -> MlflowWebhooks:
    return hooks_at(mlflow_server.url)


def test_two_bridges_have_a_webhook_each_and_leave_the_others_alone(
    hooks: MlflowWebhooks, mlflow_server: MlflowServer
) -> None:
    other = hooks_at(mlflow_server.url, "x" * 63)
    [ours], [theirs] = hooks.install(URL, ()), other.install(URL, ())
    assert (ours.happened, ours.url, ours.events) == ("created", f"{URL}/hooks/mlflow/ml", EVENTS)
    assert len(theirs.name) <= LONGEST
    assert [each.happened for each in hooks.remove(())] == ["removed"]
    assert hooks.remove(()) == hooks.installed(()) == []
    assert [each.happened for each in other.installed(())] == ["unchanged"]
    other.remove(())


def test_the_secret_is_written_again_if_told_to(hooks: MlflowWebhooks) -> None:
    hooks.install(URL, ())
    assert [each.happened for each in hooks.install(URL, ())] == ["unchanged"]
    assert [each.happened for each in hooks.install(URL, (), again=True)] == ["changed"]
    hooks.remove(())


def test_a_url_that_mlflow_does_not_take_is_told_with_its_settings(hooks: MlflowWebhooks) -> None:
    with pytest.raises(NeedsPerson, match="refuses to send webhooks to ftp://x/hooks/mlflow/ml") as refused:
        hooks.install("ftp://x", ())
    assert "MLFLOW_WEBHOOK_ALLOWED_SCHEMES" in refused.value.remedy


def test_a_test_of_what_is_not_there_says_how_to_make_it(hooks: MlflowWebhooks) -> None:
    with pytest.raises(
        NeedsPerson, match=r"has no webhook 'bridge\.a-bridge\.ml\.hook'; install it: bridge hooks install"
    ):
        hooks.test(())


@pytest.mark.parametrize("status", [403, 503])
def test_a_server_that_refuses_to_tell_says_who_may(status: int) -> None:
    body = json.dumps({"error_code": "PERMISSION_DENIED" if status == 403 else "TEMPORARILY_UNAVAILABLE"}).encode()
    reply = Reply(status, body, {"Content-Type": "application/json"})
    with ScriptedServer(lambda _: reply) as server, pytest.raises((NeedsPerson, TryAgain)) as refused:
        hooks_at(server.url).installed(())
    assert isinstance(refused.value, TryAgain if status == 503 else NeedsPerson)
    assert ("only an administrator" in str(refused.value)) == (status == 403)
