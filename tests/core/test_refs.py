"""References are read as people write them, and find what the store knows."""

from __future__ import annotations

import pytest

from bridge.core.changes import Change, CopyFiles, MoveAlias, RegisterVersion, RemoveAlias
from bridge.core.model import Alias, MappingRecord, VersionRef
from bridge.core.refs import Ref, concerns, find, parse_ref
from tests.core.builders import KEY, uri, version

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
        (RegisterVersion(version("v7"), uri("v7")), True),
        (RegisterVersion(version("v6"), uri("v6")), False),
        (MoveAlias(PRODUCTION, version("v7"), uri("v7"), None), True),
        (MoveAlias(PRODUCTION, version("v6"), uri("v6"), VersionRef("8", "v7")), True),
        (MoveAlias(PRODUCTION, version("v6"), uri("v6"), None), False),
        (RemoveAlias(PRODUCTION, VersionRef("8", "v7")), True),
        (RemoveAlias(PRODUCTION, VersionRef("7", "v6")), False),
    ],
)
def test_a_change_concerns_the_versions_it_makes_and_those_it_moves_aliases_of(
    change: Change, *, is_meant: bool
) -> None:
    assert concerns(change, RECORDS[1:]) is is_meant
