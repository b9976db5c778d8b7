"""What every copier promises, between a source in memory and every bucket."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from bridge.copying.copier import StreamingCopier
from bridge.core.errors import IntegrityError, NeedsPerson, NotFound, TryAgain
from bridge.core.model import Facts
from bridge.core.naming import artifact_uri, serving_uri
from bridge.testing.clock import FakeClock
from bridge.testing.source import MemorySource
from tests.contracts.buckets import MAKES, md5, sha256, xxh128
from tests.readers import copier_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.core.model import Description, Manifest, SourceVersion
    from bridge.core.ports import Copier, Storage
    from tests.contracts.buckets import Place

PATH = "acme_org/wandb-registry-model/fraud"
FACTS = Facts(flavors={"sklearn": {"sklearn_version": "1.5.2"}}, python="3.11.7", metrics={"auc": 0.9})
FILES = {"model.bin": b"the model", "conf/threshold.txt": b"0.5", "empty": b""}


@dataclass
class End:
    """A copier, what it copies from, and an empty folder to copy to."""

    copier: Copier
    source: Referring
    storage: Storage
    folder: str
    place: Place  # around the folder, which is its "v0/"


class Referring(MemorySource):
    """A source whose files lie at `located`, path -> gs:// URI, as far as they are in it."""

    def __init__(self) -> None:
        super().__init__()
        self.located: dict[str, str] = {}

    def describe(self, version: SourceVersion) -> Description:
        described = super().describe(version)
        files = (replace(file, location=self.located.get(file.path)) for file in described.files)
        return replace(described, files=tuple(files))


@pytest.fixture(params=MAKES)
def end(request: pytest.FixtureRequest) -> Iterator[End]:
    source, clock = Referring(), FakeClock()
    for place in request.param(request, f"contract-{uuid.uuid4().hex[:12]}"):
        yield End(copier_of(source, place.storage, clock), source, place.storage, f"{place.folder}v0/", place)


@pytest.mark.parametrize("algorithm", ["md5", "xxh128", None])
def test_every_file_is_copied_and_the_manifest_says_so(end: End, algorithm: str | None) -> None:
    version = end.source.publish(PATH, FILES, algorithm=algorithm)  # type: ignore[arg-type]  # one of the three

    manifest = end.copier.copy(version, end.folder)

    assert [(file.path, file.size) for file in manifest.files] == [
        ("conf/threshold.txt", 3),
        ("empty", 0),
        ("model.bin", 9),
    ]
    assert (manifest.collection, manifest.label) == (PATH, "v0")
    assert (manifest.source_id, manifest.source_digest) == (version.id, version.digest)
    assert manifest.created == "2026-01-05T09:00:00+00:00"
    assert end.copier.manifest(end.folder) == manifest
    assert end.copier.header(end.folder) == manifest.header


def test_a_folder_is_not_whole_before_it_is_copied(end: End) -> None:
    assert end.copier.manifest(end.folder) is None


def test_a_whole_folder_is_left_as_it_is_and_nothing_is_read(end: End) -> None:
    version = end.source.publish(PATH, FILES)
    first = end.copier.copy(version, end.folder)
    end.source.calls.clear()

    assert end.copier.copy(version, end.folder) == first
    assert end.source.calls == []


def test_a_version_without_files_is_whole(end: End) -> None:
    version = end.source.publish(PATH, {})

    assert end.copier.copy(version, end.folder).files == ()
    assert end.copier.manifest(end.folder) is not None


@pytest.mark.parametrize("wrong", [b"the modem", b"the", b"the model and more"])
def test_one_wrong_file_and_the_folder_is_not_whole(end: End, wrong: bytes) -> None:
    version = end.source.publish(PATH, FILES)
    end.source.serve(version, "model.bin", wrong)

    with pytest.raises(IntegrityError):
        end.copier.copy(version, end.folder)

    assert end.copier.manifest(end.folder) is None


