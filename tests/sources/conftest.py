"""A W&B source over the stand-in, with something in between that can be told to fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sources.publishers import keep_wandb_in, sandbox_people

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bridge.sandbox.world import World
    from bridge.sources.wandb.source import WandbSource
    from tests.sources.publishers import SandboxPublisher


@pytest.fixture
def people(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxPublisher]:
    keep_wandb_in(tmp_path / "wandb", monkeypatch)
    with sandbox_people(world) as opened:
        yield opened


@pytest.fixture
def source(people: SandboxPublisher) -> WandbSource:
    return people.source
