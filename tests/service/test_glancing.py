"""A look at single collections between sweeps, as webhooks ask for: less is asked, and nothing else is different."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bridge.core.errors import NeedsPerson, TryAgain
from bridge.core.model import ModelKey, State
from bridge.testing.source import MemorySource
from tests.service.test_following import FACES, OCR, following, synced, waiting
from tests.worlds import FRAUD, KEY, REGISTRY, World, mapping, pattern

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.core.model import CollectionSelector, Sweep


class Watched(MemorySource):
    """Remembers what sweeps were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.selected: list[list[str]] = []

    def sweep(self, selectors: Sequence[CollectionSelector]) -> Sweep:
        self.selected.append([each.name for each in selectors])
        return super().sweep(selectors)


def vision(*tasks: str, more: Sequence[str] = ()) -> World:
    """Return a world of a pattern over collections that have an alias each."""
    world = World([pattern(), *(mapping(name, name, name) for name in more)], source=Watched())
    for task in tasks:
        world.publish("production", collection=f"{REGISTRY}/vision-{task}")
    return world


def selected(world: World) -> list[list[str]]:
    assert isinstance(world.source, Watched)
    return world.source.selected


def test_a_glance_brings_what_has_changed_in_one_collection_and_asks_for_no_other() -> None:
    world = vision("ocr", "faces", more=["fraud"])
    world.publish("production")
    made = following(world)
    made.sweep("wandb")
    for task in ("ocr", "faces"):
        world.publish("production", collection=f"{REGISTRY}/vision-{task}")
    selected(world).clear()

    made.glance("wandb", frozenset({"vision-ocr", "unheard-of"}))
    assert (world.names("vision-ocr")["production"], world.names("vision-faces")["production"]) == ("v1", "v0")
    assert selected(world) == [["vision-ocr"]]
    made.sweep("wandb")
    assert world.names("vision-faces")["production"] == "v1"


def test_a_glance_that_finds_all_as_it_was_changes_nothing_and_asks_vertex_nothing() -> None:
    world, _ = synced()
    made, queue = waiting(world)
    made.sweep("wandb")
    world.registry.calls.clear()
    world.fuse.left = 0
    made.glance("wandb", frozenset({"fraud-detector"}))
    made.glance("wandb", frozenset({"unheard-of"}))

    assert (world.registry.calls, queue.submitted) == ([], [])


def test_a_collection_that_is_new_to_a_pattern_is_followed_at_once() -> None:
    world = vision("ocr")
    made = following(world)
    made.sweep("wandb")
    world.publish("production", collection=f"{REGISTRY}/vision-faces")
    made.glance("wandb", frozenset({"vision-faces"}))

    assert world.names("vision-faces") == {"default": "v0", "production": "v0"}
    assert made.lane(FACES) == made.lane(OCR) == "wandb"


def test_what_a_glance_saw_is_what_is_carried_out_until_the_next_look() -> None:
    world, _ = synced()
    made, queue = waiting(world)
    made.sweep("wandb")
    world.publish("production")
    made.glance("wandb", frozenset({"fraud-detector"}))
    world.publish("production")
    queue.work(made)

    assert world.names()["production"] == "v1"


def test_without_a_sweep_before_a_glance_is_one(caplog: pytest.LogCaptureFixture) -> None:
    world = vision("ocr", "faces")
    following(world).glance("wandb", frozenset({"vision-ocr"}))
    assert world.names("vision-faces")["production"] == "v0"
    following(world).glance("wandb", None)
    assert selected(world) == [["vision-.+".replace(".+", "(?P<task>.+)")]] * 2
    assert not caplog.records or all(record.levelname == "INFO" for record in caplog.records)


