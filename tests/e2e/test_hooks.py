"""Webhooks all the way: a tag by the real SDK, the source's own webhook, `bridge run`, an alias in Vertex."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import pytest

from bridge.sandbox.address import ORG_ENTITY, TEAM
from tests.e2e.test_mlflow import follow, name_of
from tests.e2e.test_run import ended, running, until

if TYPE_CHECKING:
    from bridge.sandbox.mlflow.server import MlflowServer
    from tests.e2e.conftest import Desk
    from tests.sources.mlflow_people import MlflowPublisher

pytestmark = pytest.mark.sandbox

# Within an hour only a webhook can have told of anything.
SETTINGS = "poll_every: 1h\nlimits: {wandb: 1000/s}\nservice: {listen: '127.0.0.1:0'}\n"
TOKEN, SECRET = "a token", "a secret"  # canaries


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_WEBHOOK_TOKEN", TOKEN)
    monkeypatch.setenv("BRIDGE_WEBHOOK_SECRET", SECRET)


@pytest.fixture
def watched(desk: Desk) -> Desk:
    """Give a desk whose W&B connection takes webhooks."""
    webhook = "webhook: {token: {env: BRIDGE_WEBHOOK_TOKEN}, secret: {env: BRIDGE_WEBHOOK_SECRET}}"
    connections = desk.world.connections().replace("env: WANDB_API_KEY}", f"env: WANDB_API_KEY}}, {webhook}")
    (desk.folder / "bridge.yaml").write_text(f"{desk.store_lines}{SETTINGS}{connections}")
    return desk


@pytest.fixture
def churn(desk: Desk, mlflow_server: MlflowServer, mlflow: MlflowPublisher) -> Desk:  # noqa: ARG001  it sets MLflow's variables
    """Give a desk that follows a model of MLflow, whose connection takes webhooks."""
    webhook = "webhook: {secret: {env: BRIDGE_WEBHOOK_SECRET}}"
    connections = f"{desk.world.connections()}  ml: {{kind: mlflow, tracking_uri: '{mlflow_server.url}', {webhook}}}\n"
    (desk.folder / "bridge.yaml").write_text(f"{desk.store_lines}{SETTINGS}{connections}")
    follow(desk)
    return desk


def make_webhook(desk: Desk, url: str) -> None:
    """Do what a person does in the team's settings; the SDK has no method for it."""
    desk.world.wandb.set_secret(TEAM, "BRIDGE_TOKEN", TOKEN)
    desk.world.wandb.set_secret(TEAM, "BRIDGE_SECRET", SECRET)
    generated: Any = importlib.import_module("wandb.automations._generated")
    given = generated.CreateGenericWebhookIntegrationInput(
        entity_name=TEAM,
        name=f"bridge {desk.number} {url.rpartition(':')[2]}",
        url_endpoint=f"{url}/hooks/wandb/acme",
        access_token_ref="BRIDGE_TOKEN",
        secret_ref="BRIDGE_SECRET",
    )
    desk.api()._service_api.execute_graphql(  # noqa: SLF001  what its methods use
        generated.CREATE_GENERIC_WEBHOOK_INTEGRATION_GQL,
        variables={"input": given.model_dump()},
        parse=generated.CreateGenericWebhookIntegration.model_validate_json,
    )


def happened(desk: Desk, *arguments: str) -> list[str]:
    return [each["happened"] for each in desk.bridge_json("hooks", *arguments)]


def test_a_tag_in_wandb_reaches_vertex_by_its_webhook(watched: Desk) -> None:
    desk = watched
    desk.publish(b"first", "production")
    with running(desk) as service:
        service.await_event("is SYNCED")
        install = ("install", "--connection", "acme", "--url", service.url, "--team", TEAM)
        refused = desk.bridge("hooks", *install)
        assert (refused.code, refused.out) == (1, "")
        assert "W&B lets nobody but a person make one; make it in W&B under Team settings, Webhooks" in refused.err

        make_webhook(desk, service.url)
        assert happened(desk, *install) == ["created"] * 3
        assert happened(desk, *install) == ["unchanged"] * 3
        told = desk.bridge("hooks", "test", "--connection", "acme", "--team", TEAM)
        assert told.out.endswith("answered HTTP 202\n"), told.err

        second = desk.publish(b"second")
        desk.tag(second, "production")
        until(lambda: desk.aliases() == {"default": "2", "production": "2"}, "the alias moves")
        assert service.end() == 0
        assert happened(desk, "remove", "--connection", "acme", "--team", TEAM) == ["removed"] * 3
        assert desk.bridge("hooks", "list", "--connection", "acme").out == "there is none\n"
    looks = {each["id"] for each in service.seen if each["event"].startswith(f"looking at {desk.collection}")}
    moved = {each["id"] for each in service.seen if "production (v0 -> v1)" in each["event"]}
    assert len(moved & looks) == len(moved) == 1, "one id from the webhook to the alias"
    said = " ".join(str(each) for each in service.seen)
    assert not [canary for canary in (TOKEN, SECRET) if canary in said]


