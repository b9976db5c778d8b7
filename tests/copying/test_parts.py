"""Very large files over a slow way, in parts: what arrives, what is left, and what is sent again."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
import sys
import threading
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import requests
import xxhash
from hypothesis import given, strategies as st

from bridge.copying.gcs import uploading
from bridge.copying.gcs.parts import AT_A_TIME, MOST, memory_for_parts, part_size
from bridge.copying.gcs.storage import SLOW
from bridge.copying.gcs.uploading import TRIAL
from bridge.core.errors import IntegrityError, NeedsPerson, TryAgain
from bridge.core.model import ArtifactFile, Digest, StoredFile
from bridge.core.records import Upload
from bridge.core.settings import GIB, MIB, CopySettings
from bridge.sandbox.address import BUCKET
from bridge.sandbox.gcs import routes_xml
from bridge.testing.clock import FakeClock
from bridge.testing.store import MemoryStore
from tests.contracts.buckets import crc32c
from tests.copying.conftest import bucket_at
from tests.readers import reader_of, reading
from tests.sources.servers import Reply, ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.copying.gcs import GcsStorage
    from bridge.core.ports import Reader
    from bridge.sandbox.world import World
    from tests.copying.conftest import Bucket, Faults
    from tests.sources.servers import Asked

PART = 5 * MIB
ANY_IS_SLOW = CopySettings(one_request=MIB, parts_above=2 * MIB, part=PART, slow_stream=1 << 60)
CONTENT = os.urandom(3 * PART + 1000)  # four parts


class Killed(BaseException):
    """The process dies."""


class Addresses(MemoryStore):
    """A store that also keeps the address of each upload that there ever was."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: set[str] = set()

    def save_upload(self, upload: Upload) -> None:
        if upload.kind == "parts":
            self.addresses.add(upload.address)
        super().save_upload(upload)


@dataclass(frozen=True)
class Process:
    """A bridge that has found the bucket slow, what it remembers, and a folder of its own."""

    world: World
    storage: GcsStorage
    store: Addresses
    folder: str

    @property
    def uri(self) -> str:
        return f"{self.folder}model.bin"

    def put(self, content: bytes = CONTENT, digest: Digest | None = None, read: Reader | None = None) -> StoredFile:
        file = ArtifactFile("model.bin", len(content), digest)
        return self.storage.put(self.folder, file, read or reading(content))

    @contextmanager
    def restarted(self) -> Iterator[Process]:
        """Another process with the same store, which knows nothing of how slow the bucket is."""
        with closing(bucket_at(self.world.gcs.url, self.store, ANY_IS_SLOW)) as storage:
            yield Process(self.world, storage, self.store, self.folder)

    def objects(self) -> list[str]:
        """List what lies in the folder and beside it."""
        return self.world.gcs.object_names(BUCKET, self.folder.removeprefix(f"gs://{BUCKET}/").rstrip("/"))

    def is_tidy(self) -> bool:
        """Whether nothing is left but, perhaps, the object: no temporary one, no upload there, none in the store."""
        own = {address for address in self.store.addresses if self.folder.split("/")[-2] in address}
        open_ones = [address for address in own if requests.get(self.world.gcs.url + address, timeout=10).ok]
        names = {self.uri.removeprefix(f"gs://{BUCKET}/")}
        return not open_ones and set(self.objects()) <= names and self.store.upload(self.uri) is None


@pytest.fixture(scope="module")
def slow(world: World) -> Iterator[tuple[GcsStorage, Addresses, list[StoredFile]]]:
    """Have one large file show that a stream is slow; it is cheaper to be shown once."""
    store = Addresses()
    with closing(bucket_at(world.gcs.url, store, ANY_IS_SLOW)) as storage:
        shown = storage.put(FIRST, ArtifactFile("model.bin", len(LARGE), None), reading(LARGE))
        yield storage, store, [shown]


