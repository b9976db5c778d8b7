"""What becomes of a version, or a collection, that is deleted at its source: three ways, and all that must not go."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bridge.core.changes import DeleteFiles, DeleteVersion
from bridge.core.errors import NeedsPerson, TryAgain
from bridge.core.model import (
    Alias,
    Hold,
    Layout,
    ModelKey,
    OnDrift,
    OnSourceDelete,
    Policy,
    RemovalGuard,
    Serving,
    State,
    VersionRule,
)
from bridge.core.records import Intent, Operation
from bridge.reconcile.removing import Remover
from bridge.testing.source import MemorySource
from tests.crash.test_passes import XGBOOST
from tests.worlds import FRAUD, KEY, REGISTRY, World, mapping, pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.core.model import CollectionSelector, MappingSpec, SourceVersion, Sweep
    from bridge.reconcile.passes import Report

RETAIN, UNALIAS, DELETE = OnSourceDelete
OCR, FACES = f"{REGISTRY}/vision-ocr", f"{REGISTRY}/vision-faces"
OCR_KEY = ModelKey("vision", "vision-ocr")


def following(meaning: OnSourceDelete, spec: MappingSpec | None = None) -> MappingSpec:
    """Return a mapping of all versions, which says what becomes of those that are deleted."""
    return replace(spec or mapping(), on_source_delete=meaning, versions=VersionRule(None))


def two_versions(meaning: OnSourceDelete = DELETE) -> tuple[World, SourceVersion]:
    """Make a world with v0, which has `default`, and v1, which has `production` and will be deleted."""
    world = World([following(meaning)])
    world.publish()
    gone = world.publish("production")
    world.sync()
    assert world.names() == {"default": "v0", "production": "v1"}
    return world, gone


def folder(world: World, version: SourceVersion) -> str:
    [uri] = [record.artifact_uri for record in world.store.records(KEY) if record.source.id == version.id]
    return uri


def says(reports: Sequence[Report]) -> list[str]:
    return [str(step) for report in reports if report.plan for step in (*report.plan.changes, *report.plan.refusals)]


def everything(world: World) -> dict[str, object]:
    """Return what Vertex and the bucket hold."""
    ends = world.ends()
    return {end: ends[end] for end in ("objects", "manifests", "versions", "aliases")}


# the three ways


def test_what_is_retained_stays_as_it_was_and_the_model_is_synced() -> None:
    world, gone = two_versions(RETAIN)
    before = everything(world)
    world.source.delete(gone)

    for _ in range(4):
        world.sync()

    assert everything(world) == before
    assert (world.status().state, world.status().fingerprint is not None) == (State.SYNCED, True)
    world.registry.calls.clear()
    world.sync()
    assert world.registry.calls == []


def test_an_alias_of_a_retained_version_follows_the_source_again() -> None:
    world, gone = two_versions(RETAIN)
    world.source.delete(gone)
    world.sync()
    world.sync()

    world.publish("production")
    world.sync()

    assert world.names()["production"] == "v2"


def test_an_alias_that_is_only_taken_off_goes_though_the_mapping_retains_what_is_deleted() -> None:
    world, _ = two_versions(RETAIN)
    world.source.unalias(FRAUD, "production")

    world.sync()
    world.sync()

    assert world.names() == {"default": "v0"}


def test_what_is_unaliased_loses_its_aliases_after_two_listings_and_nothing_else() -> None:
    world, gone = two_versions(UNALIAS)
    before = everything(world)
    world.source.delete(gone)

    world.sync()
    assert everything(world) == before
    world.sync()

    assert world.names() == {"default": "v0"}
    assert everything(world) | {"aliases": 0} == before | {"aliases": 0}


def test_what_is_deleted_goes_after_two_listings_with_its_folder_and_leaves_a_tombstone() -> None:
    world, gone = two_versions()
    before, uri = everything(world), folder(world, gone)
    world.source.delete(gone)

    first = world.sync()
    assert everything(world) == before
    once = "it is absent from one complete listing so far; it is {} when the next complete listing agrees"
    assert says(first) == [
        f"! waiting  alias production: {once.format('removed')}",
        f"! waiting  version v1: {once.format('deleted')}",
    ]
    second = world.sync()

    assert says(second) == ["- alias    production (v1)", "- version  v1 @2", f"- files    v1 in {uri}"]
    assert world.registry.versions("fraud").keys() == {"1"}
    assert uri not in world.storage.manifests
    assert not [each for each in world.storage.objects if each.startswith(uri)]
    [grave] = world.store.tombstones(KEY)
    assert (grave.record.source, grave.record.version_id) == (gone, "2")
    assert grave.why == f"{FRAUD}:v1 is gone at the source (on_source_delete: delete)"
    assert grave.files_removed == grave.removed == world.clock.now().isoformat()
    assert [record.source.label for record in world.store.records(KEY)] == ["v0"]
    assert world.status().state is State.SYNCED
    assert says(world.sync(full=True)) == []


def test_the_journal_tells_of_a_deletion_before_and_after() -> None:
    world, gone = two_versions()
    world.source.delete(gone)
    world.sync()
    world.sync()

    files, version, _ = world.store.journal(KEY)[:3]
    assert (type(version.change), version.detail) == (DeleteVersion, "was @2")
    assert (type(files.change), files.detail) == (DeleteFiles, "2 objects")


def test_a_plan_shows_what_would_go_and_nothing_goes() -> None:
    world, gone = two_versions()
    world.source.delete(gone)
    world.sync()
    before = everything(world)

    [plan] = world.plans()

    assert [type(change).__name__ for change in plan.changes] == ["RemoveAlias", "DeleteVersion", "DeleteFiles"]
    assert everything(world) == before


def test_a_version_without_an_alias_goes_too_and_the_listing_alone_wakes_the_bridge() -> None:
    world, _ = two_versions()
    unnamed = world.publish()
    world.sync()
    world.source.delete(unnamed)

    world.sync()
    world.sync()

    assert world.registry.versions("fraud").keys() == {"1", "2"}


def test_what_was_arranged_for_a_container_goes_with_the_copy() -> None:
    spec = replace(following(DELETE), serving=Serving(layout=Layout.PREBUILT))
    world = World([spec])
    world.publish(facts=XGBOOST)
    gone = world.publish(facts=XGBOOST)
    world.sync()
    assert folder(world, gone).endswith("-prebuilt/")
    world.source.delete(gone)
    world.sync()
    world.sync()

    assert len(world.storage.manifests) == 2  # those of the other version
    assert all("/v0-" in uri for uri in (*world.storage.objects, *world.storage.manifests))


# a version that comes back


def test_a_version_that_comes_back_is_registered_again_with_all_its_bytes() -> None:
    world, gone = two_versions()
    uri = folder(world, gone)
    world.source.delete(gone)
    world.sync()
    world.sync()
    assert uri not in world.storage.manifests

    world.source.restore(gone)
    world.source.alias(gone, "production")
    world.sync()

    assert world.names() == {"default": "v0", "production": "v1"}
    assert world.registry.versions("fraud") == {"1": folder(world, world.store.records(KEY)[0].source), "3": uri}
    assert world.storage.objects[f"{uri}model.bin"] == b"model 2"
    assert [grave.record.version_id for grave in world.store.tombstones(KEY)] == ["2"]
    assert says(world.sync(full=True)) == []


def test_what_was_copied_from_a_removed_folder_stays_and_nothing_is_looked_for_there_any_more() -> None:
    world = World([following(DELETE)])
    world.publish()
    gone = world.publish(content=b"the same")
    world.sync()
    twin = world.publish("production", content=b"the same and more")
    world.sync()
    [file] = world.source.describe(gone).files
    assert file.digest is not None
    asked = [(file.digest, file.size)]
    assert world.store.contents("models", asked)
    world.source.delete(gone)
    world.sync()
    world.sync()

    assert world.store.contents("models", asked) == {}
    again = world.publish(content=b"the same")
    world.sync()
    for version, content in ((twin, b"the same and more"), (again, b"the same")):
        assert world.storage.objects[f"{folder(world, version)}model.bin"] == content


# what must not be believed


def unchanged_after(world: World, passes: int = 4) -> list[Report]:
    before = everything(world)
    reports: list[Report] = []
    for _ in range(passes):
        reports = world.sync()
    assert everything(world) == before
    return reports


@pytest.mark.parametrize("meaning", [UNALIAS, DELETE])
def test_one_sighting_only_removes_nothing(meaning: OnSourceDelete) -> None:
    world, gone = two_versions(meaning)
    world.source.delete(gone)
    unchanged_after(world, 1)
    assert world.status().state is State.PENDING


@pytest.mark.parametrize("meaning", [UNALIAS, DELETE])
def test_an_incomplete_listing_removes_nothing_however_often_it_comes(meaning: OnSourceDelete) -> None:
    world, gone = two_versions(meaning)
    world.source.delete(gone)
    world.source.hide(FRAUD, "something")
    unchanged_after(world)


class Forgetful(MemorySource):
    """Lists collections without some of their versions and aliases, and does not say so."""

    def __init__(self) -> None:
        super().__init__()
        self.forgotten: set[str] = set()  # ids

    def sweep(self, selectors: Sequence[CollectionSelector]) -> Sweep:
        """See the port."""
        sweep = super().sweep(selectors)
        found = {
            selector: tuple(
                replace(
                    state,
                    versions=tuple(each for each in state.versions if each.id not in self.forgotten),
                    aliases={alias: to for alias, to in state.aliases.items() if to not in self.forgotten},
                )
                for state in states
            )
            for selector, states in sweep.found.items()
        }
        return replace(sweep, found=found)


@pytest.mark.parametrize("meaning", [UNALIAS, DELETE])
def test_a_listing_that_lies_removes_nothing_of_what_is_there_by_name(meaning: OnSourceDelete) -> None:
    source = Forgetful()
    world = World([following(meaning)], source=source)
    first, second = world.publish(), world.publish("production")
    world.sync()

    source.forgotten = {second.id}
    unchanged_after(world)
    source.forgotten = {first.id, second.id}
    unchanged_after(world)
    source.forgotten = set()
    unchanged_after(world)
    assert world.status().state is State.SYNCED


@pytest.mark.parametrize("meaning", [UNALIAS, DELETE])
@pytest.mark.parametrize(
    "problem", [NeedsPerson("the source refuses access", "ask for it"), TryAgain("it does not answer")]
)
def test_a_source_that_does_not_say_whether_it_has_a_version_loses_nothing(
    meaning: OnSourceDelete, problem: NeedsPerson | TryAgain
) -> None:
    class Silent(Forgetful):
        def is_deleted(self, version: SourceVersion, selector: CollectionSelector) -> bool:
            super().is_deleted(version, selector)
            raise problem

    source = Silent()
    world = World([following(meaning)], source=source)
    world.publish()
    gone = world.publish("production")
    world.sync()
    world.source.delete(gone)

    reports = unchanged_after(world)

    assert f"the source does not say whether it still has {gone}: {problem}" in says(reports)[0]
    assert world.status().state is State.PENDING


@pytest.mark.parametrize("meaning", [UNALIAS, DELETE])
def test_a_denied_source_removes_nothing(meaning: OnSourceDelete) -> None:
    world, gone = two_versions(meaning)
    world.source.delete(gone)
    world.source.problem = NeedsPerson("the source refuses access", "ask for it")
    unchanged_after(world)
    assert world.status().state is State.DEGRADED


def test_a_version_that_is_there_again_when_it_would_be_deleted_stays() -> None:
    class Restored(MemorySource):
        asks = 0

        def is_deleted(self, version: SourceVersion, selector: CollectionSelector) -> bool:
            self.asks += 1
            return self.asks == 1 and super().is_deleted(version, selector)

    world = World([following(DELETE)], source=Restored())
    world.publish()
    gone = world.publish()
    world.sync()
    world.source.delete(gone)
    world.sync()

    [report] = world.sync()

    assert world.registry.versions("fraud").keys() == {"1", "2"}
    assert report.status.message == f"{FRAUD}:v1 is there again when asked by name"


# what must not go


def test_a_deployed_version_is_kept_until_it_is_undeployed() -> None:
    world, gone = two_versions()
    world.registry.deploy_by_hand("fraud", "2", "projects/1/locations/eu/endpoints/42")
    world.source.delete(gone)
    world.sync()
    world.sync()
    world.sync()

    assert world.registry.versions("fraud").keys() == {"1", "2"}
    assert world.names() == {"default": "v0"}
    assert world.status().state is State.SYNCED
    assert world.status().message == (
        "version v1: it is gone at the source, but @2 is deployed to projects/1/locations/eu/endpoints/42"
    )
    world.registry.calls.clear()
    world.sync()
    assert world.registry.calls == []

    world.registry.deploy_by_hand("fraud", "2")
    world.sync(full=True)
    assert world.registry.versions("fraud").keys() == {"1"}
    assert (world.status().state, world.status().message) == (State.SYNCED, "")


def test_the_default_version_is_kept_until_default_has_moved() -> None:
    world = World([replace(following(DELETE), default_from="production")])
    gone = world.publish("production")
    world.publish()
    world.sync()
    world.source.delete(gone)
    world.sync()
    world.sync()
    assert world.registry.aliases("fraud") == {"default": "1"}
    assert "has 'default', which Vertex demands" in world.status().message

    world.publish("production")
    world.sync()

    assert world.registry.versions("fraud").keys() == {"2", "3"}
    assert world.registry.aliases("fraud") == {"default": "3", "production": "3"}


def test_a_version_that_a_person_has_given_an_alias_is_kept() -> None:
    world, gone = two_versions()
    world.registry.move_by_hand("fraud", "canary", "2")
    world.source.delete(gone)
    world.sync()
    world.sync()

    assert world.names() == {"canary": "v1", "default": "v0"}
    assert "@2 has the alias 'canary', which stays" in world.status().message


def test_an_alias_that_a_person_moved_to_it_keeps_a_version() -> None:
    world, gone = two_versions()
    world.publish("staging")
    world.sync()
    world.registry.move_by_hand("fraud", "staging", "2")
    world.source.delete(gone)
    world.sync()
    world.sync()

    assert world.names()["staging"] == "v1"
    assert world.registry.versions("fraud").keys() == {"1", "2", "3"}


@pytest.mark.parametrize("policy", [Policy.UPSERT_ONLY, Policy.CREATE_ONLY])
def test_only_the_policy_sync_removes(policy: Policy) -> None:
    world, gone = two_versions()
    world.specs = [replace(world.specs[0], policy=policy)]
    world.sync()
    world.source.delete(gone)
    unchanged_after(world)
    assert world.status().state is State.SYNCED


def test_a_pause_holds_deletions_too() -> None:
    world, gone = two_versions()
    world.source.delete(gone)
    world.sync()
    world.store.save_hold(KEY, Hold(Alias("*"), "ann", "wait", None))
    unchanged_after(world)
    world.store.lift_hold(KEY, Alias("*"))
    world.sync(full=True)
    assert world.registry.versions("fraud").keys() == {"1"}


def many_versions(count: int = 4, **more: object) -> tuple[World, list[SourceVersion]]:
    world = World([following(DELETE)], **more)  # type: ignore[arg-type]  # a test's own words
    world.publish()
    versions = [world.publish() for _ in range(count)]
    world.sync()
    return world, versions


def test_too_many_deletions_at_once_wait_for_a_person() -> None:
    world, versions = many_versions()
    for version in versions[:3]:
        world.source.delete(version)
    world.sync()
    [report] = unchanged_after(world, 1)

    assert world.status().state is State.BLOCKED
    assert report.plan is not None
    refusal = report.plan.refusals[0]
    assert refusal.reason.startswith("3 of 5 registered versions would be deleted at once")
    checksum = refusal.remedy.rpartition(" ")[2]

    world.sync(allowed_removals="0123456789abcdef")
    assert len(world.registry.versions("fraud")) == 5
    world.sync(allowed_removals=checksum)
    assert world.registry.versions("fraud").keys() == {"1", "5"}
    assert len(world.storage.manifests) == 2


def test_a_looser_guard_lets_more_pass() -> None:
    world, versions = many_versions(guard=RemovalGuard(1.0, 3))
    for version in versions:
        world.source.delete(version)
    world.sync()
    world.sync()
    assert world.registry.versions("fraud").keys() == {"1"}


def test_deletions_that_are_spread_over_the_models_of_a_mapping_are_too_many_too() -> None:
    world = World([following(DELETE, pattern())])
    gone = []
    for name in ("ocr", "faces", "cats"):
        world.publish(collection=f"{REGISTRY}/vision-{name}")
        gone.append(world.publish(collection=f"{REGISTRY}/vision-{name}"))
    world.sync()
    for version in gone:
        world.source.delete(version)
    world.sync()
    before = world.ends()["versions"]

    reports = world.sync()

    assert world.ends()["versions"] == before
    assert {report.status.state for report in reports} == {State.BLOCKED}


def test_a_folder_that_another_models_record_names_stays() -> None:
    world, gone = two_versions()
    record = next(record for record in world.store.records(KEY) if record.source == gone)
    world.store.save_record(replace(record, key=ModelKey("another", "another")))
    world.source.delete(gone)
    world.sync()
    world.sync()

    assert world.registry.versions("fraud").keys() == {"1"}
    assert record.artifact_uri in world.storage.manifests


def test_what_somebody_else_put_into_a_folder_stays_there() -> None:
    world, gone = two_versions()
    uri = folder(world, gone)
    world.storage.place(f"{uri}notes.txt", b"mine")
    world.source.delete(gone)
    world.sync()
    world.sync()

    assert [each for each in world.storage.objects if each.startswith(uri)] == [f"{uri}notes.txt"]


def test_a_folder_that_holds_another_version_is_not_removed_and_says_so() -> None:
    world, gone = two_versions()
    uri = folder(world, gone)
    world.storage.manifests[uri] = replace(world.storage.manifests[uri], source_digest="another")
    world.source.delete(gone)
    world.sync()

    reports = world.sync()

    assert f"{uri} holds {FRAUD}:v1, not {FRAUD}:v1, so it is not removed" in says(reports)[-1]
    assert world.status().state is State.FAILED
    assert f"{uri}model.bin" in world.storage.objects


# what happens between the plan and the deed


class Meddled(MemorySource):
    """Has something happen when it is asked whether a version is deleted: first by the plan, then before each deed."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile_at: dict[int, Callable[[], object]] = {}
        self.asks = 0

    def is_deleted(self, version: SourceVersion, selector: CollectionSelector) -> bool:
        """See the port."""
        self.asks += 1
        self.meanwhile_at.get(self.asks, lambda: None)()
        return super().is_deleted(version, selector)


