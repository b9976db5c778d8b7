"""What W&B's manifests may say, and what becomes of a version between two looks at it."""

from __future__ import annotations

import base64
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bridge.core.errors import BridgeError, IntegrityError, NeedsPerson, TryAgain
from bridge.core.model import ArtifactFile, Digest, SourceVersion
from bridge.sandbox.address import API_KEY, ORG_ENTITY, ORGANIZATION, TEAM
from bridge.sandbox.faults import Fault
from bridge.sandbox.wandb.switches import WandbSwitches
from bridge.sources.streams import PIECE
from bridge.sources.wandb.manifests import LONGEST
from bridge.sources.wandb.source import WandbSource
from bridge.sources.wandb.urls import PAGE
from tests.sources.publishers import ODD_PLACE, REGISTRY, new_name, selector
from tests.sources.servers import Asked, Reply, ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.sources.publishers import SandboxPublisher

pytestmark = pytest.mark.sandbox

LARGE = bytes(range(256)) * (4 * PIECE // 256)


def swept(people: SandboxPublisher, name: str) -> SourceVersion:
    """Return a collection's newest version."""
    [state] = people.source.sweep([selector(name)]).found[selector(name)]
    return state.versions[-1]


def read(source: WandbSource, version: SourceVersion, file: ArtifactFile, start: int = 0) -> bytes:
    with source.open(version, file, start) as pieces:
        return b"".join(pieces)


@pytest.fixture
def version(people: SandboxPublisher) -> SourceVersion:
    """Return a version of one file, `f`."""
    name = new_name()
    people.publish(name, {"f": b"1"}, "production")
    return swept(people, name)


@pytest.fixture
def with_manifest(people: SandboxPublisher) -> Iterator[Callable[[Reply], None]]:
    """Let W&B's storage answer something else when the SDK fetches a manifest."""
    said: list[Reply] = []

    def script(_: Asked) -> Reply:
        return said[-1]

    with ScriptedServer(script) as storage:

        def elsewhere(answer: Any) -> None:  # noqa: ANN401  whatever the stand-in says
            answer["artifact"]["currentManifest"]["file"]["directUrl"] = storage.url

        people.between.edits["FetchArtifactManifest"] = elsewhere
        yield said.append


def manifest(**entries: dict[str, Any]) -> Reply:
    """Write a manifest as W&B does."""
    whole = {
        "version": 1,
        "storagePolicy": "wandb-storage-policy-v1",
        "storagePolicyConfig": {"storageLayout": "V2"},
        "contents": entries,
    }
    return Reply(200, json.dumps(whole).encode())


# describe


def test_a_description_has_the_digests_of_the_manifest(people: SandboxPublisher) -> None:
    name = new_name()
    people.publish(name, {"b": b"hello", "a/b c": b""})

    assert people.source.describe(swept(people, name)).files == (
        ArtifactFile("a/b c", 0, Digest("md5", "1B2M2Y8AsgTpgAmY7PhCfg==")),
        ArtifactFile("b", 5, Digest("md5", "XUFAKrxLKna5cZ2REBfFkg==")),
    )


def test_a_version_without_files_is_described_as_such(people: SandboxPublisher) -> None:
    name = new_name()
    people.publish(name, {})

    assert people.source.describe(swept(people, name)).files == ()


def test_a_reference_needs_a_person(people: SandboxPublisher) -> None:
    name = new_name()
    people.world.wandb.seed_version(f"{REGISTRY}/{name}", {"f": b"1"}, references={"far": "gs://elsewhere/model.bin"})

    with pytest.raises(NeedsPerson, match=r"'far' of .* is a reference to 'gs://elsewhere/model.bin'"):
        people.source.describe(swept(people, name))


def test_a_hostile_file_name_is_refused_and_escaped(people: SandboxPublisher) -> None:
    name = new_name()
    people.publish(name, {"a\u202eb": b"1"})

    with pytest.raises(NeedsPerson) as caught:
        people.source.describe(swept(people, name))
    assert "\u202e" not in str(caught.value)


def test_two_names_that_are_one_in_nfc_are_refused(people: SandboxPublisher) -> None:
    name = new_name()
    people.publish(name, {"\u00e9": b"1", "e\u0301": b"2"})

    with pytest.raises(NeedsPerson, match="NFC"):
        people.source.describe(swept(people, name))


def test_an_unknown_algorithm_of_digests_needs_a_newer_bridge(
    people: SandboxPublisher, version: SourceVersion, with_manifest: Callable[[Reply], None]
) -> None:
    with_manifest(manifest(f={"digest": "xMpCOKC5I4INzFCab3WEmw==", "size": 1, "extra": {"alg": "BLAKE3"}}))

    with pytest.raises(NeedsPerson, match=r"BLAKE3.*upgrade"):
        people.source.describe(version)


def test_a_manifest_with_other_digests_than_the_artifacts_is_not_believed(
    people: SandboxPublisher, version: SourceVersion, with_manifest: Callable[[Reply], None]
) -> None:
    with_manifest(manifest(f={"digest": base64.b64encode(b"0" * 16).decode(), "size": 1}))

    with pytest.raises(IntegrityError, match="manifest"):
        people.source.describe(version)


def test_a_manifest_with_a_file_less_than_the_artifact_is_not_believed(
    people: SandboxPublisher, version: SourceVersion, with_manifest: Callable[[Reply], None]
) -> None:
    with_manifest(manifest())

    with pytest.raises(IntegrityError, match="manifest"):
        people.source.describe(version)


def test_a_file_without_a_size_is_taken_for_empty_and_fails_when_it_is_copied(
    people: SandboxPublisher, version: SourceVersion, with_manifest: Callable[[Reply], None]
) -> None:
    with_manifest(manifest(f={"digest": "xMpCOKC5I4INzFCab3WEmw=="}))

    assert [file.size for file in people.source.describe(version).files] == [0]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, b"<html>sign in</html>"),
        Reply(404, b"<Error/>"),
        Reply(403, b"<Error/>"),
        pytest.param(Reply(200, b"{}"), id="no manifest"),
        pytest.param(Reply(200, b'{"version": 1, "contents": null}'), id="half a manifest"),
        pytest.param(manifest(f={"size": 1}), id="no digest"),
        pytest.param(manifest(f={"size": "1", "digest": "x"}), id="a size that is text"),
        pytest.param(Reply(200, b'{"contents": {"f": "x"}}'), id="an entry that is text"),
        pytest.param(Reply(200, b'{"contents": {"f": {"digest": "x", "extra": 1}}}'), id="an extra that is a number"),
        pytest.param(Reply(200, b'{"contents": {"f": {"digest": "x"}'), id="an end that is missing"),
        pytest.param(Reply(200, b'{"contents": {}, "more": "' + b"x" * LONGEST + b'"}'), id="too long a silence"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_an_error_of_ours(
    people: SandboxPublisher,
    version: SourceVersion,
    with_manifest: Callable[[Reply], None],
    reply: Reply,
) -> None:
    with_manifest(reply)

    with pytest.raises(BridgeError):
        people.source.describe(version)


def test_a_storage_that_says_nothing_is_waited_for_with_patience_only(
    people: SandboxPublisher, version: SourceVersion
) -> None:
    released = threading.Event()

    def script(_: Asked) -> Reply:
        released.wait(10)
        return Reply(404)

    with ScriptedServer(script) as storage:

        def elsewhere(answer: Any) -> None:  # noqa: ANN401  whatever the stand-in says
            answer["artifact"]["currentManifest"]["file"]["directUrl"] = storage.url

        people.between.edits["FetchArtifactManifest"] = elsewhere
        with (
            closing(WandbSource("acme", people.between.url, lambda: API_KEY, ORGANIZATION, patience=0.5)) as source,
            pytest.raises(TryAgain, match="manifest"),
        ):
            source.describe(version)
        released.set()
        for thread in threading.enumerate():
            if thread.name.startswith("within-"):
                thread.join(10)


def test_a_manifest_whose_url_expired_is_asked_for_again(people: SandboxPublisher, version: SourceVersion) -> None:
    people.world.wandb.switches = WandbSwitches(url_lifetime=60)
    looks = []

    def late(_: Any) -> None:  # noqa: ANN401  whatever the stand-in says
        looks.append(1)
        if len(looks) == 1:
            people.world.clock.advance(61)

    people.between.edits["FetchArtifactManifest"] = late
    assert [file.path for file in people.source.describe(version).files] == ["f"]
    assert len(looks) == 2


def test_a_version_of_more_files_than_one_answer_lists_is_read_file_by_file(people: SandboxPublisher) -> None:
    name = new_name()
    names = [f"part-{n:05}" for n in range(PAGE + 500)]
    people.world.wandb.seed_version(f"{REGISTRY}/{name}", {"zzz": b"the last"}, listed=names)
    version = swept(people, name)
    files = people.source.describe(version).files
    people.between.asked.clear()

    assert read(people.source, version, files[-1]) == b"the last"
    assert [file.path for file in files] == [*names, "zzz"]
    assert len(people.between.asked) <= 3


# a version that is not what it was


def test_a_version_that_was_replaced_between_two_looks_is_not_taken_for_the_old_one(people: SandboxPublisher) -> None:
    name = new_name()
    people.publish(name, {"f": b"1"}, "production")
    old = swept(people, name)
    people.delete_collection(name)
    people.publish(name, {"f": b"2"}, "production")
    new = swept(people, name)

    assert (old.label, old.collection) == (new.label, new.collection)
    with pytest.raises(NeedsPerson, match="is not what it was"):
        people.source.describe(old)
    assert people.source.describe(new).files[0].size == 1


def test_the_same_bytes_under_a_new_id_are_not_the_same_version(people: SandboxPublisher) -> None:
    name = new_name()
    people.publish(name, {"f": b"1"})
    old = swept(people, name)
    people.delete_collection(name)
    people.publish(name, {"f": b"1"})

    with pytest.raises(NeedsPerson, match="is not what it was"):
        people.source.describe(old)


def test_a_version_that_is_deleted_while_its_urls_expire_needs_a_person(people: SandboxPublisher) -> None:
    name = new_name()
    people.publish(name, {"f": LARGE})
    version = swept(people, name)
    [file] = people.source.describe(version).files
    assert read(people.source, version, file, len(LARGE) - 1) == LARGE[-1:]
    people.delete(name, version.label)
    people.world.clock.advance(3601)

    with pytest.raises(NeedsPerson):
        read(people.source, version, file)


# open


def test_the_urls_of_all_files_are_asked_for_once(people: SandboxPublisher) -> None:
    name = new_name()
    contents = {f"part-{n}": b"%d" % n for n in range(20)}
    people.publish(name, contents)
    version = swept(people, name)
    files = people.source.describe(version).files
    people.between.asked.clear()

    assert {file.path: read(people.source, version, file) for file in files} == contents
    assert people.between.operations().count("GetArtifactMembershipFileUrls") + len(people.between.asked) <= 3


def test_many_threads_that_read_a_version_ask_for_its_urls_once(people: SandboxPublisher) -> None:
    name = new_name()
    people.publish(name, {f"part-{n}": b"%d" % n for n in range(20)})
    version = swept(people, name)
    files = people.source.describe(version).files
    people.between.asked.clear()
    with ThreadPoolExecutor(8) as pool:
        contents = set(pool.map(lambda file: read(people.source, version, file), files))

    assert contents == {b"%d" % n for n in range(20)}
    assert len(people.between.asked) <= 3, "as many as one thread asks"


def test_a_url_that_expired_before_reading_is_renewed(people: SandboxPublisher, version: SourceVersion) -> None:
    [file] = people.source.describe(version).files
    assert read(people.source, version, file) == b"1"
    people.world.clock.advance(3601)

    assert read(people.source, version, file) == b"1"


def test_a_url_that_expires_in_the_middle_of_a_broken_file_is_renewed_and_reading_goes_on(
    people: SandboxPublisher,
) -> None:
    """The storage stands behind a server that breaks the first answer, so that the file is asked for again."""
    name = new_name()
    people.publish(name, {"f": LARGE})
    version = swept(people, name)
    [file] = people.source.describe(version).files
    urls: list[str] = []

    def script(asked: Asked) -> Reply:
        if asked.start and len(urls) == 1:
            return Reply(403, b"<Error><Code>AccessDenied</Code></Error>")
        return Reply(206 if asked.start else 200, LARGE[asked.start :], cut=None if asked.start else PIECE + 5)

    with ScriptedServer(script) as storage:

        def elsewhere(answer: Any) -> None:  # noqa: ANN401  whatever the stand-in says
            urls.append(storage.url)
            text = json.dumps(answer)
            old = next(part for part in text.split('"') if part.startswith("http"))
            answer.update(json.loads(text.replace(old, f"{storage.url}/{len(urls)}")))

        for operation in ("GetArtifactMembershipFileUrls", "ArtifactMembershipFiles", "ArtifactFiles"):
            people.between.edits[operation] = elsewhere
        assert read(people.source, version, file) == LARGE
        assert [(asked.path, asked.start > 0) for asked in storage.asked] == [("/1", False), ("/1", True), ("/2", True)]


def test_a_stream_under_way_outlives_its_url(people: SandboxPublisher) -> None:
    people.world.wandb.switches = WandbSwitches(url_lifetime=60)
    name = new_name()
    people.publish(name, {"f": LARGE})
    version = swept(people, name)
    [file] = people.source.describe(version).files
    with people.source.open(version, file) as pieces:
        first = next(pieces)
        people.world.clock.advance(61)
        rest = b"".join(pieces)
    assert first + rest == LARGE
    assert read(people.source, version, file, PIECE) == LARGE[PIECE:]


def test_bytes_that_rotted_at_wandb_are_handed_over_as_they_are(people: SandboxPublisher) -> None:
    name = new_name()
    people.publish(name, {"f": b"0123"})
    version = swept(people, name)
    [file] = people.source.describe(version).files
    people.world.wandb.corrupt_file(str(version), "f", offset=2)

    assert read(people.source, version, file) == b"01\xcd3"


def test_a_file_name_with_every_odd_character_is_read(people: SandboxPublisher) -> None:
    name = new_name()
    contents = {"a b/%2F?#&=é+.bin": b"1", "\U0001f600": b"2", "-": b"3", "x" * 500: b"4"}
    people.publish(name, contents)
    version = swept(people, name)

    assert {file.path: read(people.source, version, file) for file in people.source.describe(version).files} == contents


# is_gone


def test_the_versions_own_label_is_not_gone(people: SandboxPublisher, version: SourceVersion) -> None:
    assert not people.source.is_gone(version.collection, version.label)
    assert people.source.is_gone(version.collection, "v99")


def test_every_alias_of_a_collection_without_versions_is_gone(people: SandboxPublisher, version: SourceVersion) -> None:
    people.delete(version.collection.rpartition("/")[2], version.label)

    assert people.source.is_gone(version.collection, "production")


@pytest.mark.parametrize("collection", [f"{TEAM}/no-such-project/fraud", "no-such-entity/project/fraud"])
def test_a_project_that_is_not_seen_says_nothing_of_an_alias(people: SandboxPublisher, collection: str) -> None:
    with pytest.raises(BridgeError):
        people.source.is_gone(collection, "production")


def test_another_connection_of_the_same_name_tells_versions_apart_by_id(
    people: SandboxPublisher, version: SourceVersion
) -> None:
    with pytest.raises(NeedsPerson):
        people.source.describe(replace(version, id="QXJ0aWZhY3Q6OTk5OTk5"))


# whether a version is deleted: what W&B alone may say


def test_a_version_is_not_deleted_because_its_place_is_not_seen(
    people: SandboxPublisher, version: SourceVersion
) -> None:
    people.between.answers["ArtifactMembershipByName"] = Reply(200, b'{"data": {"project": null}}')

    with pytest.raises(BridgeError):
        people.source.is_deleted(version, selector(version.collection.rpartition("/")[2]))


NO_MEMBERSHIP = Reply(200, b'{"data": {"project": {"artifactCollectionMembership": null}}}')


def test_a_null_is_not_believed_of_a_registry_that_shows_nothing(
    people: SandboxPublisher, version: SourceVersion
) -> None:
    people.between.answers["ArtifactMembershipByName"] = NO_MEMBERSHIP
    number = people.world.traffic.faults.arm(Fault("wandb", "empty", "RegistryCollections", count=None))
    try:
        with pytest.raises(NeedsPerson, match="W&B shows no collection at all in wandb-registry-model, which"):
            people.source.is_deleted(version, selector(version.collection.rpartition("/")[2]))
    finally:
        people.world.traffic.faults.disarm(number)


def test_a_null_is_not_believed_of_a_registry_that_lists_no_version(
    people: SandboxPublisher, version: SourceVersion
) -> None:
    name = version.collection.rpartition("/")[2]
    people.rename(name, f"{name}-renamed")
    number = people.world.traffic.faults.arm(Fault("wandb", "empty", "RegistryVersions", count=None))
    try:
        with pytest.raises(NeedsPerson, match="W&B shows no version at all in wandb-registry-model, which"):
            people.source.is_deleted(version, selector(name))
    finally:
        people.world.traffic.faults.disarm(number)
    assert not people.source.is_deleted(version, selector(name))


def test_a_null_is_not_believed_of_a_collection_that_is_not_listed_while_the_artifact_is(
    people: SandboxPublisher, version: SourceVersion
) -> None:
    other = new_name()
    people.publish(other, {"f": b"2"})

    def without(answer: Any) -> None:  # noqa: ANN401  whatever the stand-in says
        listed = answer["organization"]["orgEntity"]["artifactCollections"]
        listed["edges"] = [edge for edge in listed["edges"] if edge["node"]["name"] == other]

    people.between.answers["ArtifactMembershipByName"] = NO_MEMBERSHIP
    people.between.edits["RegistryCollections"] = without
    assert not people.source.is_deleted(version, selector(version.collection.rpartition("/")[2]))


@pytest.mark.parametrize("shown", [True, False], ids=["its collection can be read", "its collection is not shown"])
def test_an_artifact_that_cannot_be_read_hides_only_what_may_be_beside_it(
    people: SandboxPublisher, odd: str, *, shown: bool
) -> None:
    chosen = selector(new_name(), place=ODD_PLACE)
    people.world.wandb.seed_version(f"{ORG_ENTITY}/{ODD_PLACE}/{chosen.name}", {"f": b"1"})
    version = people.source.sweep([chosen]).found[chosen][0].versions[0]
    lists: list[Any] = []

    def without(answer: Any) -> None:  # noqa: ANN401  whatever the stand-in says
        lists.append(answer)
        if len(lists) == 1 or not shown:
            listed = answer["organization"]["orgEntity"]["artifactCollections"]
            listed["edges"] = [edge for edge in listed["edges"] if edge["node"]["name"] == odd]

    people.between.answers["ArtifactMembershipByName"] = NO_MEMBERSHIP
    people.between.edits["RegistryCollections"] = without
    if shown:
        assert not people.source.is_deleted(version, chosen)
    else:
        with pytest.raises(NeedsPerson, match="100 metadata keys"):
            people.source.is_deleted(version, chosen)


def logged(people: SandboxPublisher) -> tuple[str, SourceVersion]:
    """Put a version into a collection of a project."""
    name = new_name()
    people.publish(name, {"f": b"1"}, "production")  # and links it into the registry
    chosen = selector(name, place=f"{TEAM}/seeded")
    [state] = people.source.sweep([chosen]).found[chosen]
    return name, state.versions[0]


def test_a_version_of_a_project_is_deleted_when_it_was(people: SandboxPublisher) -> None:
    name, version = logged(people)
    chosen = selector(name, place=f"{TEAM}/seeded")
    assert not people.source.is_deleted(version, chosen)

    people._api().artifact(str(version)).delete(delete_aliases=True)  # noqa: SLF001  a person with the SDK

    assert people.source.is_deleted(version, chosen)


def test_a_version_of_a_projects_collection_that_was_renamed_is_not_deleted(people: SandboxPublisher) -> None:
    name, version = logged(people)
    collection = people._api().artifact_collection("model", f"{TEAM}/seeded/{name}")  # noqa: SLF001  the same
    collection.name = new_name("renamed")
    collection.save()

    assert not people.source.is_deleted(version, selector(name, place=f"{TEAM}/seeded"))


@pytest.mark.parametrize(
    ("state", "is_deleted"),
    [
        (b'{"data": {"artifact": null}}', True),
        (b'{"data": {"artifact": {"state": "DELETED", "artifactSequence": {"name": "x"}}}}', True),
        (b'{"data": {"artifact": {"state": "COMMITTED", "artifactSequence": {"name": "x"}}}}', False),
    ],
)
def test_an_artifact_of_a_project_that_has_no_name_any_more_is_asked_for_by_its_id(
    people: SandboxPublisher, state: bytes, *, is_deleted: bool
) -> None:
    name, version = logged(people)
    people.between.answers |= {"ArtifactMembershipByName": NO_MEMBERSHIP, "ArtifactState": Reply(200, state)}

    assert people.source.is_deleted(version, selector(name, place=f"{TEAM}/seeded")) is is_deleted


@pytest.mark.parametrize(
    "state", [b'{"data": {"artifact": {"state": "COMMITTED"}}}', b'{"data": {}}', b"{}", b'{"data": null}']
)
def test_half_an_answer_about_an_artifact_is_no_answer(people: SandboxPublisher, state: bytes) -> None:
    name, version = logged(people)
    people.between.answers |= {"ArtifactMembershipByName": NO_MEMBERSHIP, "ArtifactState": Reply(200, state)}

    with pytest.raises(BridgeError):
        people.source.is_deleted(version, selector(name, place=f"{TEAM}/seeded"))


def test_an_artifact_that_is_there_by_its_id_and_not_by_its_name_is_for_another_time(people: SandboxPublisher) -> None:
    name, version = logged(people)
    people.between.answers["ArtifactMembershipByName"] = NO_MEMBERSHIP

    with pytest.raises(TryAgain, match="is there when asked for by its id, and not by its name"):
        people.source.is_deleted(version, selector(name, place=f"{TEAM}/seeded"))
