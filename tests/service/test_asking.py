"""`bridge status` and `bridge retry` at a running service, by BRIDGE_SERVER."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from bridge.cli.main import run
from bridge.core.errors import TryAgain
from bridge.core.model import State
from bridge.run.clock import SystemClock
from tests.service.apis import Api
from tests.worlds import FRAUD


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    """Return a service whose model is well; commands ask it."""
    made = Api()
    made.world.publish("production")
    made.client.post("/v1/mappings/fraud/sync")
    monkeypatch.setenv("BRIDGE_SERVER", made.listener.url)
    return made


def test_status_shows_how_long_a_model_has_been_behind(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status"]) == 0
    assert "fraud    fraud  SYNCED  -    production -> v0 @1" in capsys.readouterr().out

    api.world.clock.advance(SystemClock().now() - timedelta(hours=3) - api.world.clock.now())
    since = api.world.clock.now().isoformat()
    api.world.publish("production")
    api.world.registry.problems["observe"] = TryAgain("Vertex AI is unwell")
    api.client.post("/v1/mappings/fraud/sync")

    assert run(["status"]) == 0
    assert "fraud    fraud  FAILED  3 h  production -> v0 @1" in capsys.readouterr().out
    assert run(["status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["behind_since"] == since


@pytest.mark.parametrize("ref", ["fraud/fraud", "fraud@production", f"{FRAUD}:v0"])
def test_retry_takes_any_reference(api: Api, capsys: pytest.CaptureFixture[str], ref: str) -> None:
    api.world.publish("production")
    api.world.registry.problems["observe"] = TryAgain("Vertex AI is unwell")
    api.client.post("/v1/mappings/fraud/sync")
    api.world.registry.problems.clear()

    assert run(["retry", ref]) == 0
    assert capsys.readouterr().out == "fraud/fraud is tried again\n"
    assert api.world.names()["production"] == "v1"


def test_retry_says_of_a_reference_that_nothing_follows_that_it_is_not_known(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    assert api.world.status().state is State.SYNCED
    assert run(["retry", "elsewhere/churn:v1"]) == 1
    said = "error: the store knows no model 'elsewhere/churn:v1'; see what it knows: bridge status\n"
    assert capsys.readouterr().err == said
