"""Ends for commands that only look."""

from __future__ import annotations

import pytest

from bridge.core.model import Alias
from bridge.reconcile.read_only import ReadOnlyCopier, ReadOnlyRegistry
from tests.worlds import World, mapping


def synced() -> World:
    world = World()
    world.publish("production")
    world.sync()
    return world


def test_a_read_only_registry_answers_as_the_registry_does() -> None:
    world = synced()
    registry = ReadOnlyRegistry(world.registry)

    assert registry.observe("fraud") == world.registry.observe("fraud")
    assert registry.operation("operations/1") == world.registry.operation("operations/1")
    assert registry.running("fraud") == ()


def test_a_read_only_copier_tells_which_folders_are_whole() -> None:
    world = synced()
    ((folder, manifest),) = world.storage.manifests.items()
    copier = ReadOnlyCopier(world.reconciler(mapping()).copier)

    assert copier.manifest(folder) == manifest


def test_a_write_through_them_is_a_bug_and_reaches_nothing() -> None:
    world = synced()
    version = world.publish("staging")
    before = world.ends()
    registry = ReadOnlyRegistry(world.registry)

    with pytest.raises(AssertionError):
        registry.register("fraud", "Fraud", version, "gs://models/x/", mapping().serving)
    with pytest.raises(AssertionError):
        registry.move_alias("fraud", Alias("production"), "1")
    with pytest.raises(AssertionError):
        registry.remove_alias("fraud", Alias("production"), "1")
    with pytest.raises(AssertionError):
        ReadOnlyCopier(world.reconciler(mapping()).copier).copy(version, "gs://models/x/")

    assert world.ends() == before