FIRST = f"gs://{BUCKET}/copying/parts-first/"
LARGE = bytes(range(256)) * ((TRIAL + 2 * MIB) // 256)


@pytest.fixture
def process(world: World, slow: tuple[GcsStorage, Addresses, list[StoredFile]], folder: str) -> Process:
    number = folder.rstrip("/").rpartition("/")[2]
    return Process(world, slow[0], slow[1], f"gs://{BUCKET}/copying/parts-{number}/")


def md5(content: bytes) -> Digest:
    return Digest("md5", base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode())


def xxh128(content: bytes) -> Digest:
    return Digest("xxh128", base64.b64encode(xxhash.xxh128_digest(content)).decode())


def dying_after(size: int, content: bytes = CONTENT, problem: BaseException | None = None) -> Reader:
    def pieces() -> Iterator[bytes]:
        for at in range(0, size, MIB):
            yield content[at : min(at + MIB, size)]
        raise problem or Killed

    return reader_of(pieces)


def parts_that_arrived(faults: Faults) -> dict[int, int]:
    """Return number and bytes of each part that was sent, in all."""
    sent: dict[int, int] = {}
    for arrived in faults.arrived:
        if found := re.search(r"partNumber=(\d+)", arrived.query):
            sent[int(found[1])] = sent.get(int(found[1]), 0) + arrived.size
    return sent


# what arrives


def test_a_stream_that_is_slow_is_given_up_for_parts(
    world: World, bucket: Bucket, slow: tuple[GcsStorage, Addresses, list[StoredFile]]
) -> None:
    _, store, [stored] = slow
    assert (stored.size, stored.crc32c, stored.md5) == (len(LARGE), crc32c(LARGE), None)
    assert stored.sha256 == base64.b64encode(hashlib.sha256(LARGE).digest()).decode()
    assert bucket.read(f"{FIRST}model.bin") == LARGE
    assert world.gcs.object_names(BUCKET, "copying/parts-first") == ["copying/parts-first/model.bin"]
    assert store.upload(f"{FIRST}model.bin") is None


def test_without_a_key_that_lasts_no_file_goes_in_parts(
    world: World, faults: Faults, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a death nobody could end them."""
    monkeypatch.setattr(uploading, "UNTIMED", 0)
    monkeypatch.setattr(uploading, "TRIAL", 1)
    store = MemoryStore()
    store.lasting = False
    with closing(bucket_at(world.gcs.url, store, ANY_IS_SLOW)) as storage:
        storage.put(folder, ArtifactFile("model.bin", len(CONTENT), None), reading(CONTENT))

    assert parts_that_arrived(faults) == {}


def test_that_a_stream_was_slow_once_is_not_believed_for_ever(
    world: World, faults: Faults, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploading, "UNTIMED", 0)
    monkeypatch.setattr(uploading, "TRIAL", 1)
    clock = FakeClock()

    def sessions(name: str) -> int:
        faults.arrived.clear()
        storage.put(folder, ArtifactFile(name, len(CONTENT), None), reading(CONTENT))
        return sum(each.method == "POST" and "uploadType=resumable" in each.query for each in faults.arrived)

    with closing(bucket_at(world.gcs.url, settings=ANY_IS_SLOW, clock=clock)) as storage:
        assert [sessions("first"), sessions("second")] == [1, 0]
        clock.advance(SLOW.total_seconds())
        assert [sessions("third"), sessions("fourth")] == [1, 0]


@pytest.mark.parametrize("piece", [MIB, PART, 7 * MIB + 3, 100 * MIB])
@pytest.mark.parametrize("size", [2 * MIB + 1, PART, PART + 1, 2 * PART, len(CONTENT)])
def test_the_bytes_are_those_of_the_source_however_they_come(
    process: Process, bucket: Bucket, piece: int, size: int
) -> None:
    content = CONTENT[:size]
    stored = process.put(content, md5(content), reading(content, piece))
    assert (stored.path, stored.size, stored.crc32c) == ("model.bin", size, crc32c(content))
    assert bucket.read(process.uri) == content
    assert process.is_tidy()


def test_parts_are_as_large_as_they_are_set_and_the_last_one_is_what_is_left(process: Process, faults: Faults) -> None:
    process.put()
    assert parts_that_arrived(faults) == {1: PART, 2: PART, 3: PART, 4: 1000}


def test_a_name_in_any_script_is_no_trouble(process: Process, bucket: Bucket) -> None:
    path = "ünder/a b?c#d%41&<x>/λ.bin"
    stored = process.storage.put(process.folder, ArtifactFile(path, len(CONTENT), None), reading(CONTENT))
    assert (stored.path, bucket.read(process.folder + path)) == (path, CONTENT)
    assert process.objects() == [f"{process.folder}{path}".removeprefix(f"gs://{BUCKET}/")]


def test_what_is_under_way_lies_beside_the_folder_and_carries_our_mark(process: Process, faults: Faults) -> None:
    name = process.folder.removeprefix(f"gs://{BUCKET}/").rstrip("/")
    seen: list[dict[str, object]] = []

    def look() -> None:
        url = f"{process.world.gcs.url}/storage/v1/b/{BUCKET}/o"
        seen.extend(requests.get(url, {"prefix": name}, timeout=10).json()["items"])

    faults.meanwhile(look, method="POST", query="ifSourceGenerationMatch")
    process.put()
    look()
    temporary, final = seen
    assert str(temporary["name"]).startswith(f"{name}.unfinished/")
    assert final["name"] == f"{name}/model.bin"
    assert [each["metadata"] for each in seen] == [{"managed-by": "registry-bridge"}] * 2


# names that are taken


def test_a_name_that_other_bytes_have_is_refused_and_nothing_is_left(process: Process, bucket: Bucket) -> None:
    bucket.write(process.uri, b"somebody's")
    with pytest.raises(NeedsPerson, match="already there with other bytes"):
        process.put()
    assert bucket.read(process.uri) == b"somebody's"
    assert process.is_tidy()


def test_a_name_that_the_same_bytes_have_is_taken_for_ours(process: Process, bucket: Bucket) -> None:
    bucket.write(process.uri, CONTENT)
    assert process.put().crc32c == crc32c(CONTENT)
    assert process.is_tidy()


# wrong bytes


@pytest.mark.parametrize(
    ("content", "promised"),
    [
        pytest.param(CONTENT[:-1] + b"?", md5(CONTENT), id="md5"),
        pytest.param(CONTENT[:-1] + b"?", xxh128(CONTENT), id="xxh128"),
        pytest.param(CONTENT[:-1], None, id="shorter"),
        pytest.param(CONTENT[:-1], md5(CONTENT), id="shorter, with a digest"),
        pytest.param(CONTENT + b"?", None, id="longer"),
        pytest.param(CONTENT + b"?", md5(CONTENT), id="longer, with a digest"),
    ],
)
def test_bytes_that_the_source_did_not_promise_leave_nothing(
    process: Process, content: bytes, promised: Digest | None
) -> None:
    with pytest.raises(IntegrityError, match="the source promises"):
        process.put(CONTENT, promised, reading(content))
    assert process.objects() == []
    assert process.is_tidy()


def test_a_part_that_is_changed_on_the_way_is_refused_and_nothing_is_left(process: Process, faults: Faults) -> None:
    faults.flip_bodies_of_chunks()
    with pytest.raises(IntegrityError, match="other bytes arrived than were sent"):
        process.put()
    assert process.objects() == []
    assert process.is_tidy()


def test_a_source_whose_bytes_change_between_two_tries_is_found_out(process: Process, bucket: Bucket) -> None:
    with pytest.raises(Killed):
        process.put(read=dying_after(2 * PART))
    other = b"?" * PART + CONTENT[PART:]
    with process.restarted() as again, pytest.raises(IntegrityError, match="other bytes arrived in the bucket"):
        again.put(other)
    assert process.objects() == []
    assert process.is_tidy()
    process.put(other)
    assert bucket.read(process.uri) == other


# going on


@pytest.mark.parametrize("problem", [Killed(), TryAgain("the source was unwell"), NeedsPerson("it is gone", "look")])
def test_parts_that_the_bucket_has_are_not_sent_again(
    process: Process, bucket: Bucket, faults: Faults, problem: BaseException
) -> None:
    with pytest.raises(type(problem)):
        process.put(read=dying_after(2 * PART + MIB, problem=problem))
    assert parts_that_arrived(faults) == {1: PART, 2: PART}
    with process.restarted() as again:
        stored = again.put()
    assert parts_that_arrived(faults) == {1: PART, 2: PART, 3: PART, 4: 1000}
    assert stored.sha256 == base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
    assert bucket.read(process.uri) == CONTENT
    assert process.is_tidy()


@pytest.mark.parametrize("listed", [1, 2, 3])
def test_a_list_of_parts_has_as_many_pages_as_it_has(
    process: Process, faults: Faults, monkeypatch: pytest.MonkeyPatch, listed: int
) -> None:
    monkeypatch.setattr(routes_xml, "MOST_LISTED", listed)
    with pytest.raises(Killed):
        process.put(read=dying_after(3 * PART))
    with process.restarted() as again:
        again.put()
    assert parts_that_arrived(faults) == {1: PART, 2: PART, 3: PART, 4: 1000}


def test_parts_of_another_size_are_sent_again(process: Process, bucket: Bucket) -> None:
    with pytest.raises(Killed):
        process.put(read=dying_after(3 * PART))
    settings = CopySettings(one_request=MIB, parts_above=2 * MIB, part=6 * MIB, slow_stream=1 << 60)
    with closing(bucket_at(process.world.gcs.url, process.store, settings)) as storage:
        Process(process.world, storage, process.store, process.folder).put()
    assert bucket.read(process.uri) == CONTENT
    assert process.is_tidy()


@pytest.mark.parametrize("other", [CONTENT + b"more", b"?" * len(CONTENT)], ids=["size", "digest"])
def test_an_upload_of_another_file_is_ended_and_begun_anew(process: Process, bucket: Bucket, other: bytes) -> None:
    with pytest.raises(Killed):
        process.put(CONTENT, md5(CONTENT), dying_after(2 * PART))
    with process.restarted() as again:
        again.put(other, md5(other))
    assert bucket.read(process.uri) == other
    assert process.is_tidy()


def test_what_may_no_longer_go_in_parts_goes_as_a_stream_and_its_parts_are_removed(
    process: Process, bucket: Bucket
) -> None:
    with pytest.raises(Killed):
        process.put(read=dying_after(2 * PART))
    with closing(bucket_at(process.world.gcs.url, process.store, CopySettings(one_request=MIB))) as storage:
        Process(process.world, storage, process.store, process.folder).put()
    assert bucket.read(process.uri) == CONTENT
    assert process.is_tidy()


def test_a_session_is_gone_on_with_however_slow_the_bucket_is_by_now(process: Process, faults: Faults) -> None:
    with process.restarted() as fast, pytest.raises(TryAgain):
        fast.put(read=dying_after(3 * PART, problem=TryAgain("the source was unwell")))
    upload = process.store.upload(process.uri)
    assert upload is not None
    assert upload.kind == "session"
    faults.arrived.clear()
    process.put()
    assert parts_that_arrived(faults) == {}
    assert 0 < sum(arrived.size for arrived in faults.arrived if arrived.method == "PUT") < len(CONTENT)
    assert process.is_tidy()


def test_a_process_that_dies_before_the_copy_inside_the_bucket_sends_nothing_again(
    process: Process, bucket: Bucket, faults: Faults
) -> None:
    faults.answer(503, method="POST", query="ifSourceGenerationMatch")
    with pytest.raises(TryAgain):
        process.put()
    faults.answer(503, times=0)
    sent = parts_that_arrived(faults)
    with process.restarted() as again:
        again.put()
    assert parts_that_arrived(faults) == sent
    assert bucket.read(process.uri) == CONTENT
    assert process.is_tidy()


def test_a_process_that_dies_after_the_copy_inside_the_bucket_leaves_nothing_to_the_next(
    process: Process, faults: Faults
) -> None:
    faults.answer(503, method="DELETE")
    with pytest.raises(TryAgain):
        process.put()
    faults.answer(503, times=0)
    assert len(process.objects()) == 2
    with process.restarted() as again:
        [there] = again.storage.held(again.folder)
        again.storage.put(again.folder, ArtifactFile("model.bin", len(CONTENT), None), reading(CONTENT), there)
    assert process.is_tidy()
    assert len(process.objects()) == 1


# lost answers

REQUESTS = {
    "start": ("POST", "uploads"),
    "a part": ("PUT", "partNumber=2"),
    "complete": ("POST", "uploadId"),
    "rewrite": ("POST", "ifSourceGenerationMatch"),
    "abort": ("DELETE", "uploadId"),
    "delete": ("DELETE", "ifGenerationMatch"),
}


@pytest.mark.parametrize(("method", "query"), REQUESTS.values(), ids=REQUESTS)
def test_an_answer_that_is_lost_changes_nothing(
    process: Process, bucket: Bucket, faults: Faults, method: str, query: str
) -> None:
    faults.lose_answer(method=method, query=query)
    assert process.put(digest=md5(CONTENT)).crc32c == crc32c(CONTENT)
    assert bucket.read(process.uri) == CONTENT
    assert len(process.objects()) == 1
    assert process.is_tidy()


@pytest.mark.parametrize(("method", "query"), REQUESTS.values(), ids=REQUESTS)
def test_a_bucket_that_is_unwell_is_for_another_time_which_goes_on(
    process: Process, bucket: Bucket, faults: Faults, method: str, query: str
) -> None:
    faults.answer(503, method=method, query=query)
    with pytest.raises(TryAgain):
        process.put()
    faults.answer(503, times=0)
    with process.restarted() as again:
        again.put()
    assert bucket.read(process.uri) == CONTENT
    assert process.is_tidy()


@pytest.mark.parametrize("status", [403, 418])
@pytest.mark.parametrize("request_", ["start", "a part", "complete", "rewrite"])
def test_what_is_refused_needs_a_person(process: Process, faults: Faults, request_: str, status: int) -> None:
    method, query = REQUESTS[request_]
    faults.answer(status, times=1, method=method, query=query)
    with pytest.raises(NeedsPerson):
        process.put()


# somebody else


def abort(process: Process) -> None:
    upload = process.store.upload(process.uri)
    assert upload is not None
    requests.delete(process.world.gcs.url + upload.address, timeout=10).raise_for_status()


@pytest.mark.parametrize("request_", ["a part", "complete"])
def test_an_upload_that_somebody_ends_meanwhile_is_begun_anew_the_next_time(
    process: Process, bucket: Bucket, faults: Faults, request_: str
) -> None:
    method, query = REQUESTS[request_]
    faults.meanwhile(lambda: abort(process), method=method, query=query)
    with pytest.raises(TryAgain, match="somebody has ended its upload"):
        process.put()
    with process.restarted() as again:
        again.put()
    assert bucket.read(process.uri) == CONTENT
    assert process.is_tidy()


def test_an_upload_that_somebody_has_ended_since_is_begun_anew(process: Process, bucket: Bucket) -> None:
    with pytest.raises(Killed):
        process.put(read=dying_after(2 * PART))
    abort(process)
    process.put()
    assert bucket.read(process.uri) == CONTENT
    assert process.is_tidy()


def test_a_temporary_object_that_somebody_replaces_is_found_out(
    process: Process, bucket: Bucket, faults: Faults
) -> None:
    def replace() -> None:
        [temporary] = process.objects()
        bucket.write(f"gs://{BUCKET}/{temporary}", b"somebody's")

    faults.meanwhile(replace, method="POST", query="ifSourceGenerationMatch")
    with pytest.raises(TryAgain):
        process.put()
    with pytest.raises(IntegrityError):
        process.put()
    assert process.is_tidy()
    process.put()
    assert bucket.read(process.uri) == CONTENT


def test_parts_on_their_way_hold_no_process_back_that_wants_to_end() -> None:
    stuck = threading.Event()
    may_answer = threading.Event()

    def script(asked: Asked) -> Reply:
        if "partNumber" in asked.path:
            stuck.set()
            may_answer.wait(60)
            return Reply(503)
        if asked.path.endswith("?uploads"):
            return Reply(body=b"<UploadId>u</UploadId>")
        return Reply(404)

    code = f"""
import sys, threading
from tests.copying.conftest import bucket_at
from tests.copying.test_parts import ANY_IS_SLOW, Addresses
from tests.readers import reading
from bridge.core.model import ArtifactFile
from bridge.core.records import Upload
store, uri = Addresses(), "gs://models/v7/model.bin"
store.save_upload(Upload(uri, "/models/x?uploadId=u", "parts", {2 * PART}, None, "2026-01-05T09:00:00+00:00"))
storage = bucket_at(sys.argv[1], store, ANY_IS_SLOW)
file = ArtifactFile("model.bin", {2 * PART}, None)
threading.Thread(target=storage.put, args=("gs://models/v7/", file, reading(bytes({2 * PART}))), daemon=True).start()
sys.stdin.readline()
"""
    with ScriptedServer(script) as server:
        child = subprocess.Popen([sys.executable, "-c", code, server.url], stdin=subprocess.PIPE)  # noqa: S603  ours
        try:
            assert stuck.wait(60)
            child.communicate(b"end\n", timeout=30)
        finally:
            may_answer.set()
            child.kill()
            child.wait()
    assert child.returncode == 0


def test_no_more_parts_are_on_their_way_than_may_be_sent_again() -> None:
    """One more is read meanwhile, and stays here."""
    lock, asked, all_are_there = threading.Lock(), [0, 0], threading.Event()  # now, and at most
    store, uri = Addresses(), "gs://models/v7/model.bin"
    store.save_upload(Upload(uri, "/models/x?uploadId=u", "parts", 8 * PART, None, "2026-01-05T09:00:00+00:00"))

    def script(request: Asked) -> Reply:
        if "partNumber=" in request.path:
            with lock:
                asked[0] += 1
                asked[1] = max(asked)
                if asked[0] == AT_A_TIME:
                    all_are_there.set()
            assert all_are_there.wait(60)
            threading.Event().wait(0.1)  # for one more, which must not come
            with lock:
                asked[0] -= 1
            return Reply(headers={"ETag": '"e"'})
        if "part-number-marker" in request.path:
            return Reply(body=b"<ListPartsResult></ListPartsResult>")
        return Reply(404)

    with (
        ScriptedServer(script) as server,
        closing(bucket_at(server.url, store, ANY_IS_SLOW)) as storage,
        pytest.raises(TryAgain),  # it cannot be completed
    ):
        storage.put("gs://models/v7/", ArtifactFile("model.bin", 8 * PART, None), reading(bytes(8 * PART)))
    assert asked == [0, AT_A_TIME]


# sizes


@given(st.integers(1, 5 << 40), st.integers(20, 400))
def test_there_are_never_too_many_parts(size: int, steps: int) -> None:
    settings = CopySettings(part=steps * (256 << 10))
    part = part_size(size, settings)
    assert part >= settings.part
    assert part % (256 << 10) == 0
    assert -(-size // part) <= MOST
    assert part == settings.part or -(-size // (part - (256 << 10))) >= MOST - 1


def test_what_would_take_too_much_memory_in_parts_goes_as_a_stream(process: Process) -> None:
    large = ArtifactFile("model.bin", 300 * GIB, None)
    assert memory_for_parts(large.size, ANY_IS_SLOW) == (AT_A_TIME + 1) * part_size(large.size, ANY_IS_SLOW)
    assert memory_for_parts(large.size, ANY_IS_SLOW) <= ANY_IS_SLOW.memory
    assert process.storage.weight(large) == memory_for_parts(large.size, ANY_IS_SLOW)
    larger = ArtifactFile("model.bin", 3000 * GIB, None)
    assert memory_for_parts(larger.size, ANY_IS_SLOW) > ANY_IS_SLOW.memory
    assert process.storage.weight(larger) < 10 * MIB
