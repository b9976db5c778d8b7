"""One key: what is observed, in which order things are done, and what the journal says of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bridge.core.changes import CopyFiles, Kind, MoveAlias, RegisterVersion, RemoveAlias
from bridge.core.deeds import deed_kind
from bridge.core.errors import NeedsPerson, StillUnderWay, TryAgain
from bridge.core.model import Alias, AliasRules, Hold, OnDrift, State, VersionRule
from bridge.core.naming import MANIFEST_NAME, artifact_uri
from bridge.core.records import Intent, Outcome
from bridge.reconcile.orders import Order
from tests.worlds import BASE, CONTAINER, FRAUD, KEY, SETTLE, World, mapping

if TYPE_CHECKING:
    from bridge.core.changes import Change
    from bridge.core.model import SourceVersion, TargetState
    from bridge.core.records import JournalEntry
    from bridge.reconcile.orders import Sight

PRODUCTION = Alias("production")


def order(world: World) -> Order:
    (spec,) = world.specs
    (state,) = world.source.sweep([spec.source]).found[spec.source]
    return Order(spec, KEY, "fraud", state, why="ann")


def reconcile(world: World) -> Sight:
    return world.reconciler(world.specs[0]).reconcile(order(world))


def failure(world: World) -> str:
    """Do a pass; return its only failure, as it is printed."""
    [failed] = [refusal for refusal in reconcile(world).plan.refusals if refusal.kind is Kind.FAILED]
    return str(failed)


def journal(world: World) -> list[JournalEntry]:
    return list(reversed(world.store.journal()))


def told(world: World) -> list[tuple[str, Outcome | None]]:
    return [(deed_kind(entry.change), entry.outcome) for entry in journal(world)]


# in order


def test_bytes_come_before_names_and_names_before_aliases() -> None:
    world = World()
    world.publish("production")

    reconcile(world)

    assert told(world) == [
        ("copy", Outcome.APPLIED),
        ("register", Outcome.APPLIED),
        ("move-alias", Outcome.APPLIED),
    ]


def test_the_journal_says_who_asked_and_what_came_of_it() -> None:
    world = World()
    world.publish("production", content=b"0123456789")

    reconcile(world)

    assert {entry.why for entry in journal(world)} == {"ann"}
    assert [entry.detail for entry in journal(world)] == ["1 files, 10 bytes, all verified", "@1", "@1"]
    assert world.store.unfinished(KEY) == ()


def test_a_registered_version_is_recorded_with_both_of_its_names() -> None:
    world = World()
    version = world.publish("production")

    reconcile(world)

    (record,) = world.store.records(KEY)
    assert (record.source, record.version_id) == (version, "1")
    assert record.artifact_uri == artifact_uri(BASE, "fraud", version)
    assert world.storage.manifests[record.artifact_uri].source_id == version.id


def test_the_model_has_its_name_for_people() -> None:
    world = World()
    world.publish("production")

    reconcile(world)

    assert world.registry.display_name("fraud") == "fraud"


def test_the_version_that_default_follows_is_the_first_of_a_new_model() -> None:
    world = World([replace(mapping(), default_from="production")])
    world.publish("staging")
    world.publish("production")

    reconcile(world)

    assert world.names() == {"default": "v1", "production": "v1", "staging": "v0"}
    assert world.registry.aliases("fraud")["default"] == "1"


def test_default_follows_its_source_alias() -> None:
    world = World([replace(mapping(), default_from="production")])
    world.publish("production")
    reconcile(world)
    world.publish("production")

    reconcile(world)

    assert world.names()["default"] == "v1"


def test_a_version_without_alias_is_registered_if_the_mapping_wants_all() -> None:
    world = World([replace(mapping(), versions=VersionRule(newest=None))])
    world.publish()
    world.publish("production")

    reconcile(world)

    assert world.names() == {"default": "v0", "production": "v1"}


def test_a_version_that_is_there_is_neither_copied_nor_registered_again() -> None:
    world = World()
    version = world.publish("production")
    reconcile(world)
    world.source.alias(version, "champion")
    world.source.calls.clear()
    world.storage.calls.clear()

    reconcile(world)

    assert "register" not in world.registry.calls[world.registry.calls.index("register") + 1 :]
    assert ("open" in world.source.calls, world.storage.calls) == (False, [])


def test_aliases_that_a_mapping_renames_arrive_under_their_new_names() -> None:
    world = World([replace(mapping(), aliases=AliasRules({"Prod!": PRODUCTION}))])
    world.publish("Prod!")

    reconcile(world)

    assert world.names()["production"] == "v0"


def test_an_alias_that_cannot_be_spelled_blocks_only_itself() -> None:
    world = World()
    world.publish("Prod!", "staging")

    sight = reconcile(world)

    assert [refusal.about for refusal in sight.plan.refusals] == ["alias 'Prod!'"]
    assert world.names() == {"default": "v0", "staging": "v0"}


def test_a_model_is_shown_at_work() -> None:
    world = World()
    world.publish("production")
    seen = []
    world.source.meanwhile = lambda: seen.append(world.status())

    reconcile(world)

    seen.append(world.status())
    assert [(status.state, status.message) for status in seen] == [
        (State.COPYING, "copying v0"),
        (State.REGISTERING, "registering v0"),
    ]


def test_a_removal_is_asked_for_by_every_name_that_spells_the_alias() -> None:
    world = World([replace(mapping(), aliases=AliasRules({"champion": PRODUCTION}))])
    world.publish("champion")
    reconcile(world)
    world.source.unalias(FRAUD, "champion")
    reconcile(world)

    reconcile(world)

    assert world.source.asked == ["champion", "production"]
    assert told(world)[-1] == ("remove-alias", Outcome.APPLIED)
    assert PRODUCTION not in world.store.mirrored(KEY)


def test_an_alias_that_already_is_where_it_should_be_is_remembered_as_set() -> None:
    world = World()
    version = world.publish("staging")
    reconcile(world)
    world.registry.move_by_hand("fraud", "production", "1")
    world.source.alias(version, "production")

    sight = reconcile(world)

    assert (sight.plan.changes, world.store.mirrored(KEY)[PRODUCTION]) == ((), "1")


# when something fails


def test_a_corrupted_file_leaves_the_old_alias_and_no_version() -> None:
    world = World()
    world.publish("production")
    reconcile(world)
    bad = world.publish("production")
    world.source.serve(bad, "model.bin", b"MODEL 2")

    assert "the source promises" in failure(world)

    assert (world.names()["production"], len(world.registry.versions("fraud"))) == ("v0", 1)
    assert artifact_uri(BASE, "fraud", bad) not in world.storage.manifests
    assert told(world)[-1] == ("copy", Outcome.FAILED)


def test_a_truncated_file_leaves_the_old_alias_and_no_object() -> None:
    world = World()
    world.publish("production")
    reconcile(world)
    bad = world.publish("production")
    world.source.serve(bad, "model.bin", b"mod")

    assert "the source promises" in failure(world)

    assert world.names()["production"] == "v0"
    assert len(world.storage.objects) == 1


def test_what_ended_in_a_lasting_failure_is_tried_again_once_the_source_is_mended() -> None:
    world = World()
    version = world.publish("production", content=b"good")
    world.source.serve(version, "model.bin", b"evil")
    assert "the source promises" in failure(world)
    world.source.serve(version, "model.bin", b"good")

    reconcile(world)

    assert world.names()["production"] == "v0"


def test_the_changes_before_a_failure_are_done() -> None:
    world = World()
    world.publish("production")
    world.registry.problems["move_alias"] = NeedsPerson("no", "ask")

    assert failure(world) == "! failed   alias production: no; ask"

    assert told(world) == [("copy", Outcome.APPLIED), ("register", Outcome.APPLIED), ("move-alias", Outcome.FAILED)]
    assert world.store.seen_before(KEY) == frozenset({PRODUCTION})


def test_a_version_that_fails_does_not_hold_up_another_nor_an_alias_that_goes_back() -> None:
    world = World()
    for _ in range(2):
        world.publish("production")
        reconcile(world)
    bad = world.publish("broken")
    world.source.serve(bad, "model.bin", b"evil")
    world.publish("staging")
    [first, *_] = order(world).state.versions
    world.source.alias(first, "production")

    assert failure(world).startswith("! failed   version v2: ")

    assert world.names() == {"default": "v0", "production": "v0", "staging": "v3"}


def test_in_a_new_model_the_others_wait_for_a_default_that_fails() -> None:
    """Otherwise Vertex would give `default` to one that nobody chose."""
    world = World([replace(mapping(), default_from="production")])
    world.publish("staging")
    bad = world.publish("production")
    world.source.serve(bad, "model.bin", b"evil")

    assert failure(world).startswith("! failed   version v1: ")

    assert world.registry.versions("fraud") == {}


def test_a_registration_that_does_not_end_holds_up_neither_others_nor_aliases() -> None:
    world = World()
    for alias in ("production", "staging"):
        world.publish(alias)
        reconcile(world)
    stuck = world.publish("candidate")
    world.registry.commit_delay = 1e6
    with pytest.raises(StillUnderWay, match="Vertex is still at operations/3 after 0:15:00"):
        reconcile(world)
    world.registry.commit_delay = 0
    [first, second, _] = order(world).state.versions
    world.source.alias(first, "staging")
    world.source.unalias(FRAUD, "production")
    reconcile_while_it_waits(world)
    world.publish("newest")

    reconcile_while_it_waits(world)

    assert world.names() == {"default": "v0", "staging": "v0", "newest": "v3"}
    assert (stuck.label, second.label) == ("v2", "v1")
    assert told(world).count(("register", None)) == 1  # which the pass goes on with when it ends

    world.clock.advance(1e6)
    reconcile(world)
    assert world.names()["candidate"] == "v2"


def reconcile_while_it_waits(world: World) -> None:
    with pytest.raises(StillUnderWay, match="Vertex is still at operations/3 after 0:01:00"):
        reconcile(world)


def test_in_a_new_model_the_others_wait_for_a_first_version_that_does_not_end() -> None:
    world = World()
    world.publish("production")
    world.publish("staging")
    world.registry.commit_delay = 1e6

    with pytest.raises(StillUnderWay):
        reconcile(world)

    assert world.registry.calls.count("register") == 1


def test_a_change_whose_end_is_unknown_stays_open_until_the_next_pass_sees_that_it_took_effect() -> None:
    world = World()
    world.publish("production")
    world.registry.lost_replies["move_alias"] = 1
    with pytest.raises(TryAgain):
        reconcile(world)
    assert told(world)[-1] == ("move-alias", None)

    sight = reconcile(world)

    assert sight.plan.changes == ()
    assert told(world)[-1] == ("move-alias", Outcome.APPLIED)
    assert world.store.mirrored(KEY)[PRODUCTION] == "1"


def test_a_change_whose_end_is_unknown_and_that_did_not_happen_is_abandoned_and_made_anew() -> None:
    world = World()
    world.publish("production")
    world.registry.problems["move_alias"] = TryAgain("unwell")
    with pytest.raises(TryAgain):
        reconcile(world)
    world.registry.problems.clear()

    reconcile(world)

    assert told(world)[-2:] == [("move-alias", Outcome.ABANDONED), ("move-alias", Outcome.APPLIED)]
    assert world.store.unfinished(KEY) == ()


def withdrawn() -> World:
    """Make a world where the source was seen once without the `production` that is on @1: the next pass removes it."""
    world = World()
    world.publish("production")
    reconcile(world)
    world.source.unalias(FRAUD, "production")
    reconcile(world)
    return world


def test_a_removal_whose_reply_was_lost_is_settled() -> None:
    world = withdrawn()
    world.registry.lost_replies["remove_alias"] = 1
    with pytest.raises(TryAgain):
        reconcile(world)

    early = reconcile(world)
    assert (early.plan.changes, told(world)[-1]) == ((), ("remove-alias", None))
    world.clock.advance(SETTLE)
    late = reconcile(world)

    assert (late.plan.changes, told(world)[-1]) == ((), ("remove-alias", Outcome.APPLIED))
    assert PRODUCTION not in world.store.mirrored(KEY)


def unanswered_removal() -> World:
    """Make a world where the removal of `production` from @1 never arrived, and its line is open."""
    world = withdrawn()
    world.registry.problems["remove_alias"] = TryAgain("it never arrived")
    with pytest.raises(TryAgain):
        reconcile(world)
    world.registry.problems.clear()
    return world


def shows_an_old_list(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have lists show versions as they were before they got the alias; who asks for its holder is told the truth."""
    observed = world.registry.observe

    def old_list(model: str) -> TargetState:
        state = observed(model)
        versions = tuple(replace(each, aliases=each.aliases - {PRODUCTION}) for each in state.versions)
        return replace(state, versions=versions)

    monkeypatch.setattr(world.registry, "observe", old_list)