def test_a_copy_that_failed_halfway_is_taken_up_where_it_failed(end: End) -> None:
    version = end.source.publish(PATH, FILES)
    end.source.serve(version, "model.bin", b"the modem")
    with pytest.raises(IntegrityError):
        end.copier.copy(version, end.folder)
    end.source.serve(version, "model.bin", FILES["model.bin"])

    assert len(end.copier.copy(version, end.folder).files) == 3


def test_a_source_that_is_unwell_leaves_the_folder_unfinished(end: End) -> None:
    version = end.source.publish(PATH, FILES)
    end.source.problem = TryAgain("unwell")

    with pytest.raises(TryAgain):
        end.copier.copy(version, end.folder)

    assert end.copier.manifest(end.folder) is None


def test_a_version_that_is_gone_is_not_copied(end: End) -> None:
    version = end.source.publish(PATH, FILES)
    end.source.delete(version)

    with pytest.raises(NeedsPerson):
        end.copier.copy(version, end.folder)

    assert end.copier.manifest(end.folder) is None


def test_a_whole_folder_of_another_version_is_not_taken_for_this_one(end: End) -> None:
    end.copier.copy(end.source.publish(PATH, FILES), end.folder)
    other = end.source.publish(PATH, {"model.bin": b"another"})

    with pytest.raises(NeedsPerson, match="holds"):
        end.copier.copy(other, end.folder)


def test_the_same_files_published_again_are_the_same_folder(end: End) -> None:
    first = end.copier.copy(end.source.publish(PATH, FILES), end.folder)

    assert end.copier.copy(end.source.publish(PATH, FILES), end.folder) == first


def test_an_object_that_is_in_the_way_is_not_overwritten(end: End) -> None:
    in_the_way = end.source.publish("acme_org/wandb-registry-model/other", {"model.bin": b"not ours."})
    (file,) = end.source.describe(in_the_way).files
    end.storage.put(end.folder, file, lambda start: end.source.open(in_the_way, file, start))

    with pytest.raises(NeedsPerson):
        end.copier.copy(end.source.publish(PATH, FILES), end.folder)

    assert end.copier.manifest(end.folder) is None


def test_the_manifest_says_what_the_source_says_of_the_model(end: End) -> None:
    version = end.source.publish(PATH, FILES, facts=FACTS)

    assert end.copier.copy(version, end.folder).facts == FACTS
    manifest = end.copier.manifest(end.folder)
    assert manifest is not None
    assert manifest.facts == FACTS


def test_a_digest_is_taken_of_every_file_that_the_source_keeps_none_of(end: End) -> None:
    manifest = end.copier.copy(end.source.publish(PATH, FILES, algorithm=None, keeps_digest=False), end.folder)

    assert {file.path: file.sha256 for file in manifest.files} == {path: sha256(FILES[path]) for path in FILES}


def test_versions_without_a_digest_are_told_apart_by_id(end: End) -> None:
    first = end.source.publish(PATH, FILES, keeps_digest=False)
    second = end.source.publish(PATH, FILES, keeps_digest=False)
    manifest = end.copier.copy(first, end.folder)

    assert (manifest.source_digest, end.copier.copy(first, end.folder)) == (None, manifest)
    with pytest.raises(NeedsPerson, match=f"holds .*:v0 with the id {first.id}, not {second.id}; remove that folder"):
        end.copier.copy(second, end.folder)


# files that lie in Cloud Storage already


def referring(end: End, content: bytes = FILES["model.bin"], algorithm: str | None = "md5") -> SourceVersion:
    """Publish a version whose model.bin is a reference to an object that holds `content`."""
    end.place.write("theirs/model.bin", content)
    end.source.located["model.bin"] = f"{end.place.folder}theirs/model.bin"
    return end.source.publish(PATH, FILES, algorithm=algorithm)  # type: ignore[arg-type]  # one of its words


