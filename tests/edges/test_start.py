"""Commands that need no vendor load none."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

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
  prod: {kind: vertex, project: p, location: europe-west4, bucket: gs://b/registry}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bridge.yaml").write_text(CONFIG)
    return tmp_path


def imported_by(folder: Path, *arguments: str) -> set[str]:
    """Run a command in a new process and say which vendor packages it has loaded in the end."""
    script = (
        "import sys\n"
        "from bridge.cli.main import run\n"
        f"code = run({list(arguments)!r})\n"
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
    if arguments[0] in ("status", "where", "history"):
        open_store(f"sqlite:///{folder}/bridge.db").close()
    assert imported_by(folder, *arguments) == set()


def test_help_names_every_command() -> None:
    done = subprocess.run([sys.executable, "-m", "bridge", "--help"], capture_output=True, text=True, check=True)
    for command in ("check", "plan", "apply", "sync", "status", "where", "history", "sandbox", "demo"):
        assert f" {command} " in done.stdout
