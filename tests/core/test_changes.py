"""How each change and refusal reads, as text and as JSON; checksums."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given

from bridge.core.changes import (
    ArrangeFiles,
    Change,
    Kind,
    MarkDuplicate,
    MoveAlias,
    Refusal,
    RemoveAlias,
    change_kind,
    change_to_json,
    checksum_of,
    plan_to_json,
    subject_of,
    version_of,
)
from bridge.core.model import Alias, SourceVersion, VersionRef
from tests.core.builders import (
    COLLECTION,
    IMAGE,
    adopt,
    copy,
    delete,
    delete_files,
    desired,
    move,
    ours,
    plan_with,
    record,
    register,
    remove,
    uri,
    version,
    vertex,
)
from tests.core.small_worlds import World, worlds

UNKNOWN = VersionRef("4", None)
REFUSAL = Refusal(Kind.CONFLICT, "alias production", "it is on Vertex version @9", "remove the alias")
CONTAINER: dict[str, object] = {"image": IMAGE, "ports": [], "predict_route": None, "health_route": None, "env": []}
CHANGES: dict[str, Change] = {
    "copy": copy("v7"),
    "register": register("v7"),
    "adopt": adopt("v7"),
    "move-alias": move("production", "v7", "v6"),
    "remove-alias": remove("staging", "v6"),
    "mark-duplicate": MarkDuplicate("8", "7"),
}


# Text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(copy("v7"), f"+ files    v7 -> {uri('v7')}", id="copy"),
        pytest.param(register("v7"), "+ version  v7", id="register"),
        pytest.param(replace(register("v7"), why="prebuilt xgboost"), "+ version  v7 (prebuilt xgboost)", id="why"),
        pytest.param(
            ArrangeFiles(version("v7"), uri("v7"), "gs://b/f/", (("model.ubj", "model.bst"),)),
            "+ serving  v7 -> gs://b/f/ (model.ubj as model.bst)",
            id="arrange",
        ),
        pytest.param(
            ArrangeFiles(version("v7"), uri("v7"), "gs://b/f/", (("m.pkl", "m.pkl"), ("a", "b"), ("c", "d"))),
            "+ serving  v7 -> gs://b/f/ (m.pkl and 2 more)",
            id="arrange many",
        ),
        pytest.param(MarkDuplicate("8", "7"), "+ mark     @8 (a duplicate of @7)", id="mark"),
        pytest.param(adopt("v7"), "+ adopted  @90 = v7", id="adopt"),
        pytest.param(adopt("v7", why="bridge adopt"), "+ adopted  @90 = v7 (bridge adopt)", id="adopt, why"),
        pytest.param(move("production", "v7"), "~ alias    production (- -> v7)", id="set"),
        pytest.param(move("production", "v7", "v6"), "~ alias    production (v6 -> v7)", id="move"),
        pytest.param(move("production", "v7", "v7"), "~ alias    production (v7 @7 -> v7)", id="move, one label"),
        pytest.param(
            replace(move("production", "v7"), previous=UNKNOWN), "~ alias    production (@4 -> v7)", id="move from @4"
        ),
        pytest.param(remove("staging", "v6"), "- alias    staging (v6)", id="remove"),
        pytest.param(RemoveAlias(Alias("staging"), UNKNOWN), "- alias    staging (@4)", id="remove from @4"),
        pytest.param(delete("v6"), "- version  v6 @6", id="delete"),
        pytest.param(delete_files("v6"), f"- files    v6 in {uri('v6')}", id="delete files"),
        pytest.param(
            delete_files("v6", "gs://b/f/", "gs://b/g/"), "- files    v6 in gs://b/f/ and gs://b/g/", id="two"
        ),
        pytest.param(
            REFUSAL, "! conflict alias production: it is on Vertex version @9; remove the alias", id="conflict"
        ),
        pytest.param(
            Refusal(Kind.NAME, "alias 'best_model'", "'_' is not allowed", "name it"),
            "! name     alias 'best_model': '_' is not allowed; name it",
            id="name",
        ),
    ],
)
def test_a_step_reads_as(value: Change | Refusal, text: str) -> None:
    assert str(value) == text


@pytest.mark.parametrize("kind", Kind)
def test_refusals_of_every_kind_stand_in_line(kind: Kind) -> None:
    assert str(replace(REFUSAL, kind=kind)).index("alias") == len("! conflict ")


# JSON


@pytest.mark.parametrize(("kind", "change"), CHANGES.items(), ids=CHANGES)
def test_a_change_has_a_name_in_journals_and_json(kind: str, change: Change) -> None:
    assert change_kind(change) == kind
    assert change_to_json(change)["change"] == kind


V7 = {
    "connection": "acme",
    "collection": COLLECTION,
    "label": "v7",
    "id": "id-v7",
    "digest": version("v7").digest,
    "url": "https://wandb.ai/v7",
}


def test_a_deletion_in_json_says_what_is_deleted() -> None:
    gone = version("v6")
    of_v6 = {**V7, "label": "v6", "id": "id-v6", "digest": gone.digest, "url": "https://wandb.ai/v6"}
    said = [json.loads(json.dumps(change_to_json(change))) for change in (delete("v6"), delete_files("v6"))]
    assert said == [
        {"change": "delete-version", "version": of_v6, "artifact_uri": uri("v6"), "version_id": "6"},
        {"change": "delete-files", "version": of_v6, "artifact_uri": uri("v6"), "folders": [uri("v6")]},
    ]


@pytest.mark.parametrize(
    ("change", "about"), [(delete("v6"), "version v6"), (delete_files("v6"), "files of version v6")]
)
def test_a_deletion_is_about_its_version(change: Change, about: str) -> None:
    assert (subject_of(change), version_of(change)) == (about, version("v6"))


def test_a_plan_in_json_holds_all_that_it_says() -> None:
    nobody = MoveAlias(Alias("champion"), version("v7"), uri("v7"), None)
    printed = json.loads(json.dumps(plan_to_json(plan_with(*CHANGES.values(), nobody, REFUSAL))))
    assert printed == {
        "mapping": "fraud",
        "model": "fraud",
        "checksum": "0123456789abcdef",
        "changes": [
            {"change": "copy", "version": V7, "artifact_uri": uri("v7")},
            {"change": "register", "version": V7, "artifact_uri": uri("v7"), "container": CONTAINER, "why": ""},
            {
                "change": "adopt",
                "version": V7,
                "artifact_uri": "gs://elsewhere/90/",
                "version_id": "90",
                "why": "",
                "deep": False,
            },
            {
                "change": "move-alias",
                "alias": "production",
                "to": V7,
                "artifact_uri": uri("v7"),
                "previous": {"version_id": "6", "label": "v6"},
                "why": "",
            },
            {"change": "remove-alias", "alias": "staging", "previous": {"version_id": "6", "label": "v6"}},
            {"change": "mark-duplicate", "version_id": "8", "of": "7"},
            {
                "change": "move-alias",
                "alias": "champion",
                "to": V7,
                "artifact_uri": uri("v7"),
                "previous": None,
                "why": "",
            },
        ],
        "refusals": [
            {
                "kind": "conflict",
                "about": "alias production",
                "reason": "it is on Vertex version @9",
                "remedy": "remove the alias",
                "until": None,
            }
        ],
        "notes": [],
        "holds": [],
    }


@given(worlds())
def test_every_plan_can_be_printed_as_json(world: World) -> None:
    plan = world.plan()
    printed = json.loads(json.dumps(plan_to_json(plan)))
    assert len(printed["changes"]) == len(plan.changes)
    assert len(printed["refusals"]) == len(plan.refusals)


# Checksums


def test_a_checksum_is_16_hex_digits() -> None:
    checksum = checksum_of("fraud", (copy("v7"),), vertex(ours("v7", "a1", "b2"), whole=["v6", "v7"]))
    assert len(checksum) == 16
    assert int(checksum, 16) >= 0


def test_a_checksum_of_a_set_is_the_same_in_every_process() -> None:
    code = "from bridge.core.changes import checksum_of; print(checksum_of(frozenset(map(str, range(20)))))"
    printed = {
        subprocess.run(  # noqa: S603  our own interpreter and a literal program
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, check=True, capture_output=True, text=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(("ab", "c"), ("a", "bc"), id="two values are not their text"),
        pytest.param((None,), ("None",), id="nothing is not its name"),
        pytest.param((1,), ("1",), id="a number is not its digits"),
        pytest.param((copy("v7"),), (copy("v6"),), id="versions"),
        pytest.param((move("production", "v7"),), (move("production", "v7", "v6"),), id="who had it"),
        pytest.param(((copy("v7"), copy("v6")),), ((copy("v6"), copy("v7")),), id="order"),
        pytest.param((vertex(whole=["v6"]),), (vertex(whole=["v7"]),), id="sets"),
        pytest.param((desired({"a1": "v7"}),), (desired({"b2": "v7"}),), id="keys"),
        pytest.param((record("v7"),), (record("v7", "8"),), id="a field deep inside"),
        pytest.param(("\ud800",), ("\ud801",), id="what UTF-8 cannot spell"),
        pytest.param((copy("v7"),), (register("v7"),), id="what is done"),
        pytest.param((plan_with(copy("v7")),), (plan_with(register("v7")),), id="what is done, deep inside"),
    ],
)
def test_checksums_differ_if_a_value_differs(one: tuple[object, ...], other: tuple[object, ...]) -> None:
    assert checksum_of(*one) != checksum_of(*other)


def test_a_checksum_does_not_depend_on_the_order_of_a_dict() -> None:
    assert checksum_of({"a1": 1, "b2": 2}) == checksum_of({"b2": 2, "a1": 1})


@pytest.mark.parametrize(
    ("change", "brings", "subject"),
    [
        (copy("v7"), version("v7"), "version v7"),
        (ArrangeFiles(version("v7"), uri("v7"), "gs://b/f/", ()), version("v7"), "version v7"),
        (register("v7"), version("v7"), "version v7"),
        (adopt("v7"), version("v7"), "version v7"),
        (move("production", "v7", "v6"), version("v7"), "alias production"),
        (remove("staging", "v6"), None, "alias staging"),
        (MarkDuplicate("8", "7"), None, "version @8"),
    ],
)
def test_a_change_is_about_something_and_may_bring_a_version(
    change: Change, brings: SourceVersion | None, subject: str
) -> None:
    assert (version_of(change), subject_of(change)) == (brings, subject)
