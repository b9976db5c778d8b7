"""What a lost store had known: the table row by row."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bridge.core.model import Alias, Facts, ManifestHeader
from bridge.core.rebuilding import Rebuilding, Remains, rebuild
from tests.core.builders import COLLECTION, KEY, desired, foreign, ours, record, uri, version, vertex

if TYPE_CHECKING:
    from bridge.core.desired import Desired
    from bridge.core.model import MappingRecord, ModelVersion

NOW = "2026-03-01T00:00:00+00:00"
MADE = "2026-01-05T08:00:00+00:00"


def header(label: str, created: str = MADE) -> ManifestHeader:
    there = version(label)
    return ManifestHeader(COLLECTION, label, there.id, there.digest, created, Facts(run_id="r"))


def told(*versions: ModelVersion, **more: object) -> Rebuilding:
    """Tell what is known of these versions; the folders of v5, v6 and v7 are whole."""
    headers: dict[str, ManifestHeader | str] = {uri(label): header(label) for label in ("v5", "v6", "v7")}
    remains = Remains(KEY, "acme", vertex(*versions), headers, published=(), desired=desired(), records=())
    return rebuild(replace(remains, **more), NOW)  # type: ignore[arg-type]  # what Remains has


def made(label: str, at: str | None = None) -> MappingRecord:
    """Return the record of a version that the source does not list."""
    known = record(label, at)
    return replace(known, source=replace(known.source, url=""), first_seen=MADE, facts=Facts(run_id="r"))


def test_a_marked_version_of_a_whole_folder_is_recorded_from_its_manifest() -> None:
    assert told(ours("v6"), ours("v7")) == Rebuilding((made("v6"), made("v7")))


def test_what_the_source_lists_is_called_as_it_is_now() -> None:
    renamed = replace(version("v7"), collection="acme_org/wandb-registry-model/renamed")
    [known] = told(ours("v7"), published=(version("v6"), renamed)).records
    assert known.source == renamed


def test_a_version_that_got_other_bytes_under_its_id_is_not_taken_for_the_copy() -> None:
    other = replace(version("v7"), digest="f" * 32)
    [known] = told(ours("v7"), published=(other,)).records
    assert known == made("v7")


def test_of_several_versions_of_a_folder_the_lowest_id_is_recorded() -> None:
    found = told(ours("v7", at="10"), ours("v7", at="9"))
    assert found == Rebuilding((made("v7", "9"),))


@pytest.mark.parametrize("created", ["long ago", "2026-01-05T08:00:00", "2026-01-05T08:00:00+01:00"])
def test_a_time_that_no_bridge_has_written_is_not_believed(created: str) -> None:
    [known] = told(ours("v7"), headers={uri("v7"): header("v7", created)}).records
    assert known.first_seen == NOW


def test_a_version_whose_folder_has_no_manifest_is_told() -> None:
    found = told(ours("v7"), headers={})
    assert found.records == ()
    assert [str(left) for left in found.left] == [
        (
            f"version @7: {uri('v7')} has no manifest; "
            "nothing says which source version it is; delete it in Vertex if nothing uses it"
        )
    ]


def test_a_version_whose_folder_cannot_be_read_is_told_with_the_reason() -> None:
    found = told(ours("v7"), headers={uri("v7"): "it is not a manifest"})
    assert [left.reason for left in found.left] == ["it is not a manifest"]


@pytest.mark.parametrize("there", [foreign("7"), ours("v7", marked=False)], ids=["elsewhere", "in our folder"])
def test_a_version_without_our_mark_is_told(there: ModelVersion) -> None:
    found = told(there)
    assert found.records == ()
    assert [str(left) for left in found.left] == [
        "version @7: it does not carry the bridge's mark; if it is to: bridge adopt fraud@7"
    ]


def test_what_the_store_knows_stays_as_it_is() -> None:
    later = ours("v7", "production", at="9")
    found = told(
        ours("v7"),
        later,
        desired=desired({"production": "v7"}),
        records=(record("v7"),),
        mirrored={Alias("production"): "7"},
    )
    assert found == Rebuilding()


def test_a_folder_with_an_open_intent_is_left_to_the_next_pass() -> None:
    assert told(ours("v7"), pending=frozenset({uri("v7")})) == Rebuilding()


# Aliases


@pytest.mark.parametrize(
    ("alias", "wants", "reason"),
    [
        pytest.param("production", desired({"production": "v7"}), None, id="where the mapping wants it: set by us"),
        pytest.param("default", desired({"default": "v7"}), None, id="default too"),
        pytest.param("default", desired(), "", id="default that no mapping moves is not mentioned"),
        pytest.param("default", None, "", id="nor where the source is not known"),
        pytest.param(
            "production",
            desired({"production": "v6"}),
            "it is on @7 (v7), and the mapping brings it to v6",
            id="elsewhere: drift, or the source has moved on",
        ),
        pytest.param(
            "production", desired(), "it is on @7 (v7), and the mapping brings no such alias", id="not at the source"
        ),
        pytest.param(
            "production",
            None,
            "it is on @7 (v7), and the source could not say whether it belongs there",
            id="the source is not known",
        ),
    ],
)
def test_an_alias_counts_as_set_if_it_is_where_it_is_wanted(
    alias: str, wants: Desired | None, reason: str | None
) -> None:
    found = told(ours("v7", alias), desired=wants)
    assert found.mirrored == ({Alias(alias): "7"} if reason is None else {})
    assert [left.reason for left in found.left] == ([reason] if reason else [])


def test_an_alias_is_where_it_is_wanted_though_the_bucket_folder_is_an_old_one() -> None:
    old = "gs://old/registry/fraud/v7-0/"
    found = told(
        ours("v7", "production", folder=old), headers={old: header("v7")}, desired=desired({"production": "v7"})
    )
    assert found.mirrored == {Alias("production"): "7"}


def test_an_alias_of_somebody_elses_version_is_not_ours_to_mention() -> None:
    found = told(foreign("90", "beta", marked=True), ours("v7"), desired=desired({"beta": "v7"}))
    assert [left.about for left in found.left] == ["version @90"]
    assert found.mirrored == {}