def test_a_removal_that_an_old_list_showed_as_made_is_made_after_all(monkeypatch: pytest.MonkeyPatch) -> None:
    world = unanswered_removal()
    shows_an_old_list(world, monkeypatch)
    reconcile(world)
    monkeypatch.undo()
    assert "production" in world.registry.aliases("fraud")

    sight = reconcile(world)

    assert [type(change) for change in sight.plan.changes] == [RemoveAlias]
    assert "production" not in world.registry.aliases("fraud")


def test_a_removal_that_an_old_list_showed_as_made_stays_open_until_a_setting_is_confirmed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = unanswered_removal()
    shows_an_old_list(world, monkeypatch)
    reconcile(world)
    version = world.publish("production")
    with pytest.raises(TryAgain):  # Vertex itself says who has it
        reconcile(world)
    monkeypatch.undo()

    reconcile(world)

    assert world.names()["production"] == version.label


@pytest.mark.parametrize("where", ["the same version", "another one"])
def test_an_alias_that_is_set_again_while_its_removal_is_open_is_a_persons_to_take_away(where: str) -> None:
    world = withdrawn()
    version = world.store.records(KEY)[0].source
    world.registry.lost_replies["remove_alias"] = 1
    with pytest.raises(TryAgain):
        reconcile(world)
    reconcile(world)  # sees that it is gone, and that it may have been an old list
    if where == "another one":
        version = world.publish("production")
    else:
        world.source.alias(version, "production")

    sight = reconcile(world)
    assert isinstance(sight.plan.changes[-1], MoveAlias)
    assert world.names()["production"] == version.label
    assert world.store.unfinished(KEY) == ()

    world.registry.move_by_hand("fraud", "production", None)
    assert [refusal.kind for refusal in reconcile(world).plan.refusals] == [Kind.DRIFT]