@pytest.mark.parametrize("algorithm", ["md5", None])
def test_a_file_that_lies_in_cloud_storage_is_copied_there_and_not_read(end: End, algorithm: str | None) -> None:
    version = referring(end, algorithm=algorithm)

    manifest = end.copier.copy(version, end.folder)

    assert end.place.read("v0/model.bin") == FILES["model.bin"]
    assert [file.path for file in manifest.files] == sorted(FILES)
    assert {file.path: file.md5 for file in manifest.files} == {path: md5(FILES[path]) for path in FILES}
    assert end.source.calls.count("open") == len(FILES) - 1


def test_a_file_with_a_digest_that_cloud_storage_does_not_keep_is_streamed(end: End) -> None:
    version = referring(end, algorithm="xxh128")

    manifest = end.copier.copy(version, end.folder)

    assert {file.path: file.xxh128 for file in manifest.files} == {path: xxh128(FILES[path]) for path in FILES}
    assert end.source.calls.count("open") == len(FILES)


def test_a_file_that_lies_elsewhere_is_streamed(end: End) -> None:
    end.source.located["model.bin"] = "s3://theirs/model.bin"

    end.copier.copy(end.source.publish(PATH, FILES), end.folder)

    assert end.place.read("v0/model.bin") == FILES["model.bin"]
    assert end.source.calls.count("open") == len(FILES)


@pytest.mark.parametrize("content", [b"the modem", b"the", b"the model and more"])
def test_a_reference_to_other_bytes_and_the_folder_is_not_whole(end: End, content: bytes) -> None:
    version = referring(end, content)

    with pytest.raises(IntegrityError, match=r"'model\.bin': the source promises"):
        end.copier.copy(version, end.folder)

    assert end.copier.manifest(end.folder) is None
    assert end.place.read("v0/model.bin") is None


def test_a_reference_to_nothing_and_the_folder_is_not_whole(end: End) -> None:
    version = referring(end)
    end.source.located["model.bin"] = f"{end.place.folder}theirs/gone.bin"

    with pytest.raises(NeedsPerson, match=r"theirs/gone\.bin' is gone"):
        end.copier.copy(version, end.folder)

    assert end.copier.manifest(end.folder) is None


# files whose bytes another version has in the bucket


def succeeding(end: End, algorithm: str | None) -> tuple[SourceVersion, str]:
    """Copy a version, and publish another of which one file is the same, one has another name, and one is new."""
    first = end.source.publish(PATH, FILES, algorithm=algorithm)  # type: ignore[arg-type]  # one of its words
    end.copier.copy(first, end.folder)
    end.source.calls.clear()
    files = {"model.bin": FILES["model.bin"], "renamed.txt": FILES["conf/threshold.txt"], "new": b"new"}
    return end.source.publish(PATH, files, algorithm=algorithm), f"{end.place.folder}v1/"  # type: ignore[arg-type]  # the same


@pytest.mark.parametrize("algorithm", ["md5", "xxh128"])
def test_of_a_version_only_what_no_other_has_is_read(end: End, algorithm: str | None) -> None:
    version, folder = succeeding(end, algorithm)

    manifest = end.copier.copy(version, folder)

    assert end.source.calls.count("open") == 1
    assert {path: end.place.read(f"v1/{path}") for path in ("model.bin", "renamed.txt", "new")} == {
        "model.bin": FILES["model.bin"],
        "renamed.txt": FILES["conf/threshold.txt"],
        "new": b"new",
    }
    taken = {file.path: file.xxh128 if algorithm == "xxh128" else file.md5 for file in manifest.files}
    digest = xxh128 if algorithm == "xxh128" else md5
    assert taken == {
        "model.bin": digest(FILES["model.bin"]),
        "renamed.txt": digest(FILES["conf/threshold.txt"]),
        "new": digest(b"new"),
    }


