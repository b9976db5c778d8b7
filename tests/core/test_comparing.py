"""Row by row: what is compared when a version is verified, and what each difference is called."""

from __future__ import annotations

from dataclasses import replace
from itertools import starmap
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from bridge.core.comparing import (
    compare_arranged,
    compare_bytes,
    compare_manifest,
    compare_object,
    compare_source,
    compare_vertex,
    pairs,
    unanswered,
)
from bridge.core.errors import NeedsPerson, TryAgain
from bridge.core.findings import Finding, FindingKind
from bridge.core.model import Alias, ArtifactFile, Digest, Manifest, ModelVersion, StoredFile
from tests.core.builders import record, uri, version, vertex

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = uri("v7")
FILE = StoredFile("a", 3, "crc", md5="md5", xxh128="xxh", sha256="sha")


def manifest(*files: StoredFile, label: str = "v7", digest: str | None = "") -> Manifest:
    of = version(label, digest=digest)
    return Manifest(of.collection, of.label, of.id, of.digest, files, "2026-01-05T09:00:00+00:00")


# pairs


def file(path: str) -> StoredFile:
    return StoredFile(path, 1, "crc")


PATHS = st.frozensets(st.text(st.characters(exclude_categories=["Cs"]), max_size=4), max_size=8)


@given(PATHS, PATHS)
def test_what_has_the_same_path_is_paired_and_all_else_stays_alone(left: frozenset[str], right: frozenset[str]) -> None:
    def listed(paths: frozenset[str]) -> list[StoredFile]:
        return [file(path) for path in sorted(paths, key=str.encode)]  # the order in which a bucket lists

    found = list(pairs(listed(left), listed(right)))

    assert [(a.path, b.path) for a, b in found if a and b] == [(path, path) for path in sorted(left & right)]
    assert [a.path for a, b in found if a and not b] == sorted(left - right)
    assert [b.path for a, b in found if b and not a] == sorted(right - left)


@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("abc")))
def test_what_is_out_of_order_is_never_paired_wrongly_and_never_lost(left: list[str], right: list[str]) -> None:
    found = list(pairs(map(file, left), map(file, right)))

    assert all(a.path == b.path for a, b in found if a and b)
    assert [a.path for a, _ in found if a] == left
    assert [b.path for _, b in found if b] == right


def test_one_of_each_is_held_at_a_time() -> None:
    taken: list[int] = []

    def endless(side: int) -> Iterator[StoredFile]:
        number = 0
        while True:
            taken.append(side)
            yield file(f"{number:09}")
            number += 1

    found = pairs(endless(0), endless(1))
    for _ in range(100):
        next(found)
    assert len(taken) == 200


# a manifest


def test_a_manifest_of_the_version_is_fine() -> None:
    assert compare_manifest(FOLDER, version("v7"), manifest()) is None
    assert compare_manifest(FOLDER, version("v7", digest=None), manifest(digest=None)) is None


def test_a_folder_without_manifest_is_found() -> None:
    assert compare_manifest(FOLDER, version("v7"), None) == Finding(FindingKind.NO_MANIFEST, FOLDER)


def test_a_manifest_with_another_digest_is_found_and_both_are_named() -> None:
    found = compare_manifest(FOLDER, version("v7", digest="d7"), manifest(label="v6", digest="d6"))

    assert found is not None
    assert found.kind is FindingKind.OTHER_MANIFEST
    assert found.expected == f"{version('v7')} with the digest d7"
    assert found.found == f"{version('v6')} with the digest d6"


def test_where_the_source_keeps_no_digests_a_manifest_is_told_by_its_id() -> None:
    found = compare_manifest(FOLDER, version("v7", digest=None), manifest(label="v6", digest=None))

    assert found is not None
    assert found.expected == f"{version('v7')} with the id id-v7"
    assert found.found == f"{version('v6')} with the id id-v6"


def test_a_manifest_without_a_digest_is_not_that_of_a_version_with_one() -> None:
    found = compare_manifest(FOLDER, version("v7", digest="d7"), manifest(digest=None))

    assert found is not None
    assert found.found == f"{version('v7')} with the digest none"


# files


@pytest.mark.parametrize(
    ("there", "expected", "found"),
    [
        (replace(FILE, size=4), "size 3", "size 4"),
        (replace(FILE, crc32c="other"), "crc32c crc", "crc32c other"),
        (replace(FILE, md5="other"), "md5 md5", "md5 other"),
        (replace(FILE, xxh128="other"), "xxh128 xxh", "xxh128 other"),
        (replace(FILE, sha256="other"), "sha256 sha", "sha256 other"),
        (replace(FILE, size=4, md5="other"), "size 3, md5 md5", "size 4, md5 other"),
    ],
)
def test_a_file_that_differs_is_found_by_what_differs(there: StoredFile, expected: str, found: str) -> None:
    assert compare_object(FOLDER, FILE, there) == Finding(FindingKind.DIFFERENT, FOLDER, "a", expected, found)
    assert compare_bytes(FOLDER, FILE, there) == Finding(FindingKind.OTHER_BYTES, FOLDER, "a", expected, found)


