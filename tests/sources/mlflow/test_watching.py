"""What is asked in a sweep, and what is made of lists that leave things out."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bridge.core.errors import NeedsPerson, NotFound, TryAgain
from bridge.sources.mlflow.records import Model
from bridge.sources.mlflow.watching import Watcher
from bridge.testing.clock import FakeClock
from tests.sources.mlflow.registry import UNWELL, Registry
from tests.sources.mlflow_people import models

if TYPE_CHECKING:
    from bridge.core.model import CollectionSelector, SourceState

ALL = models(".*", is_pattern=True)
MINUTES = timedelta(minutes=10)


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def watcher(registry: Registry, clock: FakeClock) -> Watcher:
    return Watcher(registry, clock, MINUTES)


def found(watcher: Watcher, selector: CollectionSelector = ALL) -> dict[str, SourceState]:
    sweep = watcher.sweep([selector])
    assert sweep.failed == {}
    return {state.name: state for state in sweep.found[selector]}


def labels(state: SourceState) -> list[str]:
    return [version.label for version in state.versions]


def test_the_first_sweep_reads_all_and_so_does_one_in_ten_minutes(
    watcher: Watcher, registry: Registry, clock: FakeClock
) -> None:
    registry.make("a", champion=1)
    for pause in (timedelta(), MINUTES):
        clock.advance(pause)
        registry.asked.clear()
        found(watcher)
        assert registry.asked == ["newest 100", "models", "versions"]
    registry.asked.clear()
    found(watcher)
    assert registry.asked == ["newest 100", "models name IN ('a')"]


def test_few_models_of_many_are_asked_for_by_name_and_many_in_pages(watcher: Watcher, registry: Registry) -> None:
    for number in range(1500):
        registry.make(f"m{number}", versions=0)
    few, many = models("m1.", is_pattern=True), models("m.*", is_pattern=True)
    found(watcher, few)
    registry.asked.clear()
    found(watcher, few)
    found(watcher, many)

    assert [asked[:15] for asked in registry.asked] == ["newest 100", "models name IN ", "newest 100", "models"]


def test_a_burst_of_versions_is_read_down_to_what_was_known_in_one_answer(watcher: Watcher, registry: Registry) -> None:
    registry.make("a", versions=1)
    found(watcher)
    registry.time += 10 * 60 * 1000
    for number in range(2, 402):
        registry.put("a", number)
    registry.asked.clear()

    assert len(found(watcher)["a"].versions) == 401
    assert registry.asked == ["newest 100", "newest 1000", "models name IN ('a')"]


def test_many_versions_of_one_moment_are_not_read_again_and_again(watcher: Watcher, registry: Registry) -> None:
    registry.make("a", versions=500)
    found(watcher)
    registry.asked.clear()
    found(watcher)

    assert registry.asked == ["newest 100", "models name IN ('a')"]


def test_a_model_that_hid_between_two_pages_is_not_lost(watcher: Watcher, registry: Registry, clock: FakeClock) -> None:
    registry.make("a", champion=1)
    registry.make("b", champion=1)
    before = found(watcher)
    registry.hidden.add("b")
    for pause in (timedelta(), MINUTES):
        clock.advance(pause)
        assert found(watcher) == before


def test_a_model_that_is_shown_on_two_pages_is_there_once(watcher: Watcher, registry: Registry) -> None:
    registry.make("a", champion=1)
    shown = registry.models
    registry.models = lambda written="": shown(written) * 2  # type: ignore[method-assign]  # as offsets do after an insert

    [state] = watcher.sweep([ALL]).found[ALL]
    assert state.name == "a"


def test_a_model_that_was_deleted_is_let_go_of_once_its_name_is_unknown(watcher: Watcher, registry: Registry) -> None:
    registry.make("a")
    registry.make("b")
    found(watcher)
    registry.drop("b")
    registry.asked.clear()

    assert list(found(watcher)) == ["a"]
    assert list(found(watcher)) == ["a"]
    assert registry.asked.count("model b") == 1


def test_a_model_that_may_not_be_read_any_longer_fails_where_it_is_named_and_holds_up_no_other(
    watcher: Watcher, registry: Registry
) -> None:
    for name in "abc":
        registry.make(name)
    both, other = models("[ab]", is_pattern=True), models("c")
    watcher.sweep([both, other])
    registry.hidden.add("b")
    registry.denied["b"] = NeedsPerson("denied", "ask")
    sweep = watcher.sweep([both, other, models("b")])

    assert [state.name for state in sweep.found[both]] == ["a"]
    assert [state.name for state in sweep.found[other]] == ["c"]
    assert sweep.failed == {models("b"): registry.denied["b"]}
    registry.hidden.clear()
    assert set(found(watcher, both)) == {"a", "b"}


def test_an_empty_list_is_no_proof_and_patterns_ask_for_a_person(
    watcher: Watcher, registry: Registry, clock: FakeClock
) -> None:
    registry.make("a")
    found(watcher)
    registry.hidden.add("a")
    registry.denied["a"] = NeedsPerson("denied", "ask")
    clock.advance(MINUTES)
    sweep = watcher.sweep([ALL, models("a"), models("never")])

    assert sweep.found == {}
    assert "shows no model to this account" in str(sweep.failed[ALL])
    assert sweep.failed[models("a")] is registry.denied["a"]
    assert isinstance(sweep.failed[models("never")], NotFound)


def test_one_model_that_cannot_be_asked_for_does_not_fail_the_others(watcher: Watcher, registry: Registry) -> None:
    registry.make("a")
    registry.make("b")
    registry.hidden.add("b")
    registry.denied["b"] = UNWELL
    sweep = watcher.sweep([models("a"), models("b")])

    assert (set(sweep.found), sweep.failed) == ({models("a")}, {models("b"): UNWELL})


def test_a_connection_that_cannot_be_read_fails_as_a_whole(watcher: Watcher, registry: Registry) -> None:
    def fail(_: str) -> None:
        raise UNWELL

    registry.meanwhile = fail
    with pytest.raises(TryAgain):
        watcher.sweep([ALL])


def test_a_full_look_that_fails_is_made_by_the_next_sweep(watcher: Watcher, registry: Registry) -> None:
    registry.make("a", versions=200)

    def fail(asked: str) -> None:
        if asked == "versions":
            raise UNWELL

    registry.meanwhile = fail
    with pytest.raises(TryAgain):
        watcher.sweep([ALL])
    registry.meanwhile = lambda _: None
    assert len(found(watcher)["a"].versions) == 200


def test_versions_that_were_deleted_are_missed_by_what_their_model_says(watcher: Watcher, registry: Registry) -> None:
    registry.make("a", versions=3)
    registry.make("b", versions=3)
    found(watcher)
    del registry.rows["a"][3]
    registry.asked.clear()

    assert labels(found(watcher)["a"]) == ["1", "2"]
    assert registry.asked[-1] == "versions name = 'a'"
    registry.asked.clear()
    found(watcher)
    assert len(registry.asked) == 2


def test_versions_of_many_doubtful_models_are_read_at_once(watcher: Watcher, registry: Registry) -> None:
    for number in range(20):
        registry.make(f"m{number}", versions=2)
    found(watcher)
    for rows in registry.rows.values():
        del rows[2]
    registry.asked.clear()

    assert all(labels(state) == ["1"] for state in found(watcher).values())
    assert registry.asked[-1] == "versions"


def test_an_alias_on_a_version_that_no_list_shows_is_looked_up(watcher: Watcher, registry: Registry) -> None:
    registry.make("a", versions=2, champion=2)
    whole = registry.rows["a"]

    def hide(asked: str) -> None:
        registry.rows["a"] = whole if asked.startswith("version a/") else {1: whole[1]}

    registry.meanwhile = hide
    state = found(watcher)["a"]

    assert state.version(state.aliases["champion"]).label == "2"
    assert "version a/2" in registry.asked


def test_an_alias_on_a_version_that_is_gone_leaves_the_state_incomplete(watcher: Watcher, registry: Registry) -> None:
    registry.make("a", versions=1, champion=2, shadow=1)
    state = found(watcher)["a"]

    assert (list(state.aliases), state.complete) == (["shadow"], False)


def test_a_model_made_anew_with_as_many_versions_is_read_anew(watcher: Watcher, registry: Registry) -> None:
    registry.make("a", versions=2, champion=2)
    before = found(watcher)["a"]
    registry.drop("a")
    registry.make("a", versions=2, champion=2)
    after = found(watcher)["a"]

    assert labels(after) == ["1", "2"]
    assert not set(after.versions) & set(before.versions)


def test_the_new_name_of_a_model_is_told_also_after_a_full_look(
    watcher: Watcher, registry: Registry, clock: FakeClock
) -> None:
    registry.make("other")
    registry.make("a", versions=2)
    watcher.sweep([models("a")])
    registry.rename("a", "b")
    for pause in (timedelta(), timedelta(), MINUTES, timedelta()):
        clock.advance(pause)
        assert "renamed to 'b'" in str(watcher.sweep([models("a")]).failed[models("a")])
    registry.make("a")
    assert list(found(watcher, models("a"))) == ["a"]


def test_a_model_without_versions_is_found_and_empty(watcher: Watcher, registry: Registry) -> None:
    registry.records["a"], registry.rows["a"] = Model("a", 1), {}
    state = found(watcher, models("a"))["a"]

    assert (state.versions, state.aliases, state.complete) == ((), {}, True)


def test_a_server_that_knows_no_lists_of_names_is_read_in_pages(watcher: Watcher, registry: Registry) -> None:
    registry.make("a", champion=1)
    before = found(watcher)

    def refuse(asked: str) -> None:
        if asked.startswith("models name IN"):
            raise NeedsPerson("INVALID_PARAMETER_VALUE", "none")

    registry.meanwhile = refuse
    registry.asked.clear()
    assert found(watcher) == before
    assert registry.asked[1:] == ["models name IN ('a')", "models"]


def test_a_version_that_cannot_be_looked_up_fails_its_selectors_alone(watcher: Watcher, registry: Registry) -> None:
    registry.make("a", champion=9)
    registry.make("b", versions=2)
    watcher.sweep([models("b")])
    del registry.rows["b"][2]

    def fail(asked: str) -> None:
        if asked in ("version a/9", "versions name = 'b'"):
            raise UNWELL

    registry.meanwhile = fail
    registry.make("c")
    sweep = watcher.sweep([models(name) for name in "abc"])

    assert (set(sweep.found), set(sweep.failed)) == ({models("c")}, {models("a"), models("b")})


def test_a_selector_that_is_given_twice_is_answered_once(watcher: Watcher, registry: Registry) -> None:
    registry.make("a")
    sweep = watcher.sweep([models("a"), models("a")])

    assert list(sweep.found) == [models("a")]


def test_nothing_is_asked_for_nothing(watcher: Watcher, registry: Registry) -> None:
    sweep = watcher.sweep([])

    assert (sweep.found, sweep.failed, registry.asked) == ({}, {}, [])


def test_of_two_versions_in_a_stage_one_that_is_deleted_leaves_it_at_once(watcher: Watcher, registry: Registry) -> None:
    registry.make("a", 2)
    for number in (2, 1):
        registry.put("a", number, "Production")
    watched = models("a", stages=frozenset({"Production"}))
    [before] = watcher.sweep([watched]).found[watched]
    del registry.rows["a"][1]
    [after] = watcher.sweep([watched]).found[watched]

    assert before.version(before.aliases["Production"]).label == "1"
    assert after.version(after.aliases["Production"]).label == "2"
    assert after.remarks == {}


def test_versions_of_a_model_that_was_made_again_while_it_was_looked_at_are_read_again(
    watcher: Watcher, registry: Registry
) -> None:
    registry.make("a", 3)
    made: list[str] = []

    def make_again(asked: str) -> None:
        if asked.startswith("models") and not made:
            made.append(asked)
            registry.drop("a")
            registry.make("a", 1)

    registry.meanwhile = make_again
    states = [found(watcher)["a"] for _ in range(2)]

    assert made
    assert [version.label for version in states[-1].versions] == ["1"]