def test_what_a_copy_has_brought_is_known_though_the_process_died_once_its_folder_was_whole(
    end: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    assert isinstance(end.copier, StreamingCopier)
    commit = end.copier.storage.commit
    monkeypatch.setattr(end.copier.storage, "commit", lambda *whole: die(commit(*whole)))
    with pytest.raises(KeyboardInterrupt):
        end.copier.copy(end.source.publish(PATH, FILES), end.folder)
    monkeypatch.undo()
    end.source.calls.clear()

    end.copier.copy(end.source.publish(PATH, FILES), f"{end.place.folder}v1/")

    assert end.source.calls.count("open") == sum(not content for content in FILES.values()), "empty ones are sent"


def test_without_digests_nobody_knows_that_another_version_has_the_bytes(end: End) -> None:
    version, folder = succeeding(end, None)

    end.copier.copy(version, folder)

    assert end.source.calls.count("open") == 3


@pytest.mark.parametrize("algorithm", ["md5", "xxh128"])
def test_what_somebody_has_written_over_in_another_version_is_read(end: End, algorithm: str | None) -> None:
    version, folder = succeeding(end, algorithm)
    end.place.write("v0/model.bin", b"the modem")

    manifest = end.copier.copy(version, folder)

    assert end.source.calls.count("open") == 2
    assert end.place.read("v1/model.bin") == FILES["model.bin"]
    assert {file.path: file.md5 for file in manifest.files}["model.bin"] == md5(FILES["model.bin"])


# arrange

RENAMES = (("model.bin", "saved_model.pb"), ("conf/threshold.txt", "assets/t.txt"))


def arranged(end: End, version: SourceVersion, renames: tuple[tuple[str, str], ...] = RENAMES) -> Manifest:
    return end.copier.arrange(version, end.folder, f"{end.place.folder}serving/", renames)


def test_files_are_arranged_under_new_names_and_the_manifest_says_so(end: End) -> None:
    version = end.source.publish(PATH, FILES, facts=FACTS)
    copied = end.copier.copy(version, end.folder)
    end.source.calls.clear()

    manifest = arranged(end, version)

    assert end.place.read("serving/saved_model.pb") == FILES["model.bin"]
    assert end.place.read("serving/assets/t.txt") == FILES["conf/threshold.txt"]
    assert [file.path for file in manifest.files] == ["assets/t.txt", "saved_model.pb"]
    assert replace(manifest, files=copied.files) == copied
    assert end.copier.manifest(f"{end.place.folder}serving/") == manifest
    assert end.copier.manifest(end.folder) == copied
    assert end.source.calls == []


@pytest.mark.parametrize("algorithm", ["md5", "xxh128", None])
def test_an_arranged_file_keeps_all_of_its_digests(end: End, algorithm: str | None) -> None:
    version = end.source.publish(PATH, FILES, algorithm=algorithm)  # type: ignore[arg-type]  # one of its words
    copied = {file.path: file for file in end.copier.copy(version, end.folder).files}

    manifest = arranged(end, version)

    assert manifest.files[1] == replace(copied["model.bin"], path="saved_model.pb")


def test_a_file_that_came_from_a_composed_object_is_arranged(end: End) -> None:
    end.place.compose("theirs/model.bin", FILES["model.bin"])
    end.source.located["model.bin"] = f"{end.place.folder}theirs/model.bin"
    version = end.source.publish(PATH, FILES, algorithm=None)
    end.copier.copy(version, end.folder)

    assert arranged(end, version).files[1].md5 is None
    assert end.place.read("serving/saved_model.pb") == FILES["model.bin"]


def test_one_file_may_be_arranged_under_two_names(end: End) -> None:
    version = end.source.publish(PATH, FILES)
    end.copier.copy(version, end.folder)

    manifest = arranged(end, version, (("model.bin", "b"), ("model.bin", "a")))

    assert [file.path for file in manifest.files] == ["a", "b"]


def test_arranging_twice_is_arranging_once(end: End) -> None:
    version = end.source.publish(PATH, FILES)
    end.copier.copy(version, end.folder)

    assert arranged(end, version) == arranged(end, version)


@pytest.mark.parametrize("done", ["serving/saved_model.pb", "serving/assets/t.txt"])
def test_an_arrangement_that_was_cut_short_is_taken_up(end: End, done: str) -> None:
    version = end.source.publish(PATH, FILES)
    end.copier.copy(version, end.folder)
    end.place.write(done, FILES["model.bin"] if "saved_model" in done else FILES["conf/threshold.txt"])

    assert len(arranged(end, version).files) == 2


def test_nothing_is_arranged_from_a_folder_that_is_not_whole(end: End) -> None:
    version = end.source.publish(PATH, FILES)

    with pytest.raises(NeedsPerson, match=r"v0/ has no manifest, so it is not whole, .*; run the sync again"):
        arranged(end, version)

    assert end.copier.manifest(f"{end.place.folder}serving/") is None


def test_nothing_is_arranged_from_a_folder_of_another_version(end: End) -> None:
    end.copier.copy(end.source.publish(PATH, FILES), end.folder)
    other = end.source.publish(PATH, {"model.bin": b"another"})

    with pytest.raises(NeedsPerson, match=f"v0/ holds {PATH}:v0 with the digest .*; remove that folder"):
        arranged(end, other)


def test_a_file_that_the_version_does_not_have_is_not_arranged(end: End) -> None:
    version = end.source.publish(PATH, FILES)
    end.copier.copy(version, end.folder)

    with pytest.raises(NeedsPerson, match=r"v0/ has no file 'model\.pkl', .*; plan again"):
        arranged(end, version, (("model.bin", "a"), ("model.pkl", "b")))

    assert end.place.read("serving/a") is None


def test_a_whole_folder_of_another_version_is_not_taken_for_the_arrangement(end: End) -> None:
    version, other = end.source.publish(PATH, FILES), end.source.publish(PATH, {"saved_model.pb": b"another"})
    end.copier.copy(version, end.folder)
    end.copier.copy(other, f"{end.place.folder}serving/")

    with pytest.raises(NeedsPerson, match=r"serving/ holds .*:v1 with the digest"):
        arranged(end, version)


def test_a_whole_folder_with_other_files_is_not_taken_for_the_arrangement(end: End) -> None:
    version = end.source.publish(PATH, FILES)
    end.copier.copy(version, end.folder)
    arranged(end, version)

    with pytest.raises(
        NeedsPerson,
        match=r"serving/ is arranged otherwise: it holds 'assets/t\.txt', 'saved_model\.pb', not 'model\.pkl'; remove",
    ):
        arranged(end, version, (("model.bin", "model.pkl"),))


def test_an_object_in_the_way_of_an_arrangement_is_not_overwritten(end: End) -> None:
    version = end.source.publish(PATH, FILES)
    end.copier.copy(version, end.folder)
    end.place.write("serving/saved_model.pb", b"not ours.")

    with pytest.raises(NeedsPerson, match=r"serving/saved_model\.pb is already there with other bytes"):
        arranged(end, version)

    assert end.place.read("serving/saved_model.pb") == b"not ours."
    assert end.copier.manifest(f"{end.place.folder}serving/") is None


def test_a_copied_object_that_somebody_replaced_is_not_arranged(end: End) -> None:
    version = end.source.publish(PATH, FILES)
    end.copier.copy(version, end.folder)
    end.place.write("v0/model.bin", b"the modem")

    with pytest.raises(IntegrityError, match=r"'saved_model\.pb': the source promises md5"):
        arranged(end, version)

    assert end.copier.manifest(f"{end.place.folder}serving/") is None


def test_a_copied_object_that_somebody_deleted_is_not_arranged(end: End) -> None:
    version = end.source.publish(PATH, FILES)
    manifest = end.copier.copy(version, end.folder)
    end.storage.commit(f"{end.place.folder}bare/", manifest)

    with pytest.raises(NeedsPerson, match=r"bare/.*' is gone"):
        end.copier.arrange(version, f"{end.place.folder}bare/", f"{end.place.folder}serving/", RENAMES)


# compare and adopt


def filled(end: End, files: dict[str, bytes], folder: str = "theirs/") -> str:
    """Have a person fill a folder."""
    for path, content in files.items():
        end.place.write(folder + path, content)
    return f"{end.place.folder}{folder}"


def test_a_folder_with_a_versions_files_is_adopted_and_its_manifest_kept_elsewhere(end: End) -> None:
    version = end.source.publish(PATH, FILES, facts=FACTS)
    theirs = filled(end, FILES)
    kept = f"{end.place.folder}adopted/"

    compared = end.copier.compare(version, theirs)
    assert end.copier.manifest(kept) is None
    adopted = end.copier.adopt(version, theirs, kept)

    assert adopted == compared == end.copier.manifest(kept)
    assert [(file.path, file.size, file.md5) for file in adopted.files] == [
        (path, len(FILES[path]), md5(FILES[path])) for path in sorted(FILES)
    ]
    assert (adopted.is_of(version), adopted.facts) == (True, FACTS)
    assert end.copier.manifest(theirs) is None
    assert end.source.calls.count("open") == 0


def test_adopting_twice_is_adopting_once(end: End) -> None:
    version, theirs = end.source.publish(PATH, FILES), filled(end, FILES)
    first, second = (end.copier.adopt(version, theirs, f"{end.place.folder}adopted/") for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        pytest.param({"empty": b""}, "has no file 'conf/threshold.txt', which the version has", id="one is missing"),
        pytest.param(FILES | {"z": b"z"}, "has a file 'z', which the version has not", id="one too many"),
        pytest.param(FILES | {"empty": b"not"}, "has 3 bytes in 'empty', and the version 0", id="another size"),
        pytest.param(
            FILES | {"model.bin": b"the modem"}, "has other bytes in 'model.bin' than the version", id="other bytes"
        ),
    ],
)
def test_a_folder_with_other_files_is_not_adopted(end: End, files: dict[str, bytes], reason: str) -> None:
    version, theirs = end.source.publish(PATH, FILES), filled(end, files)

    with pytest.raises(IntegrityError, match=f"theirs/ {re.escape(reason)}"):
        end.copier.adopt(version, theirs, f"{end.place.folder}adopted/")

    assert end.copier.manifest(f"{end.place.folder}adopted/") is None


