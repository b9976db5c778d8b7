"""A real app whose service has seen everything that is counted, all of it in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from bridge.core.changes import RegisterVersion
from bridge.core.errors import IntegrityError
from bridge.core.records import Progress
from bridge.service.following import Following
from bridge.service.health import Health
from bridge.service.metrics import Metrics
from bridge.testing.runner import InlineQueue
from tests.worlds import CONTAINER, KEY, World

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.core.model import ModelKey, SourceVersion
    from bridge.core.records import Tally


@dataclass
class Seen:
    """A service as it is looked at."""

    world: World
    load: tuple[int, int] = (3, 2)
    age: float = 7.5
    leases: int = 2

    def tally(self) -> tuple[Tally, ...]:
        return self.world.store.tally()


@dataclass
class Waiting:
    """A queue that only remembers, until it is told to work."""

    submitted: list[tuple[ModelKey, str, bool]] = field(default_factory=list)

    def submit(self, key: ModelKey, why: str, *, full: bool = False) -> bool:
        self.submitted.append((key, why, full))
        return True

    def left(self, mapping: str) -> int:
        return sum(key.mapping == mapping for key, _, _ in self.submitted)

    def work(self, following: Following) -> None:
        submitted, self.submitted = self.submitted, []
        for key, why, full in submitted:
            following.work(key, why, full)


@dataclass
class Stage:
    """A world, what follows it, and what is counted meanwhile."""

    world: World = field(default_factory=World)
    health: Health = field(default_factory=Health)

    def __post_init__(self) -> None:
        self.metrics = Metrics(self.world.clock, self.health)
        self.world.audience.members.append(self.metrics)
        self.following = Following(
            self.world.passes, self.world.specs, self.health, self.world.clock, timedelta(hours=6), self.world.audience
        )
        self.following.queue = InlineQueue(self.following.work)
        self.health.configured(self.following.connections)
        self.metrics.configured((spec.name for spec in self.world.specs), self.following.connections)
        self.metrics.live.service = self.seen = Seen(self.world)

    def text(self) -> str:
        return str(self.metrics.text(), "utf-8")

    def value(self, name: str, **labels: str) -> float | None:
        """Return a sample as Prometheus reads it; None if there is none."""
        return self.samples().get((name, frozenset(labels.items())))

    def samples(self) -> Mapping[tuple[str, frozenset[tuple[str, str]]], float]:
        families = text_string_to_metric_families(self.text())
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }


def progress(version: SourceVersion, files: int, size: int, *, of: int = 2) -> Progress:
    return Progress(version, files, of, size, 100, 1.0, None)


def everything() -> Stage:
    """Return one where all has happened at least once."""
    stage = Stage()
    version = stage.world.publish("production")
    stage.following.sweep("wandb")
    stage.metrics.answered("wandb", 200)
    stage.metrics.copied(progress(version, 2, 100))
    stage.metrics.failed(KEY, RegisterVersion(version, "gs://x/", CONTAINER), IntegrityError("no", "mend it"))
    stage.metrics.reloaded(accepted=False)
    stage.metrics.notified("slack", "sent")
    stage.metrics.live.webhooks = lambda: {("wandb", "heeded"): 1}
    return stage
