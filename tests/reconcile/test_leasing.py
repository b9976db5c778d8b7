"""One process at a time works on a model, and one that came too late does nothing more."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from types import FunctionType
from typing import TYPE_CHECKING

import pytest

from bridge.core.errors import NeedsPerson, TakenElsewhere, TryAgain
from bridge.core.model import State
from bridge.reconcile.fencing import FencedCopier, FencedRegistry, fenced
from bridge.reconcile.leasing import LASTS, NO_MODEL, Leases
from bridge.testing.clock import FakeClock
from bridge.testing.source import MemorySource
from bridge.testing.store import MemoryStore
from tests.worlds import KEY, World

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from bridge.core.model import Description, ModelKey, SourceVersion
    from bridge.core.records import Lease


def leases(store: MemoryStore, clock: FakeClock, owner: str, patience: float = 0) -> Leases:
    return Leases(store, clock, owner, timedelta(seconds=patience))


class Meddling(MemorySource):
    """A source that lets something happen just when a version's files are listed, to be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.meddle: Callable[[], object] = lambda: None

    def describe(self, version: SourceVersion) -> Description:
        self.meddle()
        return super().describe(version)


def test_another_process_is_waited_for_only_as_long_as_one_has_patience() -> None:
    store, clock = MemoryStore(), FakeClock()
    store.take_lease(KEY, "a:1:x", clock.now(), clock.now() + timedelta(seconds=10))

    with pytest.raises(TakenElsewhere, match=r"a:1:x \(until 2026-01-05T09:00:10\+00:00\) is at work on fraud/fraud"):
        leases(store, clock, "b", patience=5).of(KEY).__enter__()
    with leases(store, clock, "b", patience=6).of(KEY) as lease:
        assert (lease.owner, lease.epoch) == ("b", 2)


def test_a_lease_is_given_back_when_its_work_is_done_or_fails() -> None:
    store, clock = MemoryStore(), FakeClock()
    ours = leases(store, clock, "a")
    with ours.of(KEY):
        assert [lease.owner for lease in store.leases()] == ["a"]
        assert ours.held == 1
    assert ours.held == 0
    assert store.leases() == ()
    with pytest.raises(ValueError, match="a bug"), ours.of(KEY):
        raise ValueError("a bug")
    assert store.leases() == ()


def test_what_dies_gives_nothing_back() -> None:
    store, clock = MemoryStore(), FakeClock()
    with pytest.raises(KeyboardInterrupt), leases(store, clock, "a").of(KEY):
        raise KeyboardInterrupt

    assert [lease.owner for lease in store.leases()] == ["a"]


def test_leases_that_are_renewed_last_and_one_that_is_lost_is_told(caplog: pytest.LogCaptureFixture) -> None:
    store, clock = MemoryStore(), FakeClock()
    ours = leases(store, clock, "a")
    with ours.of(KEY):
        clock.advance(LASTS / 2)
        ours.renew()
        clock.advance(LASTS / 2)
        assert store.take_lease(KEY, "b", clock.now(), clock.now() + LASTS) is None
        clock.advance(LASTS)
        store.take_lease(KEY, "b", clock.now(), clock.now() + LASTS)
        with caplog.at_level(logging.WARNING):
            ours.renew()
    ours.renew()

    assert caplog.messages == ["the lease of fraud/fraud is lost: another process works on it now"]
    assert [lease.owner for lease in store.leases()] == ["b"]


def test_a_store_that_is_unwell_at_the_end_leaves_the_lease_to_end_by_itself(caplog: pytest.LogCaptureFixture) -> None:
    class Unwell(MemoryStore):
        def release_lease(self, lease: Lease) -> None:  # noqa: ARG002  the port's
            raise TryAgain("the store is busy")

    with leases(Unwell(), FakeClock(), "a").of(KEY):
        pass

    assert "the lease of fraud/fraud could not be given back, and ends by itself: the store is busy" in caplog.text