@pytest.mark.parametrize("algorithm", ["xxh128", None])
def test_where_no_digest_tells_every_byte_does(end: End, algorithm: str | None) -> None:
    version = end.source.publish(PATH, FILES, algorithm=algorithm)  # type: ignore[arg-type]  # one of its words
    theirs = filled(end, FILES)

    with pytest.raises(
        NeedsPerson, match=r"no digest that both sides keep tells .*; have every byte compared: .*--deep"
    ):
        end.copier.compare(version, theirs)

    files = end.copier.compare(version, theirs, deep=True).files
    assert [file.path for file in files] == sorted(FILES)
    assert {file.xxh128 for file in files} == ({xxh128(FILES[p]) for p in FILES} if algorithm else {None})


@pytest.mark.parametrize("algorithm", ["xxh128", None])
def test_other_bytes_are_found_by_reading(end: End, algorithm: str | None) -> None:
    version = end.source.publish(PATH, FILES, algorithm=algorithm)  # type: ignore[arg-type]  # one of its words
    theirs = filled(end, FILES | {"model.bin": b"the modem"})

    with pytest.raises(
        IntegrityError, match=r"has other bytes in 'model\.bin' than the version, as reading them shows"
    ):
        end.copier.compare(version, theirs, deep=True)


def test_a_composed_object_is_compared_by_its_bytes(end: End) -> None:
    version, theirs = end.source.publish(PATH, FILES), filled(end, FILES)
    end.place.compose("theirs/model.bin", FILES["model.bin"])

    with pytest.raises(NeedsPerson, match="--deep"):
        end.copier.compare(version, theirs)

    assert len(end.copier.compare(version, theirs, deep=True).files) == len(FILES)


