"""The demo tells the whole story, with the real SDKs on the user's side."""

from __future__ import annotations

import sys

import pytest

from tests.edges.namespaces import alone

pytestmark = pytest.mark.sandbox

STORY = (  # in this order
    "~ alias    production (- -> v0)",
    "4 changes (1 model)",
    "fraud@1  aliases: default, production  gs://acme-models/registry/fraud/v0-",
    "config/features.json  16 bytes",
    "vertex  fraud@1  (default, production; mapping fraud;",
    "~ alias    production (v0 -> v1)",
    "fraud@1  aliases: -  gs://acme-models/registry/fraud/v0-",
    "fraud@2  aliases: default, production  gs://acme-models/registry/fraud/v1-",
    "! waiting  alias production: it is absent from one complete listing so far",
    "- alias    production (v1)",
    "fraud@2  aliases: default  gs://",
    "+ version  1 (custom-mlflow: the model is written by skops",
    "~ alias    champion (- -> 1)",
    "-prebuilt/ (model.ubj as model.bst)",
    "+ version  1 (prebuilt xgboost-cpu.2-1: the MLmodel says xgboost 2.1.4)",
    "~ alias    production (- -> 1)",
    "churn-sklearn@1  aliases: champion, default  gs://acme-models/registry/churn-sklearn/1-",
    "churn-xgboost@1  aliases: default, production  gs://acme-models/registry/churn-xgboost/1-",
    "alias    production: models:/churn-xgboost/1 at the source, @1 in Vertex",
    "0 changes (3 models)",
    "writes seen by the sandbox: 0; calls to Vertex: 0",
    "fraud    fraud          SYNCED",
)


def test_the_demo_tells_the_main_job_and_never_tries_to_leave_the_machine() -> None:
    """The Go process of the W&B SDK is counted too, which no hook in Python would see."""
    done = alone(sys.executable, "-m", "bridge", "demo")
    assert done.returncode == 0, done.stderr
    rest = done.stdout
    for line in STORY:
        assert line in rest, f"{line!r} is missing, or comes too early, in:\n{done.stdout}"
        rest = rest.partition(line)[2]
