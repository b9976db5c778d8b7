"""Commands that need no vendor load none."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from bridge.core.changes import RegisterVersion
from bridge.core.model import Container, MappingRecord, ModelKey, SourceVersion, State
from bridge.core.records import Status
from bridge.store.sql import open_store

if TYPE_CHECKING:
    from pathlib import Path

VENDORS = (
    "wandb",
    "mlflow",
    "google.cloud.storage",
    "google.cloud.aiplatform_v1",
    "google.api_core",
    "grpc",
    "requests",
)
CONFIG = """\
store: sqlite:///bridge.db
connections:
  acme: {kind: wandb, base_url: https://api.wandb.ai, organization: acme, api_key: {env: WANDB_API_KEY}}
  prod: {kind: vertex, project: acme-prod, location: europe-west4, bucket: gs://acme-models/registry}
"""
MAPPING = """\
mappings:
  - name: fraud
    source: {from: acme, registry: model, collection: fraud-detector}
    target: {to: prod, model: fraud}
    policy: sync
    serving: {image: 'europe-docker.pkg.dev/acme/serve/sklearn:1'}
"""
KEY = ModelKey("fraud", "fraud")
NINE = datetime(2026, 1, 5, 9, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bridge.yaml").write_text(CONFIG)
    (tmp_path / "mappings").mkdir()
    (tmp_path / "mappings" / "fraud.yaml").write_text(MAPPING)
    store = open_store(f"sqlite:///{tmp_path}/bridge.db")
    version = SourceVersion("acme", "acme_org/wandb-registry-model/fraud-detector", "v0", "id-0", "0" * 32, "https://w")
    uri = "gs://acme-models/registry/fraud/v0-000000000000/"
    store.save_record(MappingRecord(KEY, version, uri, "1", NINE.isoformat()))
    store.begin(KEY, RegisterVersion(version, uri, Container("an/image")), "a test", NINE)
    store.save_status(Status(KEY, State.SYNCED, "", "", version.collection, NINE.isoformat(), None))
    store.close()
    return tmp_path


def imported_by(folder: Path, *arguments: str) -> set[str]:
    """Run a command in a new process, which must end well, and say which vendor packages it has loaded in the end."""
    script = (
        "import sys\n"
        "from bridge.cli.main import run\n"
        f"assert run({list(arguments)!r}) == 0\n"
        f"print('LOADED', *(name for name in {VENDORS!r} if name in sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=True)  # noqa: S603
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["check"], ["status"], ["where", "fraud@1"], ["history"], ["sync", "--help"], ["sandbox", "env"]],
    ids=" ".join,
)
def test_no_vendor_sdk_is_loaded(folder: Path, arguments: list[str]) -> None:
    assert imported_by(folder, *arguments) == set()


def test_help_names_every_command() -> None:
    done = subprocess.run([sys.executable, "-m", "bridge", "--help"], capture_output=True, text=True, check=True)
    for command in (
        "init",
        "check",
        "doctor",
        "plan",
        "apply",
        "sync",
        "status",
        "where",
        "history",
        "sandbox",
        "demo",
    ):
        assert f" {command} " in done.stdout