def test_a_folder_that_the_bridge_filled_is_compared_with_its_manifest(end: End) -> None:
    version = end.source.publish(PATH, FILES)
    own = artifact_uri(end.place.folder, "fraud", version)
    copied = end.copier.copy(version, own)
    arranged = end.copier.arrange(version, own, serving_uri(own), RENAMES)
    end.source.calls.clear()

    assert end.copier.compare(version, own) == copied
    assert end.copier.compare(version, serving_uri(own)) == arranged
    assert end.source.calls == []


def test_a_folder_that_the_bridge_filled_and_somebody_changed_is_not_adopted(end: End) -> None:
    version = end.source.publish(PATH, FILES)
    own = artifact_uri(end.place.folder, "fraud", version)
    end.copier.copy(version, own)
    end.place.write(f"{own.removeprefix(end.place.folder)}model.bin", b"the modem")

    with pytest.raises(IntegrityError, match=r"is not what its manifest says, at 'model\.bin'"):
        end.copier.compare(version, own)


def test_a_version_that_the_source_no_longer_has_is_not_compared(end: End) -> None:
    version, theirs = end.source.publish(PATH, FILES), filled(end, FILES)
    end.source.delete(version)

    with pytest.raises(NotFound):
        end.copier.compare(version, theirs)


# remove


