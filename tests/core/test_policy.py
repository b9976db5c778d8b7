"""Policies, the guard against mass removal, and the word for a model's state."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from bridge.core.changes import Change, Kind, MarkDuplicate, Refusal, subject_of
from bridge.core.model import EVERY, Hold, Policy, RemovalGuard, State
from bridge.core.policy import (
    Count,
    brings_versions,
    guard_removals,
    is_behind,
    is_settled,
    pause,
    permit,
    state_after,
    stay_out,
)
from tests.core.builders import adopt, copy, delete, delete_files, move, plan_with, register, remove, says
from tests.core.small_worlds import World, worlds

if TYPE_CHECKING:
    from collections.abc import Sequence

CHANGES: dict[str, Change] = {
    "copy": copy("v7"),
    "register": register("v7"),
    "adopt": adopt("v7"),
    "set a new alias": move("production", "v7"),
    "move an alias": move("production", "v7", "v6"),
    "remove an alias": remove("production", "v6"),
    "mark a duplicate": MarkDuplicate("8", "7"),
    "delete a version": delete("v6"),
    "delete its files": delete_files("v6"),
}
TABLE = {  # permit's, in the order of CHANGES
    Policy.SYNC: (True, True, True, True, True, True, True, True, True),
    Policy.UPSERT_ONLY: (True, True, True, True, True, False, True, False, False),
    Policy.CREATE_ONLY: (True, True, True, True, False, False, True, False, False),
}
ROWS = [
    pytest.param(policy, change, allowed, id=f"{policy}: {name}{'' if allowed else ' is refused'}")
    for policy, answers in TABLE.items()
    for (name, change), allowed in zip(CHANGES.items(), answers, strict=True)
]


def refusal(kind: Kind, about: str = "alias production") -> Refusal:
    return Refusal(kind, about, "because", "do this")


# permit


@pytest.mark.parametrize(("policy", "change", "allowed"), ROWS)
def test_a_policy_permits_a_change_unharmed_or_refuses_it_by_what_it_is_about(
    policy: Policy, change: Change, *, allowed: bool
) -> None:
    step = permit(policy, change)
    if allowed:
        assert step is change
    else:
        assert isinstance(step, Refusal)
        assert (step.kind, step.about) == (Kind.POLICY, subject_of(change))
        assert f"policy {policy}" in step.reason


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("kind", Kind)
def test_a_refusal_stays_a_refusal_under_every_policy(policy: Policy, kind: Kind) -> None:
    refused = refusal(kind)
    assert permit(policy, refused) is refused


# guard_removals

ALIASES = ("a1", "b2", "c3", "d4")


@pytest.mark.parametrize(
    ("removals", "mirrored", "refused"),
    [
        pytest.param(0, 0, False, id="nothing to remove, nothing mirrored"),
        pytest.param(2, 2, False, id="all, but fewer than 3"),
        pytest.param(3, 10, False, id="exactly 30 %"),
        pytest.param(3, 9, True, id="3 and more than 30 %"),
        pytest.param(3, 3, True, id="all 3"),
        pytest.param(4, 14, False, id="4, below 30 %"),
        pytest.param(4, 13, True, id="4, above 30 %"),
    ],
)
def test_removals_are_refused_above_the_share_and_the_count(removals: int, mirrored: int, *, refused: bool) -> None:
    plan = plan_with(*(remove(alias, "v6") for alias in ALIASES[:removals]))
    guarded = guard_removals(plan, RemovalGuard(), Count(mirrored))
    if refused:
        assert says(guarded) == [f"refuse guard: alias {alias}" for alias in ALIASES[:removals]]
    else:
        assert guarded == plan


def test_a_guard_refuses_removals_together_and_nothing_else() -> None:
    kept = (copy("v7"), register("v7"), move("production", "v7"))
    plan = plan_with(kept[0], remove("a1", "v6"), *kept[1:], remove("b2", "v6"), refusal(Kind.NAME))
    guarded = guard_removals(plan, RemovalGuard(0.5, 1), Count(3))
    assert guarded.changes == kept
    assert [(each.kind, each.about) for each in guarded.refusals] == [
        (Kind.NAME, "alias production"),
        (Kind.GUARD, "alias a1"),
        (Kind.GUARD, "alias b2"),
    ]


def test_a_guard_tells_the_numbers_and_the_command_that_lets_them_pass() -> None:
    plan = plan_with(*(remove(alias, "v6") for alias in ALIASES))
    refused = guard_removals(plan, RemovalGuard(), Count(8)).refusals[0]
    assert refused.reason == (
        "4 of 8 mirrored aliases would be removed at once; more than 30% (and at least 3) is refused"
    )
    command, _, checksum = refused.remedy.rpartition(" ")
    assert command == "if that is meant, run: bridge sync fraud --allow-removals"
    assert guard_removals(plan, RemovalGuard(), Count(8), allowed=[checksum]) == plan


def test_a_checksum_lets_only_the_removals_pass_that_a_person_saw() -> None:
    def guarded(*aliases: str, allowed: Sequence[str] = ()) -> tuple[Refusal, ...]:
        plan = plan_with(*(remove(alias, "v6") for alias in aliases))
        return guard_removals(plan, RemovalGuard(), Count(4), allowed=allowed).refusals

    seen = guarded("a1", "b2", "c3")[0].remedy.rpartition(" ")[2]
    assert not guarded("a1", "b2", "c3", allowed=[seen])
    assert guarded("a1", "b2", "d4", allowed=[seen])
    assert guarded("a1", "b2", "c3", "d4", allowed=[seen])


def test_the_checksum_of_removals_does_not_depend_on_what_else_is_planned() -> None:
    removals = [remove(alias, "v6") for alias in ALIASES]
    seen = guard_removals(plan_with(*removals), RemovalGuard(), Count(4)).refusals[0]
    later = plan_with(copy("v8"), register("v8"), *removals)
    assert guard_removals(later, RemovalGuard(), Count(4), allowed=[seen.remedy.rpartition(" ")[2]]) == later


def test_what_the_mappings_other_models_lose_counts_too() -> None:
    plan = plan_with(remove("a1", "v6"))
    assert guard_removals(plan, RemovalGuard(), Count(5), beside=Count(1)) == plan
    refused = guard_removals(plan, RemovalGuard(), Count(5), beside=Count(4))
    assert refused.refusals[0].reason.startswith("5 of 5 mirrored aliases would be removed at once")


@pytest.mark.parametrize(
    ("removals", "beside", "refused"),
    [
        pytest.param(1, 2, True, id="1 here and 2 beside it"),
        pytest.param(1, 1, False, id="2 together: fewer than 3"),
        pytest.param(0, 9, False, id="none here, whatever is beside it"),
    ],
)
def test_removals_of_a_mappings_other_models_count_with_those_of_this_one(
    removals: int, beside: int, *, refused: bool
) -> None:
    plan = plan_with(copy("v7"), *(remove(alias, "v6") for alias in ALIASES[:removals]))
    guarded = guard_removals(plan, RemovalGuard(), Count(9), beside=Count(beside))
    assert says(guarded) == (["copy v7", "refuse guard: alias a1"] if refused else says(plan))


def test_a_person_may_let_the_removals_of_several_models_pass_at_once() -> None:
    plan = plan_with(*(remove(alias, "v6") for alias in ALIASES))
    seen = guard_removals(plan, RemovalGuard(), Count(8)).refusals[0].remedy.rpartition(" ")[2]
    assert guard_removals(plan, RemovalGuard(), Count(8), allowed=["0123456789abcdef", seen]) == plan


@given(worlds(), st.integers(0, 4), st.floats(0, 1))
def test_a_guarded_plan_removes_all_that_it_would_or_nothing(world: World, count: int, share: float) -> None:
    plan, mirrored = world.plan(), len(world.known.mirrored)
    guarded = guard_removals(plan, RemovalGuard(share, count), Count(mirrored))
    removals = [line for line in says(plan) if line.startswith("remove")]
    left = [line for line in says(guarded) if line.startswith("remove")]
    assert left == removals or (not left and len(removals) >= count and len(removals) > share * mirrored)
    assert len(says(guarded)) == len(says(plan))


def test_versions_that_would_be_deleted_are_counted_by_themselves_and_refused_with_all_else_that_goes() -> None:
    gone: list[Change] = [delete("v1"), delete_files("v1"), delete("v2"), delete("v3"), remove("production", "v4")]
    plan = plan_with(copy("v7"), *gone)

    guarded = guard_removals(plan, RemovalGuard(), Count(99, 9))

    assert says(guarded) == [
        "copy v7",
        *("refuse guard: version v1", "refuse guard: files of version v1"),
        *("refuse guard: version v2", "refuse guard: version v3", "refuse guard: alias production"),
    ]
    assert guarded.refusals[0].reason == (
        "3 of 9 registered versions would be deleted at once; more than 30% (and at least 3) is refused"
    )
    checksum = guarded.refusals[0].remedy.rpartition(" ")[2]
    assert guard_removals(plan, RemovalGuard(), Count(99, 9), allowed=[checksum]) == plan
    assert guard_removals(plan, RemovalGuard(), Count(99, 10)) == plan


# stay_out


def test_only_a_plan_that_brings_a_version_needs_its_bucket() -> None:
    assert not brings_versions(plan_with(move("production", "v7", "v6"), remove("staging", "v6")))
    for change in (copy("v7"), register("v7")):
        assert brings_versions(plan_with(change))


def test_what_would_be_brought_stays_out_with_its_aliases_and_all_else_goes_on() -> None:
    refused = refusal(Kind.LOCATION, "bucket gs://b")
    plan = plan_with(copy("v7"), register("v7"), move("production", "v7", "v6"), move("staging", "v6", "v5"))

    left = stay_out(plan, refused)

    assert (left.changes, left.refusals) == ((move("staging", "v6", "v5"),), (refused,))
    assert left.checksum != plan.checksum
    assert stay_out(plan, None) is plan
    assert stay_out(plan_with(move("staging", "v6", "v5")), refused).refusals == ()


# state_after

WORDS = {
    Kind.PAUSED: State.HELD,
    Kind.CONFLICT: State.BLOCKED,
    Kind.LOCATION: State.BLOCKED,
    Kind.GUARD: State.BLOCKED,
    Kind.NAME: State.BLOCKED,
    Kind.UNCLEAR: State.BLOCKED,
    Kind.SERVING: State.BLOCKED,
    Kind.FAILED: State.FAILED,
    Kind.DRIFT: State.DRIFTED,
    Kind.HELD: State.HELD,
    Kind.WAITING: State.PENDING,
    Kind.DOUBLE: State.SYNCED,
    Kind.KEPT: State.SYNCED,
    Kind.POLICY: State.SYNCED,
}


@pytest.mark.parametrize("kind", Kind)
def test_a_kind_of_refusal_has_its_state(kind: Kind) -> None:
    refused = refusal(kind)
    reason = None if kind is Kind.POLICY else refused
    assert state_after(plan_with(refused)) == (WORDS[kind], reason)


def test_a_model_without_refusals_is_synced_once_its_changes_are_made() -> None:
    assert state_after(plan_with(copy("v7"))) == (State.SYNCED, None)


@pytest.mark.parametrize(("graver", "lesser"), list(itertools.combinations(WORDS, 2)))
def test_the_graver_refusal_gives_the_state_wherever_it_stands(graver: Kind, lesser: Kind) -> None:
    plan = plan_with(refusal(lesser), refusal(graver))
    assert state_after(plan) == (WORDS[graver], refusal(graver))


def test_the_first_refusal_of_a_kind_is_the_reason() -> None:
    first, second = refusal(Kind.DRIFT, "alias a1"), refusal(Kind.DRIFT, "alias b2")
    assert state_after(plan_with(first, second)) == (State.DRIFTED, first)


# is_settled


@pytest.mark.parametrize("kind", Kind)
def test_only_what_is_meant_to_stay_leaves_nothing_to_look_at_again(kind: Kind) -> None:
    plan = plan_with(copy("v7"), refusal(Kind.POLICY), refusal(kind))
    assert is_settled(plan) is (kind in (Kind.POLICY, Kind.KEPT, Kind.DOUBLE))


def test_a_plan_without_refusals_is_settled() -> None:
    assert is_settled(plan_with(copy("v7")))
    assert is_settled(plan_with())


@given(worlds())
def test_a_settled_plan_once_applied_leaves_nothing_to_do(world: World) -> None:
    plan = world.plan()
    if is_settled(plan):
        again = world.after(plan).plan()
        assert not again.changes
        assert is_settled(again)


# is_behind


@pytest.mark.parametrize("kind", list(Kind))
def test_a_plan_leaves_something_behind_unless_what_is_refused_is_meant_to_stay(kind: Kind) -> None:
    assert is_behind(plan_with(refusal(kind))) == (WORDS[kind] is not State.SYNCED)
    assert is_behind(plan_with(refusal(kind, "model fraud"))) == (
        WORDS[kind] is not State.SYNCED and kind is not Kind.PAUSED
    )


def test_a_pause_leaves_something_behind_only_if_it_holds_something_back() -> None:
    hold = Hold(EVERY, "ann", "incident 7", None)

    assert not is_behind(plan_with())
    assert not is_behind(pause(plan_with(), hold))
    assert is_behind(pause(plan_with(move("production", "v7")), hold))
    assert is_behind(pause(plan_with(refusal(Kind.CONFLICT, "model fraud")), hold))