PLAN, VERSION, FILES = 1, 2, 3


def meddled() -> tuple[World, Meddled, str]:
    """Make a world whose v1 has been deleted and seen absent once; return its folder too."""
    source = Meddled()
    world = World([following(DELETE)], source=source)
    world.publish()
    gone = world.publish()
    world.sync()
    uri = folder(world, gone)
    source.delete(gone)
    world.sync()
    return world, source, uri


@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        pytest.param(
            lambda world: world.registry.move_by_hand("fraud", "canary", "2"),
            "@2 of model fraud has the alias 'canary', so it is not deleted",
            id="aliased",
        ),
        pytest.param(
            lambda world: world.registry.deploy_by_hand("fraud", "2", "endpoints/42"),
            "@2 of model fraud is deployed to endpoints/42, so it is not deleted",
            id="deployed",
        ),
        pytest.param(
            lambda world: world.registry.unmark_by_hand("fraud", "2"),
            "@2 of model fraud is not what the bridge registered any more, so it is not deleted",
            id="unmarked",
        ),
        pytest.param(
            lambda world: world.registry.failing_deletions.append(Operation(done=True, error="a quota", lasting=True)),
            "Vertex could not delete @2 of model fraud: a quota",
            id="refused for good",
        ),
        pytest.param(
            lambda world: world.registry.failing_deletions.append(Operation(done=True, error="busy", lasting=False)),
            "Vertex could not delete @2 of model fraud: busy",
            id="refused for now",
        ),
        pytest.param(
            lambda world: world.registry.failing_deletions.append(Operation(done=True)),
            "@2 of model fraud was deleted, but still shows",
            id="not to be seen yet",
        ),
    ],
)
def test_a_version_that_something_needs_by_now_is_not_deleted_and_keeps_its_folder(
    deed: Callable[[World], object], reason: str
) -> None:
    world, source, uri = meddled()
    source.meanwhile_at[VERSION] = lambda: deed(world)

    world.sync()

    assert world.status().state is State.FAILED
    assert reason in world.status().message
    assert world.registry.versions("fraud").keys() == {"1", "2"}
    assert uri in world.storage.manifests
    assert len(world.store.records(KEY)) == 2


