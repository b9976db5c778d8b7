"""The planner: its docstring's table row by row, the paragraphs below it, and what holds in every small world."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from bridge.core.changes import (
    AdoptVersion,
    ArrangeFiles,
    Change,
    Kind,
    MarkDuplicate,
    MoveAlias,
    Refusal,
    RegisterVersion,
    Removal,
    RemoveAlias,
)
from bridge.core.desired import Desired, desire
from bridge.core.errors import Position
from bridge.core.model import DEFAULT, Alias, Fit, Known, MappingSpec, Serving, State, TargetState
from bridge.core.planner import make_plan
from bridge.core.policy import is_settled, state_after
from bridge.core.settling import took_effect
from tests.core.builders import (
    BASE,
    KEY,
    ORIGIN,
    adopt,
    copy,
    custom,
    desired,
    foreign,
    hold,
    known,
    move,
    ours,
    prebuilt,
    prebuilt_uri,
    record,
    register,
    remove,
    says,
    source,
    spec,
    uri,
    version,
    vertex,
)
from tests.core.small_worlds import World, worlds

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from bridge.core.changes import Plan
    from bridge.core.model import ModelVersion

NOTHING: list[str] = []
ARRIVE = ["copy v7", "register v7"]
DRIFT = ["refuse drift: alias production"]
DOUBLE = replace(ours("v7", at="8"), duplicate=True)  # of @7
CONFLICT = ["refuse conflict: alias production"]


def planned(
    wanted: Desired, actual: TargetState, remembered: Known | None = None, mapping: MappingSpec | None = None
) -> Plan:
    return make_plan(mapping or spec(), BASE, wanted, actual, remembered or known())


def row(alias: str, *, wants: str | None, has: str | None, put: str | None, heal: bool = False) -> list[str]:
    """
    Plan one row of the table, in a model that holds v5, v6 and, if anything knows of it, v7.

    `wants`, `has` and `put` are the columns desired, actual and set; "foreign" is a version not ours.
    An alias that is not wanted was absent from the last complete listing too.
    """
    registered = ["v5", "v6", *(["v7"] if "v7" in (has, put) else [])]
    held = [ours(label, *([alias] if has == label else [])) for label in registered]
    actual = vertex(*held, foreign("90", *([alias] if has == "foreign" else [])))
    mirrored = {} if put is None else {alias: put.removeprefix("v")}
    wanted = desired({} if wants is None else {alias: wants})
    return says(
        planned(
            wanted, actual, known(*registered, mirrored=mirrored, seen=[]), spec(drift="heal" if heal else "report")
        )
    )


# The table


@pytest.mark.parametrize(
    ("has", "put", "expected"),
    [
        pytest.param(None, None, [*ARRIVE, "move production - -> v7"], id="nobody has it: it arrives"),
        pytest.param("v7", None, NOTHING, id="it is there, though not set by us: nothing"),
        pytest.param("v7", "v7", NOTHING, id="it is there: nothing"),
        pytest.param("v7", "v6", NOTHING, id="it is there, though we set it elsewhere: nothing"),
        pytest.param("v6", "v6", [*ARRIVE, "move production v6 -> v7"], id="it is where we set it: it moves"),
        pytest.param("v6", "v5", [*ARRIVE, *DRIFT], id="somebody moved it: drift"),
        pytest.param("v6", None, [*ARRIVE, *DRIFT], id="somebody put it there: drift"),
        pytest.param(None, "v7", DRIFT, id="somebody took it away: drift"),
        pytest.param(None, "v6", [*ARRIVE, "move production - -> v7"], id="gone, and the source moved on: it moves"),
        pytest.param("foreign", None, [*ARRIVE, *CONFLICT], id="not ours, never set: conflict"),
        pytest.param("foreign", "v6", [*ARRIVE, *CONFLICT], id="not ours, set on v6: conflict"),
        pytest.param("foreign", "v7", CONFLICT, id="not ours, set on v7: conflict"),
    ],
)
def test_a_wanted_alias_follows_the_table(has: str | None, put: str | None, expected: list[str]) -> None:
    assert row("production", wants="v7", has=has, put=put) == expected


@pytest.mark.parametrize(
    ("has", "put", "expected"),
    [
        pytest.param("v6", "v5", [*ARRIVE, "move production v6 -> v7"], id="somebody moved it"),
        pytest.param("v6", None, [*ARRIVE, "move production v6 -> v7"], id="somebody put it there"),
        pytest.param(None, "v7", ["move production - -> v7"], id="somebody took it away"),
        pytest.param("foreign", "v6", [*ARRIVE, *CONFLICT], id="not ours: still a conflict"),
    ],
)
def test_a_mapping_that_heals_drift_moves_the_alias_back(has: str | None, put: str | None, expected: list[str]) -> None:
    assert row("production", wants="v7", has=has, put=put, heal=True) == expected


@pytest.mark.parametrize("heal", [False, True], ids=["report", "heal"])
@pytest.mark.parametrize(
    ("has", "put", "expected"),
    [
        pytest.param("v6", "v6", ["remove production from v6"], id="it is where we set it: it goes"),
        pytest.param("v6", "v5", NOTHING, id="what is there is not what we set: nothing"),
        pytest.param("v6", None, NOTHING, id="never set by us: hands off"),
        pytest.param(None, "v6", NOTHING, id="already gone: nothing"),
        pytest.param("foreign", "v6", NOTHING, id="not ours: hands off"),
    ],
)
def test_an_alias_gone_from_the_source_follows_the_table(
    has: str | None, put: str | None, expected: list[str], *, heal: bool
) -> None:
    assert row("production", wants=None, has=has, put=put, heal=heal) == expected


@pytest.mark.parametrize(
    ("has", "put", "expected"),
    [
        pytest.param("v6", None, [*ARRIVE, "move default v6 -> v7"], id="Vertex put it there: it moves"),
        pytest.param("v6", "v6", [*ARRIVE, "move default v6 -> v7"], id="we put it there: it moves"),
        pytest.param("v6", "v5", [*ARRIVE, "refuse drift: alias default"], id="somebody moved it: drift"),
        pytest.param("v7", None, NOTHING, id="it is there: nothing"),
        pytest.param("foreign", None, [*ARRIVE, "refuse conflict: alias default"], id="not ours: conflict"),
    ],
)
def test_a_wanted_default_follows_the_table(has: str, put: str | None, expected: list[str]) -> None:
    assert row("default", wants="v7", has=has, put=put) == expected


@pytest.mark.parametrize("put", [None, "v5", "v6"])
@pytest.mark.parametrize("has", ["v6", "foreign"])
def test_default_is_never_removed(has: str, put: str | None) -> None:
    assert row("default", wants=None, has=has, put=put) == NOTHING


# Conflicts


OVERWRITE = spec(on_conflict="overwrite")
ADOPT = spec(on_conflict="adopt")


@pytest.mark.parametrize("alias", ["production", "default"])
@pytest.mark.parametrize("put", [None, "v6", "v7"])
def test_an_alias_of_a_version_not_ours_is_taken_where_the_mapping_overwrites(alias: str, put: str | None) -> None:
    actual = vertex(ours("v6"), ours("v7"), foreign("90", alias))
    remembered = known("v6", "v7", mirrored={} if put is None else {alias: put.removeprefix("v")})
    plan = planned(desired({alias: "v7"}), actual, remembered, OVERWRITE)
    assert says(plan) == [f"move {alias} @90 -> v7"]
    assert str(plan.changes[0]) == f"~ alias    {alias} (@90 -> v7; on_conflict: overwrite)"


def test_an_overwriting_mapping_joins_a_model_of_others() -> None:
    plan = planned(desired({"production": "v7"}), vertex(foreign("90", "default", "production")), None, OVERWRITE)
    assert says(plan) == [*ARRIVE, "move production @90 -> v7"]


def test_an_overwriting_mapping_takes_nothing_for_a_version_that_does_not_arrive() -> None:
    actual = vertex(ours("v6"), ours("v7", marked=False), foreign("90", "production"))
    plan = planned(desired({"production": "v7"}), actual, known("v6"), OVERWRITE)
    assert says(plan) == ["refuse conflict: version v7", CONFLICT[0]]


def test_an_overwriting_mapping_takes_no_alias_that_it_does_not_bring() -> None:
    actual = vertex(ours("v7", "production"), foreign("90", "beta", "default"))
    plan = planned(desired({"production": "v7"}), actual, known("v7"), OVERWRITE)
    assert says(plan) == NOTHING


def test_an_overwriting_mapping_follows_its_policy_and_holds() -> None:
    actual = vertex(ours("v7"), foreign("90", "production"))
    create_only = spec("create-only", on_conflict="overwrite")
    wanted = desired({"production": "v7"})
    assert says(planned(wanted, actual, known("v7"), create_only)) == ["refuse policy: alias production"]
    held = known("v7", holds=[hold("production")])
    assert says(planned(wanted, actual, held, OVERWRITE)) == ["refuse held: alias production"]


def test_an_overwriting_mapping_still_reports_what_a_person_moved_between_versions_of_ours() -> None:
    remembered = known("v5", "v6", "v7", mirrored={"production": "5"})
    actual = vertex(ours("v5"), ours("v6", "production"), ours("v7"))
    assert says(planned(desired({"production": "v7"}), actual, remembered, OVERWRITE)) == DRIFT


def adopting(actual: TargetState, remembered: Known | None = None, aliases: Mapping[str, str] | None = None) -> Plan:
    """Plan with version @90 having the bytes of v7."""
    wanted = desired({"production": "v7"} if aliases is None else aliases)
    fits: dict[str, Fit | AdoptVersion | Refusal] = {version("v7").id: adopt("v7", why="on_conflict: adopt")}
    return make_plan(ADOPT, BASE, wanted, actual, remembered or known(), fits=fits)


def test_a_version_with_the_bytes_is_adopted_and_an_alias_that_is_there_stays() -> None:
    plan = adopting(vertex(ours("v6"), foreign("90", "production")), known("v6"))
    assert says(plan) == ["adopt @90 as v7"]
    assert str(plan.changes[0]) == "+ adopted  @90 = v7 (on_conflict: adopt)"


def test_an_alias_moves_to_what_is_adopted() -> None:
    remembered = known("v6", mirrored={"production": "6"})
    plan = adopting(vertex(ours("v6", "production"), foreign("90")), remembered)
    assert says(plan) == ["adopt @90 as v7", "move production v6 -> v7"]


def test_an_alias_moves_away_from_what_is_adopted_for_another_version() -> None:
    plan = adopting(vertex(ours("v6"), foreign("90", "staging")), known("v6"), {"production": "v7", "staging": "v6"})
    assert says(plan) == ["adopt @90 as v7", "move production - -> v7", "move staging @90 -> v6"]


def test_an_alias_of_yet_another_version_is_held() -> None:
    plan = adopting(vertex(ours("v6"), foreign("90"), foreign("91", "production")), known("v6"))
    assert says(plan) == ["adopt @90 as v7", *CONFLICT]


def test_in_a_model_of_others_what_is_adopted_comes_first() -> None:
    plan = adopting(vertex(foreign("90", "default")), aliases={"production": "v7", "staging": "v6"})
    assert says(plan)[:3] == ["adopt @90 as v7", "copy v6", "register v6"]


def test_where_nothing_can_be_adopted_all_is_held_as_ever() -> None:
    wanted = desired({"production": "v7"})
    assert says(planned(wanted, vertex(foreign("90")), None, ADOPT)) == ["refuse conflict: model fraud"]
    plan = planned(wanted, vertex(ours("v6"), foreign("90", "production")), known("v6"), ADOPT)
    assert says(plan) == [*ARRIVE, *CONFLICT]


def test_a_version_of_ours_that_lost_its_mark_is_adopted() -> None:
    lost = replace(adopt("v7"), artifact_uri=uri("v7"), version_id="7")
    actual = vertex(ours("v6"), ours("v7", "production", marked=False))
    plan = make_plan(
        ADOPT, BASE, desired({"production": "v7"}), actual, known("v6", "v7"), fits={version("v7").id: lost}
    )
    assert says(plan) == ["adopt @7 as v7"]


def test_a_version_that_was_adopted_counts_as_registered() -> None:
    theirs = "gs://team/july/"
    actual = vertex(ours("v6", "production"), ours("v7", at="90", folder=theirs))
    remembered = Known(records=(record("v6"), record("v7", "90", theirs)), mirrored={Alias("production"): "6"})
    plan = planned(desired({"production": "v7"}), actual, remembered)
    assert says(plan) == ["move production v6 -> v7"]
    assert plan.changes[0] == replace(move("production", "v7", "v6"), artifact_uri=theirs)


# Removals


@pytest.mark.parametrize(
    ("holder", "remembered"),
    [
        pytest.param(ours("v6", "production", marked=False), ["v6", "v7"], id="it has lost our mark"),
        pytest.param(ours("v6", "production"), ["v7"], id="it has no record"),
    ],
)
def test_an_alias_stays_on_a_version_that_is_not_ours_though_we_set_it_there(
    holder: ModelVersion, remembered: list[str]
) -> None:
    actual = vertex(holder, ours("v7", "default"))
    assert says(planned(desired(), actual, known(*remembered, mirrored={"production": "6"}, seen=[]))) == NOTHING


@pytest.mark.parametrize(
    ("complete", "seen", "why"),
    [
        pytest.param(True, None, "one complete listing so far", id="the first listing"),
        pytest.param(True, ["production"], "one complete listing so far", id="the last one still had it"),
        pytest.param(False, [], "a listing that was not complete", id="this one is not complete"),
        pytest.param(False, ["production"], "a listing that was not complete", id="neither says so"),
    ],
)
def test_an_absence_is_believed_only_from_two_complete_listings(
    seen: list[str] | None, why: str, *, complete: bool
) -> None:
    remembered = known("v6", mirrored={"production": "6"}, seen=seen)
    plan = planned(desired(complete=complete), vertex(ours("v6", "production")), remembered)
    assert says(plan) == ["refuse waiting: alias production"]
    assert why in plan.refusals[0].reason


def test_an_empty_listing_removes_nothing_the_first_time() -> None:
    aliases = {"production": "6", "staging": "6", "champion": "6"}
    plan = planned(desired(), vertex(ours("v6", *aliases)), known("v6", mirrored=aliases, seen=list(aliases)))
    assert plan.changes == ()


def test_an_incomplete_listing_still_brings_and_moves_what_it_shows() -> None:
    remembered = known("v6", mirrored={"production": "6", "staging": "6"}, seen=[])
    plan = planned(
        desired({"production": "v7"}, complete=False), vertex(ours("v6", "production", "staging")), remembered
    )
    assert says(plan) == [*ARRIVE, "move production v6 -> v7", "refuse waiting: alias staging"]


@pytest.mark.parametrize("order", [["ab", "cd", "ef"], ["ef", "cd", "ab"]], ids=" ".join)
def test_removals_are_in_the_order_of_their_names(order: list[str]) -> None:
    remembered = known("v6", mirrored=dict.fromkeys(order, "6"), seen=[])
    plan = planned(desired(), vertex(ours("v6", *order)), remembered)
    assert says(plan) == ["remove ab from v6", "remove cd from v6", "remove ef from v6"]


def test_an_alias_whose_name_at_the_source_is_not_certain_is_left_alone() -> None:
    remembered = known("v6", mirrored={"production": "6", "staging": "6"}, seen=[])
    plan = planned(desired(unclear=["production"]), vertex(ours("v6", "production", "staging")), remembered)
    assert says(plan) == ["remove staging from v6"]


def test_an_alias_that_another_collides_with_stays_where_it_is() -> None:
    mapping = spec(others="slug")
    wanted = desire(mapping, source("v6", "v7", aliases={"prod_eu": "v6", "prod eu": "v7"}))
    actual = vertex(ours("v6", "prod-eu"), ours("v7"))
    remembered = known("v6", "v7", mirrored={"prod-eu": "6"}, seen=[])
    assert planned(wanted, actual, remembered, mapping).changes == ()


# Holds


@pytest.mark.parametrize(
    ("wanted", "actual"),
    [
        pytest.param({"production": "v7"}, vertex(ours("v6"), ours("v7")), id="set"),
        pytest.param({"production": "v7"}, vertex(ours("v6", "production"), ours("v7")), id="move"),
        pytest.param({}, vertex(ours("v6", "production"), ours("v7")), id="remove"),
    ],
)
def test_a_held_alias_is_not(wanted: dict[str, str], actual: TargetState) -> None:
    remembered = known("v6", "v7", mirrored={"production": "6"}, seen=[], holds=[hold("production")])
    plan = planned(desired(wanted), actual, remembered)
    assert says(plan) == ["refuse held: alias production"]
    assert plan.refusals[0].reason == "ann holds it until somebody resumes it: rolled back"


def test_a_hold_says_when_it_ends() -> None:
    remembered = known("v6", "v7", mirrored={"default": "6"}, holds=[hold("default", "2026-02-01T00:00:00+00:00")])
    plan = planned(desired({"default": "v7"}), vertex(ours("v6", "default"), ours("v7")), remembered)
    assert [refusal.reason for refusal in plan.refusals] == [
        "ann holds it until 2026-02-01T00:00:00+00:00: rolled back"
    ]


def test_a_hold_with_nothing_to_hold_back_is_not_mentioned() -> None:
    remembered = known("v7", mirrored={"production": "7"}, holds=[hold("production"), hold("staging")])
    assert says(planned(desired({"production": "v7"}), vertex(ours("v7", "production")), remembered)) == NOTHING


def test_a_hold_stops_its_alias_alone_and_no_version() -> None:
    plan = planned(
        desired({"production": "v7", "staging": "v7"}), vertex(ours("v6")), known("v6", holds=[hold("production")])
    )
    assert says(plan) == [*ARRIVE, "move staging - -> v7", "refuse held: alias production"]


# Versions


def test_a_version_without_an_alias_is_registered_too() -> None:
    assert says(planned(desired(versions=["v7"]), vertex(ours("v6")), known("v6"))) == ARRIVE


def test_a_version_is_not_copied_again_when_its_folder_is_whole() -> None:
    plan = planned(desired({"production": "v7"}), vertex(ours("v6"), whole=["v7"]), known("v6"))
    assert says(plan) == ["register v7", "move production - -> v7"]


def test_a_registered_version_is_not_copied_again_though_its_folder_is_not_seen() -> None:
    plan = planned(desired({"production": "v7"}), vertex(ours("v7")), known("v7"))
    assert says(plan) == ["move production - -> v7"]


def test_a_version_deleted_by_hand_is_drift_and_its_aliases_vanish_from_the_plan() -> None:
    remembered = known("v6", "v7", mirrored={"production": "7"})
    plan = planned(desired({"production": "v7", "staging": "v6"}), vertex(ours("v6")), remembered)
    assert says(plan) == ["move staging - -> v6", "refuse drift: version v7"]
    assert "@7" in plan.refusals[0].reason


def test_a_version_deleted_by_hand_is_registered_again_if_the_mapping_heals_drift() -> None:
    remembered = known("v6", "v7", mirrored={"production": "7"})
    plan = planned(desired({"production": "v7"}), vertex(ours("v6")), remembered, spec(drift="heal"))
    assert says(plan) == [*ARRIVE, "move production - -> v7"]


def test_a_move_from_where_we_set_it_vanishes_with_its_version() -> None:
    remembered = known("v6", "v7", mirrored={"production": "6"})
    plan = planned(desired({"production": "v7"}), vertex(ours("v6", "production")), remembered)
    assert says(plan) == ["refuse drift: version v7"]


@pytest.mark.parametrize("drift", ["report", "heal"])
@pytest.mark.parametrize(
    ("there", "remembered"),
    [
        pytest.param(ours("v7", marked=False), known("v6", "v7"), id="without our mark"),
        pytest.param(ours("v7"), known("v6"), id="without a record"),
    ],
)
def test_a_version_that_is_there_but_not_ours_is_a_conflict_and_not_registered_twice(
    there: ModelVersion, remembered: Known, drift: str
) -> None:
    plan = planned(desired({"production": "v7"}), vertex(ours("v6"), there), remembered, spec(drift=drift))
    assert says(plan) == ["refuse conflict: version v7"]


# New models


def test_in_a_new_model_the_version_that_default_names_comes_first() -> None:
    plan = planned(desired({"staging": "v6", "production": "v7", "default": "v7"}), vertex())
    assert says(plan)[:4] == ["copy v7", "register v7", "copy v6", "register v6"]


def test_in_a_new_model_without_a_wanted_default_the_oldest_comes_first() -> None:
    plan = planned(desired({"staging": "v6", "production": "v7"}), vertex(whole=["v6", "v7"]))
    assert says(plan)[:2] == ["register v6", "register v7"]


def test_in_an_old_model_default_changes_no_order_and_is_moved() -> None:
    plan = planned(desired({"staging": "v6", "default": "v7"}), vertex(ours("v5", "default")), known("v5"))
    assert says(plan) == [
        "copy v6",
        "register v6",
        "copy v7",
        "register v7",
        "move staging - -> v6",
        "move default v5 -> v7",
    ]


def test_a_new_models_default_that_was_deleted_by_hand_is_refused_and_the_others_arrive() -> None:
    plan = planned(desired({"staging": "v6", "default": "v7"}), vertex(), known("v7"))
    assert says(plan) == ["copy v6", "register v6", "move staging - -> v6", "refuse drift: version v7"]


# How it is served


def served(
    layout: str,
    fits: Mapping[str, Fit | Refusal],
    actual: TargetState | None = None,
    remembered: Known | None = None,
    wanted: Desired | None = None,
) -> list[str]:
    """Plan a model whose production is v7; `fits` are by label."""
    by_id = {version(label).id: each for label, each in fits.items()}
    asked = wanted or desired({"production": "v7"})
    return says(make_plan(spec(layout=layout), BASE, asked, actual or vertex(), remembered or known(), fits=by_id))


UNFIT = Refusal(Kind.SERVING, "version v7", "no container loads it", "use another")


@pytest.mark.parametrize("layout", ["prebuilt", "auto"])
def test_what_a_prebuilt_container_loads_is_arranged_from_the_copy_and_registered_in_its_place(layout: str) -> None:
    plan = make_plan(
        spec(layout=layout),
        BASE,
        desired({"production": "v7"}),
        vertex(),
        known(),
        fits={version("v7").id: prebuilt()},
    )
    assert says(plan) == ["copy v7", "arrange v7", "register v7", "move production - -> v7"]
    copying, arranging, registering, moving = plan.changes
    assert arranging == ArrangeFiles(version("v7"), uri("v7"), prebuilt_uri("v7"), prebuilt().renames)
    assert registering == RegisterVersion(version("v7"), prebuilt_uri("v7"), prebuilt().container, prebuilt().why)
    assert isinstance(moving, MoveAlias)
    assert (copying, moving.artifact_uri) == (copy("v7"), prebuilt_uri("v7"))


@pytest.mark.parametrize("layout", ["custom-mlflow", "auto"])
def test_a_container_that_reads_the_tree_as_it_is_gets_the_copy_itself(layout: str) -> None:
    assert served(layout, {"v7": custom()}) == ["copy v7", "register v7", "move production - -> v7"]


def test_what_is_copied_is_not_copied_again_and_what_is_arranged_not_arranged() -> None:
    copied = vertex(whole=["v7"])
    both = replace(copied, committed=copied.committed | {prebuilt_uri("v7")})

    assert served("prebuilt", {"v7": prebuilt()}, copied)[0] == "arrange v7"
    assert served("prebuilt", {"v7": prebuilt()}, both)[0] == "register v7"


@pytest.mark.parametrize(
    ("layout", "folder"),
    [
        ("mirror", uri("v7")),
        ("custom-mlflow", uri("v7")),
        ("prebuilt", prebuilt_uri("v7")),
        ("auto", prebuilt_uri("v7")),
        ("auto", uri("v7")),
    ],
)
def test_a_version_that_is_registered_as_its_layout_wants_stays(layout: str, folder: str) -> None:
    actual = vertex(ours("v7", "production", "default", folder=folder))
    remembered = Known((record("v7", folder=folder),), {Alias("production"): "7", DEFAULT: "7"})

    assert served(layout, {}, actual, remembered) == NOTHING


@pytest.mark.parametrize(
    ("layout", "folder", "fit"),
    [("prebuilt", uri("v7"), prebuilt()), ("custom-mlflow", prebuilt_uri("v7"), custom())],
)
def test_a_version_that_is_registered_in_another_layout_arrives_again(layout: str, folder: str, fit: Fit) -> None:
    actual = vertex(ours("v7", "production", "default", folder=folder))
    remembered = Known((record("v7", folder=folder),), {Alias("production"): "7", DEFAULT: "7"})

    assert served(layout, {"v7": fit}, actual, remembered)[-2:] == ["register v7", "move production v7 -> v7"]


def test_a_version_that_no_container_loads_is_refused_and_the_old_alias_stays() -> None:
    actual = vertex(ours("v6", "production", "default"))
    steps = served("custom-mlflow", {"v7": UNFIT}, actual, known("v6", mirrored={"production": "6"}))

    assert steps == ["refuse serving: version v7"]


def test_a_version_that_no_container_loads_does_not_hold_up_another() -> None:
    wanted = desired({"production": "v7", "staging": "v8"})
    steps = served("auto", {"v7": UNFIT, "v8": custom()}, wanted=wanted)

    assert steps == ["copy v8", "register v8", "move staging - -> v8", "refuse serving: version v7"]


def test_in_a_new_model_the_others_wait_for_a_default_that_no_container_loads() -> None:
    """Otherwise Vertex would give `default` to one that nobody chose."""
    wanted = desired({"default": "v7", "staging": "v8"})
    fits: dict[str, Fit | Refusal] = {"v7": UNFIT, "v8": custom()}
    with_versions = vertex(ours("v6", "default"))

    assert served("auto", fits, wanted=wanted) == ["refuse serving: version v7"]
    assert "register v8" in served("auto", fits, with_versions, known("v6", mirrored={"default": "6"}), wanted)


def test_in_a_new_model_nothing_arrives_while_its_default_is_not_clear() -> None:
    wanted = replace(desired({"staging": "v8"}), unclear=frozenset({DEFAULT}))

    assert served("mirror", {}, wanted=wanted) == NOTHING
    assert "register v8" in served("mirror", {}, vertex(ours("v6", "default")), known("v6"), wanted)


def test_what_was_decided_for_an_alias_is_noted_in_the_plan() -> None:
    wanted = replace(desired({"production": "v7"}), notes={Alias("production"): "v6 and v7 are both in it"})

    assert planned(wanted, vertex()).notes == ("alias production: v6 and v7 are both in it",)


# What is not ours


@pytest.mark.parametrize(
    ("actual", "remembered"),
    [
        pytest.param(vertex(foreign("1", "production", "default")), known(), id="nothing of ours"),
        pytest.param(vertex(ours("v6", "default")), known(), id="our mark without a record"),
        pytest.param(vertex(ours("v6", "default", marked=False)), known("v6"), id="a record without our mark"),
        pytest.param(vertex(foreign("1", "default", marked=True)), known("v6"), id="a record of something else"),
    ],
)
def test_a_model_that_holds_none_of_our_versions_is_refused_as_a_whole(actual: TargetState, remembered: Known) -> None:
    plan = planned(desired({"production": "v6", "staging": "v7"}), actual, remembered)
    assert says(plan) == ["refuse conflict: model fraud"]
    assert str(ORIGIN) in plan.refusals[0].remedy


def test_a_foreign_model_that_nothing_is_wanted_of_is_not_mentioned() -> None:
    assert says(planned(desired(), vertex(foreign("1", "default")))) == NOTHING


@pytest.mark.parametrize(
    ("holder", "remembered"),
    [
        pytest.param(foreign("90", "production"), known("v6", "v7"), id="of somebody else"),
        pytest.param(ours("v5", "production"), known("v6", "v7"), id="our mark without a record"),
        pytest.param(ours("v5", "production", marked=False), known("v5", "v6", "v7"), id="a record without our mark"),
    ],
)
def test_an_alias_on_a_version_that_is_not_ours_is_a_conflict_that_names_it(
    holder: ModelVersion, remembered: Known
) -> None:
    plan = planned(desired({"production": "v7"}), vertex(ours("v6"), ours("v7"), holder), remembered)
    assert says(plan) == CONFLICT
    assert f"@{holder.id}" in plan.refusals[0].reason


# Policies


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("sync", [*ARRIVE, "move production v6 -> v7", "move champion - -> v7", "remove staging from v6"]),
        (
            "upsert-only",
            [*ARRIVE, "move production v6 -> v7", "move champion - -> v7", "refuse policy: alias staging"],
        ),
        (
            "create-only",
            [*ARRIVE, "move champion - -> v7", "refuse policy: alias production", "refuse policy: alias staging"],
        ),
    ],
)
def test_the_policy_strikes_what_the_mapping_does_not_permit(policy: str, expected: list[str]) -> None:
    remembered = known("v6", mirrored={"production": "6", "staging": "6"}, seen=[])
    actual = vertex(ours("v6", "production", "staging"))
    plan = planned(desired({"production": "v7", "champion": "v7"}), actual, remembered, spec(policy))
    assert says(plan) == expected


# What a refusal tells


@pytest.mark.parametrize(
    ("actual", "put", "reason"),
    [
        pytest.param(
            vertex(ours("v6", "production"), ours("v7")), None, "somebody set it on Vertex version @6 by hand", id="set"
        ),
        pytest.param(
            vertex(ours("v6", "production"), ours("v7")),
            "5",
            "the bridge set it on @5, and somebody has moved it to @6 in Vertex since",
            id="moved",
        ),
        pytest.param(
            vertex(ours("v6"), ours("v7")),
            "7",
            "the bridge set it on @7 (v7), and somebody has removed it in Vertex since",
            id="removed",
        ),
    ],
)
def test_drift_tells_what_was_done_by_hand_and_how_to_undo_it(
    actual: TargetState, put: str | None, reason: str
) -> None:
    mirrored = {"production": put} if put else {}
    plan = planned(desired({"production": "v7"}), actual, known("v6", "v7", mirrored=mirrored))
    assert plan.refusals == (
        Refusal(
            Kind.DRIFT,
            "alias production",
            reason,
            "move it back in Vertex, or set 'drift: heal' in the mapping to have it follow v7",
        ),
    )


def test_what_the_source_says_that_cannot_be_said_in_vertex_comes_first_among_the_refusals() -> None:
    unspeakable = Refusal(Kind.NAME, "alias 'best_model'", "'_' is not allowed", "name it")
    plan = planned(desired(refusals=[unspeakable], versions=["v7"]), vertex(foreign("1")))
    assert [refusal.kind for refusal in plan.refusals] == [Kind.NAME, Kind.CONFLICT]


# Key and checksum


def test_a_plan_is_for_its_mapping_and_model() -> None:
    assert planned(desired(), vertex()).key == KEY


def test_a_checksum_is_the_same_for_the_same_world() -> None:
    worlds_apart = [
        planned(desired({"production": "v7"}), vertex(ours("v6", "a1", "b2"), whole=["v5", "v7"]), known("v6"))
        for _ in range(2)
    ]
    assert worlds_apart[0] == worlds_apart[1]


@pytest.mark.parametrize(
    ("wanted", "actual", "remembered", "mapping"),
    [
        pytest.param(desired({"production": "v6"}), vertex(ours("v7")), known("v7"), spec(), id="another version"),
        pytest.param(desired({"production": "v7"}), vertex(ours("v7", "x1")), known("v7"), spec(), id="an alias more"),
        pytest.param(desired({"production": "v7"}, complete=False), vertex(ours("v7")), known("v7"), spec(), id="gaps"),
        pytest.param(
            desired({"production": "v7"}), vertex(ours("v7"), foreign("8")), known("v7"), spec(), id="a version more"
        ),
        pytest.param(
            desired({"production": "v7"}), vertex(ours("v7"), whole=["v6"]), known("v7"), spec(), id="a folder more"
        ),
        pytest.param(
            desired({"production": "v7"}),
            vertex(ours("v7")),
            known("v7", holds=[hold("production")]),
            spec(),
            id="a hold",
        ),
        pytest.param(
            desired({"production": "v7"}),
            vertex(ours("v7")),
            known("v7"),
            replace(spec(), name="other"),
            id="another mapping",
        ),
        pytest.param(
            desired({"production": "v7"}),
            vertex(ours("v7")),
            known("v7"),
            replace(spec(), serving=Serving("another/image")),
            id="another container",
        ),
    ],
)
def test_a_checksum_differs_if_the_world_has_moved(
    wanted: Desired, actual: TargetState, remembered: Known, mapping: MappingSpec
) -> None:
    reviewed = planned(desired({"production": "v7"}), vertex(ours("v7")), known("v7"))
    assert planned(wanted, actual, remembered, mapping).checksum != reviewed.checksum


def test_a_checksum_does_not_depend_on_where_the_mapping_is_written() -> None:
    here, there = spec(), replace(spec(), origin=Position("mappings/other.yaml", 99, 1))
    wanted, actual, remembered = desired({"production": "v7"}), vertex(ours("v7")), known("v7")
    assert planned(wanted, actual, remembered, here) == planned(wanted, actual, remembered, there)


# Did it take effect?


@pytest.mark.parametrize(
    ("change", "actual", "expected"),
    [
        pytest.param(copy("v7"), vertex(whole=["v7"]), True, id="copied: the folder is whole"),
        pytest.param(copy("v7"), vertex(ours("v7"), whole=["v6"]), False, id="not copied: another folder is"),
        pytest.param(register("v7"), vertex(ours("v7")), True, id="registered"),
        pytest.param(register("v7"), vertex(whole=["v7"]), False, id="not registered: the model is empty"),
        pytest.param(register("v7"), vertex(ours("v7", marked=False)), False, id="not registered by us: no mark"),
        pytest.param(register("v7"), vertex(ours("v6")), False, id="not registered: another version is"),
        pytest.param(move("production", "v7"), vertex(ours("v7", "production")), True, id="moved"),
        pytest.param(move("production", "v7", "v6"), vertex(ours("v6", "production"), ours("v7")), False, id="not yet"),
        pytest.param(move("production", "v7"), vertex(ours("v7", "staging")), False, id="not moved: nobody has it"),
        pytest.param(
            move("production", "v7"), vertex(ours("v7", "production", marked=False)), False, id="moved, but not to ours"
        ),
        pytest.param(remove("production", "v6"), vertex(ours("v6", "staging")), True, id="removed"),
        pytest.param(remove("production", "v6"), vertex(), True, id="removed with the model"),
        pytest.param(adopt("v7"), vertex(foreign("90", marked=True)), False, id="marked, not recorded: not adopted"),
        pytest.param(MarkDuplicate("8", "7"), vertex(DOUBLE), True, id="marked as a duplicate"),
        pytest.param(MarkDuplicate("8", "7"), vertex(ours("v7", at="8")), False, id="not marked yet"),
        pytest.param(remove("production", "v6"), vertex(ours("v6", "production")), False, id="not removed"),
        pytest.param(
            remove("production", "v6"), vertex(ours("v6"), ours("v7", "production")), False, id="put elsewhere since"
        ),
    ],
)
def test_a_change_took_effect_if_vertex_or_the_bucket_shows_it(
    change: Change, actual: TargetState, *, expected: bool
) -> None:
    assert took_effect(change, actual) is expected


# Duplicates


@pytest.mark.parametrize("policy", ["sync", "upsert-only", "create-only"])
def test_a_second_version_of_a_folder_is_marked_and_told(policy: str) -> None:
    actual = vertex(ours("v7", "production"), ours("v7", at="8"))
    plan = planned(desired({"production": "v7"}), actual, known("v7"), spec(policy))
    assert says(plan) == ["mark @8 as a duplicate of @7", "refuse double: version @8"]
    assert str(plan.refusals[0]) == (
        "! double   version @8: it and @7 are both of the folder of v7, so it gets no alias; "
        "delete it in Vertex if nothing uses it"
    )


def test_a_duplicate_that_is_marked_is_told_for_as_long_as_it_is_there() -> None:
    plan = planned(desired({"production": "v7"}), vertex(ours("v7", "production"), DOUBLE), known("v7"))
    assert says(plan) == ["refuse double: version @8"]
    assert (state_after(plan)[0], is_settled(plan)) == (State.SYNCED, True)


def test_no_alias_moves_to_a_duplicate_or_follows_it() -> None:
    remembered = known("v6", "v7", mirrored={"production": "6"})
    plan = planned(desired({"production": "v7"}), vertex(ours("v6", "production"), ours("v7"), DOUBLE), remembered)
    assert says(plan) == ["move production v6 -> v7", "refuse double: version @8"]


def test_an_alias_that_a_person_gave_to_a_duplicate_is_a_conflict() -> None:
    remembered = known("v7", mirrored={"production": "7"})
    double = replace(DOUBLE, aliases=frozenset({Alias("production")}))
    assert says(planned(desired({"production": "v7"}), vertex(ours("v7"), double), remembered)) == [
        "refuse conflict: alias production",
        "refuse double: version @8",
    ]


def test_a_second_version_of_a_folder_that_is_not_marked_ours_is_somebody_elses() -> None:
    actual = vertex(ours("v7", "production"), ours("v7", at="8", marked=False))
    assert says(planned(desired({"production": "v7"}), actual, known("v7"))) == NOTHING


def test_a_persons_folder_that_is_registered_twice_is_their_affair() -> None:
    theirs = "gs://team/july/"
    actual = vertex(ours("v7", "production", at="8", folder=theirs), ours("v7", at="9", folder=theirs))
    remembered = Known(records=(record("v7", "8", theirs),))
    assert says(planned(desired({"production": "v7"}), actual, remembered)) == NOTHING


# In every small world


@given(worlds(), st.randoms(use_true_random=False))
def test_a_plan_is_made_in_every_world_and_no_order_of_a_dict_changes_it(world: World, random: Random) -> None:
    assert world.shuffled(random).plan() == world.plan()


@given(worlds())
def test_a_second_pass_only_removes_and_a_third_changes_nothing(world: World) -> None:
    after_one = world.after(world.plan())
    second = after_one.plan()
    assert all(isinstance(change, Removal) for change in second.changes)
    assert not after_one.after(second).plan().changes


@given(worlds())
def test_a_second_pass_changes_nothing_where_no_alias_waits_to_be_removed(world: World) -> None:
    plan = world.plan()
    again = world.after(plan).plan()
    assert not again.changes or any(refusal.kind is Kind.WAITING for refusal in plan.refusals)


@given(worlds())
def test_an_alias_of_a_foreign_version_is_never_in_a_change(world: World) -> None:
    for change in world.plan().changes:
        if isinstance(change, MoveAlias | RemoveAlias):
            holder = world.actual.holder(change.alias)
            assert holder is None or world.ours(holder)


@given(worlds())
def test_default_is_never_removed_and_moves_only_for_default_from(world: World) -> None:
    changes = [each for each in world.plan().changes if isinstance(each, MoveAlias | RemoveAlias)]
    of_default = [change for change in changes if change.alias == DEFAULT]
    assert not any(isinstance(change, RemoveAlias) for change in of_default)
    assert not of_default or world.spec.default_from in world.source.aliases


@given(worlds())
def test_once_applied_every_wanted_alias_is_in_place_or_a_refusal_says_why_not(world: World) -> None:
    plan = world.plan()
    after = world.after(plan)
    refused = {refusal.about for refusal in plan.refusals}
    for alias, wanted in after.desired.aliases.items():
        holder = after.actual.holder(alias)
        in_place = holder is not None and holder.artifact_uri == uri(wanted.label)
        assert in_place or refused & {f"alias {alias}", f"version {wanted.label}", f"model {KEY.model}"}