def test_a_probe_writes_keeps_nobody_from_anything_and_leaves_nothing() -> None:
    store, clock = MemoryStore(), FakeClock()
    ours = leases(store, clock, "a")
    with ours.of(KEY):
        ours.probe()
        assert ours.held == 1
        assert [lease.key for lease in store.leases()] == [KEY]
    asked = store.take_lease(NO_MODEL, "b", clock.now(), clock.now() + LASTS)
    assert asked is not None
    assert asked.epoch == 2, "the probe had one"
    ours.probe()
    assert [lease.owner for lease in store.leases()] == ["b"], "another process is at it: that is as good"


@pytest.mark.parametrize("method", ["take_lease", "release_lease"])
def test_a_probe_tells_that_a_store_cannot_be_written(method: str) -> None:
    class Full(MemoryStore):
        def take_lease(self, key: ModelKey, owner: str, now: datetime, until: datetime) -> Lease | None:
            if method == "take_lease":
                raise NeedsPerson("the store is full", "make room")
            return super().take_lease(key, owner, now, until)

        def release_lease(self, lease: Lease) -> None:  # noqa: ARG002  the port's
            raise NeedsPerson("the store is full", "make room")

    with pytest.raises(NeedsPerson, match="the store is full"):
        leases(Full(), FakeClock(), "a").probe()


def test_before_an_effect_a_lease_is_renewed_or_refused() -> None:
    store, clock = MemoryStore(), FakeClock()
    ours = leases(store, clock, "a")
    with ours.of(KEY) as lease:
        clock.advance(LASTS / 2)
        ours.check(lease)
        assert store.leases()[0].until == (clock.now() + LASTS).isoformat()
        ours.give_all_back()
        with pytest.raises(TakenElsewhere):
            ours.check(lease)
        ours.end()
        with pytest.raises(TryAgain, match="told to stop while it was at fraud/fraud"):
            ours.check(lease)


def test_a_model_that_another_process_is_at_is_left_to_it() -> None:
    world = World()
    world.publish("production")
    world.store.take_lease(KEY, "another", world.clock.now(), world.clock.now() + LASTS)
    before = world.ends()

    (report,) = world.sync()

    assert (report.status.state, report.plan) == (State.PENDING, None)
    assert report.status.message.startswith("another (until ")
    assert report.status.next_try == (world.clock.now() + timedelta(seconds=5)).isoformat()
    assert world.ends() == before


def test_a_pass_that_loses_its_lease_registers_nothing_and_writes_nothing_more() -> None:
    """Another process takes over while files are copied for longer than anybody renews the lease."""
    world = World()
    world.source = source = Meddling()
    world.publish("production")

    def take_over() -> None:
        world.clock.advance(LASTS)
        assert world.store.take_lease(KEY, "another", world.clock.now(), world.clock.now() + LASTS)

    source.meddle = take_over
    (report,) = world.sync()

    assert (report.status.state, report.plan) == (State.PENDING, None)
    assert "another process has taken fraud/fraud over" in report.status.message
    assert world.registry.calls.count("register") == 0
    assert world.status().state is State.COPYING, "what the other one writes is not written over"
    assert [entry.outcome for entry in world.store.journal()] == [None]
    assert [lease.owner for lease in world.store.leases()] == ["another"]


def effects_of(fence: type) -> list[str]:
    return [name for name, said in vars(fence).items() if isinstance(said, FunctionType) and name[0] != "_"]


