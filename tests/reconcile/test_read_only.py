"""Ends that only look answer, and stop whatever would write."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.core.model import DEFAULT
from bridge.reconcile.read_only import ReadOnlyBucket, ReadOnlyCopier, ReadOnlyRegistry
from tests.worlds import CONTAINER, FACTS, KEY, World

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_read_only_copier_answers_as_the_one_behind_it() -> None:
    world = World()
    world.publish("production")
    world.sync()
    [folder] = world.storage.manifests
    end = ReadOnlyCopier(world.reconciler(world.specs[0]).copier)

    assert end.manifest(folder) == world.storage.manifest(folder)
    assert end.header(folder) == world.storage.header(folder)
    assert end.compare(world.store.records(KEY)[0].source, folder) == world.storage.manifest(folder)


def test_a_read_only_registry_answers_as_the_one_behind_it() -> None:
    world = World()
    world.publish("production")
    world.sync()
    end = ReadOnlyRegistry(world.registry)

    assert end.models() == world.registry.models() == ("fraud",)
    assert end.observe("fraud") == world.registry.observe("fraud")
    assert end.version("fraud", "1") == world.registry.version("fraud", "1")
    end.check_access()
    assert end.running("fraud") == ()
    assert end.operation("operations/1").version_id == "1"


def test_a_read_only_bucket_answers_as_the_one_behind_it() -> None:
    world = World()
    world.publish("production")
    world.sync()
    [folder] = world.storage.manifests
    end = ReadOnlyBucket(world.storage)
    files = list(end.held(folder))

    assert end.manifest(folder) == world.storage.manifests[folder]
    assert end.header(folder) == world.storage.header(folder)
    assert [file.path for file in files] == ["model.bin"]
    assert list(end.reread(folder, files)) == [(file, file) for file in files]
    with end.read(folder, "model.bin", 2) as pieces:
        assert b"".join(pieces) == world.storage.objects[f"{folder}model.bin"][2:]
    assert end.where(folder) == world.storage.where(folder)


def test_what_would_write_stops_before_it_does() -> None:
    world = World()
    version = world.publish("production")
    registry, copier = ReadOnlyRegistry(world.registry), ReadOnlyCopier(world.reconciler(world.specs[0]).copier)

    writes: tuple[Callable[[], object], ...] = (
        lambda: registry.register("fraud", "Fraud", version, "gs://b/f/", CONTAINER, facts=FACTS),
        lambda: registry.move_alias("fraud", DEFAULT, "1"),
        lambda: registry.remove_alias("fraud", DEFAULT, "1"),
        lambda: registry.mark_ours("fraud", "1"),
        lambda: registry.mark_duplicate("fraud", "2", "1"),
        lambda: registry.delete("fraud", "1"),
        lambda: copier.adopt(version, "gs://b/f/", "gs://b/k/"),
        lambda: copier.arrange(version, "gs://b/f/", "gs://b/k/", ()),
        lambda: copier.remove(version, "gs://b/f/", lambda: None),
        lambda: copier.copy(version, "gs://b/f/"),
    )
    for write in writes:
        with pytest.raises(AssertionError, match="only looks"):
            write()
    assert world.registry.versions("fraud") == {}