def test_a_removal_that_the_source_denies_by_name_is_not_made() -> None:
    world = World()
    world.publish("production")
    reconcile(world)
    world.source.hide(FRAUD, "production", admits=False)
    reconcile(world)

    with pytest.raises(TryAgain, match="yet has it when asked by name"):
        reconcile(world)

    assert "remove_alias" not in world.registry.calls


def test_an_alias_is_not_removed_when_its_collection_was_renamed_after_it_was_listed() -> None:
    world = World()
    world.publish("production")
    reconcile(world)
    world.source.hide(FRAUD, "production", admits=False)
    reconcile(world)
    seen = order(world)
    world.source.rename(FRAUD, f"{FRAUD}-renamed")

    with pytest.raises(TryAgain, match="alias production is not removed now: there is no collection"):
        world.reconciler(world.specs[0]).reconcile(seen)

    assert "remove_alias" not in world.registry.calls
    assert told(world)[-1] == ("remove-alias", Outcome.ABANDONED)


def test_a_removal_that_was_refused_is_not_told_as_made_when_a_person_makes_it() -> None:
    world = World()
    world.publish("production")
    reconcile(world)
    world.source.hide(FRAUD, "production", admits=False)
    reconcile(world)
    with pytest.raises(TryAgain):
        reconcile(world)
    world.registry.move_by_hand("fraud", "production", None)

    refused = journal(world)[-1]
    assert (refused.outcome, refused.detail) == (
        Outcome.ABANDONED,
        f"{FRAUD} lists no alias 'production', yet has it when asked by name",
    )
    reconcile(world)

    assert told(world)[-1] == ("remove-alias", Outcome.ABANDONED)


