"""What the README shows is what a newcomer gets."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.conftest import Desk

pytestmark = pytest.mark.sandbox

README = Path(__file__).parents[2] / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)


def commands(block: str) -> list[tuple[str, str]]:
    """Split a console block into commands and what they print."""
    return [(part.partition("\n")[0], part.partition("\n")[2]) for part in block.split("$ ")[1:]]


def test_the_console_block_of_the_readme_is_what_happens(desk: Desk) -> None:
    bridge_yaml, mapping, *_ = blocks("yaml")
    assert re.search(r"^connections:\n  acme: .*\n  prod: .*\n", bridge_yaml, re.MULTILINE)
    (desk.folder / "mappings" / "fraud.yaml").write_text(mapping)
    path = "acme_org/wandb-registry-model/fraud-detector"
    desk.world.wandb.seed_version(path, {"model.pkl": b"weights"}, aliases=["production"])
    [block] = blocks("console")
    for command, expected in commands(block):
        printed = desk.bridge(*shlex.split(command)[1:])
        assert printed.err == ""
        pattern = re.escape(expected).replace(r"\.\.\.", ".*")
        assert re.fullmatch(pattern, printed.out), f"$ {command}\n{printed.out}"


def test_the_configuration_of_the_readme_is_sound(desk: Desk) -> None:
    bridge_yaml, fraud, more_connections, churn = blocks("yaml")
    added = more_connections.partition("connections:\n")[2]
    (desk.folder / "bridge.yaml").write_text(bridge_yaml + added)
    (desk.folder / "mappings" / "fraud.yaml").write_text(fraud)
    (desk.folder / "mappings" / "churn.yaml").write_text(churn)
    assert desk.bridge("check").out == "bridge.yaml: fine; connections: 3, mappings: 2\n"