def test_a_version_that_a_person_deletes_meanwhile_is_buried_all_the_same() -> None:
    world, source, uri = meddled()
    source.meanwhile_at[VERSION] = lambda: world.registry.delete_by_hand("fraud", "2")

    world.sync()

    assert world.store.journal(KEY)[1].detail == "@2 was gone already"
    assert [grave.record.artifact_uri for grave in world.store.tombstones(KEY)] == [uri]
    assert uri not in world.storage.manifests


def test_a_reply_to_a_deletion_that_is_lost_is_settled_by_the_next_pass() -> None:
    world, _, uri = meddled()
    world.registry.lost_replies["delete"] = 1

    world.sync()
    assert world.status().state is State.FAILED
    world.clock.advance(3600)
    world.sync()

    assert world.registry.calls.count("delete") == 1
    assert uri not in world.storage.manifests
    assert world.store.tombstones(KEY)[0].files_removed is not None
    assert world.status().state is State.SYNCED


def test_a_lagging_list_does_not_make_a_version_look_deleted() -> None:
    source = Meddled()
    world = World([following(DELETE)], source=source)
    world.publish()
    world.sync()
    world.registry.list_lag = 36_000
    gone = world.publish()
    world.sync()
    source.delete(gone)
    world.sync()
    world.store.begin(KEY, DeleteVersion(gone, folder(world, gone), "2"), "a process that died", world.clock.now())
    world.registry.deploy_by_hand("fraud", "2", "endpoints/42")

    world.sync(full=True)

    assert world.store.unfinished(KEY) == ()
    assert world.store.tombstones(KEY) == ()
    assert folder(world, gone) in world.storage.manifests