def test_a_source_that_cannot_answer_by_name_removes_nothing() -> None:
    world = withdrawn()
    seen = order(world)
    world.source.problem = TryAgain("unwell")

    with pytest.raises(TryAgain):
        world.reconciler(world.specs[0]).reconcile(seen)

    assert world.names()["production"] == "v0"


def test_an_unexpected_error_leaves_the_journal_entry_open_for_the_next_pass() -> None:
    world = World()
    version = world.publish("production", content=b"good")
    world.source.serve(version, "model.bin", None)  # type: ignore[arg-type]  # the bug
    with pytest.raises(TypeError):
        reconcile(world)
    assert told(world) == [("copy", None)]
    world.source.serve(version, "model.bin", b"good")

    reconcile(world)

    assert told(world)[:2] == [("copy", Outcome.ABANDONED), ("copy", Outcome.APPLIED)]


def test_a_checksum_that_is_not_the_plans_changes_nothing() -> None:
    world = World()
    world.publish("production")
    before = world.ends()

    with pytest.raises(NeedsPerson, match="bridge plan"):
        world.reconciler(world.specs[0]).reconcile(order(world), checksum="0" * 16)

    assert (world.ends(), journal(world)) == (before, [])


def test_a_plan_has_the_same_checksum_until_the_world_moves() -> None:
    world = World()
    world.publish("production")
    reconciler = world.reconciler(world.specs[0])
    first = reconciler.plan(order(world)).plan
    world.clock.advance(3600)
    assert reconciler.plan(order(world)).plan == first

    world.registry.add_by_hand("fraud")

    assert reconciler.plan(order(world)).plan.checksum != first.checksum


