"""A plan that is frozen, or paused by a person, holds every change, and is another plan."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from bridge.core.changes import CopyFiles, Kind, MoveAlias, Plan, Refusal, refuse_held
from bridge.core.model import EVERY, Alias, Hold, ModelKey, SourceVersion, State
from bridge.core.policy import ends_at, freeze, is_settled, looks_again, pause, state_after

MONDAY = datetime(2026, 1, 12, 8, tzinfo=UTC)
V7 = SourceVersion("acme", "acme_org/model/fraud", "v7", "id-v7", "d7", "")
COPY, MOVE = CopyFiles(V7, "gs://b/v7/"), MoveAlias(Alias("production"), V7, "gs://b/v7/", None)
CONFLICT = Refusal(Kind.CONFLICT, "alias staging", "it is not ours", "remove it")
WAITING = Refusal(Kind.WAITING, "alias staging", "one listing so far", "wait")
PAUSED = Hold(EVERY, "ann", "incident 7", MONDAY.isoformat())
PLAN = Plan(ModelKey("fraud", "fraud"), (COPY, MOVE), (), "0123456789abcdef")


def test_every_change_of_a_frozen_plan_is_held_until_the_freeze_ends() -> None:
    plan = freeze(PLAN, MONDAY)

    assert plan.changes == ()
    ends = "it is made when the freeze ends; if it cannot wait, take the freeze out of the mapping"
    assert [str(refusal) for refusal in plan.refusals] == [
        f"! held     version v7: the mapping is frozen until 2026-01-12 08:00 UTC; {ends}",
        f"! held     alias production: the mapping is frozen until 2026-01-12 08:00 UTC; {ends}",
    ]
    assert (state_after(plan)[0], is_settled(plan), ends_at(plan)) == (State.HELD, False, MONDAY.isoformat())


def test_what_was_read_in_a_freeze_cannot_be_applied_after_it() -> None:
    assert freeze(PLAN, MONDAY).checksum != PLAN.checksum


def test_a_plan_without_changes_or_without_a_freeze_stays_as_it_is() -> None:
    quiet = replace(PLAN, changes=(), refusals=(CONFLICT,))

    assert freeze(PLAN, None) == PLAN
    assert freeze(quiet, MONDAY) == quiet


def test_every_change_of_a_paused_plan_is_held_until_the_pause_ends() -> None:
    plan = pause(PLAN, PAUSED)

    ends = "it follows then; sooner: bridge resume fraud"
    assert [str(refusal) for refusal in plan.refusals] == [
        f"! paused   version v7: ann paused it until 2026-01-12T08:00:00+00:00: incident 7; {ends}",
        f"! paused   alias production: ann paused it until 2026-01-12T08:00:00+00:00: incident 7; {ends}",
    ]
    assert (plan.changes, plan.checksum == PLAN.checksum) == ((), False)
    assert (state_after(plan)[0], is_settled(plan), ends_at(plan)) == (State.HELD, False, MONDAY.isoformat())


def test_a_paused_plan_says_so_though_it_has_no_change() -> None:
    plan = pause(replace(PLAN, changes=()), replace(PAUSED, until=None))

    assert [(each.about, each.reason) for each in plan.refusals] == [
        ("model fraud", "ann paused it until somebody resumes it: incident 7")
    ]
    assert (state_after(plan)[0], ends_at(plan)) == (State.HELD, None)


def test_a_plan_that_nobody_pauses_stays_as_it_is() -> None:
    assert pause(PLAN, None) is PLAN


def test_of_several_holds_the_one_that_ends_first_counts_however_it_is_written() -> None:
    holds = [
        Hold(Alias("production"), "ann", "an incident", "2026-01-12T10:00:00Z"),
        Hold(Alias("staging"), "ann", "an incident", "2026-01-12T09:30:00+00:00"),
        Hold(Alias("canary"), "ann", "an incident", None),
    ]
    plan = replace(PLAN, changes=(), refusals=tuple(refuse_held(each, PLAN.key) for each in holds))

    assert ends_at(plan) == "2026-01-12T09:30:00+00:00"
    assert ends_at(replace(plan, refusals=(CONFLICT, refuse_held(holds[2], PLAN.key)))) is None


def test_only_what_waits_for_another_listing_is_decided_by_one() -> None:
    assert looks_again(replace(PLAN, refusals=(CONFLICT, WAITING)))
    assert not looks_again(replace(PLAN, refusals=(CONFLICT,)))
