"""
From a tag in W&B to the alias in Vertex: 100 moves in a minute, by polling and by webhook; small models.

Each model's alias goes to and fro between two versions: in the first minute once to each that is not registered, later
they all are. A move counts from when the SDK's `save` was called; Vertex is asked for the alias every 20 ms or so.
"""

from __future__ import annotations

import importlib
import os
import statistics
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import requests

from benchmarks.service import stage
from bridge.sandbox.address import TEAM, environment

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.table import Row

MODELS, MOVES = 25, 100
MINUTE = 60.0
POLL = 5  # seconds
LIMITS = "limits: {wandb: 20/s, vertex: 10000/m, vertex_uploads: 10000/m}\n"
WEBHOOK = ", webhook: {token: {env: BRIDGE_BENCH_TOKEN}}"
ANSWERS = 500
REFILLS = 15  # seconds in which what the start has spent of the budgets is there again
TOKEN = "a-token-of-the-benchmark"  # noqa: S105  made up


def measure(folder: Path) -> list[Row]:
    """Move aliases for a minute, twice."""
    stage.seed(folder / "sandbox", MODELS, "moved", versions=2)
    rows: list[Row] = []
    with stage.sandbox(folder / "sandbox", "--no-mlflow"):
        for by, settings, webhook, goal in (
            ("polling every 5 s", f"poll_every: {POLL}s\n{LIMITS}", "", POLL + 2),
            ("webhook", f"poll_every: 1h\n{LIMITS}", WEBHOOK, 2),
            ("webhook, default limits", "poll_every: 1h\n", WEBHOOK, 2),
        ):
            stage.write_config(folder, stage.one_mapping("moved-.*"), settings, webhook)
            with stage.Service(folder) as service:
                stage.until(lambda service=service: service.metric("bridge_models", state="SYNCED") == MODELS)  # type: ignore[misc]  # mypy infers no default of a lambda
                if webhook:
                    _let_wandb_tell(folder, service.url)
                    threading.Event().wait(REFILLS)
                seconds = _moved()
                if webhook == WEBHOOK and LIMITS in settings:
                    rows += _answers(service.url)
            ordered = sorted(seconds)
            rows += [
                (f"tag to alias by {by}, median", "-", "s", [statistics.median(ordered)]),
                (f"tag to alias by {by}, 99 of 100", f"<= {goal}", "s", [ordered[int(0.99 * len(ordered)) - 1]]),
                (f"tag to alias by {by}, lost", "<= 0", "moves", [float(MOVES - len(seconds))]),
            ]
    return rows


def _moved() -> list[float]:
    """Move aliases, spread over a minute; return how long each took that has arrived."""
    client = stage.api()
    artifacts = {
        (model, label): client.artifact(f"{stage.REGISTRY}/moved-{model:05}:v{label}")
        for model in range(MODELS)
        for label in (0, 1)
    }
    waiting: dict[int, tuple[str, float]] = {}  # by model: which version is not to have it any more, and since when
    arrived: list[float] = []
    over = threading.Event()

    def watch() -> None:
        with stage.vertex() as vertex:
            while not over.is_set():
                for model, (before, since) in list(waiting.items()):
                    now = stage.holder(vertex, f"moved-{model:05}", "production")
                    if now not in (None, before):
                        arrived.append(time.monotonic() - since)
                        del waiting[model]
                over.wait(0.02)

    watching = threading.Thread(target=watch)
    watching.start()
    at = dict.fromkeys(range(MODELS), 0)
    began = time.monotonic()
    with stage.vertex() as vertex:
        for number in range(MOVES):
            over.wait(max(0.0, began + number * MINUTE / MOVES - time.monotonic()))
            model = number % MODELS
            before = stage.holder(vertex, f"moved-{model:05}", "production")
            assert before is not None
            at[model] = 1 - at[model]
            waiting[model] = (before, time.monotonic())
            stage.tag(artifacts[model, at[model]])
    stage.until(lambda: not waiting)
    over.set()
    watching.join()
    return arrived


def _answers(url: str) -> list[Row]:
    """Say how long a webhook waits for its answer, one after the other on one connection: all of one collection."""
    body = {"event": "ADD_ARTIFACT_ALIAS", "project": "wandb-registry-model", "collection": "moved-00000"}
    seconds: list[float] = []
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {TOKEN}"
        for _ in range(ANSWERS):
            begun = time.monotonic()
            session.post(f"{url}/hooks/wandb/acme", json=body, timeout=60).raise_for_status()
            seconds.append(time.monotonic() - begun)
    ordered = sorted(1000 * each for each in seconds)
    return [
        ("webhook to its answer, median", "-", "ms", [statistics.median(ordered)]),
        ("webhook to its answer, 99 of 100", "-", "ms", [ordered[int(0.99 * len(ordered)) - 1]]),
    ]


def _let_wandb_tell(folder: Path, url: str) -> None:
    """Make a webhook, as a person does in the team's settings, and the automations, as `bridge hooks install` does."""
    stage.control("POST", "/wandb/secrets", {"entity": TEAM, "name": "BRIDGE_TOKEN", "value": TOKEN})
    generated: Any = importlib.import_module("wandb.automations._generated")
    given = generated.CreateGenericWebhookIntegrationInput(
        entity_name=TEAM,
        name=f"bridge {url.rpartition(':')[2]}",
        url_endpoint=f"{url}/hooks/wandb/acme",
        access_token_ref="BRIDGE_TOKEN",  # noqa: S106  its name
    )
    stage.api()._service_api.execute_graphql(  # noqa: SLF001  what its methods use
        generated.CREATE_GENERIC_WEBHOOK_INTEGRATION_GQL,
        variables={"input": given.model_dump()},
        parse=generated.CreateGenericWebhookIntegration.model_validate_json,
    )
    command = [sys.executable, "-m", "bridge", "hooks", "install", "--connection", "acme", "--url", url, "--team", TEAM]
    variables = {**os.environ, **environment(stage.PORTS)}
    subprocess.run(command, cwd=folder, check=True, env=variables, stdout=subprocess.DEVNULL)  # noqa: S603  our own words