def test_a_removed_folder_is_empty_and_may_be_filled_again(end: End) -> None:
    version = end.source.publish(PATH, FILES)
    first = end.copier.copy(version, end.folder)

    assert end.copier.remove(version, end.folder, lambda: None) == len(FILES) + 1
    assert end.copier.manifest(end.folder) is None
    assert list(end.storage.held(end.folder)) == []
    assert end.copier.remove(version, end.folder, lambda: None) == 0
    assert end.copier.copy(version, end.folder) == first


def test_what_was_copied_from_a_removed_folder_stays(end: End) -> None:
    version, twin = end.source.publish(PATH, FILES), end.source.publish(PATH, {**FILES, "more": b"more"})
    end.copier.copy(version, end.folder)
    other = f"{end.place.folder}v1/"
    copied = end.copier.copy(twin, other)

    end.copier.remove(version, end.folder, lambda: None)

    assert [each.path for each in end.storage.held(other)] == [each.path for each in copied.files]
    third = end.copier.copy(end.source.publish(PATH, {**FILES, "yet": b"more"}), f"{end.place.folder}v2/")
    assert len(third.files) == len(FILES) + 1


def test_nobody_enters_a_folder_whose_removal_was_broken_off_within_the_hour(end: End) -> None:
    version = end.source.publish(PATH, FILES)
    end.copier.copy(version, end.folder)
    asked: list[None] = []

    def go_on() -> None:
        asked.append(None)
        if len(asked) > 1:
            raise TryAgain("enough")

    with pytest.raises(TryAgain, match="enough"):
        end.copier.remove(version, end.folder, go_on)
    with pytest.raises(TryAgain, match="is just being removed"):
        end.copier.copy(version, end.folder)

    end.copier.remove(version, end.folder, lambda: None)
    assert len(end.copier.copy(version, end.folder).files) == len(FILES)


def test_a_folder_of_another_version_is_not_removed(end: End) -> None:
    version, other = (end.source.publish(PATH, {"model.bin": content}) for content in (b"one", b"another"))
    end.copier.copy(version, end.folder)

    with pytest.raises(NeedsPerson, match=r"holds .*:v0, not .*:v1, so it is not removed"):
        end.copier.remove(other, end.folder, lambda: None)
    assert end.copier.manifest(end.folder) is not None
