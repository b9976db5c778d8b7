"""What a crash left open, row by row."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from bridge.core.deeds import Paused, Resumed
from bridge.core.model import Known
from bridge.core.records import EntryId, Intent, JournalEntry, Outcome
from bridge.core.settling import Settlement, settle, took_effect
from tests.core.builders import (
    KEY,
    adopt,
    copy,
    delete,
    delete_files,
    foreign,
    known,
    move,
    ours,
    record,
    register,
    remove,
    tombstone,
    uri,
    version,
    vertex,
)

if TYPE_CHECKING:
    from bridge.core.changes import Change
    from bridge.core.model import TargetState

NOW = "2026-01-05T09:00:00+00:00"  # the time that builders.record() has, too
SENT = "2026-01-05T08:59:00+00:00"
ENTRY = EntryId(1)
SETTLE = timedelta(minutes=10)


def intent(label: str) -> Intent:
    return Intent(KEY, version(label), uri(label), sent_at=SENT, operation=None)


def begun(change: Change, entry: EntryId = ENTRY) -> JournalEntry:
    return JournalEntry(entry, KEY, change, "sync", SENT, outcome=None, detail="", finished=None)


def settled(
    *open_: JournalEntry | Intent,
    actual: TargetState | None = None,
    remembered: Known | None = None,
    window: timedelta = timedelta(0),
) -> Settlement:
    entries = [each for each in open_ if isinstance(each, JournalEntry)]
    intents = [each for each in open_ if isinstance(each, Intent)]
    return settle(
        remembered or known(), entries, intents, actual or vertex(), now=datetime.fromisoformat(NOW), window=window
    )


# Intents


def test_an_intent_whose_version_is_visible_becomes_a_record() -> None:
    settlement = settled(intent("v7"), actual=vertex(ours("v7")))
    assert settlement.landed == (record("v7"),)
    assert settlement.known.records == (record("v7"),)


def test_an_intent_with_several_versions_takes_the_lowest_id_as_a_number() -> None:
    actual = vertex(ours("v7", at="10"), ours("v7", at="9"), ours("v7", at="11"))
    assert settled(intent("v7"), actual=actual).landed == (record("v7", "9"),)


@pytest.mark.parametrize(
    "actual",
    [
        pytest.param(vertex(), id="no model"),
        pytest.param(vertex(ours("v6")), id="another version"),
        pytest.param(vertex(ours("v7", marked=False)), id="its folder without our mark"),
        pytest.param(vertex(foreign("7", marked=True)), id="our mark on another folder"),
        pytest.param(vertex(ours("v6"), whole=["v7"]), id="its folder whole but not registered"),
    ],
)
def test_an_intent_whose_version_is_not_visible_stays_open(actual: TargetState) -> None:
    settlement = settled(intent("v7"), actual=actual, remembered=known("v6"))
    assert settlement == Settlement(known("v6"), landed=(), mirrored={}, outcomes={}, still_open={})


def test_a_landed_version_replaces_the_record_of_the_same_folder() -> None:
    remembered = known("v5", "v7", "v6")
    settlement = settled(intent("v7"), actual=vertex(ours("v7", at="12")), remembered=remembered)
    assert settlement.known.records == (record("v5"), record("v6"), record("v7", "12"))


# Journal entries


@pytest.mark.parametrize(
    ("change", "actual"),
    [
        pytest.param(copy("v7"), vertex(whole=["v7"]), id="copy"),
        pytest.param(register("v7"), vertex(ours("v7")), id="register"),
        pytest.param(move("production", "v7"), vertex(ours("v7", "production")), id="move alias"),
        pytest.param(remove("production", "v7"), vertex(ours("v7")), id="remove alias"),
    ],
)
def test_what_is_visible_was_applied(change: Change, actual: TargetState) -> None:
    assert settled(begun(change), actual=actual).outcomes == {ENTRY: Outcome.APPLIED}


@pytest.mark.parametrize(
    ("change", "actual"),
    [
        pytest.param(copy("v7"), vertex(), id="copy"),
        pytest.param(register("v7"), vertex(), id="register"),
        pytest.param(move("production", "v7"), vertex(ours("v6", "production"), ours("v7")), id="move alias"),
        pytest.param(remove("production", "v7"), vertex(ours("v7", "production")), id="remove alias"),
        pytest.param(adopt("v7"), vertex(foreign("90", marked=True)), id="adopt: marked, and not recorded"),
    ],
)
def test_what_is_not_visible_and_has_no_intent_is_abandoned(change: Change, actual: TargetState) -> None:
    settlement = settled(begun(change), actual=actual, remembered=known("v6", mirrored={"production": "6"}))
    assert settlement.outcomes == {ENTRY: Outcome.ABANDONED}
    assert settlement.mirrored == {}
    assert settlement.known.mirrored == {"production": "6"}


@pytest.mark.parametrize("change", [move("production", "v7", "v6"), remove("production", "v6")], ids=["move", "remove"])
def test_a_change_of_an_alias_may_take_effect_until_the_window_is_over(change: Change) -> None:
    actual, remembered = vertex(ours("v6", "production"), ours("v7")), known("v6", "v7", mirrored={"production": "6"})
    begun_a_minute_ago = begun(change)

    early = settled(begun_a_minute_ago, actual=actual, remembered=remembered, window=timedelta(minutes=2))
    late = settled(begun_a_minute_ago, actual=actual, remembered=remembered, window=timedelta(minutes=1))

    assert (early.outcomes, early.still_open) == ({}, {change: ENTRY})
    assert early.awaited == datetime.fromisoformat("2026-01-05T09:01:00+00:00")
    assert (late.outcomes, late.awaited) == ({ENTRY: Outcome.ABANDONED}, None)
    assert early.known == late.known == remembered


EARLY, LATE = timedelta(minutes=2), timedelta(minutes=1)  # windows, of a change that was begun a minute ago
BEGUN = datetime.fromisoformat(SENT)


@pytest.mark.parametrize(
    ("was_set", "on", "window", "outcome", "now_set"),
    [
        pytest.param("6", None, EARLY, None, {"production": None}, id="gone"),
        pytest.param("6", None, LATE, Outcome.APPLIED, {"production": None}, id="gone, late"),
        pytest.param(None, None, EARLY, None, {}, id="gone, and known to be"),
        pytest.param(None, None, LATE, Outcome.APPLIED, {}, id="gone, and known to be, late"),
        pytest.param("7", None, EARLY, Outcome.APPLIED, {}, id="gone, but set elsewhere since: a person took it away"),
        pytest.param(None, "6", EARLY, None, {"production": "6"}, id="there after all"),
        pytest.param(None, "6", LATE, Outcome.ABANDONED, {"production": "6"}, id="there after all, late"),
        pytest.param("6", "6", EARLY, None, {}, id="there yet"),
        pytest.param("6", "6", LATE, Outcome.ABANDONED, {}, id="there yet, late"),
        pytest.param(None, "7", EARLY, None, {}, id="elsewhere, by a person"),
        pytest.param("7", "7", LATE, Outcome.ABANDONED, {}, id="elsewhere, by us"),
    ],
)
def test_a_removal_that_was_left_open(
    *,
    was_set: str | None,
    on: str | None,
    window: timedelta,
    outcome: Outcome | None,
    now_set: dict[str, str | None],
) -> None:
    change = remove("production", "v6")
    actual = vertex(*(ours(f"v{number}", *(["production"] if on == number else [])) for number in ("6", "7")))
    was = {"production": was_set} if was_set else {}
    remembered = known("v6", "v7", mirrored=was)

    settlement = settled(begun(change), actual=actual, remembered=remembered, window=window)

    assert settlement.outcomes == ({} if outcome is None else {ENTRY: outcome})
    assert settlement.still_open == ({change: ENTRY} if outcome is None else {})
    assert settlement.awaited == (BEGUN + EARLY if outcome is None else None)
    assert settlement.mirrored == now_set
    in_the_end = now_set.get("production", was_set)
    assert settlement.known.mirrored == ({"production": in_the_end} if in_the_end else {})


def test_setting_an_alias_takes_the_place_of_its_open_removal_and_of_no_other_change() -> None:
    removal, move_of_it, other = remove("production", "v6"), move("production", "v7"), move("staging", "v7")
    lines = [begun(removal), begun(other, EntryId(2))]
    settlement = settled(*lines, actual=vertex(ours("v6"), ours("v7")), remembered=known("v6", "v7"), window=EARLY)

    assert settlement.still_open == {removal: ENTRY, other: EntryId(2)}
    assert settlement.lines_of(move_of_it) == (ENTRY,)
    assert settlement.lines_of(other) == (EntryId(2),)
    assert settlement.lines_of(remove("staging", "v7")) == ()


def test_what_is_awaited_longest_counts() -> None:
    entries = [begun(move("production", "v7")), replace(begun(move("staging", "v7"), EntryId(2)), begun=NOW)]
    settlement = settled(*entries, actual=vertex(ours("v7")), remembered=known("v7"), window=timedelta(minutes=2))
    assert settlement.awaited == datetime.fromisoformat(NOW) + timedelta(minutes=2)
    assert settlement.outcomes == {}


@pytest.mark.parametrize("change", [copy("v7"), delete("v6"), adopt("v7")], ids=["copy", "delete", "adopt"])
def test_nothing_but_aliases_is_waited_for(change: Change) -> None:
    settlement = settled(begun(change), actual=vertex(ours("v6")), remembered=known("v6"), window=timedelta(minutes=2))
    assert (settlement.outcomes, settlement.awaited) == ({ENTRY: Outcome.ABANDONED}, None)


def test_an_adoption_that_is_recorded_was_applied() -> None:
    remembered = Known(records=(record("v7", "90", "gs://elsewhere/90/"),))
    settlement = settled(begun(adopt("v7")), actual=vertex(foreign("90", marked=True)), remembered=remembered)
    assert settlement.outcomes == {ENTRY: Outcome.APPLIED}


def test_a_registration_stays_open_while_its_intent_does() -> None:
    settlement = settled(begun(register("v7")), intent("v7"))
    assert settlement.outcomes == {}
    assert settlement.still_open == {register("v7"): ENTRY}


def test_a_registration_is_abandoned_though_another_version_has_an_intent() -> None:
    assert settled(begun(register("v7")), intent("v6")).outcomes == {ENTRY: Outcome.ABANDONED}


def test_a_registration_is_applied_with_its_intent() -> None:
    settlement = settled(begun(register("v7")), intent("v7"), actual=vertex(ours("v7")))
    assert settlement.outcomes == {ENTRY: Outcome.APPLIED}
    assert settlement.landed == (record("v7"),)


@pytest.mark.parametrize("change", [copy("v7"), move("production", "v7")], ids=["copy", "move"])
def test_an_open_intent_keeps_nothing_open_but_its_registration(change: Change) -> None:
    assert settled(begun(change), intent("v7")).outcomes == {ENTRY: Outcome.ABANDONED}


# What is remembered of aliases


def test_a_move_that_took_effect_is_remembered_as_set_by_us() -> None:
    remembered = known("v6", mirrored={"production": "6", "staging": "6"})
    actual = vertex(ours("v6", "staging"), ours("v7", "production"))
    settlement = settled(begun(move("production", "v7", "v6")), actual=actual, remembered=remembered)
    assert settlement.mirrored == {"production": "7"}
    assert settlement.known.mirrored == {"production": "7", "staging": "6"}


def test_a_move_that_left_the_alias_on_nobody_is_abandoned_and_forgotten_as_set() -> None:
    remembered = known("v6", "v7", mirrored={"production": "6", "staging": "6"})
    actual = vertex(ours("v6", "staging"), ours("v7"))
    settlement = settled(begun(move("production", "v7", "v6")), actual=actual, remembered=remembered)
    assert settlement.outcomes == {ENTRY: Outcome.ABANDONED}
    assert settlement.mirrored == {"production": None}
    assert settlement.known.mirrored == {"staging": "6"}


def test_a_move_that_left_the_alias_on_nobody_is_forgotten_as_set_though_it_may_still_come() -> None:
    remembered = known("v6", "v7", mirrored={"production": "6"})
    change = begun(move("production", "v7", "v6"))
    nobody, late = vertex(ours("v6"), ours("v7")), vertex(ours("v6"), ours("v7", "production"))
    assert settled(change, actual=nobody, remembered=remembered, window=SETTLE).known.mirrored == {}
    later = settled(change, actual=late, remembered=known("v6", "v7"), window=SETTLE)
    assert later.known.mirrored == {"production": "7"}


def test_an_alias_that_was_set_elsewhere_since_and_then_removed_was_removed_by_a_person() -> None:
    remembered = known("v6", "v7", "v8", mirrored={"production": "8"})
    change = begun(move("production", "v7", "v6"))
    settlement = settled(
        change, actual=vertex(ours("v6"), ours("v7"), ours("v8")), remembered=remembered, window=SETTLE
    )
    assert (settlement.mirrored, settlement.known.mirrored) == ({}, {"production": "8"})


def test_a_removal_that_took_effect_is_forgotten() -> None:
    remembered = known("v6", mirrored={"production": "6", "staging": "6"})
    settlement = settled(begun(remove("production", "v6")), actual=vertex(ours("v6")), remembered=remembered)
    assert settlement.mirrored == {"production": None}
    assert settlement.known.mirrored == {"staging": "6"}


# Versions that were to be deleted


def test_a_deletion_that_took_effect_leaves_a_tombstone_in_place_of_the_record() -> None:
    settlement = settled(begun(delete("v6")), actual=vertex(ours("v7")), remembered=known("v6", "v7"))

    [grave] = settlement.buried
    assert (grave.record, grave.removed, grave.files_removed) == (record("v6"), NOW, None)
    assert grave.why == f"{version('v6')} is gone at the source (on_source_delete: delete)"
    assert settlement.outcomes == {ENTRY: Outcome.APPLIED}
    assert settlement.known.records == (record("v7"),)
    assert settlement.known.tombstones == (grave,)


def test_a_deletion_that_did_not_take_effect_is_abandoned_and_its_record_stays() -> None:
    remembered = known("v6", "v7")
    settlement = settled(begun(delete("v6")), actual=vertex(ours("v6"), ours("v7")), remembered=remembered)

    assert (settlement.buried, settlement.known) == ((), remembered)
    assert settlement.outcomes == {ENTRY: Outcome.ABANDONED}


def test_a_deletion_whose_record_was_buried_before_the_death_buries_nothing_again() -> None:
    settlement = settled(begun(delete("v6")), actual=vertex(ours("v7")), remembered=known("v7"))

    assert (settlement.buried, settlement.outcomes) == ((), {ENTRY: Outcome.APPLIED})


def test_a_removal_of_files_took_effect_unless_a_tombstone_still_has_them() -> None:
    left = replace(known("v7"), tombstones=(tombstone("v6"),))

    assert settled(begun(delete_files("v6")), remembered=left).outcomes == {ENTRY: Outcome.ABANDONED}
    assert settled(begun(delete_files("v6")), remembered=known("v7")).outcomes == {ENTRY: Outcome.APPLIED}


# All of it


def test_each_entry_is_settled_by_itself() -> None:
    actual = vertex(ours("v6", "production"), ours("v7"), whole=["v8"])
    settlement = settled(
        begun(copy("v8"), EntryId(1)),
        begun(register("v8"), EntryId(2)),
        begun(move("production", "v7", "v6"), EntryId(3)),
        begun(remove("staging", "v6"), EntryId(4)),
        intent("v8"),
        intent("v7"),
        actual=actual,
    )
    assert settlement.outcomes == {
        1: Outcome.APPLIED,
        3: Outcome.ABANDONED,
        4: Outcome.APPLIED,
    }
    assert settlement.landed == (record("v7"),)


def test_without_anything_open_nothing_becomes_known() -> None:
    remembered = known("v6", mirrored={"production": "6"}, seen=["production"])
    settlement = settled(actual=vertex(ours("v6", "production")), remembered=remembered)
    assert settlement == Settlement(remembered, landed=(), mirrored={}, outcomes={}, still_open={})


def test_a_word_is_never_open_so_nothing_shows_it() -> None:
    assert not took_effect(Paused("incident 7", None), vertex())
    assert not took_effect(Resumed(), vertex())
