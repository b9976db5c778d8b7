"""The bucket beyond the contract: sizes at every border, names that are taken, answers that are lost."""

from __future__ import annotations

import base64
import hashlib
import json
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

import google_crc32c
import pytest
import requests

from bridge.copying.gcs.objects import PIECE
from bridge.copying.gcs.storage import HEADER
from bridge.copying.manifests import ManifestText
from bridge.core.errors import IntegrityError, NeedsPerson, TryAgain
from bridge.core.model import ArtifactFile, Digest, Facts, Manifest, StoredFile
from bridge.core.naming import MANIFEST_NAME
from bridge.core.settings import CopySettings
from bridge.sandbox.address import BUCKET
from bridge.testing.clock import FakeClock
from tests.copying.conftest import bucket_at
from tests.limits import Counting
from tests.readers import reader_of, reading
from tests.sources.servers import HANG_UP, Asked, Reply, ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bridge.copying.gcs import GcsStorage
    from bridge.sandbox.world import World
    from tests.copying.conftest import Bucket, Faults

pytestmark = pytest.mark.sandbox

MIB = 1 << 20
MULTIPART_LIMIT = CopySettings().one_request
MEBIBYTE = bytes(range(256)) * (MIB // 256)
LARGE = 9 * MIB
CHUNK = 16 * MIB  # what was a request of its own once


def content_of(size: int) -> bytes:
    return (MEBIBYTE * (size // MIB + 1))[:size]


def file_of(content: bytes, path: str = "model.bin", *, md5: bool = True) -> ArtifactFile:
    raw = hashlib.md5(content, usedforsecurity=False).digest()
    return ArtifactFile(path, len(content), Digest("md5", base64.b64encode(raw).decode()) if md5 else None)


def put(storage: GcsStorage, folder: str, content: bytes, path: str = "model.bin", *, md5: bool = True) -> StoredFile:
    return storage.put(folder, file_of(content, path, md5=md5), reading(content))


def names(world: World, folder: str) -> list[str]:
    prefix = folder.removeprefix(f"gs://{BUCKET}/")
    return [name.removeprefix(prefix) for name in world.gcs.object_names(BUCKET, prefix)]


def manifest_of(*files: StoredFile, source_id: str = "id-1") -> Manifest:
    return Manifest("acme_org/model/fraud", "v7", source_id, "d1", files, "2026-01-05T09:00:00+00:00")


STORED = StoredFile("model.bin", 1, "AAAAAA==")


def test_a_budget_lets_every_request_of_googles_client_pass_and_hears_how_it_was_answered(folder: str) -> None:
    limit = Counting()
    replies = iter([Reply(404), Reply(503)])
    with (
        ScriptedServer(lambda _: next(replies, HANG_UP)) as server,
        closing(bucket_at(server.url, limit=limit)) as storage,
    ):
        assert storage.manifest(folder) is None
        with pytest.raises(TryAgain):
            storage.manifest(folder)

    assert limit.answers[:3] == [404, 503, None]
    assert limit.taken == len(limit.answers) == len(server.asked)


# sizes


@pytest.mark.parametrize("size", [0, 1, MULTIPART_LIMIT, MULTIPART_LIMIT + 1, CHUNK, CHUNK + 1, 2 * CHUNK, 33 * MIB])
def test_a_file_of_any_size_is_stored_byte_for_byte(
    storage: GcsStorage, folder: str, bucket: Bucket, size: int
) -> None:
    content = content_of(size)
    stored = put(storage, folder, content, md5=size % 2 == 0)

    assert hashlib.sha256(bucket.read(f"{folder}model.bin")).digest() == hashlib.sha256(content).digest()
    assert (stored.path, stored.size) == ("model.bin", size)
    assert stored.crc32c == base64.b64encode(google_crc32c.value(content).to_bytes(4, "big")).decode()
    assert stored.md5 == base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


def test_a_small_file_is_one_request_and_a_large_one_is_two_however_large(
    storage: GcsStorage, folder: str, faults: Faults
) -> None:
    put(storage, folder, content_of(MULTIPART_LIMIT), "small")
    assert faults.seen == ["POST"]
    faults.seen.clear()
    put(storage, folder, content_of(33 * MIB), "large")
    assert faults.seen == ["POST", "PUT"]


@pytest.mark.parametrize("size", [5, LARGE])
def test_a_file_that_is_there_already_is_kept(storage: GcsStorage, folder: str, world: World, size: int) -> None:
    content = content_of(size)
    first = put(storage, folder, content)

    assert put(storage, folder, content) == first
    assert names(world, folder) == ["model.bin"]


@pytest.mark.parametrize("size", [10, LARGE, 33 * MIB])
@pytest.mark.parametrize("wrong", ["short", "long", "other bytes"])
def test_a_wrong_file_leaves_no_object(storage: GcsStorage, folder: str, world: World, size: int, wrong: str) -> None:
    content = content_of(size)
    sent = {"short": content[:-1], "long": content + b"!", "other bytes": content[:-1] + b"!"}[wrong]

    with pytest.raises(IntegrityError):
        storage.put(folder, file_of(content), reading(sent))
    assert names(world, folder) == []


@pytest.mark.parametrize("size", [10, 33 * MIB])
def test_a_source_that_breaks_leaves_no_object_and_its_error_goes_through(
    storage: GcsStorage, folder: str, world: World, size: int
) -> None:
    content = content_of(size)

    def pieces() -> Iterator[bytes]:
        yield content[: size // 2]
        raise TryAgain("the source went away")

    with pytest.raises(TryAgain, match="the source went away"):
        storage.put(folder, file_of(content), reader_of(pieces))
    assert names(world, folder) == []
    assert put(storage, folder, content).size == size


def test_reading_again_takes_the_time_that_the_bandwidth_leaves_it(world: World, folder: str) -> None:
    clock = FakeClock()
    with closing(bucket_at(world.gcs.url, settings=CopySettings(max_bandwidth=MIB), clock=clock)) as storage:
        stored = put(storage, folder, content_of(3 * MIB))
        began = clock.now()
        assert [read for _, read in storage.reread(folder, [stored])] == [stored]

    assert (clock.now() - began).total_seconds() == pytest.approx(3, abs=0.25)


# names that are taken


@pytest.mark.parametrize("size", [5, LARGE])
@pytest.mark.parametrize("difference", ["longer", "of the same size"])
def test_another_object_under_the_name_is_never_overwritten(
    storage: GcsStorage, folder: str, bucket: Bucket, size: int, difference: str
) -> None:
    content = content_of(size)
    theirs = content + b"!" if difference == "longer" else b"!" + content[1:]
    bucket.write(f"{folder}model.bin", theirs)

    with pytest.raises(NeedsPerson, match="already there with other bytes"):
        put(storage, folder, content)
    assert bucket.read(f"{folder}model.bin") == theirs


def test_another_object_with_the_same_size_and_crc32c_is_not_taken_for_ours(
    storage: GcsStorage, folder: str, bucket: Bucket
) -> None:
    ours = b"weights!"
    polynomial = int(f"{0x11EDC6F41:033b}"[::-1], 2).to_bytes(5, "little")  # adding it changes no crc32c
    theirs = bytes(a ^ b for a, b in zip(ours, polynomial.ljust(8, b"\0"), strict=True))
    assert google_crc32c.value(theirs) == google_crc32c.value(ours)
    bucket.write(f"{folder}model.bin", theirs)

    with pytest.raises(NeedsPerson):
        put(storage, folder, ours)


def test_a_wrong_file_is_no_less_wrong_because_its_name_is_taken(
    storage: GcsStorage, folder: str, bucket: Bucket
) -> None:
    bucket.write(f"{folder}model.bin", b"12345")

    with pytest.raises(IntegrityError):
        storage.put(folder, file_of(b"12345"), reading(b"1234"))
    assert bucket.read(f"{folder}model.bin") == b"12345"


@pytest.mark.parametrize("path", ["a b/é%2F?#&=+.bin", "\U0001f600", "-", "x" * 900])
def test_any_legal_name_is_spelled_as_it_is(storage: GcsStorage, folder: str, world: World, path: str) -> None:
    put(storage, folder, b"1", path)

    assert names(world, folder) == [path]


def test_a_name_counts_with_its_folder_and_in_bytes(storage: GcsStorage, folder: str) -> None:
    room = 1024 - len(folder.removeprefix(f"gs://{BUCKET}/"))
    assert put(storage, folder, b"1", "x" * room).size == 1

    for path in ("x" * (room + 1), "é" * (room // 2 + 1)):
        with pytest.raises(NeedsPerson, match="longer than 1024 bytes"):
            put(storage, folder, b"1", path)
    with pytest.raises(NeedsPerson, match="longer than 1024 bytes"):
        storage.manifest(f"gs://{BUCKET}/{'x' * 1010}/")


# answers that are lost, bytes that change on the way


def test_an_upload_whose_answer_was_lost_is_known_for_our_own(
    storage: GcsStorage, folder: str, world: World, faults: Faults
) -> None:
    faults.lose_answer(method="POST", query="uploadType=multipart")
    stored = put(storage, folder, b"12345")

    assert stored.size == 5
    assert faults.seen == ["POST", "POST", "GET"]
    assert names(world, folder) == ["model.bin"]


@pytest.mark.parametrize("size", [LARGE, 33 * MIB])
def test_a_chunk_whose_answer_was_lost_is_sent_again(
    storage: GcsStorage, folder: str, bucket: Bucket, faults: Faults, size: int
) -> None:
    faults.lose_answer(method="PUT")
    content = content_of(size)
    put(storage, folder, content)

    assert bucket.read(f"{folder}model.bin") == content


def test_a_manifest_whose_answer_was_lost_is_known_for_our_own(
    storage: GcsStorage, folder: str, faults: Faults
) -> None:
    faults.lose_answer(method="POST")
    storage.commit(folder, manifest_of(STORED))

    assert storage.manifest(folder) == manifest_of(STORED)


@pytest.mark.parametrize("md5", [True, False], ids=["md5", "no digest"])
def test_bytes_that_change_on_their_way_leave_no_object(
    storage: GcsStorage, folder: str, world: World, faults: Faults, *, md5: bool
) -> None:
    faults.flip_bodies_of_chunks()

    with pytest.raises(IntegrityError, match="bytes"):
        put(storage, folder, content_of(LARGE), md5=md5)
    assert names(world, folder) == []


# manifests


def test_a_folder_without_a_manifest_has_none(storage: GcsStorage, folder: str) -> None:
    put(storage, folder, b"1")

    assert storage.manifest(folder) is None


def test_a_manifest_is_read_as_it_was_written(storage: GcsStorage, folder: str) -> None:
    written = manifest_of(
        STORED, StoredFile("é\U0001f600/b", 33 * MIB, "AAAAAA==", md5="1B2M2Y8AsgTpgAmY7PhCfg==", xxh128="x")
    )
    storage.commit(folder, written)

    assert storage.manifest(folder) == written
    storage.commit(folder, replace(written, created="2027-01-01T00:00:00+00:00"))
    assert storage.manifest(folder) == written


def test_a_manifest_of_other_files_is_never_overwritten(storage: GcsStorage, folder: str) -> None:
    storage.commit(folder, manifest_of(STORED))

    with pytest.raises(NeedsPerson, match="already has a manifest, of other files"):
        storage.commit(folder, manifest_of(replace(STORED, size=2)))
    assert storage.manifest(folder) == manifest_of(STORED)


@pytest.mark.parametrize(
    "text", [b"{}", b"[]", b"", b"null", b"\xff\xfe", b'{"files": 1}', json.dumps({"collection": 1}).encode()]
)
def test_what_is_not_a_manifest_needs_a_person_and_stays(
    storage: GcsStorage, folder: str, bucket: Bucket, text: bytes
) -> None:
    bucket.write(folder + MANIFEST_NAME, text)

    with pytest.raises(NeedsPerson, match="is not a manifest of the bridge"):
        storage.manifest(folder)
    with pytest.raises(NeedsPerson):
        storage.commit(folder, manifest_of(STORED))
    assert bucket.read(folder + MANIFEST_NAME) == text


def test_a_manifest_is_the_same_for_folders_whose_names_begin_alike(storage: GcsStorage, folder: str) -> None:
    storage.commit(folder, manifest_of(STORED))

    assert storage.manifest(f"{folder[:-1]}0/") is None
    assert storage.manifest(f"{folder}sub/") is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 0.1, 1e308])
def test_a_manifest_keeps_a_metric_whatever_its_value(
    storage: GcsStorage, folder: str, bucket: Bucket, value: float
) -> None:
    storage.commit(folder, replace(manifest_of(STORED), facts=Facts(metrics={"loss": value})))

    read = storage.manifest(folder)
    assert read is not None
    assert read.facts.metrics["loss"] == pytest.approx(value, abs=0, rel=0, nan_ok=True)
    json.loads(bucket.read(folder + MANIFEST_NAME), parse_constant=pytest.fail)  # so other programs read it, too


def test_a_manifest_of_an_earlier_release_is_read(storage: GcsStorage, folder: str, bucket: Bucket) -> None:
    file = {"path": "model.bin", "size": 1, "crc32c": "AAAAAA==", "md5": None, "xxh128": None}
    written = {
        "collection": "acme_org/model/fraud",
        "label": "v7",
        "source_id": "id-1",
        "source_digest": "d1",
        "files": [file],
        "created": "2026-01-05T09:00:00+00:00",
    }
    bucket.write(folder + MANIFEST_NAME, json.dumps(written).encode())

    assert storage.manifest(folder) == manifest_of(STORED)


def many(count: int) -> Manifest:
    return manifest_of(
        *(StoredFile(f"data/part-{n:07}.parquet", n, "AAAAAA==", "1B2M2Y8AsgTpgAmY7PhCfg==") for n in range(count))
    )


def padded(size: int) -> Manifest:
    """Return a manifest whose text has just so many bytes."""
    plain = manifest_of(STORED)
    return replace(plain, source_id="x" * (size - ManifestText(plain).size + len(plain.source_id)))


def test_a_small_manifest_is_written_and_read_in_one_request_each(
    storage: GcsStorage, folder: str, faults: Faults
) -> None:
    storage.commit(folder, many(100))
    assert storage.manifest(folder) == many(100)
    assert storage.header(folder) == many(100).header

    assert faults.seen == ["POST", "GET", "GET"]


def test_a_large_manifest_is_streamed_both_ways(
    storage: GcsStorage, folder: str, faults: Faults, bucket: Bucket
) -> None:
    written = many(90_000)
    size = ManifestText(written).size
    storage.commit(folder, written)
    assert faults.seen == ["POST", "PUT"], "a session, and all in one body"
    faults.seen.clear()
    assert storage.manifest(folder) == written
    assert faults.seen == ["GET"] * (size // PIECE + 1)
    faults.seen.clear()
    assert storage.header(folder) == written.header
    assert faults.seen == ["GET"]
    assert json.loads(bucket.read(folder + MANIFEST_NAME))["count"] == 90_000

    storage.commit(folder, written)
    with pytest.raises(NeedsPerson, match="already has a manifest, of other files"):
        storage.commit(folder, many(90_001))


@pytest.mark.parametrize("size", [HEADER - 1, HEADER, HEADER + 1, PIECE - 1, PIECE, PIECE + 1])
def test_a_manifest_of_any_size_is_read_with_its_header(storage: GcsStorage, folder: str, size: int) -> None:
    written = padded(size)
    storage.commit(folder, written)

    assert storage.manifest(folder) == written
    assert storage.header(folder) == written.header


def test_a_manifest_is_json_to_whoever_downloads_it(storage: GcsStorage, folder: str, world: World) -> None:
    storage.commit(folder, manifest_of(STORED))
    name = quote(folder.removeprefix(f"gs://{BUCKET}/") + MANIFEST_NAME, safe="")

    described = requests.get(f"{world.gcs.url}/storage/v1/b/{BUCKET}/o/{name}", timeout=10).json()
    assert described["contentType"] == "application/json"


def test_a_manifest_that_is_deleted_while_it_is_read_is_not_there(
    storage: GcsStorage, folder: str, bucket: Bucket, faults: Faults
) -> None:
    storage.commit(folder, many(100_000))
    faults.meanwhile(lambda: bucket.delete(folder + MANIFEST_NAME), method="GET", query="generation=")

    assert storage.manifest(folder) is None


def test_a_large_manifest_whose_bytes_change_on_their_way_is_not_written(
    storage: GcsStorage, folder: str, world: World, faults: Faults
) -> None:
    faults.flip_bodies_of_chunks()

    with pytest.raises(IntegrityError, match="other bytes than were sent"):
        storage.commit(folder, many(100_000))
    assert names(world, folder) == []


def test_a_manifest_that_arrives_with_other_bytes_than_are_stored_is_for_another_time() -> None:
    text = b"".join(ManifestText(manifest_of(STORED)).pieces())

    def script(asked: Asked) -> Reply:
        if "alt=media" in asked.path:
            return Reply(206, text.replace(b"model.bin", b"medal.bin"))
        crc32c = base64.b64encode(google_crc32c.value(text).to_bytes(4, "big")).decode()
        return Reply(200, json.dumps({"crc32c": crc32c}).encode(), {"Content-Type": "application/json"})

    with ScriptedServer(script) as server, closing(bucket_at(server.url)) as storage:
        with pytest.raises(TryAgain, match="other bytes arrived"):
            storage.manifest("gs://bucket/f/")
        assert len(server.asked) == 2, "the answer did not tell the checksum, so it was asked for"


# errors


def test_a_bucket_that_is_not_there_needs_a_person(storage: GcsStorage) -> None:
    folder = "gs://no-such-bucket-anywhere/models/"
    with pytest.raises(NeedsPerson, match="bucket does not exist"):
        put(storage, folder, b"1")
    with pytest.raises(NeedsPerson, match="bucket does not exist"):
        put(storage, folder, content_of(LARGE))
    with pytest.raises(NeedsPerson, match="bucket does not exist"):
        storage.commit(folder, manifest_of(STORED))


def test_an_account_without_rights_needs_a_person(storage: GcsStorage, folder: str, faults: Faults) -> None:
    faults.answer(403)

    with pytest.raises(NeedsPerson, match="refuses access"):
        put(storage, folder, b"1")
    with pytest.raises(NeedsPerson, match="refuses access"):
        put(storage, folder, content_of(LARGE))
    with pytest.raises(NeedsPerson, match="refuses access"):
        storage.manifest(folder)
    with pytest.raises(NeedsPerson, match="refuses access"):
        storage.commit(folder, manifest_of(STORED))


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_bucket_that_stays_unwell_is_for_another_time(
    storage: GcsStorage, folder: str, faults: Faults, status: int
) -> None:
    faults.answer(status)

    with pytest.raises(TryAgain):
        put(storage, folder, b"1")
    with pytest.raises(TryAgain):
        put(storage, folder, content_of(LARGE))
    with pytest.raises(TryAgain):
        storage.manifest(folder)
    with pytest.raises(TryAgain):
        storage.commit(folder, manifest_of(STORED))


def test_a_bucket_that_is_unwell_once_is_asked_again(
    storage: GcsStorage, folder: str, bucket: Bucket, faults: Faults
) -> None:
    faults.answer(503, times=2)
    put(storage, folder, b"12345")

    assert bucket.read(f"{folder}model.bin") == b"12345"


def test_any_other_refusal_needs_a_person(storage: GcsStorage, folder: str, faults: Faults) -> None:
    faults.answer(409)

    with pytest.raises(NeedsPerson, match="refused the request"):
        put(storage, folder, b"1")


def test_a_request_that_makes_no_sense_is_not_said_to_be_of_bytes(
    storage: GcsStorage, folder: str, faults: Faults
) -> None:
    faults.answer(400)

    with pytest.raises(NeedsPerson, match="refused the request"):
        put(storage, folder, b"1")


def test_an_object_that_vanishes_while_it_is_compared_is_for_another_time(
    storage: GcsStorage, folder: str, bucket: Bucket, faults: Faults
) -> None:
    bucket.write(f"{folder}model.bin", b"1")
    faults.answer(404, method="GET")

    with pytest.raises(TryAgain):
        put(storage, folder, b"1")


def test_a_server_that_is_not_there_is_for_another_time(folder: str) -> None:
    with ScriptedServer(lambda _: Reply()) as gone:
        pass
    with closing(bucket_at(gone.url)) as storage:
        with pytest.raises(TryAgain):
            storage.manifest(folder)
        with pytest.raises(TryAgain):
            put(storage, folder, b"1")
        with pytest.raises(TryAgain):
            put(storage, folder, content_of(LARGE))
        with pytest.raises(TryAgain):
            storage.commit(folder, manifest_of(STORED))


# credentials


@pytest.fixture
def _no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "STORAGE_EMULATOR_HOST", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")


@pytest.mark.usefixtures("_no_credentials")
def test_without_credentials_a_person_is_told_how_to_get_them() -> None:
    with pytest.raises(NeedsPerson, match="gcloud auth application-default login"):
        bucket_at()


@pytest.mark.usefixtures("_no_credentials")
@pytest.mark.parametrize("text", [None, "{}", "not json"])
def test_credentials_that_cannot_be_read_need_a_person(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None
) -> None:
    file = tmp_path / "key.json"
    if text is not None:
        file.write_text(text)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))

    with pytest.raises(NeedsPerson, match="credentials"):
        bucket_at()


@pytest.mark.usefixtures("_no_credentials")
def test_credentials_that_google_no_longer_takes_need_a_person(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: str
) -> None:
    (tmp_path / "token").write_text("a token of a workload")
    file = tmp_path / "key.json"
    refusal = Reply(400, b'{"error": "invalid_grant"}', {"Content-Type": "application/json"})
    with ScriptedServer(lambda _: refusal) as google:
        said = {
            "type": "external_account",
            "audience": "//iam.googleapis.com/a",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": google.url,
            "credential_source": {"file": str(tmp_path / "token")},
        }
        file.write_text(json.dumps(said))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        with closing(bucket_at()) as storage, pytest.raises(NeedsPerson, match="no usable Google credentials"):
            storage.manifest(folder)
        assert len(google.asked) == 1
