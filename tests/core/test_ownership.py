"""Which source version a record stands for, and which records are alive."""

from __future__ import annotations

from dataclasses import replace

from bridge.core.model import Layout
from bridge.core.ownership import alive, homes, is_adopted, whose
from tests.core.builders import BASE, KEY, foreign, ours, prebuilt_uri, record, uri, version, vertex

THEIRS = "gs://team/july/"
ADOPTED = record("v7", "9", THEIRS)


def test_a_record_of_a_folder_that_the_bridge_did_not_name_is_of_an_adopted_version() -> None:
    assert is_adopted(ADOPTED)
    assert not is_adopted(record("v7"))
    assert not is_adopted(record("v7", folder=prebuilt_uri("v7")))
    assert not is_adopted(record("v7", folder=uri("v7").replace("gs://", "gs://old-")))


def test_a_version_may_be_in_vertex_from_our_folders_and_from_those_adopted_for_it() -> None:
    records = (
        ADOPTED,
        record("v6", "8", "gs://team/june/"),
        record("v7", "3", uri("v7").replace("gs://", "gs://old-")),
    )
    assert homes(BASE, KEY.model, version("v7"), Layout.AUTO, records) == (prebuilt_uri("v7"), uri("v7"), THEIRS)


def test_what_was_adopted_for_other_bytes_is_no_home() -> None:
    other = replace(ADOPTED, source=replace(version("v7"), digest="0" * 32))
    assert homes(BASE, KEY.model, version("v7"), Layout.MIRROR, [other]) == (uri("v7"),)


def test_a_record_is_alive_while_its_version_is_there_with_our_mark() -> None:
    records = [record("v5"), record("v6"), record("v7"), record("v8")]
    there = vertex(ours("v5"), ours("v6", marked=False), ours("v7", at="70"), foreign("8", marked=True))
    assert alive(records, there.versions) == [record("v5")]


def test_a_version_in_vertex_belongs_to_the_record_of_its_model_folder_and_id() -> None:
    records = [record("v6"), record("v7")]
    assert whose(records, "fraud", ours("v7")) == record("v7")
    assert whose(records, "churn", ours("v7")) is None
    assert whose(records, "fraud", ours("v7", at="70")) is None
