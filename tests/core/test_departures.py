"""What goes with versions that are gone at their source: the table of Departures row by row, and whom it asks about."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from bridge.core.changes import DeleteFiles, DeleteVersion, Kind, RemoveAlias
from bridge.core.departures import in_question
from bridge.core.model import Absences, OnSourceDelete, Policy
from bridge.core.naming import serving_uri
from bridge.core.planner import make_plan
from bridge.core.policy import is_settled
from bridge.core.settling import took_effect
from tests.core.builders import (
    BASE,
    absences,
    delete,
    delete_files,
    desired,
    foreign,
    hold,
    known,
    ours,
    prebuilt_uri,
    record,
    says,
    spec,
    tombstone,
    uri,
    version,
    vertex,
)
from tests.core.small_worlds import World, worlds

if TYPE_CHECKING:
    from collections.abc import Collection

    from bridge.core.changes import Plan
    from bridge.core.desired import Desired
    from bridge.core.model import Known, MappingSpec, TargetState

DELETES = spec(on_source_delete="delete")
UNALIASES = spec(on_source_delete="unalias")
STAYS = vertex(ours("v7", "default"), ours("v6"))  # v6 is the one that goes
KNOWN = known("v6", "v7")
NOTHING: list[str] = []
GONE = ["delete v6 @6", "delete files of v6"]


def planned(
    absent: Absences,
    actual: TargetState = STAYS,
    remembered: Known = KNOWN,
    mapping: MappingSpec = DELETES,
    wanted: Desired | None = None,
) -> Plan:
    return make_plan(mapping, BASE, wanted or desired(versions=["v7"]), actual, remembered, absences=absent)


def kept(plan: Plan) -> str:
    """Return why the one version that a plan keeps is kept."""
    [refusal] = plan.refusals
    assert (refusal.kind, refusal.about, plan.changes) == (Kind.KEPT, "version v6", ())
    return refusal.reason


# The table


@pytest.mark.parametrize(
    ("absent", "expected"),
    [
        pytest.param(Absences(), NOTHING, id="listed"),
        pytest.param(absences("v6", once=["v6"]), ["refuse waiting: version v6"], id="absent once"),
        pytest.param(absences("v6", there=["v6"]), NOTHING, id="absent twice, there by name"),
        pytest.param(absences("v6", unsaid=["v6"]), ["refuse waiting: version v6"], id="absent twice, unsaid"),
        pytest.param(absences("v6"), GONE, id="absent twice, gone by name"),
    ],
)
def test_a_version_without_an_alias_follows_the_table(absent: Absences, expected: list[str]) -> None:
    assert says(planned(absent)) == expected


@pytest.mark.parametrize("mapping", [spec(), UNALIASES])
def test_a_mapping_that_does_not_delete_deletes_nothing(mapping: MappingSpec) -> None:
    assert says(planned(absences("v6"), mapping=mapping)) == NOTHING


@pytest.mark.parametrize("policy", [Policy.UPSERT_ONLY, Policy.CREATE_ONLY])
def test_only_the_policy_sync_removes(policy: Policy) -> None:
    plan = planned(absences("v6"), mapping=replace(DELETES, policy=policy))
    assert says(plan) == ["refuse policy: version v6", "refuse policy: files of version v6"]


def test_nothing_is_deleted_by_a_listing_that_is_not_complete() -> None:
    assert says(planned(absences("v6"), wanted=desired(versions=["v7"], complete=False))) == NOTHING


def test_the_default_version_is_kept() -> None:
    plan = planned(absences("v6"), vertex(ours("v6", "default"), ours("v7")))
    assert kept(plan) == "it is gone at the source, but @6 has 'default', which Vertex demands of every model"


def test_the_default_version_goes_if_default_moves_in_the_same_plan() -> None:
    actual = vertex(ours("v6", "default"), ours("v7"))
    remembered = known("v6", "v7", mirrored={"default": "6"})
    plan = planned(absences("v6"), actual, remembered, wanted=desired({"default": "v7"}))
    assert says(plan) == ["move default v6 -> v7", *GONE]


def test_a_version_with_an_alias_that_is_not_ours_is_kept() -> None:
    assert "has the alias 'canary', which stays" in kept(
        planned(absences("v6"), vertex(ours("v7", "default"), ours("v6", "canary")))
    )


def test_a_version_that_is_deployed_is_kept_and_says_where() -> None:
    serving = replace(ours("v6"), endpoints=("projects/1/locations/eu/endpoints/42",))
    reason = kept(planned(absences("v6"), vertex(ours("v7", "default"), serving)))
    assert reason == "it is gone at the source, but @6 is deployed to projects/1/locations/eu/endpoints/42"


def test_a_version_that_a_person_made_is_kept_though_it_was_adopted() -> None:
    theirs = "gs://team/models/july/"
    actual = vertex(ours("v7", "default"), ours("v6", folder=theirs))
    remembered = replace(KNOWN, records=(record("v6", folder=theirs), record("v7")))
    plan = planned(absences("v6"), actual, remembered)
    assert says(plan) == ["refuse kept: version v6"]
    assert kept(plan) == "it is gone at the source, but a person made @6, which the bridge has adopted"
    assert is_settled(plan)


def test_our_aliases_go_first_and_the_version_with_them() -> None:
    actual = vertex(ours("v7", "default"), ours("v6", "production"))
    remembered = known("v6", "v7", mirrored={"production": "6"}, seen=[])
    assert says(planned(absences("v6"), actual, remembered)) == ["remove production from v6", *GONE]


def test_a_version_whose_alias_a_person_holds_is_kept() -> None:
    actual = vertex(ours("v7", "default"), ours("v6", "production"))
    remembered = known("v6", "v7", mirrored={"production": "6"}, seen=[], holds=[hold("production")])
    plan = planned(absences("v6"), actual, remembered)
    assert says(plan) == ["refuse held: alias production", "refuse kept: version v6"]


@pytest.mark.parametrize(
    "actual",
    [
        pytest.param(vertex(ours("v7", "default")), id="gone in Vertex"),
        pytest.param(vertex(ours("v7", "default"), ours("v6", marked=False)), id="without our mark"),
        pytest.param(vertex(ours("v7", "default"), ours("v6", at="66")), id="not the one of the record"),
    ],
)
def test_what_is_not_ours_is_left_alone(actual: TargetState) -> None:
    assert says(planned(absences("v6"), actual)) == NOTHING


# Folders


def folders(plan: Plan) -> Collection[str]:
    return [folder for change in plan.changes if isinstance(change, DeleteFiles) for folder in change.folders]


def test_what_was_arranged_goes_with_the_copy_beside_it() -> None:
    arranged = prebuilt_uri("v6")
    actual = vertex(ours("v7", "default"), ours("v6", folder=arranged))
    remembered = replace(KNOWN, records=(record("v6", folder=arranged), record("v7")))
    assert folders(planned(absences("v6"), actual, remembered)) == [arranged, uri("v6")]


def test_a_copy_that_two_versions_come_from_goes_once() -> None:
    arranged = prebuilt_uri("v6")
    actual = vertex(ours("v7", "default"), ours("v6"), ours("v6", at="8", folder=arranged))
    remembered = replace(KNOWN, records=(record("v6"), record("v6", "8", arranged), record("v7")))
    plan = planned(absences("v6"), actual, remembered)
    assert says(plan) == ["delete v6 @6", "delete v6 @8", "delete files of v6", "delete files of v6"]
    assert folders(plan) == [uri("v6"), arranged]


@pytest.mark.parametrize(
    ("actual", "remembered", "wanted"),
    [
        pytest.param(
            vertex(ours("v7", "default"), ours("v6"), replace(foreign("9"), artifact_uri=uri("v6"))),
            KNOWN,
            desired(versions=["v7"]),
            id="another version in Vertex",
        ),
        pytest.param(
            STAYS, replace(KNOWN, taken=frozenset({uri("v6")})), desired(versions=["v7"]), id="a record elsewhere"
        ),
        pytest.param(
            vertex(ours("v7", "default"), ours("v6"), ours("v6", "x1", at="8", folder=prebuilt_uri("v6"))),
            replace(KNOWN, records=(*KNOWN.records, record("v6", "8", prebuilt_uri("v6")))),
            desired(versions=["v7"]),
            id="a record of ours that stays",
        ),
    ],
)
def test_a_folder_that_something_else_needs_stays(actual: TargetState, remembered: Known, wanted: Desired) -> None:
    plan = planned(absences("v6"), actual, remembered, wanted=wanted)
    assert [type(change) for change in plan.changes] == [DeleteVersion]


def test_a_folder_that_a_dead_process_left_is_removed() -> None:
    plan = planned(absences("v6"), vertex(ours("v7", "default")), replace(known("v7"), tombstones=(tombstone("v6"),)))
    assert plan.changes == (delete_files("v6"),)


def test_a_folder_that_was_left_stays_if_its_version_is_there_again() -> None:
    remembered = replace(known("v7"), tombstones=(tombstone("v6"),))
    actual = vertex(ours("v7", "default"))
    assert says(planned(Absences(), actual, remembered)) == NOTHING
    assert folders(planned(absences("v6"), actual, remembered, wanted=desired(versions=["v6", "v7"]))) == []


def test_a_folder_is_removed_though_the_model_is_gone() -> None:
    remembered = replace(known(), tombstones=(tombstone("v6", folder=serving_uri(uri("v6"))),))
    assert folders(planned(absences("v6"), vertex(), remembered, wanted=desired())) == [prebuilt_uri("v6"), uri("v6")]


# Aliases


def alias_row(mapping: MappingSpec, absent: Absences, wanted: Desired | None = None) -> list[str]:
    actual = vertex(ours("v7", "default"), ours("v6", "production"))
    remembered = known("v6", "v7", mirrored={"production": "6"}, seen=[])
    return says(planned(absent, actual, remembered, mapping, wanted))


@pytest.mark.parametrize(
    ("mapping", "absent", "expected"),
    [
        pytest.param(spec(), absences("v6"), ["refuse policy: alias production"], id="retain"),
        pytest.param(UNALIASES, absences("v6"), ["remove production from v6"], id="unalias"),
        pytest.param(spec(), absences("v6", there=["v6"]), ["remove production from v6"], id="retain, only untagged"),
        pytest.param(spec(), Absences(), ["remove production from v6"], id="retain, untagged and listed"),
        pytest.param(UNALIASES, absences("v6", unsaid=["v6"]), ["refuse waiting: alias production"], id="unsaid"),
        pytest.param(spec(), absences("v6", unsaid=["v6"]), ["refuse waiting: alias production"], id="retain, unsaid"),
    ],
)
def test_an_alias_of_a_version_that_is_gone_follows_the_mapping(
    mapping: MappingSpec, absent: Absences, expected: list[str]
) -> None:
    assert alias_row(mapping, absent) == expected


def test_default_stays_whatever_the_mapping_says() -> None:
    remembered = known("v6", mirrored={"default": "6"}, seen=[])
    plan = planned(absences("v6"), vertex(ours("v6", "default")), remembered, UNALIASES, desired())
    assert says(plan) == NOTHING


MISSING = replace(desired(), is_missing=True)


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        pytest.param(UNALIASES, "refuse unclear: alias production", id="a name that may be misspelled"),
        pytest.param(
            replace(UNALIASES, source=replace(UNALIASES.source, is_pattern=True)),
            "refuse policy: alias production",
            id="a pattern that chooses otherwise",
        ),
    ],
)
def test_a_collection_that_is_not_found_and_yet_there_loses_no_alias(mapping: MappingSpec, expected: str) -> None:
    assert alias_row(mapping, absences("v6", "v7", there=["v6", "v7"]), MISSING) == [expected]


def test_a_collection_that_is_not_found_and_cannot_be_asked_for_loses_no_alias() -> None:
    assert alias_row(UNALIASES, absences("v6", "v7", unsaid=["v6", "v7"]), MISSING) == [
        "refuse waiting: alias production"
    ]


# Whom the source is asked about


def asked(
    mapping: MappingSpec, absent: Absences, *, seen: Collection[str] = (), wanted: Desired | None = None
) -> list[str]:
    remembered = known("v5", "v6", "v7", mirrored={"production": "6"}, seen=seen)
    actual = vertex(ours("v7", "default"), ours("v6", "production"), ours("v5"))
    found = in_question(mapping, wanted or desired(versions=["v7"]), actual, remembered, absent)
    return [each.label for each in found]


@pytest.mark.parametrize(
    ("mapping", "absent", "expected"),
    [
        pytest.param(spec(), absences("v5", "v6"), ["v6"], id="retain: what would lose an alias"),
        pytest.param(spec(), absences("v5"), NOTHING, id="retain: not what would lose none"),
        pytest.param(DELETES, absences("v5", "v6"), ["v5", "v6"], id="delete: what is absent twice"),
        pytest.param(DELETES, absences("v5", once=["v5"]), NOTHING, id="delete: not what is absent once"),
        pytest.param(replace(DELETES, policy=Policy.UPSERT_ONLY), absences("v5", "v6"), NOTHING, id="nothing goes"),
    ],
)
def test_the_source_is_asked_for_what_would_go(mapping: MappingSpec, absent: Absences, expected: list[str]) -> None:
    assert asked(mapping, absent) == expected


def test_the_source_is_not_asked_while_an_alias_was_absent_once() -> None:
    assert asked(spec(), absences("v6"), seen=["production"]) == NOTHING


def test_the_source_is_not_asked_after_a_listing_that_was_not_complete() -> None:
    assert asked(DELETES, absences("v5", "v6"), wanted=desired(complete=False)) == NOTHING


def test_the_source_is_asked_for_all_of_a_collection_that_is_not_found_at_once() -> None:
    absent = absences("v5", "v6", "v7", once=["v5", "v6", "v7"])
    assert asked(UNALIASES, absent, seen=["production"], wanted=MISSING) == ["v5", "v6", "v7"]


def test_the_source_is_asked_for_what_was_deleted_before_its_folder_goes() -> None:
    remembered = replace(known("v7"), tombstones=(tombstone("v6"),))
    for mapping, expected in ((DELETES, [version("v6")]), (UNALIASES, [])):
        found = in_question(mapping, desired(versions=["v7"]), vertex(ours("v7")), remembered, Absences())
        assert list(found) == expected


# Did it take effect?


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        pytest.param(vertex(ours("v7")), True, id="another version is left"),
        pytest.param(vertex(), True, id="the model is gone"),
        pytest.param(vertex(ours("v6")), False, id="it is there"),
    ],
)
def test_a_deletion_took_effect_if_vertex_has_the_version_no_more(actual: TargetState, *, expected: bool) -> None:
    assert took_effect(delete("v6"), actual) is expected


def test_vertex_does_not_tell_whether_files_are_removed() -> None:
    assert not took_effect(delete_files("v6"), vertex())


# In every small world


@given(worlds())
def test_only_a_mapping_that_deletes_deletes_and_only_under_the_policy_sync(world: World) -> None:
    deletions = [each for each in world.plan().changes if isinstance(each, DeleteVersion | DeleteFiles)]
    meant = world.spec.on_source_delete is OnSourceDelete.DELETE and world.spec.policy is Policy.SYNC
    assert not deletions or (meant and world.source.complete)


@given(worlds())
def test_nothing_goes_that_is_listed_or_whose_absence_is_new(world: World) -> None:
    for change in world.plan().changes:
        if isinstance(change, DeleteVersion):
            assert change.version.id in world.absent_before
            assert change.version not in world.source.versions
            assert change.version.label in world.deleted


@given(worlds())
def test_a_mapping_that_retains_takes_no_alias_from_a_version_that_is_deleted(world: World) -> None:
    retaining = replace(world, spec=replace(world.spec, on_source_delete=OnSourceDelete.RETAIN))
    gone = {record.version_id for record in world.known.records if record.source.id in retaining.absences.deleted}
    removals = [each for each in retaining.plan().changes if isinstance(each, RemoveAlias)]
    assert not [each for each in removals if each.previous.version_id in gone]
