"""A folder is whole or has no manifest, whatever happens on the way."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bridge.copying.pace import SMALL
from bridge.core.errors import IntegrityError, NeedsPerson, TryAgain
from bridge.core.naming import MANIFEST_NAME
from bridge.core.settings import CopySettings
from bridge.testing.clock import FakeClock
from bridge.testing.source import MemorySource
from bridge.testing.storage import MemoryStorage
from tests.readers import copier_of, reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridge.copying.copier import StreamingCopier
    from bridge.copying.gcs import GcsStorage
    from bridge.core.model import ArtifactFile, SourceVersion
    from bridge.core.ports import Storage
    from bridge.sandbox.world import World
    from tests.copying.conftest import Bucket

PATH = "acme_org/wandb-registry-model/fraud"
FILES = {"model.bin": b"weights" * 1000, "config/features.json": b"{}", "empty": b""}


@pytest.fixture
def source() -> MemorySource:
    return MemorySource("acme")


@pytest.fixture
def version(source: MemorySource) -> SourceVersion:
    return source.publish(PATH, FILES, "production")


@pytest.fixture(params=["memory", pytest.param("sandbox", marks=pytest.mark.sandbox)])
def there(request: pytest.FixtureRequest) -> Storage:
    if request.param == "memory":
        return MemoryStorage()
    gcs: GcsStorage = request.getfixturevalue("storage")
    return gcs


def copier(source: MemorySource, there: Storage) -> StreamingCopier:
    return copier_of(source, there, FakeClock("2026-01-05T09:00:00Z"))


def test_every_file_is_copied_and_the_manifest_says_so(
    source: MemorySource, version: SourceVersion, there: Storage, folder: str
) -> None:
    copied = copier(source, there).copy(version, folder)

    assert (copied.collection, copied.label, copied.source_id, copied.source_digest) == (
        PATH,
        "v0",
        version.id,
        version.digest,
    )
    assert [(file.path, file.size) for file in copied.files] == sorted((path, len(c)) for path, c in FILES.items())
    assert copied.created == "2026-01-05T09:00:00+00:00"
    assert copier(source, there).manifest(folder) == copied


@pytest.mark.sandbox
def test_the_bucket_holds_the_same_bytes_and_the_manifest(
    source: MemorySource, version: SourceVersion, storage: GcsStorage, folder: str, bucket: Bucket
) -> None:
    copier(source, storage).copy(version, folder)

    assert {path: bucket.read(folder + path) for path in FILES} == FILES
    assert b'"source_id"' in bucket.read(folder + MANIFEST_NAME)


@pytest.mark.sandbox
def test_a_whole_folder_is_left_as_it_is_and_the_source_is_not_asked(
    source: MemorySource, version: SourceVersion, storage: GcsStorage, folder: str, world: World
) -> None:
    first = copier(source, storage).copy(version, folder)
    source.calls.clear()
    world.traffic.reset()

    assert copier(source, storage).copy(version, folder) == first
    assert source.calls == []
    assert (world.traffic.count("gcs"), world.traffic.count("gcs", write=True)) == (1, 0)


def test_a_version_without_files_has_a_manifest_without_files(
    source: MemorySource, there: Storage, folder: str
) -> None:
    assert copier(source, there).copy(source.publish(PATH, {}), folder).files == ()
    assert there.manifest(folder) is not None


@pytest.mark.parametrize("algorithm", ["md5", "xxh128", None])
def test_digests_are_those_that_the_source_keeps(
    source: MemorySource, there: Storage, folder: str, algorithm: str | None
) -> None:
    version = source.publish(PATH, {"f": b"1"}, algorithm=algorithm)  # type: ignore[arg-type]  # one of its words
    [file] = copier(source, there).copy(version, folder).files

    assert file.md5 is not None
    assert (file.xxh128 is not None) == (algorithm == "xxh128")


@pytest.mark.parametrize("wrong", [b"weights", b"weights" * 1001, b"WEIGHTS" * 1000])
def test_a_file_that_is_not_what_the_source_says_leaves_no_manifest(
    source: MemorySource, version: SourceVersion, there: Storage, folder: str, wrong: bytes
) -> None:
    source.serve(version, "model.bin", wrong)

    with pytest.raises(IntegrityError):
        copier(source, there).copy(version, folder)
    assert there.manifest(folder) is None
    source.serve(version, "model.bin", FILES["model.bin"])
    assert len(copier(source, there).copy(version, folder).files) == len(FILES)


@pytest.mark.parametrize("copied_before", range(len(FILES) + 1))
def test_a_copy_that_was_cut_short_is_taken_up(
    source: MemorySource, version: SourceVersion, there: Storage, folder: str, copied_before: int
) -> None:
    for file in source.describe(version).files[:copied_before]:
        there.put(folder, file, reading(FILES[file.path]))

    assert len(copier(source, there).copy(version, folder).files) == len(FILES)


def test_a_source_that_goes_away_leaves_no_manifest(
    source: MemorySource, version: SourceVersion, there: Storage, folder: str
) -> None:
    source.problem = TryAgain("the source is unwell")
    with pytest.raises(TryAgain):
        copier(source, there).copy(version, folder)

    assert there.manifest(folder) is None


def test_a_version_that_is_gone_is_not_copied(
    source: MemorySource, version: SourceVersion, there: Storage, folder: str
) -> None:
    source.delete(version)
    with pytest.raises(NeedsPerson):
        copier(source, there).copy(version, folder)

    assert there.manifest(folder) is None


def test_a_folder_of_another_version_is_not_taken_for_this_one(
    source: MemorySource, version: SourceVersion, there: Storage, folder: str
) -> None:
    first = copier(source, there).copy(version, folder)
    other = source.publish(PATH, {"f": b"others"})

    with pytest.raises(NeedsPerson, match=f"holds {PATH}:v0 with the digest"):
        copier(source, there).copy(other, folder)
    assert there.manifest(folder) == first


def test_a_folder_of_another_version_without_a_digest_is_not_taken_for_this_one(
    source: MemorySource, there: Storage, folder: str
) -> None:
    first, second = source.publish(PATH, {"f": b"1"}), source.publish(PATH, {"f": b"2"})
    manifest = copier(source, there).copy(first, folder)
    bare = MemoryStorage()
    bare.commit(folder, replace(manifest, source_digest=None))

    with pytest.raises(NeedsPerson, match=f"holds {PATH}:v0 with the id {first.id}, not {second.id}"):
        copier(source, bare).copy(replace(second, digest=None), folder)


@pytest.mark.sandbox
def test_a_foreign_manifest_needs_a_person(
    source: MemorySource, version: SourceVersion, storage: GcsStorage, folder: str, bucket: Bucket
) -> None:
    bucket.write(folder + MANIFEST_NAME, b'{"name": "somebody else"}')

    with pytest.raises(NeedsPerson, match="is not a manifest of the bridge"):
        copier(source, storage).copy(version, folder)
    assert "open" not in source.calls


@pytest.mark.sandbox
def test_a_foreign_object_under_a_files_name_needs_a_person(
    source: MemorySource, version: SourceVersion, storage: GcsStorage, folder: str, bucket: Bucket
) -> None:
    bucket.write(f"{folder}model.bin", b"somebody else's")

    with pytest.raises(NeedsPerson, match="already there with other bytes"):
        copier(source, storage).copy(version, folder)
    assert storage.manifest(folder) is None
    assert bucket.read(f"{folder}model.bin") == b"somebody else's"


@pytest.mark.sandbox
def test_copies_at_the_same_time_agree(
    source: MemorySource, version: SourceVersion, storage: GcsStorage, folder: str
) -> None:
    with ThreadPoolExecutor(4) as pool:
        copies: Sequence[object] = list(pool.map(lambda _: copier(source, storage).copy(version, folder), range(4)))

    assert copies == [storage.manifest(folder)] * 4


@pytest.mark.sandbox
def test_no_byte_of_an_arranged_file_passes_through_here(
    source: MemorySource, version: SourceVersion, storage: GcsStorage, folder: str, world: World
) -> None:
    copier(source, storage).copy(version, folder)
    world.traffic.reset()

    copier(source, storage).arrange(version, folder, f"{folder}serving/", [("model.bin", "model.pkl"), ("empty", "e")])

    counts = {call.method: count for call, count in world.traffic.counts().items() if call.service == "gcs"}
    # Of each file its metadata; two manifests are looked for, and one is written.
    assert counts == {"objects.get": 2 + 2, "objects.rewrite": 2, "objects.insert": 1}


@pytest.mark.sandbox
def test_arrangements_at_the_same_time_agree(
    source: MemorySource, version: SourceVersion, storage: GcsStorage, folder: str
) -> None:
    copier(source, storage).copy(version, folder)
    renames = [("model.bin", "model.pkl"), ("empty", "e")]
    with ThreadPoolExecutor(4) as pool:
        done = list(
            pool.map(lambda _: copier(source, storage).arrange(version, folder, f"{folder}s/", renames), range(4))
        )

    assert done == [storage.manifest(f"{folder}s/")] * 4


def test_many_files_at_a_time_make_the_same_manifest_as_one_after_the_other(source: MemorySource, folder: str) -> None:
    version = source.publish(PATH, {f"shard-{number:04}": b"%d" % number for number in range(300)})
    clock = FakeClock("2026-01-05T09:00:00Z")

    many = copier_of(source, MemoryStorage(), clock).copy(version, folder)

    assert many == copier_of(source, MemoryStorage(), clock, CopySettings(parallel_files=1)).copy(version, folder)
    assert [file.path for file in many.files] == sorted(file.path for file in many.files)


class Crossing(MemorySource):
    """A source that waits, while a file is read, until as many versions are under way as it is told; notes how many."""

    def __init__(self, together: int) -> None:
        super().__init__()
        self._together = threading.Barrier(together)
        self._guard = threading.Lock()
        self._now = 0
        self.most = 0

    @contextmanager
    def open(self, version: SourceVersion, file: ArtifactFile, start: int = 0) -> Iterator[Iterator[bytes]]:
        with self._guard:
            self._now += 1
            self.most = max(self.most, self._now)
        self._together.wait(10)
        threading.Event().wait(0.05)  # in which more would come, if more might
        with super().open(version, file, start) as pieces:
            yield pieces
        with self._guard:
            self._now -= 1


@pytest.mark.parametrize(
    "settings", [CopySettings(parallel_versions=2), CopySettings(parallel_files=2)], ids=["versions", "files"]
)
def test_as_many_are_on_their_way_as_there_may_be_and_no_more(folder: str, settings: CopySettings) -> None:
    source = Crossing(2)
    versions = [source.publish(PATH, {"model.bin": b"%d" % number}) for number in range(6)]
    one = copier_of(source, MemoryStorage(), FakeClock(), settings)

    with ThreadPoolExecutor(6) as pool:
        copies = [pool.submit(one.copy, version, f"{folder}{version.label}/") for version in versions]
        assert [len(copy.result().files) for copy in copies] == [1] * 6

    assert source.most == 2


def test_small_and_large_files_together_are_no_more_than_there_may_be(folder: str) -> None:
    source = Crossing(1)
    files = {f"{number}.bin": bytes(SMALL + 1 if number % 2 else 1) for number in range(6)}
    one = copier_of(source, MemoryStorage(), FakeClock(), CopySettings(parallel_files=1))
    versions = [source.publish(PATH, {path: content}) for path, content in files.items()]

    with ThreadPoolExecutor(6) as pool:
        copies = [pool.submit(one.copy, version, f"{folder}{version.label}/") for version in versions]
        assert [len(copy.result().files) for copy in copies] == [1] * 6

    assert source.most == 1


@pytest.mark.parametrize("size", [1_000, 500_000])
def test_bytes_take_the_time_that_the_bandwidth_leaves_them(source: MemorySource, folder: str, size: int) -> None:
    clock = FakeClock()
    began = clock.now()
    copier_of(source, MemoryStorage(), clock, CopySettings(max_bandwidth=1000)).copy(
        source.publish(PATH, {"model.bin": bytes(size)}), folder
    )

    assert (clock.now() - began).total_seconds() == pytest.approx(size / 1000, abs=0.25)


def test_comparing_with_the_source_by_every_byte_does_too(source: MemorySource) -> None:
    clock, storage = FakeClock(), MemoryStorage()
    storage.place("gs://models/theirs/v0/model/model.bin", bytes(5000))
    version = source.publish(PATH, {"model.bin": bytes(5000)}, algorithm=None)
    began = clock.now()

    copier_of(source, storage, clock, CopySettings(max_bandwidth=1000)).compare(
        version, "gs://models/theirs/v0/model/", deep=True
    )

    assert (clock.now() - began).total_seconds() == pytest.approx(5, abs=0.25)
