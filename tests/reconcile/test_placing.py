"""A bucket that Vertex cannot read is refused before a byte moves, at the cost of one request in a process's life."""

from __future__ import annotations

import pytest

from bridge.core.changes import Kind
from bridge.core.errors import TryAgain
from bridge.core.model import BucketPlace, State
from bridge.reconcile.placing import Places
from bridge.testing.storage import MemoryStorage
from tests.worlds import World, mapping


def asked(world: World) -> int:
    return world.storage.calls.count("where")


def test_nothing_is_brought_to_a_bucket_in_another_place() -> None:
    world = World()
    world.storage.places["models"] = BucketPlace("US")
    world.publish("production")

    [report] = world.sync()

    assert report.plan is not None
    assert [(refusal.kind, refusal.about) for refusal in report.plan.refusals] == [
        (Kind.LOCATION, "bucket gs://models")
    ]
    assert (report.plan.changes, world.status().state) == ((), State.BLOCKED)
    assert world.status().message.startswith("bucket gs://models: it is in US, and Vertex AI in europe-west4 reads")
    assert (world.storage.objects, world.registry.versions("fraud")) == ({}, {})


def test_an_alias_moves_among_versions_that_are_registered_whatever_the_bucket() -> None:
    world = World()
    first = world.publish("production")
    world.publish("staging")
    world.sync()
    world.storage.places["models"] = BucketPlace("US")
    world.places = Places()
    world.source.alias(first, "staging")

    world.sync()

    assert world.names()["staging"] == "v0"
    assert world.status().state is State.SYNCED


def test_a_bucket_whose_place_may_not_be_known_is_taken_for_well_placed() -> None:
    places, bucket = Places(), MemoryStorage()
    bucket.closed.add("models")

    assert places.of(bucket, "gs://models/prod/") is None
    assert places.of(bucket, "gs://models/test/") is None
    assert bucket.calls == ["where"]


def test_a_bucket_is_asked_for_its_place_once_and_only_if_something_is_to_be_brought() -> None:
    world = World(specs=[mapping(), mapping("churn", "churn", "churn")])
    world.publish("production")
    world.publish("production", collection="acme_org/wandb-registry-model/churn")
    world.sync()
    assert asked(world) == 1

    world.publish("production")
    world.sync()
    world.sync(full=True)
    assert asked(world) == 1

    world.places = Places()  # of a new process
    world.sync()
    world.sync(full=True)
    assert asked(world) == 1


def test_an_answer_that_did_not_come_is_asked_for_again() -> None:
    places, bucket = Places(), MemoryStorage()
    bucket.problem = TryAgain("the bucket is unwell")
    with pytest.raises(TryAgain):
        places.of(bucket, "gs://models/prod/")
    bucket.problem = None

    assert places.of(bucket, "gs://models/prod/") == BucketPlace("EU")
