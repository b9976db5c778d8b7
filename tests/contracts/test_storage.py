"""What every bucket promises: in memory, over the sandbox through the real SDK, and, with --live, in GCS."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import google_crc32c
import pytest
import xxhash

from bridge.copying.gcs import GcsStorage
from bridge.core.errors import IntegrityError, NeedsPerson, TryAgain
from bridge.core.model import ArtifactFile, Digest, Manifest, StoredFile
from bridge.sandbox.address import BUCKET, PROJECT
from bridge.testing.storage import MemoryStorage
from tests.contracts.ends import over, setting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.core.ports import Storage
    from bridge.sandbox.world import World

LARGE = 8 * (1 << 20) + 3  # bytes: GcsStorage sends more than 8 MiB in chunks
CONTENT = b"the model"


@dataclass
class End:
    """A bucket, an empty folder in it, and what lies there, seen behind the port's back."""

    storage: Storage
    folder: str
    read: Callable[[str], bytes | None]  # an object's bytes by its path in the folder
    write: Callable[[str, bytes], None]


def memory(_request: pytest.FixtureRequest, folder: str) -> Iterator[End]:
    bucket = MemoryStorage()
    uri = f"gs://models/{folder}/"

    def write(path: str, content: bytes) -> None:
        bucket.objects[uri + path] = content

    yield End(bucket, uri, lambda path: bucket.objects.get(uri + path), write)


def sandbox(request: pytest.FixtureRequest, folder: str) -> Iterator[End]:
    world: World = request.getfixturevalue("world")
    with contextlib.closing(GcsStorage(PROJECT, endpoint=world.gcs.url)) as bucket:
        yield _behind(bucket, BUCKET, folder)


def live(_request: pytest.FixtureRequest, folder: str) -> Iterator[End]:
    name = setting("BRIDGE_LIVE_BUCKET")
    with contextlib.closing(GcsStorage(setting("BRIDGE_LIVE_PROJECT"))) as bucket:
        try:
            yield _behind(bucket, name, f"bridge-contracts/{folder}")
        finally:
            for blob in bucket._client.list_blobs(name, prefix=f"bridge-contracts/{folder}/"):  # noqa: SLF001  cleans up
                blob.delete()


def _behind(bucket: GcsStorage, name: str, folder: str) -> End:
    client = bucket._client  # noqa: SLF001  the port has no way to look at an object

    def read(path: str) -> bytes | None:
        blob = client.bucket(name).get_blob(f"{folder}/{path}")
        return bytes(blob.download_as_bytes()) if blob else None

    def write(path: str, content: bytes) -> None:
        client.bucket(name).blob(f"{folder}/{path}").upload_from_string(content)

    return End(bucket, f"gs://{name}/{folder}/", read, write)


@pytest.fixture(params=over(memory, sandbox, live))
def end(request: pytest.FixtureRequest) -> Iterator[End]:
    yield from request.param(request, f"contract-{uuid.uuid4().hex[:12]}")


def md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


def xxh128(content: bytes) -> str:
    return base64.b64encode(xxhash.xxh128(content).digest()).decode()


def crc32c(content: bytes) -> str:
    return base64.b64encode(google_crc32c.value(content).to_bytes(4, "big")).decode()


def file(content: bytes = CONTENT, path: str = "model.bin", algorithm: str | None = "md5") -> ArtifactFile:
    """Describe a file as a source does that keeps digests by `algorithm`."""
    digests = {"md5": Digest("md5", md5(content)), "xxh128": Digest("xxh128", xxh128(content)), None: None}
    return ArtifactFile(path, len(content), digests[algorithm])


def pieces(content: bytes, size: int = 4) -> Iterator[bytes]:
    return (content[at : at + size] for at in range(0, len(content), size))


def manifest(*files: StoredFile) -> Manifest:
    return Manifest("acme_org/model/fraud", "v7", "id-7", "d7", files, "2026-01-05T09:00:00+00:00")


# put


@pytest.mark.parametrize("algorithm", ["md5", "xxh128", None])
def test_a_file_is_stored_and_told_with_its_digests(end: End, algorithm: str | None) -> None:
    stored = end.storage.put(end.folder, file(algorithm=algorithm), pieces(CONTENT))

    assert end.read("model.bin") == CONTENT
    assert (stored.path, stored.size, stored.crc32c) == ("model.bin", len(CONTENT), crc32c(CONTENT))
    assert stored.md5 in (None, md5(CONTENT))
    assert stored.xxh128 == (xxh128(CONTENT) if algorithm == "xxh128" else None)


@pytest.mark.parametrize("path", ["a/b/model.bin", "näme with ünicode.bin", "100%.bin", "a?b#c.bin", "+.bin"])
def test_a_file_is_stored_under_its_path_whatever_is_in_it(end: End, path: str) -> None:
    end.storage.put(end.folder, file(path=path), pieces(CONTENT))

    assert end.read(path) == CONTENT


def test_an_empty_file_is_stored(end: End) -> None:
    stored = end.storage.put(end.folder, file(b""), pieces(b""))

    assert (end.read("model.bin"), stored.size, stored.crc32c) == (b"", 0, "AAAAAA==")


@pytest.mark.parametrize("algorithm", ["md5", "xxh128", None])
def test_a_large_file_is_stored_whole(end: End, algorithm: str | None) -> None:
    content = os.urandom(1 << 20) * 8 + b"end"
    assert len(content) == LARGE

    stored = end.storage.put(end.folder, file(content, algorithm=algorithm), pieces(content, 1 << 18))

    assert (stored.size, stored.crc32c) == (LARGE, crc32c(content))
    assert end.read("model.bin") == content