@pytest.mark.parametrize("how", ["a record", "a version in Vertex", "an intent"])
def test_a_folder_that_something_needs_by_now_is_not_removed(how: str) -> None:
    world, source, uri = meddled()
    record = next(record for record in world.store.records(KEY) if record.artifact_uri == uri)

    def deed() -> None:
        match how:
            case "a record":
                world.store.save_record(replace(record, key=ModelKey("another", "another")))
            case "an intent":
                world.store.save_intent(Intent(KEY, record.source, uri, sent_at=None, operation=None))
            case _:
                world.registry.add_by_hand("fraud", uri)

    source.meanwhile_at[FILES] = deed
    world.sync()

    assert uri in world.storage.manifests
    assert f"{uri} is the folder of another version by now, so it is not removed" in world.status().message
    assert world.store.tombstones(KEY)[0].files_removed is None


def test_a_version_that_comes_back_before_its_folder_goes_keeps_it() -> None:
    world, source, uri = meddled()
    [gone] = [record.source for record in world.store.records(KEY) if record.artifact_uri == uri]
    source.meanwhile_at[FILES] = lambda: source.restore(gone)
    world.sync()
    assert uri in world.storage.manifests
    world.clock.advance(3600)

    world.sync()

    assert uri in world.storage.manifests
    assert world.registry.versions("fraud")["3"] == uri
    assert says(world.sync(full=True)) == []


