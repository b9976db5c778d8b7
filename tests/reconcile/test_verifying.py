"""What was registered is compared with every end, and whatever somebody did to it is found."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

import pytest

from bridge.core.errors import IntegrityError, NeedsPerson, NotFound, TryAgain
from bridge.core.findings import FindingKind
from bridge.core.model import DEFAULT, Facts, Layout, ModelKey, Serving
from bridge.core.naming import copied_uri
from bridge.reconcile.verifying import GONE, NO_DIGESTS, Verdict, Verifier
from tests.worlds import FRAUD, KEY, World, mapping

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.core.model import Alias
    from bridge.core.ports import Bucket, Registry

FILES = {"a.bin": b"one", "b/c.bin": b"three", "empty": b""}


def synced(files: Mapping[str, bytes] = FILES) -> World:
    """Return a world with one version, registered and named `production`."""
    world = World()
    world.source.publish(FRAUD, files, "production")
    world.sync()
    return world


def verifier(world: World) -> Verifier:
    return Verifier(
        lambda _connection: world.source, lambda _key: (world.storage, world.registry, world.base), world.store
    )


def verify(world: World, *, deep: bool = False) -> list[Verdict]:
    return list(verifier(world).verify(world.store.all_records(), deep=deep))


def the(world: World, *, deep: bool = False) -> Verdict:
    [verdict] = verify(world, deep=deep)
    return verdict


def kinds(verdict: Verdict) -> list[FindingKind]:
    return [found.first[0].kind for found in verdict.found]


def paths(verdict: Verdict) -> list[str | None]:
    return [finding.path for found in verdict.found for finding in found.first]


def folder(world: World) -> str:
    [record] = world.store.all_records()
    return record.artifact_uri


# all is well


@pytest.mark.parametrize("deep", [False, True])
def test_what_nobody_touched_is_fine(*, deep: bool) -> None:
    verdict = the(synced(), deep=deep)

    assert (verdict.found, verdict.notes) == ((), ())
    assert (verdict.files, verdict.size) == (3, 8)


def test_by_metadata_a_folder_is_listed_and_no_object_is_asked_for() -> None:
    world = synced()
    world.storage.calls.clear()
    the(world)

    assert world.storage.calls == ["manifest", "held"]


def test_the_versions_of_a_model_are_listed_once() -> None:
    world = synced()
    world.publish("staging")
    world.sync()
    world.registry.calls.clear()

    assert [verdict.found for verdict in verify(world)] == [(), ()]
    assert world.registry.calls == ["observe"]


@pytest.mark.parametrize("deep", [False, True])
def test_nothing_is_written(*, deep: bool) -> None:
    world = synced()
    before = world.ends()
    the(world, deep=deep)

    assert world.ends() == before


def test_a_source_without_digests_is_compared_by_names_and_sizes_and_that_is_said() -> None:
    world = World()
    world.source.publish(FRAUD, FILES, "production", algorithm=None, keeps_digest=False)
    world.sync()

    verdict = the(world, deep=True)
    assert (verdict.found, verdict.notes) == ((), (NO_DIGESTS,))


def test_a_version_without_files_is_fine() -> None:
    verdict = the(synced({}))
    assert (verdict.found, verdict.notes, verdict.files) == ((), (), 0)


# the bucket


def test_a_missing_manifest_is_found_and_vertex_is_asked_all_the_same() -> None:
    world = synced()
    del world.storage.manifests[folder(world)]
    world.registry.delete_by_hand("fraud", "1")

    assert kinds(the(world)) == [FindingKind.NO_MANIFEST, FindingKind.VERSION_GONE]


def test_the_manifest_of_another_version_is_found() -> None:
    world = synced()
    world.storage.manifests[folder(world)] = replace(world.storage.manifests[folder(world)], source_digest="other")

    assert kinds(the(world)) == [FindingKind.OTHER_MANIFEST]


def test_objects_that_are_missing_changed_or_too_many_are_found() -> None:
    world = synced()
    del world.storage.objects[f"{folder(world)}a.bin"]
    world.storage.place(f"{folder(world)}b/c.bin", b"THREE")
    world.storage.place(f"{folder(world)}z", b"new")

    for deep in (False, True):
        verdict = the(world, deep=deep)
        assert kinds(verdict) == [FindingKind.MISSING, FindingKind.DIFFERENT, FindingKind.EXTRA]
        assert paths(verdict) == ["a.bin", "b/c.bin", "z"]
        assert verdict.files == 3


def test_a_bit_that_was_lost_is_found_by_reading_only() -> None:
    world = synced()
    world.storage.rotten.add(f"{folder(world)}a.bin")

    assert the(world).found == ()
    verdict = the(world, deep=True)
    assert kinds(verdict) == [FindingKind.OTHER_BYTES]
    assert paths(verdict) == ["a.bin"]


def test_an_object_that_was_put_together_anew_has_no_md5_and_is_fine_if_its_bytes_are() -> None:
    world = synced()
    world.storage.place(f"{folder(world)}a.bin", FILES["a.bin"], composed=True)

    assert the(world, deep=True).found == ()


def test_a_bucket_that_does_not_answer_is_said_and_the_other_ends_are_asked() -> None:
    world = synced()
    world.storage.problem = TryAgain("the bucket is unwell")
    world.registry.delete_by_hand("fraud", "1")

    verdict = the(world)
    assert kinds(verdict) == [FindingKind.NOT_ASKED, FindingKind.VERSION_GONE]
    assert verdict.found[0].first[0].where == folder(world)


def test_a_bucket_that_falls_silent_between_two_answers_is_said_and_the_source_is_compared() -> None:
    world = synced()
    uri = folder(world)
    world.storage.manifests[uri] = replace(world.storage.manifests[uri], files=())
    world.storage.absent.add("models")

    assert kinds(the(world)) == [FindingKind.NOT_COMPARED, FindingKind.SOURCE_EXTRA]


# folders that were arranged for a container


def arranged() -> World:
    world = World([replace(mapping(), serving=Serving(layout=Layout.PREBUILT))])
    facts = Facts({"xgboost": {"xgb_version": "2.1.4", "data": "model.ubj"}})
    world.source.publish(FRAUD, {"model.ubj": b"trees", "notes.txt": b"n"}, "production", facts=facts)
    world.sync()
    return world


@pytest.mark.parametrize("deep", [False, True])
def test_an_arranged_folder_and_the_copy_beside_it_are_both_looked_at(*, deep: bool) -> None:
    world = arranged()
    assert folder(world).endswith("-prebuilt/")

    verdict = the(world, deep=deep)
    assert (verdict.found, verdict.files, verdict.size) == ((), 1, 5)
    world.storage.place(f"{copied_uri(folder(world))}notes.txt", b"x")
    world.storage.place(f"{folder(world)}model.bst", b"TREES")
    assert paths(the(world, deep=deep)) == ["notes.txt", "model.bst"]


def test_an_arranged_folder_whose_manifest_names_other_bytes_than_the_copy_is_found() -> None:
    world = arranged()
    uri = folder(world)
    [file] = world.storage.manifests[uri].files
    world.storage.place(f"{uri}model.bst", b"TREES")
    [forged] = world.storage.held(uri)
    world.storage.manifests[uri] = replace(world.storage.manifests[uri], files=(replace(forged, path=file.path),))

    assert kinds(the(world)) == [FindingKind.NOT_FROM_COPY]


def test_an_arranged_folder_is_compared_with_its_manifest_though_the_copy_has_none() -> None:
    world = arranged()
    del world.storage.manifests[copied_uri(folder(world))]
    del world.storage.objects[f"{folder(world)}model.bst"]

    assert kinds(the(world)) == [FindingKind.NO_MANIFEST, FindingKind.MISSING]
    del world.storage.manifests[folder(world)]
    assert kinds(the(world)) == [FindingKind.NO_MANIFEST, FindingKind.NO_MANIFEST]


# Vertex


def test_a_version_that_vertex_does_not_list_yet_is_asked_for() -> None:
    world = synced()
    world.registry.list_lag = 60
    world.publish("staging")
    world.sync()

    assert [verdict.found for verdict in verify(world)] == [(), ()]


def test_an_alias_that_somebody_moved_is_found_at_the_version_that_had_it() -> None:
    world = synced()
    world.publish("staging")
    world.sync()
    world.registry.move_by_hand("fraud", "production", "2")

    first, second = verify(world)
    assert kinds(first) == [FindingKind.ALIAS_ELSEWHERE]
    assert (first.found[0].first[0].path, first.found[0].first[0].found) == ("production", "@2")
    assert second.found == ()


def test_an_alias_that_a_sync_moves_meanwhile_is_not_taken_for_drift() -> None:
    world = synced()
    world.publish("staging")
    world.sync()

    class Moving:
        """A registry that is looked at just after a sync moved an alias, and before the sync wrote it down."""

        def __getattr__(self, name: str) -> object:
            if name == "observe":
                world.registry.move_by_hand("fraud", "production", "2")
                world.store.save_mirrored(KEY, production, "2")
            return getattr(world.registry, name)

    production: Alias = next(alias for alias in world.store.mirrored(KEY) if alias != DEFAULT)
    moving: Registry = Moving()  # type: ignore[assignment]  # it answers as what it stands before
    verdicts = Verifier(lambda _: world.source, lambda _: (world.storage, moving, world.base), world.store)
    assert [verdict.found for verdict in verdicts.verify(world.store.all_records())] == [(), ()]


def test_a_vertex_that_does_not_answer_is_said_for_every_version() -> None:
    world = synced()
    world.publish("staging")
    world.sync()
    world.registry.problems["observe"] = TryAgain("Vertex is unwell")

    assert [kinds(verdict) for verdict in verify(world)] == [[FindingKind.NOT_ASKED]] * 2


# the source


def test_a_version_that_the_source_no_longer_has_is_compared_with_its_manifest_alone() -> None:
    world = synced()
    [record] = world.store.all_records()
    world.source.delete(record.source)

    verdict = the(world)
    assert (verdict.found, verdict.notes) == ((), (GONE,))


def test_another_version_under_its_label_is_not_compared_with_it() -> None:
    world = synced()
    world.source.delete_collection(FRAUD)
    world.source.publish(FRAUD, {"other": b"bytes"})

    verdict = the(world)
    assert (verdict.found, verdict.notes) == ((), (GONE,))


def test_files_that_the_source_lost_changed_or_gained_are_found() -> None:
    world = synced()
    uri = folder(world)
    manifest = world.storage.manifests[uri]
    a, b, empty = manifest.files
    c = replace(a, path="c.bin")
    world.storage.manifests[uri] = replace(manifest, files=(a, replace(b, size=9), c))
    assert empty.path == "empty"

    verdict = the(world)
    at_source = [kind for kind in kinds(verdict) if kind.startswith("source-")]
    assert at_source == [FindingKind.SOURCE_DIFFERENT, FindingKind.SOURCE_MISSING, FindingKind.SOURCE_EXTRA]
    assert paths(verdict)[-3:] == ["b/c.bin", "c.bin", "empty"]


@pytest.mark.parametrize(
    ("problem", "kind", "says"),
    [
        (TryAgain("W&B is unwell"), FindingKind.NOT_ASKED, "W&B is unwell"),
        (NeedsPerson("W&B refused the key", "give it another"), FindingKind.NOT_COMPARED, "W&B refused the key; give"),
        (IntegrityError("it has another digest", "ask W&B"), FindingKind.SOURCE_CHANGED, "another digest; ask W&B"),
    ],
)
def test_a_source_that_does_not_answer_or_contradicts_itself_is_a_finding(
    problem: NeedsPerson | TryAgain, kind: FindingKind, says: str
) -> None:
    world = synced()
    world.source.problem = problem

    verdict = the(world)
    assert kinds(verdict) == [kind]
    assert says in (verdict.found[0].first[0].found or "")
    assert verdict.files == 3


# ends that cannot be built


def test_records_whose_mapping_or_connection_is_gone_are_findings_and_the_others_are_verified() -> None:
    world = synced()
    world.specs.append(mapping("other", "fraud-detector", "other"))
    world.sync()

    def target(key: ModelKey) -> tuple[Bucket, Registry, str]:
        if key == KEY:
            raise NeedsPerson("there is no mapping 'fraud'", "put it back")
        return world.storage, world.registry, world.base

    def source(_connection: str) -> NoReturn:
        raise NotFound("unreachable", "")

    first, second = Verifier(source, target, world.store).verify(world.store.all_records())
    assert (kinds(first), first.files) == ([FindingKind.NOT_COMPARED], 0)
    assert (second.found, second.notes) == ((), (GONE,))
