"""`service` and `limits` in bridge.yaml: what they say, and what they get for what makes no sense."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bridge.config.model import ServiceSettings

if TYPE_CHECKING:
    from tests.config.folders import Folder

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def test_everything_can_be_said_of_the_service_and_its_limits(folder: Folder) -> None:
    folder.bridge(
        "service: {listen: '[::1]:0', keys: 2, full_every: 1d, grace: 0s}\n"
        "limits: {wandb: 5/s, mlflow: 100/m, vertex: 60/m, vertex_uploads: 30/m, gcs: 7/s}\n"
    )
    config = folder.load()

    assert config.service == ServiceSettings("::1", 0, 2, timedelta(days=1), timedelta(0))
    assert config.limits == {
        "wandb": (5, SECOND),
        "mlflow": (100, MINUTE),
        "vertex": (60, MINUTE),
        "vertex_uploads": (30, MINUTE),
        "gcs": (7, SECOND),
    }


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("service: {listen: 8470}", "19: expected a text, found a number; write it in quotes"),
        ("service: {listen: 127.0.0.1}", "19: expected host:port, such as 127.0.0.1:8470"),
        ("service: {keys: 0}", "17: expected at least 1"),
        ("service: {keys: 65}", "17: expected at most 64"),
        ("service: {full_every: 0h}", "23: an interval must be longer than nothing"),
        ("limits: {wandb: 1}", "17: expected a budget such as 60/m, found a number"),
        (
            "limits: {wandb: 1/h}",
            "17: '1/h' is not a budget of requests; write a whole number and /s or /m: 60/m, 5/s",
        ),
        ("limits: {mlflow: 0/s}", "18: 0/s lets no request pass; at least 1/m is needed"),
        ("limits: {wand: 1/s}", "10: unknown key 'wand'; did you mean 'wandb'?"),
    ],
)
def test_what_makes_no_sense_is_refused(folder: Folder, said: str, message: str) -> None:
    folder.bridge(f"{said}\n")

    assert folder.wrong() == [f"bridge.yaml:4:{message}"]