def test_a_folder_without_a_tombstone_is_not_removed() -> None:
    world, _, uri = meddled()
    [record] = [record for record in world.store.records(KEY) if record.artifact_uri == uri]
    remover = Remover(
        world.source,
        world.copier(world.clock),
        world.registry,
        world.store,
        world.clock,
        KEY,
        world.specs[0].source,
    )

    with pytest.raises(NeedsPerson, match="no tombstone says that the bridge deleted the version of gs://models/prod"):
        remover.files(DeleteFiles(record.source, uri, (uri,)))
    assert uri in world.storage.manifests


# whole collections


def one_collection(meaning: OnSourceDelete, *, beside: bool = True) -> World:
    """Make a world with a model of two versions, whose collection is then deleted."""
    world = World([following(meaning)], guard=RemovalGuard(1.0, 9))
    if beside:
        world.source.collection(f"{REGISTRY}/another")
    world.publish()
    world.publish("production")
    world.sync()
    world.source.delete_collection(FRAUD)
    return world


def test_a_collection_that_is_gone_and_retained_fails_by_its_name_as_it_did() -> None:
    world = one_collection(RETAIN)
    unchanged_after(world)
    assert world.status().state is State.FAILED
    assert "has no collection 'fraud-detector'" in world.status().message


def test_a_collection_that_is_gone_is_unaliased() -> None:
    world = one_collection(UNALIAS)
    unchanged_after(world, 1)

    world.sync()

    assert world.names() == {"default": "v0"}
    assert world.registry.versions("fraud").keys() == {"1", "2"}
    assert world.status().state is State.SYNCED
    assert world.status().message == (
        "the source no longer has it for this mapping; its versions stay in Vertex, without the aliases that came "
        "from it (on_source_delete: unalias)"
    )
    world.source.calls.clear()
    world.registry.calls.clear()
    world.sync()
    assert (world.source.calls, world.registry.calls) == (["sweep"], [])


