"""A W&B source over the stand-in, with something in between that can be told to fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.sandbox.address import ORG_ENTITY, ORGANIZATION
from tests.sources.publishers import ODD_PLACE, TOO_MUCH_METADATA, keep_wandb_in, new_name, sandbox_people

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


@pytest.fixture
def odd(people: SandboxPublisher) -> str:
    """Return a collection of ODD_PLACE with an artifact that the SDK cannot read."""
    name = new_name("odd")
    people.world.wandb.create_organization(ORGANIZATION, registries=(ODD_PLACE.removeprefix("wandb-registry-"),))
    people.world.wandb.seed_version(f"{ORG_ENTITY}/{ODD_PLACE}/{name}", {"f": b"1"}, metadata=TOO_MUCH_METADATA)
    return name