# what a crash left open


def test_files_that_were_copied_before_a_crash_are_not_copied_again() -> None:
    world = World()
    version = world.publish("production")
    world.registry.problems["register"] = NeedsPerson("no", "ask")
    assert failure(world) == "! failed   version v0: no; ask"
    world.registry.problems.clear()
    world.source.calls.clear()

    reconcile(world)

    assert "open" not in world.source.calls
    assert list(world.storage.manifests) == [artifact_uri(BASE, "fraud", version)]


def test_a_copy_that_died_after_its_last_byte_is_settled_as_done() -> None:
    world = World()
    version = world.publish("production")
    folder = artifact_uri(BASE, "fraud", version)
    world.store.begin(KEY, CopyFiles(version, folder), "ann", world.clock.now())
    world.reconciler(world.specs[0]).copier.copy(version, folder)

    reconcile(world)

    assert told(world)[0] == ("copy", Outcome.APPLIED)


def test_a_version_that_landed_after_a_crash_is_recorded_and_gets_its_alias() -> None:
    world = World()
    version = world.publish("production")
    folder = artifact_uri(BASE, "fraud", version)
    world.store.save_intent(Intent(KEY, version, folder, world.clock.now().isoformat(), operation=None))
    world.store.begin(KEY, RegisterVersion(version, folder, CONTAINER), "ann", world.clock.now())
    world.registry.add_by_hand("fraud", folder, marked=True)

    reconcile(world)

    assert told(world) == [("register", Outcome.APPLIED), ("move-alias", Outcome.APPLIED)]
    assert (world.store.intents(KEY), len(world.registry.versions("fraud"))) == ((), 1)


def test_of_two_versions_of_one_folder_the_lowest_id_is_recorded_and_gets_the_alias() -> None:
    world = World()
    version = world.publish("production")
    folder = artifact_uri(BASE, "fraud", version)
    world.store.save_intent(Intent(KEY, version, folder, world.clock.now().isoformat(), operation=None))
    for _ in range(11):
        world.registry.add_by_hand("fraud", folder, marked=True)

    reconcile(world)

    assert [record.version_id for record in world.store.records(KEY)] == ["1"]
    assert world.registry.aliases("fraud")["production"] == "1"


