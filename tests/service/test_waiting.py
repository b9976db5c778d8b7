"""`bridge sync` asks a running service, waits until it is done, and ends as one pass would."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bridge.cli.main import run
from bridge.core.errors import TryAgain
from tests.service.apis import Api
from tests.sources.servers import Reply, ScriptedServer
from tests.worlds import World, pattern

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.sources.servers import Asked

PAGE: dict[str, Any] = {"name": "fraud", "since": "2026-01-05T09:00:00+00:00", "sweeps": 1, "left": 0, "unread": []}


def serving(api: Api, monkeypatch: pytest.MonkeyPatch) -> Api:
    monkeypatch.setenv("BRIDGE_SERVER", api.listener.url)
    return api


def test_it_shows_how_the_models_are_then(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    api = serving(Api(), monkeypatch)
    api.world.publish("production")

    assert run(["sync"]) == 0
    assert "fraud    fraud  SYNCED  -    production -> v0 @1" in capsys.readouterr().out
    assert run(["sync", "fraud", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["model"], row["state"]) == ("fraud", "SYNCED")


def test_a_model_in_trouble_is_an_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    api = serving(Api(), monkeypatch)
    api.world.publish("production")
    api.world.registry.problems["observe"] = TryAgain("Vertex AI is unwell")

    assert run(["sync"]) == 1
    assert "Vertex AI is unwell" in capsys.readouterr().out


def test_a_pattern_that_cannot_be_read_is_an_error_though_no_model_of_it_is_known(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    api = serving(Api(World([pattern()])), monkeypatch)
    api.world.source.problem = TryAgain("W&B is unwell")

    assert run(["sync"]) == 1
    assert "DEGRADED" in (said := capsys.readouterr().out)
    assert "W&B is unwell" in said


def test_who_does_not_wait_is_told_that_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    serving(Api(), monkeypatch)

    assert run(["sync", "--no-wait"]) == 0
    assert capsys.readouterr().out == "fraud is looked at\n"
    assert run(["sync", "--no-wait", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"mapping": "fraud", "queued": True}]


def scripted(pages: Iterator[dict[str, Any]]) -> ScriptedServer:
    """Make a service of which a mapping is told to be so, each time that it is asked for."""

    def answer(asked: Asked) -> Reply:
        if asked.path.startswith("/v1/models"):
            return Reply(body=b'{"models": [], "next": null}')
        said = {"mapping": "fraud", "queued": True} if "/sync" in asked.path else next(pages)
        return Reply(body=json.dumps(said).encode())

    return ScriptedServer(answer)


@pytest.mark.parametrize(
    ("later", "timeout", "code", "message"),
    [
        pytest.param([{"left": 2}, {"left": 1, "sweeps": 2}, {"sweeps": 2}], "1h", 0, "", id="done"),
        pytest.param([{"left": 2}] * 5, "0s", 1, "not done in time, and the service goes on with it; see", id="late"),
        pytest.param([{"since": "2026-01-05T10:00:00+00:00"}], "1h", 1, "the service has begun anew", id="reloaded"),
        pytest.param(
            [{"since": "2026-01-05T10:00:00+00:00", "left": 1}], "1h", 1, "the service has begun anew", id="and at work"
        ),
        pytest.param([{}], "1h", 1, "the service could not look at fraud; see why", id="not looked at"),
    ],
)
def test_it_waits_until_nothing_is_left_to_do(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    later: list[dict[str, Any]],
    timeout: str,
    code: int,
    message: str,
) -> None:
    monkeypatch.setattr("bridge.cli.remote.PAUSE", 0.01)
    monkeypatch.setattr("bridge.cli.remote.TELLS_EVERY", 0.0)
    with scripted(PAGE | page for page in [{}, *later]) as server:
        monkeypatch.setenv("BRIDGE_SERVER", server.url)
        assert run(["sync", "fraud", "--timeout", timeout]) == code
    said = capsys.readouterr().err
    assert message in said
    if not code:
        assert said == "fraud: 2 yet to be worked on\nfraud: 1 yet to be worked on\n"