@pytest.mark.parametrize("less", [replace(FILE, md5=None), replace(FILE, xxh128=None), replace(FILE, sha256=None)])
def test_a_digest_that_one_side_does_not_know_is_not_compared(less: StoredFile) -> None:
    assert compare_object(FOLDER, FILE, less) is None
    assert compare_object(FOLDER, less, FILE) is None
    assert compare_bytes(FOLDER, FILE, FILE) is None


def test_a_file_that_is_missing_or_too_much_is_found() -> None:
    known = "size 3, crc32c crc, md5 md5, xxh128 xxh, sha256 sha"

    assert compare_object(FOLDER, FILE, None) == Finding(FindingKind.MISSING, FOLDER, "a", known)
    assert compare_object(FOLDER, None, FILE) == Finding(FindingKind.EXTRA, FOLDER, "a", None, known)


SOURCE = str(version("v7"))


@pytest.mark.parametrize("digest", [None, Digest("md5", "md5"), Digest("xxh128", "xxh"), Digest("crc32c", "crc")])
def test_a_file_of_the_source_is_compared_by_the_digest_that_it_keeps(digest: Digest | None) -> None:
    there = ArtifactFile("a", 3, digest)

    assert compare_source(version("v7"), FILE, there) is None
    larger = compare_source(version("v7"), FILE, replace(there, size=4))
    assert larger == Finding(FindingKind.SOURCE_DIFFERENT, SOURCE, "a", "size 3", "size 4")
    if digest is not None:
        wrong = compare_source(version("v7"), FILE, replace(there, digest=replace(digest, value="other")))
        assert wrong is not None
        assert (wrong.expected, wrong.found) == (f"{digest.algorithm} {digest.value}", f"{digest.algorithm} other")


def test_a_file_that_the_source_lacks_or_has_besides_is_found() -> None:
    lacks = compare_source(version("v7"), replace(FILE, md5=None, xxh128=None, sha256=None), None)
    besides = compare_source(version("v7"), None, ArtifactFile("b", 1, Digest("md5", "m")))

    assert lacks == Finding(FindingKind.SOURCE_MISSING, SOURCE, "a", "size 3, crc32c crc")
    assert besides == Finding(FindingKind.SOURCE_EXTRA, SOURCE, "b", None, "size 1, md5 m")


def test_an_arranged_file_is_one_of_the_copy_under_any_name() -> None:
    other = replace(FILE, path="b", crc32c="other")
    copy = manifest(FILE, other)

    assert list(compare_arranged(FOLDER, manifest(replace(FILE, path="model.pkl")), copy)) == []
    stranger = replace(FILE, path="model.pkl", crc32c="unknown")
    found = compare_arranged(FOLDER, manifest(replace(other, path="x"), stranger), copy)
    assert list(found) == [Finding(FindingKind.NOT_FROM_COPY, FOLDER, "model.pkl")]


# Vertex

P, S = Alias("production"), Alias("staging")


def held(version_id: str, *aliases: Alias, folder: str = FOLDER) -> ModelVersion:
    return ModelVersion(version_id, folder, frozenset(aliases), marked=True)


def test_a_version_with_its_folder_and_its_aliases_is_fine() -> None:
    there = held("7", P)

    assert list(compare_vertex(record("v7"), there, vertex(there), {P: "7", S: "6"})) == []


def test_an_alias_that_a_person_added_is_not_our_business() -> None:
    there = held("7", P, Alias("mine"))

    assert list(compare_vertex(record("v7"), there, vertex(there), {P: "7"})) == []


def test_a_version_that_is_gone_is_found_and_nothing_else_of_it() -> None:
    assert list(compare_vertex(record("v7"), None, vertex(), {P: "7"})) == [
        Finding(FindingKind.VERSION_GONE, "fraud@7")
    ]


def test_a_version_from_another_folder_is_found() -> None:
    there = held("7", folder="gs://elsewhere/")

    assert list(compare_vertex(record("v7"), there, vertex(there), {})) == [
        Finding(FindingKind.OTHER_FOLDER, "fraud@7", None, FOLDER, "gs://elsewhere/")
    ]


def test_an_alias_that_is_elsewhere_or_nowhere_is_found_with_where_it_is() -> None:
    there, other = held("7"), held("6", P)

    assert list(compare_vertex(record("v7"), there, vertex(other, there), {S: "7", P: "7"})) == [
        Finding(FindingKind.ALIAS_ELSEWHERE, "fraud@7", "production", "@7", "@6"),
        Finding(FindingKind.ALIAS_ELSEWHERE, "fraud@7", "staging", "@7", "no version"),
    ]


# ends that do not answer


def test_an_end_that_was_unwell_is_told_from_one_that_needs_a_person() -> None:
    problems = [("the source", TryAgain("it hangs")), ("Vertex", NeedsPerson("it refuses", "give it a role"))]

    assert list(starmap(unanswered, problems)) == [
        Finding(FindingKind.NOT_ASKED, "the source", found="it hangs"),
        Finding(FindingKind.NOT_COMPARED, "Vertex", found="it refuses; give it a role"),
    ]