def test_registering_stays_open_in_the_journal_while_its_version_may_still_come() -> None:
    world = World()
    version = world.publish("production")
    world.registry.lost_replies["register"] = 1
    world.registry.commit_delay = 60
    with pytest.raises(TryAgain):
        reconcile(world)
    world.source.unalias(FRAUD, "production")
    reconcile(world)
    assert told(world)[-1] == ("register", None)

    world.clock.advance(60)
    world.source.alias(version, "production")
    reconcile(world)

    assert [outcome for kind, outcome in told(world) if kind == "register"] == [Outcome.APPLIED]
    assert len(world.registry.versions("fraud")) == 1


def test_a_move_that_died_halfway_is_not_taken_for_a_persons_doing_when_the_source_goes_back() -> None:
    world = World()
    old = world.publish("production")
    reconcile(world)
    new = world.publish("staging", "production")
    reconcile(world)
    world.source.alias(old, "production")
    world.registry.alias_conflict = "reject"
    assert dies_in_the_middle_of_a_move(world)
    world.source.alias(new, "production")

    sight = reconcile(world)

    assert (sight.plan.refusals, world.names().get("production")) == ((), "v1")


def dies_in_the_middle_of_a_move(world: World) -> bool:
    class Death(BaseException):
        pass

    def die() -> None:
        raise Death

    world.registry.interrupt = die
    try:
        reconcile(world)
    except Death:
        world.registry.interrupt = lambda: None
        return True
    return False


def test_a_new_bucket_folder_is_reached_although_one_version_failed_on_the_way() -> None:
    world = World()
    world.publish("production")
    world.publish("staging")
    reconcile(world)
    world.base = "gs://models/new"
    world.registry.problems["move_alias"] = TryAgain("unwell")
    with pytest.raises(TryAgain):
        reconcile(world)
    world.registry.problems.clear()

    sight = reconcile(world)

    assert sight.plan.refusals == ()
    assert set(world.registry.aliases("fraud").values()) == {"1", "3", "4"}  # default stays


# a list that lags


def test_a_version_that_is_not_listed_yet_gets_its_alias() -> None:
    world = World()
    world.registry.list_lag = 40
    world.publish("production")

    reconcile(world)

    world.clock.advance(40)
    assert (world.names()["production"], len(world.registry.versions("fraud"))) == ("v0", 1)


def test_a_version_that_is_not_listed_yet_is_not_called_deleted_by_hand() -> None:
    world = World()
    world.registry.list_lag = 40
    world.publish("production")
    reconcile(world)

    sight = world.reconciler(world.specs[0]).plan(order(world))

    assert [refusal for refusal in sight.plan.refusals if "deleted by hand" in refusal.reason] == []


def test_an_alias_is_removed_from_a_version_that_is_not_listed_yet() -> None:
    world = World()
    world.registry.list_lag = 3600
    world.publish("staging")
    reconcile(world)
    world.source.unalias(FRAUD, "staging")

    reconcile(world)
    reconcile(world)

    assert "staging" not in world.names()


def test_healing_does_not_register_a_version_twice_because_the_list_lags() -> None:
    world = World([replace(mapping(), drift=OnDrift.HEAL)])
    world.registry.list_lag = 40
    world.publish("production")
    reconcile(world)

    reconcile(world)

    assert len(world.registry.versions("fraud")) == 1


def test_an_alias_that_a_person_put_on_a_version_that_is_not_listed_yet_is_not_stolen() -> None:
    world = World()
    version = world.publish("production")
    reconcile(world)
    world.registry.list_lag = 40
    theirs = world.registry.add_by_hand("fraud", aliases=["staging"], lags=True)
    world.source.alias(version, "staging")

    with pytest.raises(TryAgain, match="alias staging of model fraud was moved to @2 while this pass was under way"):
        reconcile(world)

    assert world.registry.aliases("fraud")["staging"] == theirs
    world.clock.advance(40)
    assert [refusal.kind for refusal in reconcile(world).plan.refusals] == [Kind.CONFLICT]


# what has to be clean