def test_a_collection_that_is_gone_is_deleted_but_for_what_vertex_demands() -> None:
    world = one_collection(DELETE)
    world.sync()
    world.sync()

    assert world.registry.versions("fraud").keys() == {"1"}
    assert len(world.storage.manifests) == 1
    assert world.status().state is State.SYNCED
    assert "version v0: it is gone at the source, but @1 has 'default'" in world.status().message
    world.registry.calls.clear()
    world.sync()
    assert world.registry.calls == []


def test_a_collection_that_is_made_again_is_followed_again() -> None:
    world = one_collection(DELETE)
    world.sync()
    world.sync()

    world.publish("production")
    world.sync()

    assert world.names()["production"] == "v0"
    assert world.registry.versions("fraud").keys() == {"1", "3"}


@pytest.mark.parametrize("meaning", [UNALIAS, DELETE])
def test_a_place_that_shows_nothing_at_all_is_not_believed(meaning: OnSourceDelete) -> None:
    world = one_collection(meaning, beside=False)
    [report] = unchanged_after(world)
    assert world.status().state is State.PENDING
    assert "shows no collection at all: that is not believed" in says([report])[0]


@pytest.mark.parametrize("meaning", [UNALIAS, DELETE])
def test_sightings_of_a_place_that_shows_nothing_do_not_count(meaning: OnSourceDelete) -> None:
    world = one_collection(meaning, beside=False)
    unchanged_after(world)
    world.source.collection(f"{REGISTRY}/another")
    unchanged_after(world, 1)
    world.sync()
    assert world.names() == {"default": "v0"}