def test_a_collection_that_would_land_on_anothers_model_is_left_to_the_sweep() -> None:
    world = World([pattern(regex="vision-(?P<task>.+?)(-v2)?"), mapping()])
    world.publish("production", collection=f"{REGISTRY}/vision-ocr")
    world.publish("production")
    made = following(world)
    made.sweep("wandb")
    world.publish("production", collection=f"{REGISTRY}/vision-ocr-v2")
    before = world.ends()
    made.glance("wandb", frozenset({"vision-ocr-v2"}))
    assert world.ends() == before
    made.sweep("wandb")
    assert world.status(OCR).state is State.BLOCKED
    made.glance("wandb", frozenset({"vision-ocr", "vision-ocr-v2"}))
    assert world.status(OCR).state is State.BLOCKED
    assert world.names("vision-ocr")["production"] == "v0"


@pytest.mark.parametrize("problem", [TryAgain("W&B is unwell"), NeedsPerson("denied", "a key")])
def test_what_a_glance_cannot_read_stays_as_it_is(problem: TryAgain | NeedsPerson) -> None:
    world, made = synced()
    world.source.failing[FRAUD] = problem
    before = world.ends()
    made.glance("wandb", frozenset({"fraud-detector"}))
    world.source.problem = problem
    with pytest.raises(type(problem)):
        made.glance("wandb", frozenset({"fraud-detector"}))

    assert world.ends() == before


def test_what_is_absent_is_left_to_the_next_sweeps_and_what_is_there_arrives() -> None:
    world, made = synced()
    world.source.unalias(FRAUD, "production")
    world.publish("staging")
    for _ in range(3):
        made.glance("wandb", frozenset({"fraud-detector"}))
    assert world.names() == {"default": "v0", "production": "v0", "staging": "v1"}
    made.sweep("wandb")
    assert "production" in world.names()
    made.sweep("wandb")
    assert world.names() == {"default": "v0", "staging": "v1"}


def test_removals_told_one_by_one_are_seen_together_and_are_too_many() -> None:
    tasks = [f"t{number}" for number in range(10)]
    world = vision(*tasks)
    made = following(world)
    made.sweep("wandb")
    for task in tasks[:4]:
        world.source.unalias(f"{REGISTRY}/vision-{task}", "production")
        for _ in range(3):
            made.glance("wandb", frozenset({f"vision-{task}"}))
    for _ in range(3):
        made.sweep("wandb")

    assert {world.status(ModelKey("vision", f"vision-{task}")).state for task in tasks[:4]} == {State.BLOCKED}
    assert all("production" in world.names(f"vision-{task}") for task in tasks)


class Doorbell:
    """A lock that tells when somebody waits for it."""

    def __init__(self, rung: threading.Event) -> None:
        self._lock = threading.Lock()
        self._rung = rung
        self.release = self._lock.release

    def acquire(self, *, blocking: bool = True) -> bool:
        if blocking:
            self._rung.set()
        return self._lock.acquire(blocking)

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


def test_a_glance_waits_for_a_sweep_under_way_which_may_have_begun_too_early() -> None:
    world, made = synced()
    sweeping, go = threading.Event(), threading.Event()
    made._looking["wandb"] = Doorbell(go)  # type: ignore[assignment]  # noqa: SLF001  a lock that tells

    class Slow(MemorySource):
        def sweep(self, selectors: Sequence[CollectionSelector]) -> Sweep:
            seen = world.source.sweep(selectors)
            if not sweeping.is_set():
                sweeping.set()
                assert go.wait(10)  # until the glance waits, or has come to its end
            return seen

    def glance() -> None:
        made.glance("wandb", frozenset({"fraud-detector"}))
        go.set()

    made.passes = replace(made.passes, source=lambda _connection: Slow())
    threads = [threading.Thread(target=made.sweep, args=("wandb",)), threading.Thread(target=glance)]
    threads[0].start()
    assert sweeping.wait(10)
    world.publish("production")
    threads[1].start()
    for thread in threads:
        thread.join(10)
    made.work(KEY, "comparing", full=True)

    assert world.names()["production"] == "v1"
    assert world.status(KEY).state is State.SYNCED


def test_only_what_a_mapping_may_follow_is_selected() -> None:
    made = following(World([pattern(), mapping()]))
    names = ("fraud-detector", "fraud-detectors", "vision-ocr", "a-vision-ocr")
    assert [made.selected("wandb", name) for name in names] == [True, False, True, False]
    assert not made.selected("other", "fraud-detector")
