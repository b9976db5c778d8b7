"""What every bucket promises: in memory, over the sandbox through the real SDK, and, with --live, in GCS."""

from __future__ import annotations

import os
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from bridge.core.errors import IntegrityError, NeedsPerson, TryAgain
from bridge.core.model import ArtifactFile, Digest, Facts, Manifest, StoredFile
from bridge.core.records import Upload
from tests.contracts.buckets import ABSENT, MAKES, crc32c, md5, sha256, xxh128
from tests.readers import reader_of, reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contracts.buckets import Place

LARGE = 8 * (1 << 20) + 3  # bytes: GcsStorage sends more than 8 MiB in chunks
CONTENT = b"the model"
ALGORITHMS = ["md5", "xxh128", "crc32c", None]


@pytest.fixture(params=MAKES)
def end(request: pytest.FixtureRequest) -> Iterator[Place]:
    yield from request.param(request, f"contract-{uuid.uuid4().hex[:12]}")


def file(content: bytes = CONTENT, path: str = "model.bin", algorithm: str | None = "md5") -> ArtifactFile:
    """Describe a file as a source does that keeps digests by `algorithm`."""
    digests = {
        "md5": Digest("md5", md5(content)),
        "xxh128": Digest("xxh128", xxh128(content)),
        "crc32c": Digest("crc32c", crc32c(content)),
        None: None,
    }
    return ArtifactFile(path, len(content), digests[algorithm])


def manifest(*files: StoredFile) -> Manifest:
    return Manifest("acme_org/model/fraud", "v7", "id-7", "d7", files, "2026-01-05T09:00:00+00:00")


# put


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_file_is_stored_and_told_with_its_digests(end: Place, algorithm: str | None) -> None:
    stored = end.storage.put(end.folder, file(algorithm=algorithm), reading(CONTENT, 4))

    assert end.read("model.bin") == CONTENT
    assert (stored.path, stored.size, stored.crc32c) == ("model.bin", len(CONTENT), crc32c(CONTENT))
    assert stored.md5 in (None, md5(CONTENT))
    assert stored.xxh128 == (xxh128(CONTENT) if algorithm == "xxh128" else None)
    assert stored.sha256 == (sha256(CONTENT) if algorithm is None else None)


@pytest.mark.parametrize("path", ["a/b/model.bin", "näme with ünicode.bin", "100%.bin", "a?b#c.bin", "+.bin"])
def test_a_file_is_stored_under_its_path_whatever_is_in_it(end: Place, path: str) -> None:
    end.storage.put(end.folder, file(path=path), reading(CONTENT, 4))

    assert end.read(path) == CONTENT


def test_an_empty_file_is_stored(end: Place) -> None:
    stored = end.storage.put(end.folder, file(b""), reading(b""))

    assert (end.read("model.bin"), stored.size, stored.crc32c) == (b"", 0, "AAAAAA==")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_large_file_is_stored_whole(end: Place, algorithm: str | None) -> None:
    content = os.urandom(1 << 20) * 8 + b"end"
    assert len(content) == LARGE

    stored = end.storage.put(end.folder, file(content, algorithm=algorithm), reading(content, 1 << 18))

    assert (stored.size, stored.crc32c) == (LARGE, crc32c(content))
    assert end.read("model.bin") == content


def test_a_file_that_comes_in_one_piece_is_stored(end: Place) -> None:
    end.storage.put(end.folder, file(), reading(CONTENT))

    assert end.read("model.bin") == CONTENT


def test_storing_a_file_twice_is_storing_it_once(end: Place) -> None:
    first = end.storage.put(end.folder, file(), reading(CONTENT, 4))

    assert end.storage.put(end.folder, file(), reading(CONTENT, 4)) == first
    assert end.read("model.bin") == CONTENT


def test_storing_a_large_file_twice_is_storing_it_once(end: Place) -> None:
    content = b"x" * LARGE
    first = end.storage.put(end.folder, file(content), reading(content, 1 << 20))

    assert end.storage.put(end.folder, file(content), reading(content, 1 << 20)) == first


def test_another_object_of_that_name_is_not_overwritten(end: Place) -> None:
    end.write("model.bin", b"not ours.")

    with pytest.raises(NeedsPerson) as refused:
        end.storage.put(end.folder, file(), reading(CONTENT, 4))

    assert not isinstance(refused.value, IntegrityError)
    assert end.read("model.bin") == b"not ours."


