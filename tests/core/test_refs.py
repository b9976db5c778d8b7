"""References are read as people write them, and find what the store knows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.core.changes import AdoptVersion, ArrangeFiles, CopyFiles, MarkDuplicate, MoveAlias, RemoveAlias
from bridge.core.deeds import Deed, Paused, Resumed
from bridge.core.errors import NeedsPerson, NotFound
from bridge.core.model import Alias, AliasRules, MappingRecord, ModelKey, State, VersionRef
from bridge.core.naming import serving_uri
from bridge.core.records import Status
from bridge.core.refs import Ref, concerns, find, may_mean, model_of, model_to_retry, parse_ref
from tests.core.builders import KEY, delete, delete_files, register, spec, uri, version

RECORDS = [MappingRecord(KEY, version(f"v{n}"), uri(f"v{n}"), str(n + 1), "2026-01-05T09:00:00+00:00") for n in (6, 7)]
MIRRORED = {KEY: {Alias("production"): "8"}}
PRODUCTION = Alias("production")


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("fraud", Ref("fraud", None, at_source=False)),
        ("fraud@7", Ref("fraud", "7", at_source=False)),
        ("fraud@production", Ref("fraud", "production", at_source=False)),
        ("fraud@", Ref("fraud", None, at_source=False)),
        ("fraud/fraud", Ref("fraud/fraud", None, at_source=True)),
        ("wandb-registry-model/fraud:v7", Ref("wandb-registry-model/fraud", "v7", at_source=True)),
        ("", Ref("", None, at_source=False)),
        ("models:/churn", Ref("models:/churn", None, at_source=True)),
        ("models:/churn/3", Ref("models:/churn", "3", at_source=True)),
        ("models:/churn@champion", Ref("models:/churn", "champion", at_source=True)),
        ("models:/ch@rn/Production", Ref("models:/ch@rn", "Production", at_source=True)),
        ("models:/churn (EU)@a", Ref("models:/churn (EU)", "a", at_source=True)),
    ],
)
def test_a_reference_is_read_as_people_write_it(text: str, ref: Ref) -> None:
    assert parse_ref(text) == ref


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("fraud", ["v6", "v7"]),
        ("fraud@8", ["v7"]),
        ("fraud@production", ["v7"]),
        ("fraud@staging", []),
        ("wandb-registry-model/fraud-detector:v6", ["v6"]),
        ("wandb-registry-model/fraud-detector:production", ["v7"]),
        ("acme_org/wandb-registry-model/fraud-detector", ["v6", "v7"]),
        ("odel/fraud-detector:v6", []),
        ("nobody@8", []),
    ],
)
def test_it_finds_the_records_it_means(text: str, labels: list[str]) -> None:
    assert [record.source.label for record in find(parse_ref(text), RECORDS, MIRRORED)] == labels


@pytest.mark.parametrize(
    ("change", "is_meant"),
    [
        (CopyFiles(version("v7"), uri("v7")), True),
        (register("v7"), True),
        (register("v6"), False),
        (MoveAlias(PRODUCTION, version("v7"), uri("v7"), None), True),
        (MoveAlias(PRODUCTION, version("v6"), uri("v6"), VersionRef("8", "v7")), True),
        (MoveAlias(PRODUCTION, version("v6"), uri("v6"), None), False),
        (RemoveAlias(PRODUCTION, VersionRef("8", "v7")), True),
        (RemoveAlias(PRODUCTION, VersionRef("7", "v6")), False),
        (delete("v7", "8"), True),
        (delete("v6", "7"), False),
        (delete_files("v7"), True),
        (delete_files("v6"), False),
        (Paused("incident 7", None), False),
        (Resumed(), False),
    ],
)
def test_a_change_concerns_the_versions_it_makes_and_those_it_moves_aliases_of(change: Deed, *, is_meant: bool) -> None:
    assert concerns(change, RECORDS[1:]) is is_meant


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("wandb-registry-model/fraud-detector:Production", ["v7"]),
        ("wandb-registry-model/fraud-detector:production", ["v7"]),
        ("wandb-registry-model/fraud-detector:best model", []),
        ("fraud@Production", []),
    ],
)
def test_an_alias_of_the_source_is_found_as_the_mapping_spells_it(text: str, labels: list[str]) -> None:
    rules = {KEY.mapping: AliasRules({"Production": PRODUCTION})}
    assert [found.source.label for found in find(parse_ref(text), RECORDS, MIRRORED, rules)] == labels


@pytest.mark.parametrize(
    ("text", "may"),
    [
        ("fraud", True),
        ("fraud@production", True),
        ("wandb-registry-model/fraud-detector:v7", True),
        ("fraud-detector/another:v7", False),
        ("churn", False),
    ],
)
def test_a_mapping_of_one_collection_is_meant_by_its_own_names(text: str, *, may: bool) -> None:
    assert may_mean(parse_ref(text), spec()) is may


def test_a_pattern_may_be_meant_by_anything() -> None:
    assert may_mean(parse_ref("churn"), spec(pattern="(?P<a>.*)", model="{a}"))


def test_the_copy_that_a_prebuilt_layout_was_arranged_from_concerns_its_version() -> None:
    arranged = [replace(RECORDS[1], artifact_uri=serving_uri(uri("v7")))]
    change = ArrangeFiles(version("v7"), uri("v7"), serving_uri(uri("v7")), ())
    assert (concerns(CopyFiles(version("v7"), uri("v7")), arranged), concerns(change, arranged)) == (True, True)


def test_an_adoption_concerns_the_version_that_was_adopted() -> None:
    adopted = [replace(RECORDS[1], artifact_uri="gs://team/july/")]
    change = AdoptVersion(version("v7"), "gs://team/july/", "9")
    assert (concerns(change, adopted), concerns(change, [RECORDS[1]])) == (True, False)


def test_a_duplicate_concerns_the_version_that_it_doubles() -> None:
    [double, other] = [MarkDuplicate("9", RECORDS[1].version_id), MarkDuplicate(RECORDS[1].version_id, "9")]
    assert (concerns(double, [RECORDS[1]]), concerns(other, [RECORDS[1]])) == (True, False)


# the one model

OCR, CATS, COPY = ModelKey("vision", "ocr"), ModelKey("vision", "cats"), ModelKey("vision-eu", "cats")
FOLLOWED = {OCR: "acme/vision/ocr", CATS: "acme/vision/cats", COPY: "acme/vision/cats", KEY: "models:/churn"}
REMEDY = "name one of them"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("ocr", OCR),
        ("ocr@7", OCR),
        ("ocr@production", OCR),
        ("vision/ocr", OCR),
        ("vision/ocr@7", OCR),
        ("vision/ocr:v99", OCR),
        ("acme/vision/ocr", OCR),
        ("acme/vision/ocr:latest", OCR),
        ("vision/cats", CATS),  # as bridge status has it, though the collection of two models ends so
        ("vision-eu", COPY),
        ("vision-eu/cats@1", COPY),
        ("models:/churn/3", KEY),
        ("models:/churn@champion", KEY),
        ("elsewhere/ocr", None),
        ("dogs@1", None),
        ("", None),
    ],
)
def test_a_reference_means_one_model_whatever_version_it_names(text: str, key: ModelKey | None) -> None:
    assert model_of(parse_ref(text), FOLLOWED, REMEDY) == key


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cats@1", "'cats' may be any of vision/cats, vision-eu/cats; name"),
        ("acme/vision/cats:v7", "'acme/vision/cats' may be any of vision/cats, vision-eu/cats; name"),
        ("vision/cats:v7", "'vision/cats' may be any of vision/cats, vision-eu/cats; name"),  # a version: at the source
        ("vision", "'vision' may be any of vision/cats, vision/ocr; name one of them"),
    ],
)
def test_a_reference_to_several_models_is_refused_with_their_names(text: str, said: str) -> None:
    with pytest.raises(NeedsPerson, match=said):
        model_of(parse_ref(text), FOLLOWED, REMEDY)


def test_of_very_many_models_that_a_reference_may_mean_a_few_are_named() -> None:
    many = {ModelKey("vision", f"m{number:04}"): f"acme/vision/m{number:04}" for number in range(5000)}

    with pytest.raises(NeedsPerson, match=r"any of vision/m0000, .*, vision/m0009 and 4990 more; name one of them"):
        model_of(parse_ref("vision"), many, REMEDY)


def test_what_is_retried_is_a_model_that_is_known_of_a_mapping_that_is_there() -> None:
    known = [Status(key, State.FAILED, "", "", where, "2026", None) for key, where in FOLLOWED.items()]

    assert model_to_retry("acme/vision/cats:v7", known, {"vision", "fraud"}) == CATS
    with pytest.raises(NeedsPerson, match="name one of them: bridge retry MAPPING/MODEL"):
        model_to_retry("acme/vision/cats:v7", known, {"vision", "vision-eu"})
    with pytest.raises(NotFound, match="knows no model 'acme/vision/cats:v7'; see what it knows: bridge status"):
        model_to_retry("acme/vision/cats:v7", known, {"fraud"})
