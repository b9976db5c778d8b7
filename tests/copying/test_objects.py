"""Reading what a source keeps in Cloud Storage, through everything that can happen on the way."""

from __future__ import annotations

import gzip
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from bridge.copying.gcs import GcsObjects
from bridge.copying.gcs.objects import PIECE
from bridge.core.errors import NeedsPerson, TryAgain
from bridge.sandbox.address import BUCKET, PROJECT
from bridge.sandbox.faults import Fault
from bridge.sandbox.gcs import routes_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.sandbox.faults import Kind
    from bridge.sandbox.world import World
    from tests.copying.conftest import Bucket, Faults

pytestmark = pytest.mark.sandbox

LARGE = (bytes(range(256)) * (PIECE // 256 + 1)) * 2 + b"end"  # three pieces


@pytest.fixture
def objects(world: World) -> Iterator[GcsObjects]:
    with closing(GcsObjects(PROJECT, world.gcs.url)) as opened:
        yield opened


def read(objects: GcsObjects, uri: str, start: int = 0) -> bytes:
    with objects.open(uri, start) as pieces:
        return b"".join(pieces)


def test_a_long_list_comes_in_pages(
    objects: GcsObjects, folder: str, bucket: Bucket, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes_json, "PAGE", 3)  # the service's own is 1000
    for number in range(7):
        bucket.write(f"{folder}{number}", b"")
    world.traffic.reset()

    assert [file.path for file in objects.list(folder)] == list("0123456")
    assert world.traffic.count("gcs") == 3


def test_a_piece_is_a_request_and_metadata_are_one(
    objects: GcsObjects, folder: str, bucket: Bucket, world: World
) -> None:
    bucket.write(f"{folder}model.bin", LARGE)
    world.traffic.reset()

    assert read(objects, f"{folder}model.bin") == LARGE
    assert world.traffic.count("gcs") == 1 + 3


def test_nothing_is_read_that_is_not_asked_for(objects: GcsObjects, folder: str, bucket: Bucket, world: World) -> None:
    bucket.write(f"{folder}model.bin", LARGE)
    world.traffic.reset()

    with objects.open(f"{folder}model.bin") as pieces:
        assert len(next(pieces)) == PIECE
    assert world.traffic.count("gcs") == 1 + 1


def test_a_packed_object_is_read_as_it_is_stored(objects: GcsObjects, folder: str, bucket: Bucket) -> None:
    packed = gzip.compress(b"the model" * 100)
    bucket.write(f"{folder}model.bin", packed, contentEncoding="gzip")
    (file,) = objects.list(folder)

    assert file.size == len(packed)
    assert read(objects, f"{folder}model.bin") == packed
    assert read(objects, f"{folder}model.bin", 5) == packed[5:]


@pytest.mark.parametrize("change", ["replaced", "deleted"])
@pytest.mark.parametrize("read_before", [0, 1])
def test_bytes_of_two_objects_are_never_mixed(
    objects: GcsObjects, folder: str, bucket: Bucket, change: str, read_before: int
) -> None:
    uri = f"{folder}model.bin"
    bucket.write(uri, LARGE)

    with objects.open(uri) as pieces:
        assert b"".join(islice(pieces, read_before)) == LARGE[: PIECE * read_before]
        if change == "deleted":
            bucket.delete(uri)
        else:
            bucket.write(uri, LARGE[::-1])
        with pytest.raises(TryAgain, match=r"model\.bin' was replaced or deleted while it was read"):
            next(pieces)


@pytest.mark.parametrize("kind", ["reset", "timeout_after", "half_body", "slow", "status"])
@pytest.mark.parametrize("method", ["objects.get", "objects.list"])
def test_what_breaks_once_is_taken_up(
    objects: GcsObjects, folder: str, bucket: Bucket, world: World, kind: Kind, *, method: str
) -> None:
    uri = f"{folder}model.bin"
    bucket.write(uri, LARGE)
    with objects.open(uri) as pieces:
        first = next(pieces)
        number = world.traffic.faults.arm(Fault("gcs", kind, method=method))
        try:
            assert first + b"".join(pieces) == LARGE
            assert [file.path for file in objects.list(folder)] == ["model.bin"]
        finally:
            world.traffic.faults.disarm(number)


def test_a_byte_that_changes_on_its_way_is_noticed(
    objects: GcsObjects, folder: str, bucket: Bucket, world: World
) -> None:
    bucket.write(f"{folder}model.bin", b"the model")
    with objects.open(f"{folder}model.bin") as pieces:
        world.traffic.faults.arm(Fault("gcs", "corrupt_byte", method="objects.get"))
        with pytest.raises(TryAgain, match="other bytes arrived than are stored"):
            next(pieces)


# errors


def test_a_bucket_that_is_not_there_needs_a_person(objects: GcsObjects) -> None:
    with pytest.raises(NeedsPerson, match="'gs://no-such-bucket/a/': the bucket does not exist; check at the source"):
        objects.list("gs://no-such-bucket/a/")
    with pytest.raises(NeedsPerson, match="'gs://no-such-bucket/a' is gone, or never was"):
        read(objects, "gs://no-such-bucket/a")


def test_an_account_without_rights_needs_a_person(
    objects: GcsObjects, folder: str, bucket: Bucket, faults: Faults
) -> None:
    bucket.write(f"{folder}a", b"1")
    with objects.open(f"{folder}a") as pieces:
        faults.answer(403)
        with pytest.raises(NeedsPerson, match=r"refuses access .*roles/storage\.objectViewer on that bucket"):
            next(pieces)
    with pytest.raises(NeedsPerson, match=r"refuses access .*roles/storage\.objectViewer on that bucket"):
        read(objects, f"{folder}a")
    with pytest.raises(NeedsPerson, match=r"refuses access .*roles/storage\.objectViewer on that bucket"):
        objects.list(folder)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_bucket_that_stays_unwell_is_for_another_time(
    objects: GcsObjects, folder: str, bucket: Bucket, faults: Faults, status: int
) -> None:
    bucket.write(f"{folder}a", b"1")
    with objects.open(f"{folder}a") as pieces:
        faults.answer(status)
        with pytest.raises(TryAgain, match="is unwell"):
            next(pieces)
    with pytest.raises(TryAgain, match="is unwell"):
        read(objects, f"{folder}a")
    with pytest.raises(TryAgain, match="is unwell"):
        objects.list(folder)


@pytest.mark.parametrize("kind", ["reset", "half_body"])
def test_a_connection_that_always_breaks_is_for_another_time(
    objects: GcsObjects, folder: str, bucket: Bucket, world: World, kind: Kind
) -> None:
    bucket.write(f"{folder}model.bin", LARGE)
    with objects.open(f"{folder}model.bin") as pieces:
        number = world.traffic.faults.arm(Fault("gcs", kind, method="objects.get", count=None))
        try:
            with pytest.raises(TryAgain, match="is unwell"):
                next(pieces)
        finally:
            world.traffic.faults.disarm(number)


def test_names_are_shown_without_what_could_mislead(objects: GcsObjects) -> None:
    with pytest.raises(NeedsPerson) as refused:
        read(objects, f"gs://{BUCKET}/a\u202eb\n")
    assert "\u202e" not in str(refused.value)
    assert "\n" not in str(refused.value)