@pytest.mark.parametrize("meaning", [UNALIAS, DELETE])
def test_a_collection_that_was_renamed_loses_nothing_and_wants_a_person(meaning: OnSourceDelete) -> None:
    world = World([following(meaning)])
    world.publish()
    world.publish("production")
    world.sync()
    world.source.rename(FRAUD, f"{REGISTRY}/fraud-2")
    unchanged_after(world)
    assert world.status().state is State.BLOCKED
    assert "does not find the collection" in world.status().message


@pytest.mark.parametrize("meaning", [UNALIAS, DELETE])
def test_a_mapping_that_never_found_its_collection_says_so_and_nothing_else(meaning: OnSourceDelete) -> None:
    world = World([following(meaning)])
    world.source.collection(f"{REGISTRY}/another")
    world.sync()
    world.sync()
    assert world.status().state is State.FAILED


@pytest.mark.parametrize(("meaning", "left"), [(RETAIN, {"1", "2"}), (UNALIAS, {"1", "2"}), (DELETE, {"1"})])
def test_a_collection_that_a_pattern_found_and_that_is_gone_follows_the_mapping(
    meaning: OnSourceDelete, left: set[str]
) -> None:
    world = World([following(meaning, pattern())], guard=RemovalGuard(1.0, 9))
    for collection in (OCR, FACES):
        world.publish(collection=collection)
        world.publish("production", collection=collection)
    world.sync()
    world.source.delete_collection(OCR)
    world.sync()
    world.sync()

    assert world.registry.versions("vision-ocr").keys() == left
    assert ("production" in world.registry.aliases("vision-ocr")) is (meaning is RETAIN)
    assert world.registry.versions("vision-faces").keys() == {"1", "2"}
    assert world.registry.aliases("vision-faces") == {"default": "1", "production": "2"}
    assert world.status(OCR_KEY).state is State.SYNCED
    world.registry.calls.clear()
    world.sync()
    assert world.registry.calls == []


