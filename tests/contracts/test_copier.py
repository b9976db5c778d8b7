"""What every copier promises, between a source in memory and every bucket."""

from __future__ import annotations

import contextlib
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from bridge.copying.copier import StreamingCopier
from bridge.copying.gcs import GcsStorage
from bridge.core.errors import IntegrityError, NeedsPerson, TryAgain
from bridge.sandbox.address import BUCKET, PROJECT
from bridge.testing.clock import FakeClock
from bridge.testing.source import MemorySource
from bridge.testing.storage import MemoryStorage
from tests.contracts.ends import over, setting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.core.ports import Copier, Storage
    from bridge.sandbox.world import World

PATH = "acme_org/wandb-registry-model/fraud"
FILES = {"model.bin": b"the model", "conf/threshold.txt": b"0.5", "empty": b""}


@dataclass
class End:
    """A copier, what it copies from, and an empty folder to copy to."""

    copier: Copier
    source: MemorySource
    storage: Storage
    folder: str


def memory(_request: pytest.FixtureRequest, folder: str) -> Iterator[tuple[Storage, str]]:
    yield MemoryStorage(), f"gs://models/{folder}/"


def sandbox(request: pytest.FixtureRequest, folder: str) -> Iterator[tuple[Storage, str]]:
    world: World = request.getfixturevalue("world")
    with contextlib.closing(GcsStorage(PROJECT, endpoint=world.gcs.url)) as bucket:
        yield bucket, f"gs://{BUCKET}/{folder}/"


def live(_request: pytest.FixtureRequest, folder: str) -> Iterator[tuple[Storage, str]]:
    name, prefix = setting("BRIDGE_LIVE_BUCKET"), f"bridge-contracts/{folder}/"
    with contextlib.closing(GcsStorage(setting("BRIDGE_LIVE_PROJECT"))) as bucket:
        try:
            yield bucket, f"gs://{name}/{prefix}"
        finally:
            for blob in bucket._client.list_blobs(name, prefix=prefix):  # noqa: SLF001  cleans up
                blob.delete()


@pytest.fixture(params=over(memory, sandbox, live))
def end(request: pytest.FixtureRequest) -> Iterator[End]:
    source = MemorySource()
    for bucket, folder in request.param(request, f"contract-{uuid.uuid4().hex[:12]}"):
        yield End(StreamingCopier(source, bucket, FakeClock()), source, bucket, folder)


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
    (file,) = end.source.describe(in_the_way)
    with end.source.open(in_the_way, file) as pieces:
        end.storage.put(end.folder, file, pieces)

    with pytest.raises(NeedsPerson):
        end.copier.copy(end.source.publish(PATH, FILES), end.folder)

    assert end.copier.manifest(end.folder) is None
