"""What every store promises: in memory, in SQLite, in PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from bridge.core.changes import (
    AdoptVersion,
    ArrangeFiles,
    CopyFiles,
    MarkDuplicate,
    MoveAlias,
    RegisterVersion,
    RemoveAlias,
)
from bridge.core.deeds import Paused, Resumed
from bridge.core.model import (
    EVERY,
    Alias,
    Container,
    Facts,
    Hold,
    MappingRecord,
    ModelKey,
    SourceVersion,
    State,
    VersionRef,
)
from bridge.core.records import EntryId, Intent, Outcome, Scope, Status, Token

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.core.ports import Store

KEY = ModelKey("fraud", "fraud")
OTHER = ModelKey("fraud", "fraud-eu")
# In the order of code points, which no locale has.
KEYS = (ModelKey("B", "a"), ModelKey("a", "B"), ModelKey("a", "b"), ModelKey("a", "b-c"), ModelKey("a", "b_a"))
PRODUCTION, STAGING = Alias("production"), Alias("staging")
NINE = datetime(2026, 1, 5, 9, tzinfo=UTC)
TEN = NINE + timedelta(hours=1)
NAIVE, ABROAD = datetime(2026, 1, 5, 9), NINE.astimezone(timezone(timedelta(hours=2)))  # noqa: DTZ001  the bug itself
URI = "gs://models/fraud/v7-x/"


def version(label: str, digest: str | None = "d1") -> SourceVersion:
    return SourceVersion("acme", "acme_org/model/fraud", label, f"id-{label}", digest, f"https://wandb.test/{label}")


def record(label: str, key: ModelKey = KEY, first_seen: datetime = NINE, version_id: str = "1") -> MappingRecord:
    return MappingRecord(key, version(label), f"gs://models/fraud/{label}-x/", version_id, first_seen.isoformat())


def intent(label: str, key: ModelKey = KEY) -> Intent:
    return Intent(key, version(label), f"gs://models/fraud/{label}-x/", sent_at=None, operation=None)


def status(key: ModelKey = KEY, state: State = State.SYNCED) -> Status:
    return Status(key, state, "", "", "acme_org/model/fraud", NINE.isoformat(), "0123456789abcdef")


COPY = CopyFiles(version("v7"), URI)
CONTAINER = Container("mlflow/server", (8080,), "/invocations", "/ping", (("A", "1"), ("B", "é")))
REGISTER = RegisterVersion(version("v7", digest=None), URI, CONTAINER, "it is xgboost")
ARRANGE = ArrangeFiles(version("v7"), URI, f"{URI}-prebuilt/", (("model.ubj", "model.bst"), ("a b", "c")))
ADOPT = AdoptVersion(version("v7"), "gs://team/july/", "9", "bridge adopt", deep=True)
MOVE = MoveAlias(PRODUCTION, version("v7"), URI, VersionRef("6", "v6"))
FIRST_MOVE = MoveAlias(PRODUCTION, version("v7"), URI, previous=None)
REMOVE = RemoveAlias(PRODUCTION, VersionRef("6", label=None))
DOUBLE = MarkDuplicate("9", "7")


# records
def test_a_record_keeps_what_is_known_of_its_model(store: Store) -> None:
    facts = Facts(
        {"xgboost": {"xgb_version": "2.1.4"}}, "3.11.7", '{"inputs": []}', "run-é", {"auc": 0.93}, "xgboost", "2.1"
    )
    store.save_record(replace(record("v7"), facts=facts))
    store.save_record(record("v8", version_id="2"))

    assert [each.facts for each in store.records(KEY)] == [facts, Facts()]


def test_a_key_without_records_has_none(store: Store) -> None:
    store.save_record(record("v7"))

    assert store.records(OTHER) == ()


def test_records_come_oldest_first_in_whatever_order_they_were_saved(store: Store) -> None:
    newer, older = record("v7", first_seen=TEN), record("v6", first_seen=NINE)
    store.save_record(newer)
    store.save_record(older)

    assert store.records(KEY) == (older, newer)


def test_a_fraction_of_a_second_counts_for_the_age_of_a_record(store: Store) -> None:
    newer, older = record("v7", first_seen=NINE + timedelta(microseconds=1)), record("v6", first_seen=NINE)
    store.save_record(newer)
    store.save_record(older)

    assert store.records(KEY) == (older, newer)


def test_records_of_one_age_come_as_they_were_saved(store: Store) -> None:
    saved = tuple(record(label) for label in ("v9", "v10", "v8"))
    for each in saved:
        store.save_record(each)

    assert store.records(KEY) == saved


def test_a_record_is_replaced_but_for_the_time_it_was_first_seen(store: Store) -> None:
    first = record("v7", first_seen=NINE, version_id="1")
    store.save_record(first)
    store.save_record(record("v8", first_seen=NINE))
    again = MappingRecord(KEY, replace(first.source, id="other", digest=None), first.artifact_uri, "2", TEN.isoformat())
    store.save_record(again)

    assert store.records(KEY) == (replace(again, first_seen=first.first_seen), record("v8"))


def test_a_source_version_has_a_record_for_each_folder_it_was_registered_from(store: Store) -> None:
    first = record("v7", first_seen=NINE, version_id="1")
    moved = replace(first, artifact_uri="gs://elsewhere/v7/", version_id="2", first_seen=TEN.isoformat())
    store.save_record(first)
    store.save_record(moved)

    assert store.records(KEY) == (first, moved)


def test_one_source_version_can_be_recorded_under_two_keys(store: Store) -> None:
    store.save_record(record("v7"))
    store.save_record(record("v7", key=OTHER, version_id="5"))

    assert [each.version_id for each in store.records(KEY)] == ["1"]
    assert [each.version_id for each in store.records(OTHER)] == ["5"]


def test_all_records_come_by_key_and_age(store: Store) -> None:
    by_key_and_age = tuple(
        record(label, key=key, first_seen=at) for key in KEYS for label, at in (("v2", NINE), ("v1", TEN))
    )
    for each in reversed(by_key_and_age):
        store.save_record(each)

    assert store.all_records() == by_key_and_age


# aliases as last set
def test_an_alias_is_remembered_where_it_was_last_set(store: Store) -> None:
    store.save_mirrored(KEY, PRODUCTION, "6")
    store.save_mirrored(KEY, STAGING, "7")
    store.save_mirrored(KEY, PRODUCTION, "7")
    store.save_mirrored(KEY, PRODUCTION, "7")

    assert store.mirrored(KEY) == {PRODUCTION: "7", STAGING: "7"}
    assert store.mirrored(OTHER) == {}


def test_an_alias_is_forgotten_for_its_key_only(store: Store) -> None:
    store.save_mirrored(KEY, PRODUCTION, "6")
    store.save_mirrored(KEY, STAGING, "6")
    store.save_mirrored(OTHER, PRODUCTION, "3")
    store.save_mirrored(KEY, PRODUCTION, None)
    store.save_mirrored(KEY, PRODUCTION, None)

    assert store.mirrored(KEY) == {STAGING: "6"}
    assert store.mirrored(OTHER) == {PRODUCTION: "3"}


def test_what_was_returned_does_not_change_afterwards(store: Store) -> None:
    store.save_mirrored(KEY, PRODUCTION, "6")
    before = store.mirrored(KEY)
    store.save_mirrored(KEY, PRODUCTION, "7")

    assert before == {PRODUCTION: "6"}


# journal
@pytest.mark.parametrize("change", [COPY, ARRANGE, REGISTER, ADOPT, MOVE, FIRST_MOVE, REMOVE, DOUBLE], ids=str)
def test_what_was_begun_is_unfinished_and_says_what_who_and_when(
    store: Store, change: CopyFiles | RegisterVersion | MoveAlias | RemoveAlias
) -> None:
    entry = store.begin(KEY, change, "the poll of 09:00", NINE)

    (found,) = store.unfinished(KEY)
    assert (found.id, found.key, found.change, found.why) == (entry, KEY, change, "the poll of 09:00")
    assert (found.begun, found.outcome, found.detail, found.finished) == (NINE.isoformat(), None, "", None)


def test_unfinished_entries_come_oldest_first_and_by_key(store: Store) -> None:
    first = store.begin(KEY, COPY, "poll", TEN)
    store.begin(OTHER, COPY, "poll", NINE)
    second = store.begin(KEY, REGISTER, "poll", NINE)

    assert [entry.id for entry in store.unfinished(KEY)] == [first, second]


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_finished_entry_says_how_it_ended(store: Store, outcome: Outcome) -> None:
    begun = store.begin(KEY, COPY, "poll", NINE)
    store.finish(begun, outcome, "3 files", TEN)

    (found,) = store.journal(KEY)
    assert (found.id, found.outcome, found.detail, found.finished) == (begun, outcome, "3 files", TEN.isoformat())
    assert (found.change, found.begun) == (COPY, NINE.isoformat())
    assert store.unfinished(KEY) == ()


def test_an_entry_ends_once(store: Store) -> None:
    entry = store.begin(KEY, COPY, "poll", NINE)
    store.finish(entry, Outcome.FAILED, "no such file", NINE)
    before = store.journal()

    with pytest.raises(LookupError):
        store.finish(entry, Outcome.APPLIED, "3 files", TEN)
    assert store.journal() == before


@pytest.mark.parametrize("entry", [0, -1, 2, 1000])
def test_an_entry_that_was_never_begun_cannot_end(store: Store, entry: int) -> None:
    store.begin(KEY, COPY, "poll", NINE)

    with pytest.raises(LookupError):
        store.finish(EntryId(entry), Outcome.APPLIED, "", TEN)
    assert len(store.unfinished(KEY)) == 1


def test_the_journal_comes_newest_first_of_one_key_or_of_all(store: Store) -> None:
    entries = [store.begin(key, COPY, "poll", NINE) for key in (KEY, OTHER, KEY)]
    store.finish(entries[0], Outcome.APPLIED, "", TEN)

    assert [entry.id for entry in store.journal()] == entries[::-1]
    assert [entry.id for entry in store.journal(KEY)] == [entries[2], entries[0]]
    assert [entry.id for entry in store.journal(limit=1)] == [entries[2]]
    assert [entry.id for entry in store.journal(OTHER, limit=1)] == [entries[1]]
    assert store.journal(limit=0) == ()
    assert [entry.id for entry in store.journal(before=entries[2])] == [entries[1], entries[0]]
    assert [entry.id for entry in store.journal(KEY, before=entries[2])] == [entries[0]]
    assert [entry.id for entry in store.journal(limit=1, before=entries[2])] == [entries[1]]
    assert store.journal(before=entries[0]) == ()


def test_the_journal_is_cut_at_a_hundred_unless_told_otherwise(store: Store) -> None:
    for _ in range(101):
        store.begin(KEY, COPY, "poll", NINE)

    assert len(store.journal()) == 100
    assert len(store.journal(limit=101)) == len(store.unfinished(KEY)) == 101


def test_threads_do_not_get_each_others_entries(store: Store) -> None:
    def begin_and_finish(number: int) -> EntryId:
        entry = store.begin(ModelKey("fraud", f"model-{number}"), COPY, str(number), NINE)
        store.finish(entry, Outcome.APPLIED, str(number), TEN)
        return entry

    with ThreadPoolExecutor(8) as pool:
        entries = set(pool.map(begin_and_finish, range(40)))

    found = store.journal()
    assert {entry.id for entry in found} == entries
    assert len(entries) == 40
    assert all(entry.why == entry.detail for entry in found)


def test_of_many_threads_one_ends_an_entry(store: Store) -> None:
    entry = store.begin(KEY, COPY, "poll", NINE)

    def finish(number: int) -> bool:
        try:
            store.finish(entry, Outcome.APPLIED, str(number), TEN)
        except LookupError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        ended = list(pool.map(finish, range(8)))

    assert ended.count(True) == 1
    assert store.journal()[0].detail == str(ended.index(True))


@pytest.mark.parametrize(
    "word", [Paused("incident 7", TEN.isoformat()), Paused("incident 7", None), Resumed()], ids=str
)
def test_a_word_is_a_line_that_is_finished(store: Store, word: Paused | Resumed) -> None:
    store.begin(KEY, COPY, "poll", NINE)
    store.jot(KEY, word, "ann", TEN)

    found, _ = store.journal(KEY)
    assert (found.key, found.change, found.why, found.detail) == (KEY, word, "ann", "")
    assert (found.begun, found.outcome, found.finished) == (TEN.isoformat(), Outcome.APPLIED, TEN.isoformat())
    assert [entry.change for entry in store.unfinished(KEY)] == [COPY]


# intents
def test_an_intent_survives_until_it_is_closed(store: Store) -> None:
    planned = intent("v7")
    store.save_intent(planned)
    assert store.intent(KEY, planned.artifact_uri) == planned

    store.close_intent(KEY, planned.artifact_uri)
    assert store.intent(KEY, planned.artifact_uri) is None
    assert store.intents(KEY) == ()


def test_closing_an_intent_twice_is_closing_it_once(store: Store) -> None:
    store.save_intent(intent("v8"))
    store.close_intent(KEY, URI)
    store.close_intent(KEY, URI)

    assert store.intents(KEY) == (intent("v8"),)


def test_what_becomes_known_of_an_intent_is_added_to_it(store: Store) -> None:
    planned = intent("v7")
    sent = replace(planned, sent_at=NINE.isoformat())
    told = replace(sent, operation="projects/1/locations/x/operations/2")
    for each in (planned, planned, sent, sent, told, told):
        store.save_intent(each)
        assert store.intent(KEY, planned.artifact_uri) == each
        assert store.intents(KEY) == (each,)


def test_intents_come_oldest_first_even_if_an_older_one_became_known_better(store: Store) -> None:
    first, second = intent("v9"), intent("v10")
    store.save_intent(first)
    store.save_intent(second)
    store.save_intent(replace(first, sent_at=NINE.isoformat()))

    assert [each.version.label for each in store.intents(KEY)] == ["v9", "v10"]


def test_an_intent_belongs_to_one_key(store: Store) -> None:
    store.save_intent(intent("v7"))
    store.save_intent(intent("v7", key=OTHER))
    store.close_intent(OTHER, intent("v7").artifact_uri)

    assert store.intents(KEY) == (intent("v7"),)
    assert store.intents(OTHER) == ()


# snapshots
def test_an_empty_listing_is_not_the_same_as_none(store: Store) -> None:
    assert store.seen_before(KEY) is None
    store.save_seen(KEY, frozenset())

    assert store.seen_before(KEY) == frozenset()
    assert store.seen_before(OTHER) is None


def test_what_the_last_complete_listing_did_not_hold_is_remembered(store: Store) -> None:
    assert store.absent_before(KEY) == frozenset()
    store.save_seen(KEY, frozenset({PRODUCTION}), frozenset({"id-2", "id-1"}))
    store.save_seen(OTHER, frozenset(), frozenset({"id-3"}))
    assert (store.absent_before(KEY), store.seen_before(KEY)) == (frozenset({"id-1", "id-2"}), frozenset({PRODUCTION}))

    store.save_seen(KEY, frozenset())
    assert (store.absent_before(KEY), store.absent_before(OTHER)) == (frozenset(), frozenset({"id-3"}))


def test_only_the_last_complete_listing_is_remembered(store: Store) -> None:
    store.save_seen(KEY, frozenset({PRODUCTION, STAGING}))
    store.save_seen(KEY, frozenset({STAGING}))

    assert store.seen_before(KEY) == frozenset({STAGING})


# status
@pytest.mark.parametrize("state", list(State))
def test_every_state_can_be_remembered(store: Store, state: State) -> None:
    store.save_status(status(state=state))

    assert store.status(KEY) == status(state=state)


def test_a_model_that_was_never_looked_at_has_no_status(store: Store) -> None:
    store.save_status(status())

    assert store.status(OTHER) is None


def test_a_status_replaces_the_one_before(store: Store) -> None:
    store.save_status(status())
    failed = Status(KEY, State.FAILED, "W&B says no", "log in", "acme_org/model/renamed", TEN.isoformat(), None)
    store.save_status(failed)

    assert store.status(KEY) == failed
    assert store.statuses() == (failed,)


def test_statuses_come_by_key(store: Store) -> None:
    for key in reversed(KEYS):
        store.save_status(status(key))

    assert [each.key for each in store.statuses()] == list(KEYS)


# since when it is behind


SAVES: dict[str, Callable[[Store, Status], None]] = {
    "save_status": lambda store, status: store.save_status(status),
    "save_states": lambda store, status: store.save_states([status]),
    "save_waiting": lambda store, status: store.save_waiting([status]),
}


def since(at: datetime | None, state: State = State.FAILED) -> Status:
    return replace(status(state=state), behind_since=at.isoformat() if at else None)


def is_since(store: Store, at: datetime | None) -> bool:
    found = store.status(KEY)
    return found is not None and found.behind_since == (at.isoformat() if at else None)


@pytest.mark.parametrize("save", SAVES.values(), ids=SAVES)
def test_a_model_is_behind_since_the_first_status_says_so(store: Store, save: Callable[[Store, Status], None]) -> None:
    save(store, since(NINE))

    assert is_since(store, NINE)
    assert store.statuses() == (since(NINE),)


@pytest.mark.parametrize("save", SAVES.values(), ids=SAVES)
def test_a_model_that_was_well_is_behind_since_the_status_says_so(
    store: Store, save: Callable[[Store, Status], None]
) -> None:
    store.save_status(status())
    save(store, since(NINE, State.PENDING))

    assert is_since(store, NINE)


@pytest.mark.parametrize("save", SAVES.values(), ids=SAVES)
def test_a_model_stays_behind_since_the_same_time_whatever_trouble_comes_next(
    store: Store, save: Callable[[Store, Status], None]
) -> None:
    store.save_status(since(NINE))
    for state in State:
        if state is not State.SYNCED:
            save(store, since(TEN, state))
            save(store, since(None, state))

            assert is_since(store, NINE)


@pytest.mark.parametrize("save", [SAVES["save_status"], SAVES["save_states"]], ids=["save_status", "save_states"])
def test_a_model_that_is_synced_is_not_behind_and_then_begins_anew(
    store: Store, save: Callable[[Store, Status], None]
) -> None:
    store.save_status(since(NINE))
    save(store, since(NINE, State.SYNCED))
    assert is_since(store, None)

    save(store, since(TEN))
    assert is_since(store, TEN)


@pytest.mark.parametrize("save", SAVES.values(), ids=SAVES)
def test_a_model_whose_first_status_is_synced_is_not_behind(
    store: Store, save: Callable[[Store, Status], None]
) -> None:
    save(store, since(NINE, State.SYNCED))

    assert is_since(store, None)


def test_of_many_who_find_a_model_behind_at_once_one_says_since_when(store: Store) -> None:
    times = [NINE + timedelta(seconds=number) for number in range(16)]
    store.save_status(status())
    seen: list[str | None] = []

    def find(at: datetime) -> None:
        store.save_status(since(at))
        found = store.status(KEY)
        assert found is not None
        seen.append(found.behind_since)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(find, times))

    assert len(set(seen)) == 1


# holds
def test_a_hold_is_in_force_until_its_time_has_come(store: Store) -> None:
    until_ten = Hold(PRODUCTION, "ada", "rollback", TEN.isoformat())
    for_ever = Hold(STAGING, "ada", "freeze", None)
    store.save_hold(KEY, until_ten)
    store.save_hold(KEY, for_ever)

    assert store.holds(KEY, NINE) == {PRODUCTION: until_ten, STAGING: for_ever}
    assert store.holds(KEY, TEN - timedelta(microseconds=1)) == {PRODUCTION: until_ten, STAGING: for_ever}
    assert store.holds(KEY, TEN) == {STAGING: for_ever}
    assert store.holds(OTHER, NINE) == {}


def test_a_hold_may_spell_its_end_with_a_z(store: Store) -> None:
    hold = Hold(PRODUCTION, "ada", "rollback", "2026-01-05T10:00:00Z")
    store.save_hold(KEY, hold)

    assert store.holds(KEY, NINE) == {PRODUCTION: hold}
    assert store.holds(KEY, TEN) == {}


def test_a_hold_replaces_an_earlier_one(store: Store) -> None:
    store.save_hold(KEY, Hold(PRODUCTION, "ada", "rollback", TEN.isoformat()))
    later = Hold(PRODUCTION, "grace", "still looking", None)
    store.save_hold(KEY, later)

    assert store.holds(KEY, TEN) == {PRODUCTION: later}


def test_lifting_a_hold_twice_is_lifting_it_once(store: Store) -> None:
    other = Hold(STAGING, "ada", "freeze", None)
    for key in (KEY, OTHER):
        store.save_hold(key, Hold(PRODUCTION, "ada", "rollback", None))
    store.save_hold(KEY, other)
    store.lift_hold(KEY, PRODUCTION)
    store.lift_hold(KEY, PRODUCTION)

    assert store.holds(KEY, NINE) == {STAGING: other}
    assert set(store.holds(OTHER, NINE)) == {PRODUCTION}


def test_a_hold_on_every_model_of_a_mapping_is_one_on_each_unless_a_model_has_its_own(store: Store) -> None:
    of_mapping, own = Hold(EVERY, "ada", "incident", None), Hold(EVERY, "grace", "a comparison", TEN.isoformat())
    store.save_hold(KEY, own)
    store.save_hold(ModelKey(KEY.mapping, EVERY), of_mapping)
    store.save_hold(OTHER, Hold(STAGING, "ada", "rollback", None))

    assert store.holds(KEY, NINE) == {EVERY: own}
    assert store.holds(KEY, TEN) == {EVERY: of_mapping}
    assert store.holds(OTHER, NINE) == {EVERY: of_mapping, STAGING: Hold(STAGING, "ada", "rollback", None)}
    assert {alias: hold.scope(OTHER) for alias, hold in store.holds(OTHER, NINE).items()} == {
        EVERY: OTHER.mapping,
        STAGING: str(OTHER),
    }
    assert store.holds(ModelKey("another", KEY.model), NINE) == {}
    store.lift_hold(ModelKey(KEY.mapping, EVERY), EVERY)
    assert store.holds(KEY, TEN) == {}


# tokens
def test_tokens_come_by_name_and_one_of_a_name_that_is_taken_changes_nothing(store: Store) -> None:
    ci, ann = (Token(name, Scope.SYNC, name * 32, NINE.isoformat()) for name in ("ci", "an"))
    assert store.tokens() == ()
    assert store.add_token(ci)
    assert store.add_token(ann)
    assert not store.add_token(replace(ci, scope=Scope.ADMIN, digest="other"))
    assert not store.add_token(ci)

    assert store.tokens() == (ann, ci)


def test_a_token_is_revoked_once(store: Store) -> None:
    store.add_token(Token("ci", Scope.READ, "digest", NINE.isoformat()))

    assert store.revoke_token("ci")
    assert not store.revoke_token("ci")
    assert store.tokens() == ()


# times and texts
@pytest.mark.parametrize(
    "save",
    [
        lambda store, at: store.begin(KEY, COPY, "poll", at),
        lambda store, at: store.finish(store.begin(KEY, COPY, "poll", NINE), Outcome.APPLIED, "", at),
        lambda store, at: store.save_record(record("v7", first_seen=at)),
        lambda store, at: store.save_intent(replace(intent("v7"), sent_at=at.isoformat())),
        lambda store, at: store.save_status(replace(status(), looked_at=at.isoformat())),
        lambda store, at: store.save_status(since(at)),
        lambda store, at: store.add_token(Token("ci", Scope.READ, "digest", at.isoformat())),
        lambda store, at: store.save_hold(KEY, Hold(PRODUCTION, "ada", "rollback", at.isoformat())),
    ],
    ids=["begin", "finish", "record", "intent", "status", "since", "token", "hold"],
)
def test_a_time_that_is_not_in_utc_is_refused(store: Store, save: Callable[[Store, datetime], object]) -> None:
    for at in (NAIVE, ABROAD):
        with pytest.raises(ValueError, match="is not a time in UTC"):
            save(store, at)


def test_names_from_outside_are_only_ever_values(store: Store) -> None:
    nasty = ModelKey("'; DROP TABLE records; --", 'ü"%s:name\\')
    store.save_record(record("v7", key=nasty))
    store.save_seen(nasty, frozenset({Alias("🦄")}))

    assert store.records(nasty) == (record("v7", key=nasty),)
    assert store.seen_before(nasty) == frozenset({Alias("🦄")})


# tombstones


def test_a_record_that_is_buried_is_a_tombstone_and_no_record_any_more(store: Store) -> None:
    facts = Facts({"sklearn": {"sklearn_version": "1.5"}}, metrics={"auc": 0.5})
    gone, stays = replace(record("v7"), facts=facts), record("v8", version_id="2")
    for each in (gone, stays, record("v7", OTHER)):
        store.save_record(each)

    store.bury(gone, "it is gone at the source \0", TEN)

    assert store.records(KEY) == (stays,)
    [grave] = store.tombstones(KEY)
    assert (grave.record, grave.removed, grave.files_removed) == (gone, TEN.isoformat(), None)
    assert grave.why.startswith("it is gone at the source ")
    assert store.tombstones() == (grave,)
    assert store.tombstones(OTHER) == ()


def test_what_is_buried_twice_is_buried_once(store: Store) -> None:
    store.save_record(record("v7"))
    for at in (TEN, TEN + timedelta(hours=1)):
        store.bury(record("v7"), "it is gone", at)
    store.bury(record("v9"), "it never was", TEN)

    assert [grave.removed for grave in store.tombstones()] == [TEN.isoformat()]


def test_a_record_of_another_version_in_that_folder_is_not_buried(store: Store) -> None:
    store.save_record(record("v7", version_id="2"))
    store.bury(record("v7", version_id="1"), "it is gone", TEN)

    assert store.records(KEY) == (record("v7", version_id="2"),)
    assert store.tombstones() == ()


def test_a_tombstone_stays_when_its_version_is_registered_again_and_may_get_a_second(store: Store) -> None:
    for version_id, at in (("1", NINE), ("5", TEN)):
        store.save_record(record("v7", version_id=version_id))
        store.bury(record("v7", version_id=version_id), "it is gone", at)
    store.save_record(record("v7", version_id="9"))

    assert [grave.record.version_id for grave in store.tombstones(KEY)] == ["1", "5"]
    assert store.records(KEY) == (record("v7", version_id="9"),)


def test_a_tombstone_says_when_its_folder_was_removed_for_the_first_time(store: Store) -> None:
    for each in (record("v7"), record("v8", version_id="2"), record("v7", OTHER)):
        store.save_record(each)
        store.bury(each, "it is gone", NINE)

    for at in (TEN, TEN + timedelta(hours=1)):
        store.files_removed(KEY, record("v7").artifact_uri, at)
    store.files_removed(KEY, "gs://models/nowhere/", TEN)

    assert [grave.files_removed for grave in store.tombstones()] == [TEN.isoformat(), None, None]


@pytest.mark.parametrize("at", [NAIVE, ABROAD])
def test_a_time_of_a_tombstone_that_is_not_in_utc_is_refused(store: Store, at: datetime) -> None:
    store.save_record(record("v7"))
    with pytest.raises(ValueError, match="is not a time in UTC"):
        store.bury(record("v7"), "it is gone", at)
    assert store.records(KEY) == (record("v7"),)
    with pytest.raises(ValueError, match="is not a time in UTC"):
        store.files_removed(KEY, record("v7").artifact_uri, at)
