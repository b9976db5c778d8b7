"""Copies inside the stand-in: in several calls, over lost answers, with somebody else at the same objects."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

import google_crc32c
import pytest

from bridge.core.errors import IntegrityError, NeedsPerson, TryAgain
from bridge.core.model import ArtifactFile, Digest, StoredFile
from bridge.sandbox.address import BUCKET
from bridge.sandbox.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.copying.gcs import GcsStorage
    from bridge.sandbox.faults import Kind
    from bridge.sandbox.world import World
    from tests.copying.conftest import Bucket, Faults

pytestmark = pytest.mark.sandbox

CONTENT = bytes(range(256)) * 1000
COPY = "ifSourceGenerationMatch"  # what only the query of a rewrite has


@pytest.fixture
def source(folder: str, bucket: Bucket) -> str:
    """Write CONTENT outside of the folder."""
    uri = f"{folder[:-1]}-theirs/a b#?%2F/é.bin"
    bucket.write(uri, CONTENT)
    return uri


@pytest.fixture
def small_steps(world: World) -> Iterator[None]:
    world.gcs.rewrite_chunk = 100_000
    yield
    world.gcs.rewrite_chunk = None


def md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


def rewrite(storage: GcsStorage, folder: str, source: str, content: bytes = CONTENT) -> StoredFile:
    return storage.rewrite(folder, ArtifactFile("model.bin", len(content), Digest("md5", md5(content))), source)


def names(world: World, folder: str) -> list[str]:
    return world.gcs.object_names(BUCKET, folder.removeprefix(f"gs://{BUCKET}/"))


def counts(world: World) -> dict[str, int]:
    return {call.method: count for call, count in world.traffic.counts().items() if call.service == "gcs"}


def test_no_byte_passes_through_here(storage: GcsStorage, folder: str, source: str, world: World) -> None:
    world.traffic.reset()

    stored = rewrite(storage, folder, source)

    crc32c = base64.b64encode(google_crc32c.value(CONTENT).to_bytes(4, "big")).decode()
    assert stored == StoredFile("model.bin", len(CONTENT), crc32c, md5=md5(CONTENT))
    assert counts(world) == {"objects.get": 1, "objects.rewrite": 1}


@pytest.mark.usefixtures("small_steps")
def test_a_large_object_takes_several_calls(
    storage: GcsStorage, folder: str, source: str, bucket: Bucket, world: World
) -> None:
    world.traffic.reset()

    assert rewrite(storage, folder, source).size == len(CONTENT)
    assert counts(world) == {"objects.get": 1, "objects.rewrite": 3}
    assert bucket.read(f"{folder}model.bin") == CONTENT


def test_a_copy_that_comes_no_further_is_for_another_time(
    storage: GcsStorage, folder: str, source: str, world: World
) -> None:
    number = world.traffic.faults.arm(Fault("gcs", "operation_never_ends", "objects.rewrite", count=None))
    try:
        with pytest.raises(TryAgain, match=r"model.bin: Google Cloud Storage comes no further with it than 0 bytes"):
            rewrite(storage, folder, source)
    finally:
        world.traffic.faults.disarm(number)
    assert names(world, folder) == []

    assert rewrite(storage, folder, source).size == len(CONTENT)


@pytest.mark.usefixtures("small_steps")
def test_a_large_object_is_not_gone_on_with_when_all_copies_are_halted(
    storage: GcsStorage, folder: str, source: str, world: World, *, faults: Faults
) -> None:
    faults.meanwhile(storage._halted.set, method="POST", query="rewriteToken")  # noqa: SLF001  it has no other door
    world.traffic.reset()

    with pytest.raises(TryAgain, match="stopped"):
        rewrite(storage, folder, source)
    assert counts(world)["objects.rewrite"] == 2


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("change", ["replaced", "deleted"])
def test_an_object_that_changes_between_two_calls_is_for_another_time(
    storage: GcsStorage, folder: str, source: str, bucket: Bucket, world: World, *, faults: Faults, change: str
) -> None:
    act = {"replaced": lambda: bucket.write(source, b"other"), "deleted": lambda: bucket.delete(source)}[change]
    faults.meanwhile(act, method="POST", query="rewriteToken")

    with pytest.raises(TryAgain, match=r"theirs/.* was replaced or deleted while it was read"):
        rewrite(storage, folder, source)
    assert names(world, folder) == []


@pytest.mark.parametrize("change", ["replaced", "deleted"])
def test_what_was_compared_is_what_is_copied(
    storage: GcsStorage, folder: str, source: str, bucket: Bucket, world: World, *, faults: Faults, change: str
) -> None:
    act = {"replaced": lambda: bucket.write(source, b"other"), "deleted": lambda: bucket.delete(source)}[change]
    faults.meanwhile(act, method="POST", query=COPY)

    with pytest.raises(TryAgain, match="was replaced or deleted while it was read"):
        rewrite(storage, folder, source)
    assert names(world, folder) == []


def test_a_source_that_fails_its_precondition_is_for_another_time(
    storage: GcsStorage, folder: str, source: str, bucket: Bucket, faults: Faults
) -> None:
    # The service may check ifSourceGenerationMatch before it looks for the generation: then it says 412, not 404.
    faults.answer(412, times=1, method="POST", query=COPY)
    faults.meanwhile(lambda: bucket.write(source, b"other"), method="POST", query=COPY)

    with pytest.raises(TryAgain, match="was replaced or deleted while it was read"):
        rewrite(storage, folder, source)


def test_a_copy_whose_answer_was_lost_is_known_for_our_own(
    storage: GcsStorage, folder: str, source: str, faults: Faults
) -> None:
    faults.lose_answer(method="POST", query=COPY)

    assert rewrite(storage, folder, source).md5 == md5(CONTENT)
    assert faults.seen == ["GET", "POST", "POST", "GET"]


@pytest.mark.usefixtures("small_steps")
def test_a_call_in_the_middle_whose_answer_was_lost_is_made_again(
    storage: GcsStorage, folder: str, source: str, bucket: Bucket, faults: Faults
) -> None:
    faults.lose_answer(method="POST", query="rewriteToken")

    rewrite(storage, folder, source)
    assert bucket.read(f"{folder}model.bin") == CONTENT


@pytest.mark.parametrize(
    ("theirs", "problem"), [(CONTENT, None), (CONTENT[1:] + b"!", "already there with other bytes"), (b"", "already")]
)
def test_an_object_that_comes_in_between_is_compared(
    storage: GcsStorage, folder: str, source: str, bucket: Bucket, faults: Faults, *, theirs: bytes, problem: str | None
) -> None:
    faults.meanwhile(lambda: bucket.write(f"{folder}model.bin", theirs), method="POST", query=COPY)

    if problem is None:
        assert rewrite(storage, folder, source).md5 == md5(CONTENT)
    else:
        with pytest.raises(NeedsPerson, match=problem):
            rewrite(storage, folder, source)
    assert bucket.read(f"{folder}model.bin") == theirs


def test_an_object_with_the_same_size_and_crc32c_is_not_taken_for_the_copy(
    storage: GcsStorage, folder: str, source: str, bucket: Bucket
) -> None:
    polynomial = int(f"{0x11EDC6F41:033b}"[::-1], 2).to_bytes(5, "little")  # adding it changes no crc32c
    theirs = bytes(a ^ b for a, b in zip(CONTENT, polynomial.ljust(len(CONTENT), b"\0"), strict=True))
    assert google_crc32c.value(theirs) == google_crc32c.value(CONTENT)
    bucket.write(f"{folder}model.bin", theirs)

    with pytest.raises(NeedsPerson, match="already there with other bytes"):
        rewrite(storage, folder, source)


def test_an_object_in_the_way_that_vanishes_is_for_another_time(
    storage: GcsStorage, folder: str, source: str, bucket: Bucket, faults: Faults
) -> None:
    uri = f"{folder}model.bin"
    bucket.write(uri, CONTENT)
    faults.answer(412, times=1, method="POST", query=COPY)
    faults.meanwhile(lambda: bucket.delete(uri), method="POST", query=COPY)

    with pytest.raises(TryAgain, match=r"model\.bin was there, and vanished while it was compared"):
        rewrite(storage, folder, source)


def test_a_copy_with_other_bytes_is_removed_again(
    storage: GcsStorage, folder: str, source: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Somebody's proxy answers for another object: what is said of the copy is not what was compared.
    client = storage._client  # noqa: SLF001  nothing else stands between the client and the wire
    post: Callable[..., dict[str, Any]] = client._post_resource  # noqa: SLF001  the same

    def lying(*arguments: object, **named: object) -> dict[str, Any]:
        answer: dict[str, Any] = post(*arguments, **named)
        return {**answer, "resource": {**answer["resource"], "crc32c": "AAAAAA=="}}

    monkeypatch.setattr(client, "_post_resource", lying)

    with pytest.raises(
        IntegrityError, match=r"model\.bin: the bucket holds other bytes than .*; the object is removed"
    ):
        rewrite(storage, folder, source)
    assert names(world, folder) == []


# errors


def test_a_target_bucket_that_is_not_there_needs_a_person(storage: GcsStorage, source: str) -> None:
    with pytest.raises(
        NeedsPerson, match=r"gs://no-such-bucket/m/model\.bin: the bucket does not exist; create it, or"
    ):
        rewrite(storage, "gs://no-such-bucket/m/", source)


def test_a_source_bucket_that_is_not_there_needs_a_person(storage: GcsStorage, folder: str) -> None:
    with pytest.raises(NeedsPerson, match="the object 'gs://no-such-bucket/x' is gone, or never was"):
        rewrite(storage, folder, "gs://no-such-bucket/x")


def test_a_source_that_may_not_be_read_needs_a_person(
    storage: GcsStorage, folder: str, source: str, faults: Faults
) -> None:
    faults.answer(403, method="GET")

    with pytest.raises(NeedsPerson, match=r"theirs/.* refuses access .*roles/storage\.objectViewer on that bucket"):
        rewrite(storage, folder, source)


def test_a_target_that_may_not_be_written_needs_a_person(
    storage: GcsStorage, folder: str, source: str, faults: Faults
) -> None:
    faults.answer(403, method="POST")

    with pytest.raises(NeedsPerson, match=r"model\.bin: .* refuses access .*roles/storage\.objectAdmin on the bucket"):
        rewrite(storage, folder, source)


def test_a_name_that_is_too_long_is_not_copied_to(storage: GcsStorage, source: str) -> None:
    with pytest.raises(NeedsPerson, match="longer than 1024 bytes"):
        rewrite(storage, f"gs://{BUCKET}/{'x' * 1020}/", source)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_bucket_that_stays_unwell_is_for_another_time(
    storage: GcsStorage, folder: str, source: str, faults: Faults, method: str, *, status: int
) -> None:
    faults.answer(status, method=method)

    with pytest.raises(TryAgain, match="is unwell"):
        rewrite(storage, folder, source)


@pytest.mark.parametrize("kind", ["reset", "timeout_after", "half_body", "slow", "status"])
@pytest.mark.parametrize("method", ["objects.get", "objects.rewrite"])
def test_a_call_that_goes_wrong_once_is_made_again(
    storage: GcsStorage, folder: str, source: str, bucket: Bucket, world: World, *, kind: Kind, method: str
) -> None:
    number = world.traffic.faults.arm(Fault("gcs", kind, method=method))
    try:
        rewrite(storage, folder, source)
    finally:
        world.traffic.faults.disarm(number)
    assert bucket.read(f"{folder}model.bin") == CONTENT