@pytest.mark.parametrize("lost", ["register", "move_alias"])
def test_what_is_open_of_a_collection_that_is_gone_is_settled_though_it_is_retained(lost: str) -> None:
    world = World([following(RETAIN, pattern())], guard=RemovalGuard(0.3, 1))
    world.publish("production", "staging", "champion", collection=FACES)
    world.publish("staging", collection=OCR)
    world.sync()
    world.source.unalias(FACES, "production")
    world.publish("production", collection=OCR)
    world.registry.lost_replies[lost] = 1
    world.sync()
    assert len(world.store.unfinished(OCR_KEY)) == 1
    world.source.delete_collection(OCR)

    world.sync()

    assert (world.store.unfinished(OCR_KEY), world.store.intents(OCR_KEY)) == ((), ())
    assert [record.version_id for record in world.store.records(OCR_KEY)] == ["1", "2"]
    assert "production" not in world.registry.aliases("vision-faces"), "what is kept does not count for the guard"
    world.sync()
    assert (world.status(OCR_KEY).state, world.status(OCR_KEY).fingerprint) == (State.SYNCED, "gone")
    world.registry.calls.clear()
    world.sync()
    assert world.registry.calls == []


def test_a_collection_that_lost_the_tag_that_its_pattern_asks_for_keeps_what_it_has() -> None:
    spec = following(DELETE, pattern())
    world = World([replace(spec, source=replace(spec.source, tags=frozenset({"approved"})))])
    for collection in (OCR, FACES):
        world.source.collection(collection, tags=["approved"])
        world.publish("production", collection=collection)
    world.sync()
    world.source.collection(OCR)
    unchanged_after(world)
    assert world.status(OCR_KEY).state is State.SYNCED


def test_a_collection_that_takes_the_place_of_one_that_is_gone_is_followed() -> None:
    spec = following(DELETE, pattern("vision", "vision-(ocr|text)", "vision"))
    world = World([spec])
    world.publish("production", collection=OCR)
    world.sync()
    world.source.delete_collection(OCR)
    world.publish("production", collection=f"{REGISTRY}/vision-text")
    world.sync()

    assert world.registry.aliases("vision") == {"default": "1", "production": "2"}


@pytest.mark.parametrize("meaning", [UNALIAS, DELETE])
def test_a_glance_removes_nothing(meaning: OnSourceDelete) -> None:
    world, gone = two_versions(meaning)
    world.source.delete(gone)
    before = everything(world)
    for _ in range(3):
        for order in world.passes.glance(world.specs, ["fraud-detector"], ()):
            world.passes.reconcile(order)
    assert everything(world) == before


def test_a_version_that_a_person_deleted_in_vertex_is_healed_only_while_the_source_has_it() -> None:
    world, gone = two_versions()
    world.specs = [replace(world.specs[0], drift=OnDrift.HEAL)]
    world.registry.delete_by_hand("fraud", "2")
    world.source.delete(gone)
    world.sync()
    world.sync()
    assert world.registry.versions("fraud").keys() == {"1"}