def test_a_file_that_comes_in_one_piece_is_stored(end: End) -> None:
    end.storage.put(end.folder, file(), iter([CONTENT]))

    assert end.read("model.bin") == CONTENT


def test_storing_a_file_twice_is_storing_it_once(end: End) -> None:
    first = end.storage.put(end.folder, file(), pieces(CONTENT))

    assert end.storage.put(end.folder, file(), pieces(CONTENT)) == first
    assert end.read("model.bin") == CONTENT


def test_storing_a_large_file_twice_is_storing_it_once(end: End) -> None:
    content = b"x" * LARGE
    first = end.storage.put(end.folder, file(content), pieces(content, 1 << 20))

    assert end.storage.put(end.folder, file(content), pieces(content, 1 << 20)) == first


def test_another_object_of_that_name_is_not_overwritten(end: End) -> None:
    end.write("model.bin", b"not ours.")

    with pytest.raises(NeedsPerson) as refused:
        end.storage.put(end.folder, file(), pieces(CONTENT))

    assert not isinstance(refused.value, IntegrityError)
    assert end.read("model.bin") == b"not ours."


WRONG = {
    "corrupted": b"the modem",
    "truncated": b"the mode",
    "too long": b"the model, and more",
    "empty": b"",
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
@pytest.mark.parametrize("algorithm", ["md5", "xxh128"])
def test_bytes_that_are_not_the_files_leave_no_object(end: End, wrong: bytes, algorithm: str) -> None:
    with pytest.raises(IntegrityError):
        end.storage.put(end.folder, file(algorithm=algorithm), pieces(wrong))

    assert end.read("model.bin") is None


def test_a_file_without_digest_is_held_to_its_size(end: End) -> None:
    for wrong in (CONTENT[:-1], CONTENT + b"!"):
        with pytest.raises(IntegrityError):
            end.storage.put(end.folder, file(algorithm=None), pieces(wrong))

    assert end.read("model.bin") is None


def test_bytes_where_there_should_be_none_leave_no_object(end: End) -> None:
    with pytest.raises(IntegrityError):
        end.storage.put(end.folder, file(b""), pieces(CONTENT))

    assert end.read("model.bin") is None


@pytest.mark.parametrize("cut", [1, -1])
def test_a_large_file_with_wrong_bytes_leaves_no_object(end: End, cut: int) -> None:
    content = b"x" * LARGE
    wrong = content[:-1] if cut < 0 else content[:-1] + b"y"

    with pytest.raises(IntegrityError):
        end.storage.put(end.folder, file(content), pieces(wrong, 1 << 20))

    assert end.read("model.bin") is None


def test_a_source_that_never_ends_is_cut_off(end: End) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"more"

    with pytest.raises(IntegrityError):
        end.storage.put(end.folder, file(), endless())

    assert end.read("model.bin") is None


def test_wrong_bytes_leave_an_object_that_was_there(end: End) -> None:
    end.storage.put(end.folder, file(), pieces(CONTENT))

    with pytest.raises(IntegrityError):
        end.storage.put(end.folder, file(), pieces(b"the modem"))

    assert end.read("model.bin") == CONTENT


def test_a_source_that_breaks_off_leaves_no_object_and_its_error_is_its_own(end: End) -> None:
    def breaks() -> Iterator[bytes]:
        yield CONTENT[:4]
        raise TryAgain("the source was unwell")

    with pytest.raises(TryAgain, match="the source was unwell"):
        end.storage.put(end.folder, file(), breaks())

    assert end.read("model.bin") is None


def test_a_file_is_stored_after_a_failure_as_if_there_had_been_none(end: End) -> None:
    with pytest.raises(IntegrityError):
        end.storage.put(end.folder, file(), pieces(b"the modem"))

    end.storage.put(end.folder, file(), pieces(CONTENT))

    assert end.read("model.bin") == CONTENT


# manifests


def test_a_folder_without_manifest_is_not_whole(end: End) -> None:
    end.storage.put(end.folder, file(), pieces(CONTENT))

    assert end.storage.manifest(end.folder) is None


def test_a_manifest_is_read_as_it_was_written(end: End) -> None:
    written = manifest(
        StoredFile("a/ä.bin", 3, "AAAAAA==", md5="1B2M2Y8AsgTpgAmY7PhCfg=="),
        StoredFile("b", 0, "AAAAAA==", xxh128="mapAtfJsABYAAAAAAAAAAA=="),
    )

    end.storage.commit(end.folder, written)

    assert end.storage.manifest(end.folder) == written


def test_a_manifest_of_no_files_and_no_digest_is_one(end: End) -> None:
    end.storage.commit(end.folder, replace(manifest(), source_digest=None))

    assert end.storage.manifest(end.folder) == replace(manifest(), source_digest=None)


def test_writing_a_manifest_twice_keeps_the_first(end: End) -> None:
    first = manifest(StoredFile("model.bin", 3, "AAAAAA=="))
    end.storage.commit(end.folder, first)

    end.storage.commit(end.folder, replace(first, created="2027-01-01T00:00:00+00:00"))

    assert end.storage.manifest(end.folder) == first


def test_a_manifest_of_other_files_is_not_overwritten(end: End) -> None:
    first = manifest(StoredFile("model.bin", 3, "AAAAAA=="))
    end.storage.commit(end.folder, first)

    with pytest.raises(NeedsPerson):
        end.storage.commit(end.folder, manifest(StoredFile("model.bin", 4, "AAAAAA==")))

    assert end.storage.manifest(end.folder) == first


def test_one_folder_is_none_of_anothers_business(end: End) -> None:
    end.storage.commit(end.folder, manifest())

    assert end.storage.manifest(f"{end.folder}more/") is None
    assert end.storage.manifest(f"{end.folder[:-1]}-2/") is None
