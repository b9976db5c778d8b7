"""`bridge init` writes a configuration that works, holds no secret, and is over nothing that is there."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.sandbox.address import API_KEY, BUCKET, LOCATION, ORGANIZATION, PROJECT

if TYPE_CHECKING:
    from tests.e2e.conftest import Desk, Outcome
    from tests.sources.mlflow_people import MlflowPublisher

pytestmark = pytest.mark.sandbox

IMAGE = "europe-docker.pkg.dev/acme/serve/sklearn:1"


@pytest.fixture
def empty(desk: Desk) -> Desk:
    """Take away what the desk has been given."""
    (desk.folder / "mappings" / "fraud.yaml").unlink()
    (desk.folder / "bridge.yaml").unlink()
    return desk


def flags(desk: Desk, **more: str | None) -> list[str]:
    """Return all that has to be said to reach the sandbox; None leaves one out."""
    said = {
        "source": "wandb",
        "source-url": desk.world.wandb.url,
        "organization": ORGANIZATION,
        "collection": desk.collection,
        "project": PROJECT,
        "location": LOCATION,
        "bucket": f"gs://{BUCKET}/registry",
        "model": desk.model,
        "policy": "sync",
        "image": IMAGE,
        "endpoint": desk.world.vertex.grpc_address,
        "storage-endpoint": desk.world.gcs.url,
    } | {key.replace("_", "-"): value for key, value in more.items()}
    return ["--insecure", *(f"--{key}={value}" for key, value in said.items() if value is not None)]


def init(desk: Desk, *options: str, **more: str | None) -> Outcome:
    return desk.bridge("init", *options, *flags(desk, **more))


def files(desk: Desk) -> dict[str, str]:
    return {str(path.relative_to(desk.folder)): path.read_text() for path in sorted(desk.folder.rglob("*.yaml"))}


def said(outcome: Outcome) -> str:
    return " ".join(outcome.err.replace("│", " ").split())


def test_what_it_writes_passes_check_and_brings_an_alias_to_vertex(empty: Desk) -> None:
    empty.publish(b"weights", "production", "best_model")
    aliases = ("--alias=production", "--alias=best_model=best-model")
    done = init(empty, *aliases, default_from="production", port="8080")

    assert (done.code, done.err) == (0, "")
    assert done.out == (
        f"bridge.yaml is written\nmappings/{empty.model}.yaml is written\n"
        "next: set WANDB_API_KEY, then: bridge doctor, bridge plan, bridge sync\n"
    )
    assert empty.bridge("check").out == "bridge.yaml: fine; connections: 2, mappings: 1\n"
    assert empty.bridge("doctor").code == 0
    assert empty.bridge("sync").code == 0
    assert empty.aliases() == {"best-model": "1", "default": "1", "production": "1"}


def test_a_model_of_mlflow_with_its_stages(empty: Desk, mlflow: MlflowPublisher) -> None:
    name = f"churn-{empty.number}"
    mlflow.publish(name, {"model.pkl": b"1"})
    mlflow.stage(name, "1", "Production")
    url = mlflow.client.tracking_uri
    more = ("--stage=Production", "--alias=Production=production", "--json")
    done = init(empty, *more, source="mlflow", source_url=url, organization=None, collection=name, model=None)

    assert done.out == f'{{\n  "written": [\n    "bridge.yaml",\n    "mappings/{name}.yaml"\n  ]\n}}\n', done.err
    assert empty.bridge("sync").code == 0
    assert '"aliases": {' in empty.bridge("status", "--json").out
    assert f"{name}@1" in empty.bridge("where", f"{name}@production").out


def test_no_secret_gets_into_a_file(empty: Desk) -> None:
    assert init(empty).code == 0
    assert API_KEY not in str(files(empty))
    assert "api_key: {env: WANDB_API_KEY}" in files(empty)["bridge.yaml"]


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        ("api_key_env", API_KEY, "--api-key-env: it is not the name of a variable, in capitals"),
        ("source_url", "https://ann:hunter2@wandb.test", "--source-url: write the URL without user and password"),
        ("storage_endpoint", "http://hunter2@x", "--storage-endpoint: write the URL without user and password"),
        ("location", "Europe", "nothing is written: "),
        ("policy", "mirror", "nothing is written: expected"),
        ("source", "sagemaker", "'sagemaker' is not one of 'wandb', 'mlflow'"),
        ("project", None, "--project: it is needed, and nobody can be asked here: project in Google Cloud"),
        ("image", None, "--image: it is needed, and nobody can be asked here: container image (or pass --layout auto)"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_written(
    empty: Desk, flag: str, value: str | None, message: str
) -> None:
    refused = init(empty, **{flag: value})

    assert refused.code == 2
    assert message in said(refused)
    assert "hunter2" not in refused.err
    assert API_KEY not in refused.err
    assert files(empty) == {}


@pytest.mark.parametrize("there", ["bridge.yaml", "mappings/other.yaml"])
def test_nothing_is_overwritten(empty: Desk, there: str) -> None:
    (empty.folder / there).write_text("a person's work\n")
    refused = init(empty)

    assert refused.code == 1
    assert refused.err == (
        f"error: {there} is there already, and nothing is overwritten; "
        "go on from it, or name another folder: --config\n"
    )
    assert files(empty) == {there: "a person's work\n"}


def test_a_folder_that_cannot_be_written_is_named_and_nothing_is_left(empty: Desk) -> None:
    (empty.folder / "elsewhere").write_text("a file\n")
    refused = init(empty, "--config=elsewhere/bridge.yaml")

    assert refused.code == 1
    assert "elsewhere/mappings cannot be written: Not a directory; name another folder: --config" in refused.err


def test_names_that_yaml_would_read_as_something_else_are_kept(empty: Desk) -> None:
    assert init(empty, "--alias=on=on-1", "--alias=7=seven", collection="null", name="yes").code == 0
    [mapping] = empty.bridge_json("check")["mappings"]
    assert mapping == "yes"
    assert 'collection: "null"' in files(empty)["mappings/yes.yaml"]
    assert 'aliases: {"on": on-1, "7": seven}' in files(empty)["mappings/yes.yaml"]


def test_on_a_terminal_it_asks_for_what_is_left_open(empty: Desk) -> None:
    ours, theirs = pty.openpty()
    left = dict.fromkeys(("source", "source_url", "policy", "model"))
    command = [sys.executable, "-m", "bridge", "init", *flags(empty, **left)]
    process = subprocess.Popen(  # noqa: S603  our own words
        command, cwd=empty.folder, stdin=theirs, stderr=theirs, stdout=subprocess.PIPE, text=True
    )
    os.close(theirs)
    os.write(ours, f"sagemaker\nwandb\n{empty.world.wandb.url}\n\nupsert-only\n".encode())
    out, _ = process.communicate(timeout=120)
    os.close(ours)

    assert process.returncode == 0
    assert out.startswith(f"bridge.yaml is written\nmappings/{empty.collection}.yaml is written\n")
    assert "policy: upsert-only" in Path(empty.folder, "mappings", f"{empty.collection}.yaml").read_text()