@pytest.mark.parametrize("effect", [*effects_of(FencedRegistry), *effects_of(FencedCopier)])
def test_no_effect_begins_when_the_lease_is_lost_between_two(effect: str) -> None:
    """The store would let the journal line be written; the effect itself asks again."""
    world = World()
    store, clock = world.store, world.clock
    ours = leases(store, clock, "a")
    with ours.of(KEY) as lease:
        reconciler = fenced(world.reconciler(world.specs[0]), store.fenced(lease), lease, ours)
        clock.advance(LASTS)
        store.take_lease(KEY, "b", clock.now(), clock.now() + LASTS)
        end = reconciler.copier if effect in effects_of(FencedCopier) else reconciler.registry
        version = world.publish("production")
        arguments: dict[str, tuple[object, ...]] = {
            "register": ("fraud", "fraud", version, "gs://x/", None),
            "move_alias": ("fraud", "production", "1"),
            "remove_alias": ("fraud", "production", "1"),
            "mark_ours": ("fraud", "1"),
            "mark_duplicate": ("fraud", "2", "1"),
            "delete": ("fraud", "1"),
            "copy": (version, "gs://models/x/"),
            "adopt": (version, "gs://models/x/", "gs://models/y/"),
            "arrange": (version, "gs://models/x/", "gs://models/y/", ()),
            "remove": (version, "gs://models/x/", lambda: None),
        }
        world.storage.objects["gs://models/x/model.bin"] = b"theirs"
        named = {"facts": None, "first": True} if effect == "register" else {}
        with pytest.raises(TakenElsewhere):
            getattr(end, effect)(*arguments[effect], **named)

    assert (world.storage.objects, world.registry.calls) == ({"gs://models/x/model.bin": b"theirs"}, [])


def test_a_removal_ends_before_the_next_object_when_the_lease_is_lost() -> None:
    world = World()
    store, clock = world.store, world.clock
    ours = leases(store, clock, "a")
    version, taken = world.publish("production"), iter([False, True])
    world.storage.objects |= {f"gs://models/x/{name}": b"ours" for name in "abc"}

    def meanwhile() -> None:
        if next(taken, False):
            clock.advance(LASTS)
            store.take_lease(KEY, "b", clock.now(), clock.now() + LASTS)

    with ours.of(KEY) as lease:
        reconciler = fenced(world.reconciler(world.specs[0]), store.fenced(lease), lease, ours)
        with pytest.raises(TakenElsewhere):
            reconciler.copier.remove(version, "gs://models/x/", meanwhile)

    assert len(world.storage.objects) == 2


def test_a_pass_that_is_told_to_stop_ends_before_its_next_effect_and_the_next_one_goes_on() -> None:
    world = World()
    world.source = source = Meddling()
    world.publish("production")
    passes = world.passes
    source.meddle = passes.leases.end

    (report,) = passes.sync(world.specs, why="test")

    assert (report.status.state, report.status.remedy) == (State.PENDING, "the next start takes it up")
    assert world.status() == report.status
    assert (report.status.tried, report.status.attempt, world.store.leases()) == (None, 0, ())
    assert world.registry.versions("fraud") == {}
    source.meddle = lambda: None
    assert world.sync()[0].status.state is State.SYNCED
    assert world.names() == {"default": "v0", "production": "v0"}


def test_two_processes_that_take_turns_leave_one_version() -> None:
    world = World()
    world.publish("production")
    other = replace(world.passes, leases=leases(world.store, world.clock, "other", patience=120))

    world.sync()
    other.sync(world.specs, why="other", full=True)

    assert len(world.registry.versions("fraud")) == 1
    assert world.store.leases() == ()


def test_looking_through_a_fence_needs_no_lease() -> None:
    world = World()
    version = world.publish("production")
    world.sync()
    ours = leases(world.store, world.clock, "a")
    with ours.of(KEY) as lease:
        reconciler = fenced(world.reconciler(world.specs[0]), world.store, lease, ours)
    (registered,) = reconciler.registry.observe("fraud").versions

    assert reconciler.registry.version("fraud", "1") == registered
    assert (reconciler.registry.running("fraud"), reconciler.registry.operation("nobody's").done) == ((), True)
    manifest = reconciler.copier.manifest(registered.artifact_uri)
    assert manifest is not None
    assert manifest.is_of(version)
