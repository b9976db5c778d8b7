"""How bridge.yaml says to reach an MLflow tracking server, and what it gets for what it cannot mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.config.model import MlflowConnection
from tests.config.folders import ML

if TYPE_CHECKING:
    from tests.config.folders import Folder

CANARY = "hunter2"
VARIABLES = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
NO_CREDENTIALS = f"credentials do not belong in this URL; set MLflow's own variables {VARIABLES}"
NO_FILES = (
    "the bridge speaks to a tracking server, not to its files or its database; write its URL, like http://mlflow:5000"
)
NO_CATALOG = "models of Unity Catalog ('databricks-uc') are not supported yet; use databricks for the others"
WORKSPACE_ADVICE = "use 2 to 63 of a-z, 0-9 and '-', with a letter or digit first and last"


def test_an_mlflow_connection_needs_an_address_only(folder: Folder) -> None:
    folder.bridge(f"  ml: {ML}\n")
    assert folder.load().connections["ml"] == MlflowConnection("ml", "http://mlflow:5000")


def test_everything_can_be_said_of_an_mlflow_connection(folder: Folder) -> None:
    folder.bridge(
        "  ml: {kind: mlflow, tracking_uri: 'https://mlflow.example/team/', workspace: team-a, artifact_stores: "
        "[s3://ml-artifacts/models/, gs://bucket], storage_endpoint: 'http://127.0.0.1:9023/'}\n"
    )
    assert folder.load().connections["ml"] == MlflowConnection(
        name="ml",
        tracking_uri="https://mlflow.example/team",
        workspace="team-a",
        artifact_stores=("s3://ml-artifacts/models", "gs://bucket"),
        storage_endpoint="http://127.0.0.1:9023",
    )


@pytest.mark.parametrize("uri", ["databricks", "databricks://team_a-2.dev", "http://[::1]:5000"])
def test_databricks_by_its_profile_is_an_address_too(folder: Folder, uri: str) -> None:
    folder.bridge(f"  ml: {{kind: mlflow, tracking_uri: '{uri}'}}\n")
    assert folder.load().connections["ml"] == MlflowConnection("ml", uri)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("./mlruns", NO_FILES),
        ("/var/mlruns", NO_FILES),
        ("file:///var/mlruns", NO_FILES),
        ("mlflow:5000", NO_FILES),
        ("sqlite:///mlflow.db", NO_FILES),
        ("postgresql://db/mlflow", NO_FILES),
        ("uc:http://localhost:8080", NO_FILES),
        ("databricks-uc", NO_CATALOG),
        ("databricks-uc://profile", NO_CATALOG),
        ("databricks://", "expected databricks or databricks://profile"),
        ("databricks://scope:prefix", "expected databricks or databricks://profile"),
        ("databricks.com", NO_FILES),
        ("http://", "expected a URL like http://mlflow:5000"),
        ("http://mlflow:port", "expected a URL like http://mlflow:5000"),
        ("http://ml flow", "expected a URL like http://mlflow:5000"),
        ("http://mlflow:5000/#/models", "expected a URL like http://mlflow:5000"),
        ("http://mlflow:5000?", "expected a URL like http://mlflow:5000"),
    ],
)
def test_what_another_address_gets(folder: Folder, uri: str, message: str) -> None:
    folder.bridge(f"  ml: {{kind: mlflow, tracking_uri: '{uri}'}}\n")
    assert folder.wrong() == [f"bridge.yaml:4:36: {message}"]


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        (f"https://u:{CANARY}@mlflow", NO_CREDENTIALS),
        (f"https://{CANARY}@mlflow", NO_CREDENTIALS),
        (f"HTTP://u:1/{CANARY}@mlflow", NO_CREDENTIALS),
        (f"https://mlflow?x={CANARY}", "expected a URL like http://mlflow:5000"),
        (f"https://mlflow#{CANARY}", "expected a URL like http://mlflow:5000"),
        (f"postgresql://u:{CANARY}@db/mlflow", NO_FILES),
        (f"mysql://db/mlflow?p={CANARY}", NO_FILES),
        (f"databricks://{CANARY}@host", "expected databricks or databricks://profile"),
        (f"databricks://u:{CANARY}", "expected databricks or databricks://profile"),
        (f"databricks-uc://{CANARY}@host", NO_CATALOG),
    ],
)
def test_credentials_in_the_address_are_refused_and_not_shown(folder: Folder, uri: str, message: str) -> None:
    folder.bridge(f"  ml:\n    kind: mlflow\n    tracking_uri: {uri}\n")
    (error,) = folder.errors()
    assert str(error) == f"bridge.yaml:6:19: {message}"
    assert CANARY not in f"{error!r} {error.args} {error.excerpt}"


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("token", f"unknown key 'token'; MLflow's own variables are used: {VARIABLES}"),
        ("password", f"unknown key 'password'; MLflow's own variables are used: {VARIABLES}"),
        ("workspaces", "unknown key 'workspaces'; did you mean 'workspace'?"),
    ],
)
def test_a_key_for_a_secret_is_refused_and_its_line_not_shown(folder: Folder, key: str, message: str) -> None:
    folder.bridge(f"  ml:\n    kind: mlflow\n    tracking_uri: http://mlflow\n    {key}: {CANARY}\n")
    (error,) = folder.errors()
    assert str(error) == f"bridge.yaml:7:5: {message}"
    assert CANARY not in f"{error!r} {error.args} {error.excerpt}"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            "kind: mlflow",
            "4:7: missing key 'tracking_uri'; write tracking_uri: http://mlflow:5000, or the address of your server",
        ),
        ("kind: mlflow, tracking_uri: 5000", "4:36: expected a text, found a number; write it in quotes"),
        (f"{ML[1:-1]}, workspace: Team", f"4:69: 'Team' is not a workspace's name; {WORKSPACE_ADVICE}"),
        (f"{ML[1:-1]}, workspace: a", f"4:69: 'a' is not a workspace's name; {WORKSPACE_ADVICE}"),
        (f"{ML[1:-1]}, workspace: team-", f"4:69: 'team-' is not a workspace's name; {WORKSPACE_ADVICE}"),
        (f"{ML[1:-1]}, workspace: {'a' * 64}", f"4:69: '{'a' * 64}' is not a workspace's name; {WORKSPACE_ADVICE}"),
        (
            f"{ML[1:-1]}, workspace: api",
            "4:69: 'api' is a name that MLflow keeps for itself; write another workspace",
        ),
        (f"{ML[1:-1]}, artifact_stores: gs://b", "4:75: expected a list, found a text"),
        (
            f"{ML[1:-1]}, artifact_stores: [gs://bucket, dbfs:/models]",
            "4:89: expected a bucket like s3://bucket/prefix or gs://bucket/prefix",
        ),
        (
            f"{ML[1:-1]}, artifact_stores: [s3]",
            "4:76: expected a bucket like s3://bucket/prefix or gs://bucket/prefix",
        ),
        (
            f"{ML[1:-1]}, artifact_stores: ['s3://']",
            "4:76: '' is not a bucket's name; expected s3://bucket/prefix",
        ),
        (
            f"{ML[1:-1]}, artifact_stores: [s3://bucket/a/../b]",
            "4:76: '..' cannot be a part of the prefix; use letters, digits and any of _ . = + -",
        ),
        (f"{ML[1:-1]}, artifact_stores: [gs://bucket, gs://bucket]", "4:89: 'gs://bucket' is listed twice"),
        (
            f"{ML[1:-1]}, storage_endpoint: 'http://storage.example'",
            "4:76: http is only for a stand-in on this machine, such as http://127.0.0.1:9023; use https",
        ),
    ],
)
def test_what_one_line_gets(folder: Folder, more: str, message: str) -> None:
    folder.bridge(f"  ml: {{{more}}}\n")
    assert folder.wrong() == [f"bridge.yaml:{message}"]


@pytest.mark.parametrize("store", [f"s3://u:{CANARY}@bucket", f"gs://{CANARY}@bucket/prefix"])
def test_credentials_in_a_bucket_are_refused_and_not_shown(folder: Folder, store: str) -> None:
    folder.bridge(f"  ml:\n    kind: mlflow\n    tracking_uri: http://mlflow\n    artifact_stores: ['{store}']\n")
    (error,) = folder.errors()
    message = "credentials do not belong in a bucket's address; take out what stands before '@'"
    assert str(error) == f"bridge.yaml:7:23: {message}"
    assert CANARY not in f"{error!r} {error.args} {error.excerpt}"


def test_a_mapping_cannot_write_to_mlflow(folder: Folder) -> None:
    folder.bridge(f"  ml: {ML}\n")
    folder.mapping(target="{to: ml, model: fraud}")
    assert folder.wrong() == [
        (
            "mappings/fraud.yaml:4:18: connection 'ml' is of kind 'mlflow', not 'vertex'; "
            "connections of kind vertex: prod"
        )
    ]
