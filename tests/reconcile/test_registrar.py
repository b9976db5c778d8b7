"""Registering exactly once: what an intent, an operation, the lists and the settle window each say."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bridge.core.changes import RegisterVersion
from bridge.core.errors import NeedsPerson, TryAgain
from bridge.core.naming import artifact_uri
from bridge.core.records import Intent, Operation
from bridge.reconcile.registering import PATIENCE, Registrar
from bridge.testing.registry import MemoryRegistry
from bridge.testing.store import MemoryStore
from tests.worlds import BASE, CONTAINER, FACTS, KEY, SETTLE, World

if TYPE_CHECKING:
    from bridge.core.model import MappingRecord

NO = NeedsPerson("the image is not there", "push it")


class Desk:
    """A registrar with one folder to register."""

    def __init__(self, kind: type[MemoryRegistry] = MemoryRegistry, **moods: float) -> None:
        self.world = World()
        self.clock, self.store = self.world.clock, self.world.store
        self.registry = kind(self.clock)
        for name, value in moods.items():
            setattr(self.registry, name, value)
        version = self.world.publish("production")
        self.uri = artifact_uri(BASE, "fraud", version)
        self.change = RegisterVersion(version, self.uri, CONTAINER)
        self.registrar = Registrar(self.registry, self.store, self.clock, SETTLE)

    def register(self) -> MappingRecord:
        return self.registrar.register(KEY, self.change, "Fraud detector", FACTS)

    def versions(self) -> int:
        self.clock.advance(3600)
        return len(self.registry.versions("fraud"))

    def sent(self) -> int:
        return self.registry.calls.count("register")

    @property
    def intent(self) -> Intent | None:
        return self.store.intent(KEY, self.uri)

    def intend(self, operation: str | None = None, *, sent: bool = True) -> None:
        """Leave an intent open, as a process that died would."""
        sent_at = self.clock.now().isoformat() if sent else None
        self.store.save_intent(Intent(KEY, self.change.version, self.uri, sent_at, operation))


def test_a_version_is_registered_recorded_and_its_intent_is_over() -> None:
    desk = Desk()

    record = desk.register()

    assert (record.version_id, record.artifact_uri, record.source) == ("1", desk.uri, desk.change.version)
    assert (desk.store.records(KEY), desk.intent) == ((record,), None)
    assert desk.registry.display_name("fraud") == "Fraud detector"


def test_the_intent_is_committed_before_anything_is_sent() -> None:
    desk = Desk()
    desk.registry.problems["register"] = TryAgain("unwell")

    with pytest.raises(TryAgain):
        desk.register()

    assert desk.intent == Intent(KEY, desk.change.version, desk.uri, desk.clock.now().isoformat(), None)


def test_a_version_that_is_there_already_is_adopted_without_sending() -> None:
    desk = Desk()
    desk.registry.add_by_hand("fraud", desk.uri, marked=True)

    assert desk.register().version_id == "1"
    assert desk.sent() == 0


def test_a_version_of_that_folder_without_our_mark_is_not_adopted() -> None:
    desk = Desk()
    desk.registry.add_by_hand("fraud", desk.uri, marked=False)

    with pytest.raises(NeedsPerson, match="'fraud' has come to exist, and is not this bridge's"):
        desk.register()

    assert (desk.sent(), desk.intent) == (0, None)


def test_nothing_is_waited_for_between_writing_when_it_is_sent_and_sending() -> None:
    """The settle window counts from what is written."""
    asked: list[list[str]] = []

    class Watched(MemoryStore):
        def save_intent(self, intent: Intent) -> None:
            if intent.sent_at is not None and intent.operation is None:
                asked.append(list(desk.registry.calls))
            super().save_intent(intent)

    desk = Desk()
    desk.registrar = replace(desk.registrar, store=Watched())
    desk.register()

    assert [desk.registry.calls[len(before)] for before in asked] == ["register"]


def test_a_slow_operation_is_waited_for() -> None:
    desk = Desk(commit_delay=120.0)
    begun = desk.clock.now()

    assert desk.register().version_id == "1"
    assert timedelta(seconds=120) <= desk.clock.now() - begun < timedelta(seconds=126)


def test_an_operation_that_does_not_end_is_left_to_the_next_pass() -> None:
    desk = Desk(commit_delay=PATIENCE.total_seconds() + 60)
    with pytest.raises(TryAgain, match="Vertex is still at operations/1"):
        desk.register()
    assert desk.intent is not None
    assert desk.intent.operation == "operations/1"

    assert desk.register().version_id == "1"
    assert (desk.sent(), desk.versions()) == (1, 1)


# replies that were lost


def test_a_version_whose_reply_was_lost_is_found_and_not_sent_again() -> None:
    desk = Desk()
    desk.registry.lost_replies["register"] = 1
    with pytest.raises(TryAgain):
        desk.register()

    assert desk.register().version_id == "1"
    assert (desk.sent(), desk.versions()) == (1, 1)


def test_nothing_is_sent_again_while_an_operation_of_the_model_runs() -> None:
    desk = Desk(commit_delay=3600.0)
    desk.registry.lost_replies["register"] = 1
    with pytest.raises(TryAgain):
        desk.register()
    desk.clock.advance(SETTLE * 2)

    with pytest.raises(TryAgain, match="Vertex is still at operations/1"):
        desk.register()

    assert desk.sent() == 1


def test_nothing_is_sent_again_before_the_settle_window_is_over() -> None:
    desk = Desk()
    desk.intend()
    desk.clock.advance(SETTLE - timedelta(seconds=90))

    with pytest.raises(TryAgain, match="settle window") as early:
        desk.register()

    assert (early.value.after, desk.sent()) == (90.0, 0)


def test_what_was_never_sent_is_sent_after_the_settle_window() -> None:
    desk = Desk()
    desk.intend()
    desk.clock.advance(SETTLE)

    assert desk.register().version_id == "1"
    assert (desk.sent(), desk.versions()) == (1, 1)


def test_the_settle_window_counts_from_the_last_send() -> None:
    desk = Desk()
    desk.intend()
    desk.clock.advance(SETTLE)
    desk.registry.problems["register"] = TryAgain("unwell")
    with pytest.raises(TryAgain):
        desk.register()
    desk.registry.problems.clear()
    desk.clock.advance(SETTLE - timedelta(seconds=1))

    with pytest.raises(TryAgain, match="settle window"):
        desk.register()


def test_a_version_that_shows_at_the_last_look_is_not_sent_again() -> None:
    class LandsMeanwhile(MemoryRegistry):
        def running(self, model: str) -> tuple[str, ...]:
            self.add_by_hand(model, desk.uri, marked=True)
            return super().running(model)

    desk = Desk(LandsMeanwhile)
    desk.intend()
    desk.clock.advance(SETTLE)

    assert desk.register().version_id == "1"
    assert desk.sent() == 0


def test_an_intent_of_which_nothing_was_sent_needs_no_window() -> None:
    desk = Desk()
    desk.intend(sent=False)

    assert desk.register().version_id == "1"


def test_a_request_that_was_turned_away_is_sent_again_at_once() -> None:
    desk = Desk()
    desk.registry.problems["register"] = TryAgain("come back later", nothing_happened=True)
    with pytest.raises(TryAgain):
        desk.register()
    desk.registry.problems.clear()
    assert desk.intent is not None
    assert desk.intent.sent_at is None

    assert desk.register().version_id == "1"


def test_a_request_that_was_turned_away_does_not_hide_an_earlier_one_whose_end_is_unknown() -> None:
    desk = Desk()
    desk.intend("operations/lost")
    earlier = desk.intent
    desk.clock.advance(SETTLE)
    desk.registry.problems["register"] = TryAgain("come back later", nothing_happened=True)

    with pytest.raises(TryAgain):
        desk.register()

    assert desk.intent == earlier


# operations that are known


def test_a_stored_operation_is_waited_for_and_its_version_taken() -> None:
    desk = Desk(commit_delay=60.0)
    operation = desk.registry.register(
        "fraud", "Fraud", desk.change.version, desk.uri, CONTAINER, facts=FACTS, first=True
    )
    desk.intend(operation)

    assert desk.register().version_id == "1"
    assert (desk.sent(), desk.versions()) == (1, 1)


def test_a_stored_operation_is_believed_before_its_version_is_listed() -> None:
    desk = Desk(list_lag=3600.0)
    operation = desk.registry.register(
        "fraud", "Fraud", desk.change.version, desk.uri, CONTAINER, facts=FACTS, first=True
    )
    desk.intend(operation)

    assert desk.register().version_id == "1"
    assert desk.sent() == 1


def test_a_stored_operation_that_vertex_has_forgotten_says_nothing_and_the_version_is_found() -> None:
    desk = Desk()
    operation = desk.registry.register(
        "fraud", "Fraud", desk.change.version, desk.uri, CONTAINER, facts=FACTS, first=True
    )
    desk.intend(operation)
    desk.registry.forget_operations()

    assert desk.register().version_id == "1"
    assert desk.sent() == 1


def test_a_stored_operation_that_is_forgotten_and_left_nothing_is_sent_again_after_the_window() -> None:
    desk = Desk()
    desk.intend("operations/forgotten")
    with pytest.raises(TryAgain, match="settle window"):
        desk.register()
    desk.clock.advance(SETTLE)

    assert desk.register().version_id == "1"


def test_a_stored_operation_that_failed_is_no_version() -> None:
    desk = Desk()
    desk.registry.failing = [Operation(done=True, error="internal", lasting=False)]
    operation = desk.registry.register(
        "fraud", "Fraud", desk.change.version, desk.uri, CONTAINER, facts=FACTS, first=True
    )
    desk.intend(operation)
    desk.clock.advance(SETTLE)

    assert desk.register().version_id == "1"
    assert desk.versions() == 1


def test_an_operation_that_failed_for_now_ends_the_intent_and_may_be_tried_again() -> None:
    desk = Desk()
    desk.registry.failing = [Operation(done=True, error="internal", lasting=False)]

    with pytest.raises(TryAgain, match=r"could not register .*: internal"):
        desk.register()

    assert desk.intent is None
    assert desk.register().version_id == "1"


def test_an_operation_that_failed_for_good_needs_a_person() -> None:
    desk = Desk()
    desk.registry.failing = [Operation(done=True, error="the image is not there", lasting=True)]

    with pytest.raises(NeedsPerson, match=r"could not register .*: the image is not there") as refused:
        desk.register()

    assert (desk.intent, refused.value.remedy) == (None, "mend what it names, then run: bridge sync")


def test_an_operation_that_is_forgotten_while_it_is_waited_for_does_not_end_the_intent() -> None:
    class Forgetful(MemoryRegistry):
        def operation(self, name: str) -> Operation:
            self.forget_operations()
            return super().operation(name)

    desk = Desk(Forgetful, list_lag=60.0)

    with pytest.raises(TryAgain):
        desk.register()
    with pytest.raises(TryAgain):
        desk.register()

    assert (desk.sent(), desk.versions()) == (1, 1)


def test_a_request_that_is_refused_ends_the_intent() -> None:
    desk = Desk()
    desk.registry.problems["register"] = NO

    with pytest.raises(NeedsPerson, match="the image is not there"):
        desk.register()

    assert (desk.intent, desk.store.records(KEY)) == (None, ())


# two at once


def test_a_model_that_somebody_else_began_to_make_is_neither_joined_nor_doubled() -> None:
    desk = Desk(commit_delay=10.0)
    rival = desk.world.publish("staging")
    desk.registry.register("fraud", "Fraud", rival, "gs://models/prod/fraud/rival/", CONTAINER, facts=FACTS, first=True)
    with pytest.raises(TryAgain, match="model fraud exists"):
        desk.register()

    with pytest.raises(NeedsPerson, match="is not this bridge's"):
        desk.register()
    assert desk.versions() == 1


def test_of_two_versions_of_one_folder_the_lowest_id_wins() -> None:
    desk = Desk()
    for _ in range(11):
        desk.registry.add_by_hand("fraud", desk.uri, marked=True)

    assert desk.register().version_id == "1"


def test_a_second_version_that_is_made_against_all_odds_loses_to_the_first() -> None:
    desk = Desk()
    earlier = desk.world.publish("staging")
    other = artifact_uri(BASE, "fraud", earlier)
    desk.registrar.register(KEY, RegisterVersion(earlier, other, CONTAINER), "Fraud detector", FACTS)
    desk.registry.commit_delay = SETTLE.total_seconds() + 60
    desk.registry.lists_operations = False
    desk.registry.lost_replies["register"] = 1
    with pytest.raises(TryAgain):
        desk.register()
    desk.clock.advance(SETTLE)

    record = desk.register()

    assert (record.version_id, desk.registry.versions("fraud")) == (
        "2",
        {"1": other, "2": desk.uri, "3": desk.uri},
    )


def test_a_folder_is_registered_once_for_each_model() -> None:
    desk = Desk()
    other = replace(KEY, model="fraud-eu")
    desk.register()

    record = desk.registrar.register(other, desk.change, "Fraud EU", FACTS)

    assert (record.key, len(desk.registry.versions("fraud-eu"))) == (other, 1)
