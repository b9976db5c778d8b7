"""A million findings are counted, a few are named, and each kind of them says what to do next."""

from __future__ import annotations

import pytest

from bridge.core.findings import KEPT, Finding, FindingKind, Found, Tally, sentence

FOLDER = "gs://acme-models/registry/fraud/v7-0123456789ab/"
SOURCE = "acme_org/wandb-registry-model/fraud-detector:v7"
RESTORE = "restore what was there: the bucket's soft delete or versioning may have it"
BOTH = {"expected": "size 3", "found": "size 4"}


def found(kind: FindingKind, where: str, *paths: str | None, **more: str) -> Found:
    return Found(len(paths), tuple(Finding(kind, where, path, **more) for path in paths))


def test_nothing_is_found_of_nothing() -> None:
    tally = Tally()
    tally.add(None)
    assert tally.found() == ()


def test_findings_are_kept_by_kind_and_place_and_the_many_are_only_counted() -> None:
    tally = Tally()
    first = Finding(FindingKind.EXTRA, "one")
    tally.add(first)
    for number in range(KEPT + 5):
        tally.add(Finding(FindingKind.MISSING, "one", f"{number:05}"))
    tally.add(Finding(FindingKind.MISSING, "two", "x"))

    extra, missing, other = tally.found()
    assert extra == Found(1, (first,))
    assert (missing.count, len(missing.first), missing.first[0].path) == (KEPT + 5, KEPT, "00000")
    assert (other.count, other.first[0].where) == (1, "two")


def test_five_are_named_and_the_others_counted() -> None:
    five = sentence(found(FindingKind.MISSING, FOLDER, *"abcde"))
    assert f"5 objects are missing from {FOLDER}: 'a', 'b', 'c', 'd', 'e'; " in five
    seven = sentence(Found(1_000_000, found(FindingKind.MISSING, FOLDER, *"abcdefg").first))
    assert "1000000 objects are missing" in seven
    assert "'e', and 999995 more; " in seven


def test_a_name_is_shown_without_what_could_mislead() -> None:
    assert r"'a\u202eb'" in sentence(found(FindingKind.EXTRA, FOLDER, "a\u202eb"))


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (
            found(FindingKind.NO_MANIFEST, FOLDER, None),
            (
                f"{FOLDER} has no manifest, so nothing says what should be in it; "
                f"find out who wrote to the folder, and {RESTORE}"
            ),
        ),
        (
            found(FindingKind.OTHER_MANIFEST, FOLDER, None, expected="v7 with the digest a", found="v6 with …"),
            (
                f"the manifest of {FOLDER} is of v6 with …, not of v7 with the digest a; "
                f"find out who wrote to the folder, and {RESTORE}"
            ),
        ),
        (
            found(FindingKind.MISSING, FOLDER, "a", expected="size 3"),
            f"1 object is missing from {FOLDER}: 'a'; find out who wrote to the folder, and {RESTORE}",
        ),
        (
            found(FindingKind.DIFFERENT, FOLDER, "a", "b", **BOTH),
            (
                f"2 objects differ from the manifest of {FOLDER}: 'a' (size 4 instead of size 3), "
                f"'b' (size 4 instead of size 3); find out who wrote to the folder, and {RESTORE}"
            ),
        ),
        (
            found(FindingKind.EXTRA, FOLDER, "a", found="size 3"),
            (
                f"1 object is in {FOLDER} that its manifest does not name: 'a'; "
                "find out who wrote there, and remove what is too much: whoever loads the folder loads it too"
            ),
        ),
        (
            found(FindingKind.OTHER_BYTES, FOLDER, "a", **BOTH),
            (
                f"1 object holds other bytes in {FOLDER} than the manifest says, though its metadata look right: "
                "'a' (size 4 instead of size 3); restore an earlier generation, and tell Google"
            ),
        ),
        (
            found(FindingKind.NOT_FROM_COPY, FOLDER, "a"),
            (
                f"1 file is in {FOLDER} that the version's faithful copy does not have: 'a'; "
                f"find out who wrote to the folder, and {RESTORE}"
            ),
        ),
        (
            found(FindingKind.VERSION_GONE, "fraud@7", None),
            (
                "Vertex has no version fraud@7 any longer; "
                "if an alias at the source still names it, this registers it again: bridge sync --full"
            ),
        ),
        (
            found(FindingKind.OTHER_FOLDER, "fraud@7", None, expected=FOLDER, found="gs://x/"),
            (
                f"Vertex has version fraud@7 from gs://x/, not from {FOLDER}; "
                "check that the store and the connection's project and location belong together"
            ),
        ),
        (
            found(FindingKind.ALIAS_ELSEWHERE, "fraud@7", "production", "staging", expected="@7", found="@6"),
            (
                "2 aliases that the bridge set on fraud@7 moved in Vertex since: "
                "production is on @6, staging is on @6; "
                "move back what was moved by mistake, or set 'drift: heal' in the mapping and run bridge sync --full"
            ),
        ),
        (
            found(FindingKind.SOURCE_CHANGED, SOURCE, None, found="it has another digest; ask W&B"),
            f"{SOURCE} is not what it was at the source: it has another digest; ask W&B",
        ),
        (
            found(FindingKind.SOURCE_MISSING, SOURCE, "a"),
            (
                f"{SOURCE} lacks 1 file at the source: 'a'; find out who changed the version there; "
                "the bucket holds what the bridge was given when it copied"
            ),
        ),
        (
            found(FindingKind.SOURCE_DIFFERENT, SOURCE, "a", **BOTH),
            (
                f"{SOURCE} has 1 other file at the source: 'a' (size 4 instead of size 3); "
                "find out who changed the version there; the bucket holds what the bridge was given when it copied"
            ),
        ),
        (
            found(FindingKind.SOURCE_EXTRA, SOURCE, "a", "b"),
            (
                f"{SOURCE} has 2 more files at the source: 'a', 'b'; find out who changed the version there; "
                "the bucket holds what the bridge was given when it copied"
            ),
        ),
        (
            found(FindingKind.NOT_ASKED, "the source", None, found="it hangs"),
            "the source could not be asked: it hangs; run bridge verify again",
        ),
        (
            found(FindingKind.NOT_COMPARED, "Vertex", None, found="it refuses; give it a role"),
            "Vertex could not be compared: it refuses; give it a role",
        ),
    ],
    ids=lambda each: each.first[0].kind if isinstance(each, Found) else "",
)
def test_each_kind_says_what_is_wrong_and_what_to_do(what: Found, said: str) -> None:
    assert sentence(what) == said


def test_every_kind_has_its_sentence() -> None:
    said = {sentence(found(kind, "here", "a", expected="this", found="that")) for kind in FindingKind}
    assert len(said) == len(FindingKind)