def test_another_url_moves_the_automations_there(watched: Desk) -> None:
    desk = watched
    desk.publish(b"first")
    for port, done in ((1, "created"), (2, "changed")):
        make_webhook(desk, f"http://127.0.0.1:{port}")
        url = f"http://127.0.0.1:{port}"
        assert happened(desk, "install", "--connection", "acme", "--url", url, "--team", TEAM) == [done] * 3
    listed = desk.bridge_json("hooks", "list", "--connection", "acme", "--team", TEAM)
    assert {each["url"] for each in listed} == {"http://127.0.0.1:2/hooks/wandb/acme"}
    unheard = desk.bridge("hooks", "test", "--connection", "acme", "--team", TEAM)
    assert (unheard.code, "cannot be reached from here" in unheard.err) == (1, True)
    desk.bridge("hooks", "remove", "--connection", "acme", "--team", TEAM)


def test_an_alias_in_mlflow_reaches_vertex_by_its_webhook(churn: Desk, mlflow: MlflowPublisher) -> None:
    desk = churn
    mlflow.publish(name_of(desk), {"model.pkl": b"first"}, "champion")
    with running(desk) as service:
        service.await_event("is SYNCED")
        install = ("install", "--connection", "ml", "--url")
        assert happened(desk, *install, "http://127.0.0.1:1/elsewhere/") == ["created"]
        unheard = desk.bridge("hooks", "test", "--connection", "ml")
        assert (unheard.code, "did not take the webhook that MLflow sent: no answer" in unheard.err) == (1, True)
        assert happened(desk, *install, service.url) == ["changed"]
        assert happened(desk, *install, service.url) == ["unchanged"]
        told = desk.bridge("hooks", "test", "--connection", "ml")
        assert told.out == f"MLflow sent a webhook to {service.url}/hooks/mlflow/ml, and was answered HTTP 202\n"

        mlflow.publish(name_of(desk), {"model.pkl": b"second"}, "champion")
        until(lambda: desk.aliases().get("champion") == "2", "the alias moves")
        assert service.end() == 0
    assert happened(desk, "remove", "--connection", "ml") == ["removed"]
    assert desk.bridge("hooks", "list", "--connection", "ml").out == "there is none\n"


@pytest.mark.parametrize(
    ("connection", "said"),
    [
        ("prod", "error: no connection to a source is named 'prod'; choose from: acme\n"),
        ("acme", "error: connection 'acme' takes no webhooks; write into it, in bridge.yaml, webhook: {token: "),
    ],
)
def test_a_connection_that_takes_no_webhooks_is_refused(desk: Desk, connection: str, said: str) -> None:
    refused = desk.bridge("hooks", "list", "--connection", connection)
    assert (refused.code, refused.err.startswith(said)) == (2, True)


@pytest.mark.parametrize("url", ["bridge.example", "ftp://bridge.example", "https://bridge.example/?a=b", "https://"])
def test_what_is_no_address_is_refused(watched: Desk, url: str) -> None:
    refused = watched.bridge("hooks", "install", "--connection", "acme", "--url", url)
    assert (refused.code, "expected the address of 'bridge run'" in " ".join(refused.err.split())) == (2, True)


def test_a_service_without_a_secret_for_its_webhooks_does_not_start(
    watched: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BRIDGE_WEBHOOK_SECRET")
    refused = ended(watched)
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith("error: the variable BRIDGE_WEBHOOK_SECRET, which should")


def test_somebody_elses_change_to_an_automation_is_mended_and_without_any_a_test_says_so(watched: Desk) -> None:
    desk = watched
    desk.publish(b"first")
    with_team = ("--connection", "acme", "--team", TEAM)
    unheard = desk.bridge("hooks", "test", *with_team)
    assert (unheard.code, "has no automations of ours at W&B; install them" in unheard.err) == (1, True)
    url = "http://127.0.0.1:3"
    make_webhook(desk, url)
    desk.bridge("hooks", "install", "--url", url, *with_team)
    first = next(each for each in desk.api().automations(ORG_ENTITY) if each.name.endswith(": alias added"))
    first.enabled = False
    desk.api().update_automation(first)
    assert "off" in desk.bridge("hooks", "list", *with_team).out
    assert sorted(happened(desk, "install", "--url", url, *with_team)) == ["changed", "unchanged", "unchanged"]
    assert happened(desk, "install", "--url", url, "--again", *with_team) == ["changed"] * 3
    desk.bridge("hooks", "remove", *with_team)