WRONG = {
    "corrupted": b"the modem",
    "truncated": b"the mode",
    "too long": b"the model, and more",
    "empty": b"",
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
@pytest.mark.parametrize("algorithm", ["md5", "xxh128", "crc32c"])
def test_bytes_that_are_not_the_files_leave_no_object(end: Place, wrong: bytes, algorithm: str) -> None:
    with pytest.raises(IntegrityError):
        end.storage.put(end.folder, file(algorithm=algorithm), reading(wrong))

    assert end.read("model.bin") is None


def test_a_file_without_digest_is_held_to_its_size(end: Place) -> None:
    for wrong in (CONTENT[:-1], CONTENT + b"!"):
        with pytest.raises(IntegrityError):
            end.storage.put(end.folder, file(algorithm=None), reading(wrong))

    assert end.read("model.bin") is None


def test_bytes_where_there_should_be_none_leave_no_object(end: Place) -> None:
    with pytest.raises(IntegrityError):
        end.storage.put(end.folder, file(b""), reading(CONTENT, 4))

    assert end.read("model.bin") is None


@pytest.mark.parametrize("cut", [1, -1])
def test_a_large_file_with_wrong_bytes_leaves_no_object(end: Place, cut: int) -> None:
    content = b"x" * LARGE
    wrong = content[:-1] if cut < 0 else content[:-1] + b"y"

    with pytest.raises(IntegrityError):
        end.storage.put(end.folder, file(content), reading(wrong, 1 << 20))

    assert end.read("model.bin") is None


def test_a_source_that_never_ends_is_cut_off(end: Place) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"more"

    with pytest.raises(IntegrityError):
        end.storage.put(end.folder, file(), reader_of(endless))

    assert end.read("model.bin") is None


def test_a_composed_object_that_is_there_already_is_kept_and_told_without_an_md5(end: Place) -> None:
    end.compose("model.bin", CONTENT)

    stored = end.storage.put(end.folder, file(), reading(CONTENT, 4))

    assert stored == StoredFile("model.bin", len(CONTENT), crc32c(CONTENT), md5=None)


def test_wrong_bytes_leave_an_object_that_was_there(end: Place) -> None:
    end.storage.put(end.folder, file(), reading(CONTENT, 4))

    with pytest.raises(IntegrityError):
        end.storage.put(end.folder, file(), reading(b"the modem"))

    assert end.read("model.bin") == CONTENT


def test_a_source_that_breaks_off_leaves_no_object_and_its_error_is_its_own(end: Place) -> None:
    def breaks() -> Iterator[bytes]:
        yield CONTENT[:4]
        raise TryAgain("the source was unwell")

    with pytest.raises(TryAgain, match="the source was unwell"):
        end.storage.put(end.folder, file(), reader_of(breaks))

    assert end.read("model.bin") is None


def test_a_file_is_stored_after_a_failure_as_if_there_had_been_none(end: Place) -> None:
    with pytest.raises(IntegrityError):
        end.storage.put(end.folder, file(), reading(b"the modem"))

    end.storage.put(end.folder, file(), reading(CONTENT, 4))

    assert end.read("model.bin") == CONTENT


# rewrite

SOURCES = ["model.bin", "a b/é%2F?#&=+ü.bin", "100%.bin", "x#1", "a?b"]


def rewritten(end: Place, what: ArtifactFile, source: str = "elsewhere/model.bin") -> StoredFile:
    return end.storage.rewrite(end.folder, what, end.folder + source)


@pytest.mark.parametrize("algorithm", ["md5", "crc32c", None])
def test_an_object_is_copied_and_told_with_its_digests(end: Place, algorithm: str | None) -> None:
    end.write("elsewhere/model.bin", CONTENT)

    stored = rewritten(end, file(algorithm=algorithm))

    assert end.read("model.bin") == end.read("elsewhere/model.bin") == CONTENT
    assert stored == StoredFile("model.bin", len(CONTENT), crc32c(CONTENT), md5=md5(CONTENT))


@pytest.mark.parametrize("name", SOURCES)
def test_an_object_is_copied_whatever_is_in_its_name_and_in_the_new_one(end: Place, name: str) -> None:
    end.write(f"elsewhere/{name}", CONTENT)

    rewritten(end, file(path=name), f"elsewhere/{name}")

    assert end.read(name) == CONTENT


def test_an_empty_object_is_copied(end: Place) -> None:
    end.write("elsewhere/model.bin", b"")

    assert rewritten(end, file(b"")).size == 0
    assert end.read("model.bin") == b""


def test_copying_an_object_twice_is_copying_it_once(end: Place) -> None:
    end.write("elsewhere/model.bin", CONTENT)
    first = rewritten(end, file())

    assert rewritten(end, file()) == first


def test_an_object_that_was_streamed_before_is_not_copied_again(end: Place) -> None:
    end.write("elsewhere/model.bin", CONTENT)
    stored = end.storage.put(end.folder, file(), reading(CONTENT, 4))

    assert rewritten(end, file()) == stored


@pytest.mark.parametrize("algorithm", ["crc32c", None])
def test_a_composed_object_is_copied_and_has_no_md5(end: Place, algorithm: str | None) -> None:
    end.compose("elsewhere/model.bin", CONTENT)

    stored = rewritten(end, file(algorithm=algorithm))

    assert stored == StoredFile("model.bin", len(CONTENT), crc32c(CONTENT), md5=None)
    assert end.read("model.bin") == CONTENT
    assert rewritten(end, file(algorithm=algorithm)) == stored


def test_a_composed_object_is_not_taken_for_a_file_with_an_md5(end: Place) -> None:
    end.compose("elsewhere/model.bin", CONTENT)

    with pytest.raises(NeedsPerson, match=r"'model\.bin': .*keeps no md5 of .*elsewhere/model\.bin.*in one piece"):
        rewritten(end, file())

    assert end.read("model.bin") is None


def test_an_xxh128_is_nothing_that_an_object_can_be_compared_with(end: Place) -> None:
    end.write("elsewhere/model.bin", CONTENT)

    with pytest.raises(NeedsPerson, match="keeps no xxh128"):
        rewritten(end, file(algorithm="xxh128"))

    assert end.read("model.bin") is None


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
@pytest.mark.parametrize("algorithm", ["md5", "crc32c"])
def test_an_object_that_is_not_the_file_is_not_copied(end: Place, wrong: bytes, algorithm: str) -> None:
    end.write("elsewhere/model.bin", wrong)

    with pytest.raises(IntegrityError, match=r"'model\.bin': the source promises .*log it again"):
        rewritten(end, file(algorithm=algorithm))

    assert end.read("model.bin") is None


def test_an_object_without_a_promised_digest_is_held_to_its_size(end: Place) -> None:
    end.write("elsewhere/model.bin", CONTENT + b"!")

    with pytest.raises(IntegrityError, match=f"{len(CONTENT)}.*{len(CONTENT) + 1}"):
        rewritten(end, file(algorithm=None))

    assert end.read("model.bin") is None


def test_an_object_that_was_replaced_since_it_was_listed_is_not_copied(end: Place) -> None:
    end.write("elsewhere/model.bin", CONTENT)
    (listed,) = end.storage.list(f"{end.folder}elsewhere/")
    end.write("elsewhere/model.bin", b"the modem")

    assert listed.location is not None
    with pytest.raises(IntegrityError, match="promises md5"):
        end.storage.rewrite(end.folder, listed, listed.location)

    assert end.read("model.bin") is None


def test_another_object_of_that_name_is_not_overwritten_by_a_copy(end: Place) -> None:
    end.write("elsewhere/model.bin", CONTENT)
    end.write("model.bin", b"not ours.")

    with pytest.raises(NeedsPerson, match="is already there with other bytes; find out who wrote it") as refused:
        rewritten(end, file())

    assert not isinstance(refused.value, IntegrityError)
    assert end.read("model.bin") == b"not ours."


def test_an_object_that_is_gone_needs_a_person(end: Place) -> None:
    with pytest.raises(NeedsPerson, match=r"the object '.*elsewhere/model\.bin' is gone.*put it back"):
        rewritten(end, file())


@pytest.mark.parametrize("source", ["s3://bucket/model.bin", "model.bin", "gs://bucket", "", "https://x/y"])
def test_what_does_not_lie_in_cloud_storage_is_not_copied_there(end: Place, source: str) -> None:
    with pytest.raises(NeedsPerson, match="is not a place in Google Cloud Storage; write it as gs://bucket/path"):
        end.storage.rewrite(end.folder, file(), source)


# manifests


def test_a_folder_without_manifest_is_not_whole(end: Place) -> None:
    end.storage.put(end.folder, file(), reading(CONTENT, 4))

    assert end.storage.manifest(end.folder) is None


def test_a_manifest_is_read_as_it_was_written(end: Place) -> None:
    written = manifest(
        StoredFile("a/ä.bin", 3, "AAAAAA==", md5="1B2M2Y8AsgTpgAmY7PhCfg=="),
        StoredFile("b", 0, "AAAAAA==", xxh128="mapAtfJsABYAAAAAAAAAAA=="),
    )

    end.storage.commit(end.folder, written)

    assert end.storage.manifest(end.folder) == written


def test_a_manifest_keeps_what_the_source_says_of_the_model(end: Place) -> None:
    facts = Facts(
        flavors={"sklearn": {"sklearn_version": "1.5.2", "pickled_model": "model.pkl"}},
        python="3.11.7",
        signature='{"inputs": "[]"}',
        run_id="r1",
        metrics={"auc": 0.1 + 0.2, "loss": float("inf")},
        framework="sklearn",
        framework_version="1.5.2",
    )
    end.storage.commit(end.folder, replace(manifest(), facts=facts))

    assert end.storage.manifest(end.folder) == replace(manifest(), facts=facts)


def test_a_manifest_of_no_files_and_no_digest_is_one(end: Place) -> None:
    end.storage.commit(end.folder, replace(manifest(), source_digest=None))

    assert end.storage.manifest(end.folder) == replace(manifest(), source_digest=None)


def test_writing_a_manifest_twice_keeps_the_first(end: Place) -> None:
    first = manifest(StoredFile("model.bin", 3, "AAAAAA=="))
    end.storage.commit(end.folder, first)

    end.storage.commit(end.folder, replace(first, created="2027-01-01T00:00:00+00:00"))

    assert end.storage.manifest(end.folder) == first


def test_a_manifest_of_other_files_is_not_overwritten(end: Place) -> None:
    first = manifest(StoredFile("model.bin", 3, "AAAAAA=="))
    end.storage.commit(end.folder, first)

    with pytest.raises(NeedsPerson):
        end.storage.commit(end.folder, manifest(StoredFile("model.bin", 4, "AAAAAA==")))

    assert end.storage.manifest(end.folder) == first


def test_a_header_is_all_of_a_manifest_but_its_files(end: Place) -> None:
    written = replace(manifest(StoredFile("model.bin", 3, "AAAAAA==")), facts=Facts(metrics={"loss": float("inf")}))
    assert end.storage.header(end.folder) is None
    end.storage.commit(end.folder, written)

    assert end.storage.header(end.folder) == written.header
    assert end.storage.header(f"{end.folder}more/") is None


def test_one_folder_is_none_of_anothers_business(end: Place) -> None:
    end.storage.commit(end.folder, manifest())

    assert end.storage.manifest(f"{end.folder}more/") is None
    assert end.storage.manifest(f"{end.folder[:-1]}-2/") is None


# what lies there


def test_objects_are_listed_in_order_of_path_with_the_digests_that_the_bucket_keeps(end: Place) -> None:
    for path in ("b", "a/b/c", "a", "B", "a-", "a.b", "\U0001f600", "\ufffd", "é"):
        end.write(path, path.encode())

    listed = list(end.storage.held(end.folder))

    assert [file.path for file in listed] == ["B", "a", "a-", "a.b", "a/b/c", "b", "é", "\ufffd", "\U0001f600"]
    assert listed[2] == StoredFile("a-", 2, crc32c(b"a-"), md5=md5(b"a-"))


def test_what_was_stored_is_listed_as_it_was_told(end: Place) -> None:
    told = end.storage.put(end.folder, file(), reading(CONTENT))

    assert list(end.storage.held(end.folder)) == [told]


def test_what_a_console_makes_for_a_directory_is_not_an_object_and_an_empty_file_is(end: Place) -> None:
    for path in ("", "a/", "a/empty"):
        end.write(path, b"")
    end.write("b/", b"bytes")

    assert [file.path for file in end.storage.held(end.folder)] == ["a/empty", "b/"]


@pytest.mark.parametrize("path", ["a/b/model.bin", "näme with ünicode.bin", "100%.bin", "a?b#c.bin", "+.bin"])
def test_an_object_is_read_again_whatever_its_name_is(end: Place, path: str) -> None:
    end.write(path, CONTENT)
    [listed] = end.storage.held(end.folder)

    assert list(end.storage.reread(end.folder, [listed])) == [(listed, listed)]


def test_files_are_read_again_in_the_order_given(end: Place) -> None:
    paths = [f"{number:02}" for number in reversed(range(20))]
    files = [StoredFile(path, len(path), crc32c(path.encode()), md5=md5(path.encode())) for path in paths]
    for path in paths:
        end.write(path, path.encode())

    assert list(end.storage.reread(end.folder, iter(files))) == [(file, file) for file in files]


def test_a_large_file_is_read_again_whole(end: Place) -> None:
    content = os.urandom(1 << 20) * 8 + b"end"
    stored = end.storage.put(end.folder, file(content, algorithm="xxh128"), reading(content))

    assert list(end.storage.reread(end.folder, [stored])) == [(stored, stored)]


def test_of_bytes_those_digests_are_taken_that_the_file_has(end: Place) -> None:
    end.write("model.bin", CONTENT)
    size, crc = len(CONTENT), crc32c(CONTENT)
    for asked in (
        StoredFile("model.bin", size, crc),
        StoredFile("model.bin", size, crc, md5=md5(CONTENT)),
        StoredFile("model.bin", size, crc, xxh128=xxh128(CONTENT), sha256=sha256(CONTENT)),
    ):
        assert list(end.storage.reread(end.folder, [asked])) == [(asked, asked)]


def test_other_bytes_are_told_and_not_refused(end: Place) -> None:
    end.write("model.bin", b"other bytes")
    asked = StoredFile("model.bin", 3, "crc", md5="md5", xxh128="xxh", sha256="sha")

    [(file, read)] = end.storage.reread(end.folder, [asked])

    assert file == asked
    assert (read.size, read.crc32c, read.md5) == (11, crc32c(b"other bytes"), md5(b"other bytes"))
    assert (read.xxh128, read.sha256) == (xxh128(b"other bytes"), sha256(b"other bytes"))


def test_an_empty_file_is_read_again(end: Place) -> None:
    stored = end.storage.put(end.folder, file(b""), reading(b""))

    assert list(end.storage.reread(end.folder, [stored])) == [(stored, stored)]


def test_a_bit_that_was_lost_shows_in_the_bytes_alone(end: Place) -> None:
    stored = end.storage.put(end.folder, file(), reading(CONTENT))
    end.rot("model.bin")

    assert list(end.storage.held(end.folder)) == [stored]
    [(_, read)] = end.storage.reread(end.folder, [stored])
    assert read.size == stored.size
    assert (read.crc32c, read.md5) != (stored.crc32c, stored.md5)


def test_an_object_that_is_gone_is_not_read_again(end: Place) -> None:
    with pytest.raises(NeedsPerson, match=r"the object '.*model\.bin' is gone, or never was"):
        list(end.storage.reread(end.folder, [StoredFile("model.bin", 3, "crc")]))


# what lies in a folder, and what is left over


def test_a_folder_is_listed_by_path_without_its_manifest(end: Place) -> None:
    for path in ("b", "a/z", "ä", "a.bin"):
        end.storage.put(end.folder, file(path=path), reading(CONTENT))
    end.compose("c", CONTENT)
    end.storage.commit(end.folder, manifest())

    held = [each for each in end.storage.held(end.folder) if not each.path.startswith("c.")]
    assert [each.path for each in held] == ["a.bin", "a/z", "b", "c", "ä"]
    assert {(each.size, each.crc32c) for each in held} == {(len(CONTENT), crc32c(CONTENT))}
    assert [each.md5 for each in held] == [md5(CONTENT)] * 3 + [None, md5(CONTENT)]
    assert list(end.storage.held(f"{end.folder}none/")) == []


@pytest.mark.parametrize("algorithm", ["md5", "crc32c"])
def test_what_a_listing_tells_is_kept_without_reading_a_byte(end: Place, algorithm: str) -> None:
    def never() -> Iterator[bytes]:
        raise AssertionError

    stored = end.storage.put(end.folder, file(algorithm=algorithm), reading(CONTENT))
    (there,) = end.storage.held(end.folder)

    assert end.storage.put(end.folder, file(algorithm=algorithm), reader_of(never), there) == stored


@pytest.mark.parametrize("algorithm", ["xxh128", None])
def test_what_no_listing_can_tell_is_read_and_not_sent(end: Place, algorithm: str | None) -> None:
    stored = end.storage.put(end.folder, file(algorithm=algorithm), reading(CONTENT))
    (there,) = end.storage.held(end.folder)

    assert end.storage.put(end.folder, file(algorithm=algorithm), reading(CONTENT), there) == stored
    with pytest.raises(IntegrityError):
        end.storage.put(end.folder, file(algorithm=algorithm), reading(CONTENT[:-1]), there)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_a_listing_tells_to_be_another_is_not_overwritten(end: Place, algorithm: str | None) -> None:
    end.write("model.bin", b"not ours.")
    (there,) = end.storage.held(end.folder)

    with pytest.raises(NeedsPerson, match="already there with other bytes"):
        end.storage.put(end.folder, file(algorithm=algorithm), reading(CONTENT), there)
    assert end.read("model.bin") == b"not ours."


def left(end: Place, folder: str = "") -> Upload:
    return Upload(end.folder + folder, "", "removal", 0, None, "2026-01-05T09:00:00+00:00")


LATER = datetime.now(UTC) + timedelta(hours=1)  # noqa: TID251  objects are as old as the real clock says


def test_of_what_is_left_in_a_folder_only_our_own_is_removed(end: Place) -> None:
    end.storage.put(end.folder, file(path="copy/model.bin"), reading(CONTENT))
    end.storage.rewrite(f"{end.folder}copy/", file(path="again.bin"), f"{end.folder}copy/model.bin")
    end.write("copy/theirs.bin", CONTENT)
    end.storage.put(end.folder, file(path="copy-2/model.bin"), reading(CONTENT))

    assert end.storage.discard(left(end, "copy/"), LATER) == 2
    assert (end.read("copy/model.bin"), end.read("copy/again.bin")) == (None, None)
    assert end.read("copy/theirs.bin") == end.read("copy-2/model.bin") == CONTENT
    assert end.storage.discard(left(end, "copy/"), LATER) == 0


def test_of_a_folder_that_is_whole_nothing_is_removed(end: Place) -> None:
    end.storage.put(end.folder, file(), reading(CONTENT))
    end.storage.commit(end.folder, manifest())

    assert end.storage.discard(left(end), LATER) == 0
    assert end.read("model.bin") == CONTENT


# reading a file


@pytest.mark.parametrize("start", [0, 1, len(CONTENT) - 1])
def test_a_file_is_read_from_a_byte_on(end: Place, start: int) -> None:
    end.storage.put(end.folder, file(path="a b/é.bin"), reading(CONTENT))
    with end.storage.read(end.folder, "a b/é.bin", start) as pieces:
        assert b"".join(pieces) == CONTENT[start:]


def test_an_empty_file_is_read(end: Place) -> None:
    end.storage.put(end.folder, file(b""), reading(b""))
    with end.storage.read(end.folder, "model.bin") as pieces:
        assert b"".join(pieces) == b""


def test_bytes_that_have_rotten_are_read_as_they_are(end: Place) -> None:
    end.storage.put(end.folder, file(), reading(CONTENT))
    end.rot("model.bin")
    with end.storage.read(end.folder, "model.bin") as pieces:
        read = b"".join(pieces)
    assert (len(read), read == CONTENT) == (len(CONTENT), False)


def test_a_file_that_is_not_there_is_not_read(end: Place) -> None:
    with pytest.raises(NeedsPerson, match="is gone, or never was"), end.storage.read(end.folder, "nothing") as pieces:
        list(pieces)


# removing a folder


def whole(end: Place, path: str = "sub/model.bin") -> None:
    """Fill a folder with an object of ours, one of ours that is not in the manifest, and one of somebody else's."""
    stored = end.storage.put(end.folder, file(path=path), reading(CONTENT))
    end.storage.put(end.folder, file(path="stray.bin"), reading(CONTENT))
    end.write("theirs.bin", CONTENT)
    end.storage.commit(end.folder, manifest(stored))


def test_a_folder_is_removed_with_its_manifest_but_for_what_others_wrote(end: Place) -> None:
    beside = f"{end.folder.rstrip('/')}-2/"
    whole(end)
    end.storage.put(beside, file(), reading(CONTENT))
    asked: list[None] = []

    assert end.storage.remove(end.folder, lambda: asked.append(None)) == 3
    assert end.storage.manifest(end.folder) is None
    assert [each.path for each in end.storage.held(end.folder)] == ["theirs.bin"]
    assert [each.path for each in end.storage.held(beside)] == ["model.bin"]
    assert len(asked) == 3
    assert end.storage.remove(end.folder, lambda: None) == 0


def test_a_removal_that_is_broken_off_leaves_a_folder_that_is_not_whole_and_is_gone_on_with(end: Place) -> None:
    whole(end)
    asked: list[None] = []

    def go_on() -> None:
        asked.append(None)
        if len(asked) > 1:
            raise TryAgain("enough")

    with pytest.raises(TryAgain, match="enough"):
        end.storage.remove(end.folder, go_on)
    assert end.storage.manifest(end.folder) is None
    assert len(list(end.storage.held(end.folder))) == 3

    assert end.storage.remove(end.folder, lambda: None) == 2
    assert [each.path for each in end.storage.held(end.folder)] == ["theirs.bin"]


def test_a_removal_that_may_not_begin_removes_nothing(end: Place) -> None:
    whole(end)

    def stop() -> None:
        raise TryAgain("the lease is lost")

    with pytest.raises(TryAgain, match="the lease is lost"):
        end.storage.remove(end.folder, stop)
    assert end.storage.manifest(end.folder) is not None


def test_an_absent_folder_is_removed(end: Place) -> None:
    assert end.storage.remove(end.folder, lambda: None) == 0


# buckets that are not there, or closed


def test_nothing_is_written_to_a_bucket_that_is_not_there(end: Place) -> None:
    end.write("elsewhere/model.bin", CONTENT)
    absent = f"gs://{ABSENT}/m/"

    with pytest.raises(NeedsPerson, match="the bucket does not exist; create it"):
        end.storage.put(absent, file(), reading(CONTENT, 4))
    with pytest.raises(NeedsPerson, match="the bucket does not exist; create it"):
        end.storage.rewrite(absent, file(), f"{end.folder}elsewhere/model.bin")
    with pytest.raises(NeedsPerson, match="the bucket does not exist; create it"):
        end.storage.commit(absent, manifest())
    assert end.storage.manifest(absent) is None
    with pytest.raises(NeedsPerson, match="the bucket does not exist; create it"):
        list(end.storage.held(absent))
    with pytest.raises(NeedsPerson, match="the bucket does not exist; create it"):
        end.storage.where(absent)
    with pytest.raises(NeedsPerson, match="the bucket does not exist; create it"):
        end.storage.lacking(absent)


def test_nothing_is_copied_from_a_bucket_that_is_not_there(end: Place) -> None:
    with pytest.raises(NeedsPerson, match=f"the object 'gs://{ABSENT}/model.bin' is gone, or never was"):
        end.storage.rewrite(end.folder, file(), f"gs://{ABSENT}/model.bin")


def test_a_bucket_says_where_it_keeps_its_bytes_to_whoever_may_know(end: Place) -> None:
    place = end.storage.where(end.folder)

    assert place is not None
    assert place.location.isupper()
    with end.deny():
        assert end.storage.where(end.folder) is None


def test_a_bucket_says_which_rights_are_missing(end: Place) -> None:
    assert end.storage.lacking(end.folder) == ()
    with end.deny():
        assert "storage.objects.create" in end.storage.lacking(end.folder)


def test_a_bucket_that_refuses_access_needs_a_person(end: Place) -> None:
    with end.deny():
        with pytest.raises(NeedsPerson, match=r"refuses access.*; give the bridge's account"):
            end.storage.put(end.folder, file(), reading(CONTENT, 4))
        with pytest.raises(NeedsPerson, match=r"refuses access.*; give the bridge's account"):
            rewritten(end, file())
        with pytest.raises(NeedsPerson, match=r"refuses access.*; give the bridge's account"):
            end.storage.commit(end.folder, manifest())
        with pytest.raises(NeedsPerson, match=r"refuses access.*; give the bridge's account"):
            end.storage.manifest(end.folder)
        with pytest.raises(NeedsPerson, match=r"refuses access.*; give the bridge's account"):
            list(end.storage.held(end.folder))
        with pytest.raises(NeedsPerson, match=r"refuses access.*; give the bridge's account"):
            list(end.storage.reread(end.folder, [StoredFile("model.bin", 3, "crc")]))
        with pytest.raises(NeedsPerson, match=r"refuses access.*; give the bridge's account"):
            end.storage.header(end.folder)
        with pytest.raises(NeedsPerson, match=r"refuses access.*; give the bridge's account"):
            end.storage.remove(end.folder, lambda: None)