def test_a_version_that_is_not_clean_is_not_registered_and_moves_no_alias_until_it_is() -> None:
    world = World()
    world.publish("production")
    reconcile(world)
    world.publish("production")
    scanned: list[str] = []

    def scan(version: SourceVersion, folder: str) -> None:
        scanned.append(version.label)
        assert folder in world.storage.manifests
        raise NeedsPerson("a virus", "log it again")

    world.scan = scan
    refusal = reconcile(world).plan.refusals[-1]
    assert (refusal.kind, refusal.reason, refusal.remedy) == (Kind.FAILED, "a virus", "log it again")
    assert (scanned, world.names()["production"], world.store.intents(KEY)) == (["v1"], "v0", ())

    world.scan = lambda version, _folder: scanned.append(version.label)
    sight = reconcile(world)
    assert (scanned, world.names()["production"]) == (["v1", "v1"], "v1")
    assert [type(change) for change in sight.plan.changes] == [RegisterVersion, MoveAlias], "nothing is copied again"


def test_what_was_sent_before_a_death_is_not_scanned_again() -> None:
    world = World()
    scanned: list[str] = []
    world.scan = lambda version, _folder: scanned.append(version.label)
    world.publish("production")
    world.registry.lost_replies["register"] = 1
    with pytest.raises(TryAgain):
        reconcile(world)

    reconcile(world)

    assert (scanned, world.names()["production"]) == (["v0"], "v0")


def test_a_model_that_a_person_makes_while_a_version_is_scanned_is_not_joined() -> None:
    world = World()
    world.publish("production")

    def scan(_version: SourceVersion, _folder: str) -> None:
        world.registry.add_by_hand("fraud")

    world.scan = scan

    refusal = reconcile(world).plan.refusals[-1]

    assert refusal.reason == "Vertex model 'fraud' has come to exist, and is not this bridge's"


# what happens while files are copied, which may take hours


def test_an_alias_that_a_person_moves_while_files_are_copied_is_not_stolen() -> None:
    world = World()
    world.publish("production")
    world.publish("staging")
    reconcile(world)
    world.publish("production")
    world.source.meanwhile = lambda: world.registry.move_by_hand("fraud", "production", "2")

    with pytest.raises(TryAgain):
        reconcile(world)

    assert world.names()["production"] == "v1"
    assert told(world)[-1] == ("move-alias", Outcome.ABANDONED)


def test_a_hold_that_a_person_puts_while_files_are_copied_is_kept() -> None:
    world = World()
    world.publish("production")
    reconcile(world)
    world.publish("production")
    hold = Hold(PRODUCTION, "ann", "incident 7", until=None)
    world.source.meanwhile = lambda: world.store.save_hold(KEY, hold)

    reconcile(world)

    assert world.names()["production"] == "v0"


def test_a_model_that_a_person_makes_while_files_are_copied_is_left_alone() -> None:
    world = World()
    world.publish("production")
    world.source.meanwhile = lambda: world.registry.add_by_hand("fraud")

    assert "has come to exist, and is not this bridge's" in failure(world)

    assert list(world.registry.versions("fraud").values()) == ["gs://elsewhere/"]


# folders


def test_a_whole_folder_of_another_digest_is_not_registered() -> None:
    world = World()
    world.source.publish(FRAUD, {"model.bin": b"evil"}, "production", digest="a" * 12 + "1" * 20)
    world.registry.problems["register"] = NeedsPerson("no", "ask")
    assert failure(world) == "! failed   version v0: no; ask"
    world.registry.problems.clear()
    world.source.delete_collection(FRAUD)
    world.source.publish(FRAUD, {"model.bin": b"good"}, "production", digest="a" * 12 + "2" * 20)

    assert "holds acme_org/wandb-registry-model/fraud-detector:v0 with the digest" in failure(world)

    assert world.registry.versions("fraud") == {}


def test_a_file_that_is_named_like_the_manifest_is_refused() -> None:
    world = World()
    world.source.publish(FRAUD, {MANIFEST_NAME: b"{}"}, "production")

    assert "the bridge's own manifest has that name" in failure(world)

    assert world.storage.objects == {}


def test_every_kind_of_change_has_an_effect() -> None:
    world = World()
    world.publish("production")
    world.publish("staging")
    kinds: set[type[Change]] = {type(change) for change in reconcile(world).plan.changes}
    world.source.unalias(FRAUD, "staging")
    reconcile(world)
    kinds |= {type(change) for change in reconcile(world).plan.changes}

    assert kinds == {CopyFiles, RegisterVersion, MoveAlias, RemoveAlias}
