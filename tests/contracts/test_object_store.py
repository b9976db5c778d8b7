"""What every store promises that a source keeps its files in: listed and read, whatever the names are."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

import pytest

from bridge.core.errors import NeedsPerson
from bridge.core.model import Digest
from tests.contracts.buckets import ABSENT, MAKES, crc32c, md5

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contracts.buckets import Place

NAMES = ["model.bin", "a b/é%2F?#&=+ü.bin", "100%.bin", "x#1", "a?b", "\U0001f600", "a//b", "..", "a/../b", "\u202ex"]


@pytest.fixture(params=MAKES)
def end(request: pytest.FixtureRequest) -> Iterator[Place]:
    yield from request.param(request, f"contract-{uuid.uuid4().hex[:12]}")


def read(end: Place, path: str, start: int = 0) -> bytes:
    with end.storage.open(end.folder + path, start) as pieces:
        return b"".join(pieces)


# list


def test_all_objects_below_a_folder_are_listed_by_path(end: Place) -> None:
    for path in ("b", "a/b/c", "a", "B", "a-"):
        end.write(path, path.encode())

    listed = end.storage.list(end.folder)

    assert [file.path for file in listed] == ["B", "a", "a-", "a/b/c", "b"]
    assert [file.size for file in listed] == [1, 1, 2, 5, 1]


def test_an_object_is_listed_with_its_md5_and_where_it_lies(end: Place) -> None:
    end.write("a/model.bin", b"the model")

    (file,) = end.storage.list(f"{end.folder}a/")

    assert file.digest == Digest("md5", md5(b"the model"))
    assert file.location == f"{end.folder}a/model.bin"


def test_a_composed_object_is_listed_with_its_crc32c(end: Place) -> None:
    end.compose("model.bin", b"the model")

    (file,) = end.storage.list(end.folder)

    assert file.digest == Digest("crc32c", crc32c(b"the model"))


@pytest.mark.parametrize("name", NAMES)
def test_an_object_is_listed_and_read_whatever_its_name_is(end: Place, name: str) -> None:
    end.write(name, b"the model")

    (file,) = end.storage.list(end.folder)

    assert (file.path, file.location) == (name, end.folder + name)
    assert read(end, name) == b"the model"


def test_markers_of_directories_are_left_out(end: Place) -> None:
    for path in ("", "a/", "a/b/"):
        end.write(path, b"")
    end.write("a/b/model.bin", b"1")
    end.write("a/empty", b"")

    assert [file.path for file in end.storage.list(end.folder)] == ["a/b/model.bin", "a/empty"]


def test_an_object_that_only_looks_like_a_directory_is_listed(end: Place) -> None:
    end.write("a/", b"bytes")

    assert [(file.path, file.size) for file in end.storage.list(end.folder)] == [("a/", 5)]


def test_a_folder_that_is_absent_is_empty(end: Place) -> None:
    end.write("a/model.bin", b"1")

    assert end.storage.list(f"{end.folder}b/") == ()


def test_a_folder_is_not_another_one_whose_name_begins_alike(end: Place) -> None:
    end.write("a2/model.bin", b"1")

    assert end.storage.list(f"{end.folder}a/") == ()


# open


@pytest.mark.parametrize("start", [0, 1, 8, 9, 10])
def test_an_object_is_read_from_any_byte_on(end: Place, start: int) -> None:
    end.write("model.bin", b"the model")

    assert read(end, "model.bin", start) == b"the model"[start:]


def test_an_empty_object_has_no_bytes(end: Place) -> None:
    end.write("empty", b"")

    assert read(end, "empty") == b""


@pytest.mark.parametrize("start", [0, 3, (8 << 20) - 1, 8 << 20, (8 << 20) + 1])
def test_a_large_object_is_read_whole_in_pieces(end: Place, start: int) -> None:
    content = os.urandom(1 << 20) * 9 + b"end"
    end.write("model.bin", content)

    with end.storage.open(f"{end.folder}model.bin", start) as pieces:
        read = list(pieces)

    assert b"".join(read) == content[start:]
    assert max(len(piece) for piece in read) <= 8 << 20


def test_a_composed_object_is_read(end: Place) -> None:
    end.compose("model.bin", b"the model")

    assert read(end, "model.bin") == b"the model"


def test_an_object_that_is_not_there_needs_a_person(end: Place) -> None:
    with pytest.raises(NeedsPerson, match=r"the object '.*model\.bin' is gone, or never was; put it back"):
        read(end, "model.bin")


@pytest.mark.parametrize("uri", ["s3://bucket/a/", "a/", "gs:///", "/", "GS://bucket/a/"])
def test_what_does_not_lie_in_cloud_storage_is_not_looked_for_there(end: Place, uri: str) -> None:
    with pytest.raises(NeedsPerson, match="is not a place in Google Cloud Storage; write it as gs://bucket/path"):
        end.storage.list(uri)
    with (
        pytest.raises(NeedsPerson, match="is not a place in Google Cloud Storage; write it as gs://bucket/path"),
        end.storage.open(f"{uri}model.bin") as pieces,
    ):
        list(pieces)


def test_a_bucket_that_is_not_there_needs_a_person(end: Place) -> None:
    with pytest.raises(NeedsPerson, match=f"'gs://{ABSENT}/a/': the bucket does not exist"):
        end.storage.list(f"gs://{ABSENT}/a/")
    with (
        pytest.raises(NeedsPerson, match=f"'gs://{ABSENT}/a' is gone, or never was"),
        end.storage.open(f"gs://{ABSENT}/a") as pieces,
    ):
        list(pieces)


def test_a_bucket_that_refuses_access_needs_a_person(end: Place) -> None:
    end.write("model.bin", b"the model")
    with end.deny():
        with pytest.raises(NeedsPerson, match=r"refuses access.*; give the bridge's account"):
            end.storage.list(end.folder)
        with pytest.raises(NeedsPerson, match=r"refuses access.*; give the bridge's account"):
            read(end, "model.bin")
