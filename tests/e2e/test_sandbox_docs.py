"""Every Python block of docs/sandbox.md runs, in order, as a script that knows nothing of the sandbox."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.config.load import load
from bridge.config.model import VertexConnection, WandbConnection
from bridge.sandbox.address import environment
from bridge.sandbox.faults import SERVED
from bridge.sandbox.world import World

pytestmark = pytest.mark.sandbox

PAGE = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_every_block_runs(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB", "GOOGLE", "MLFLOW"))}
    home = {
        name: str(tmp_path / name) for name in ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_CONFIG_DIR")
    }
    with World(tmp_path / "sandbox", mlflow=True) as world:
        for block in BLOCKS:
            done = subprocess.run(  # noqa: S603  our own page
                [sys.executable, "-c", block],
                cwd=tmp_path,
                env=kept | world.environment() | home | {"WANDB_SILENT": "true"},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{block}\n{done.stderr}"


def test_the_configuration_on_the_page_speaks_to_the_default_ports(tmp_path: Path) -> None:
    [text] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "bridge.yaml").write_text(text)
    (tmp_path / "mappings").mkdir()
    (tmp_path / "mappings" / "none.yaml").write_text("mappings: []")
    connections = load(tmp_path / "bridge.yaml").connections
    acme, prod = connections["acme"], connections["prod"]
    assert isinstance(acme, WandbConnection)
    assert isinstance(prod, VertexConnection)
    at = environment()
    assert acme.base_url == at["WANDB_BASE_URL"]
    assert prod.endpoint == at["BRIDGE_SANDBOX_VERTEX_GRPC"]
    assert prod.storage_endpoint == at["STORAGE_EMULATOR_HOST"]


def test_every_fault_and_endpoint_is_on_the_page() -> None:
    kinds = frozenset().union(*SERVED.values())
    assert [kind for kind in sorted(kinds) if f"`{kind}`" not in PAGE] == []
    assert all(path in PAGE for path in ("/calls", "/faults", "/switches", "/clock", "/wandb/users", "/reset"))
