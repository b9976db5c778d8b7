"""Sweeps of a real MLflow server: what people do there, and what is seen of it."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.core.errors import BridgeError, NeedsPerson, NotFound
from bridge.sandbox.faults import Fault
from tests.sources.mlflow_people import models
from tests.sources.publishers import new_name

if TYPE_CHECKING:
    from bridge.core.model import CollectionSelector, SourceState
    from bridge.sandbox.mlflow.server import MlflowServer
    from bridge.sandbox.traffic import Traffic
    from bridge.testing.clock import FakeClock
    from tests.sources.mlflow_people import MlflowPublisher

pytestmark = pytest.mark.sandbox

NOWHERE = "s3://bucket/nobody-looks-there"
NAMES = [
    "it's",
    'say "hi"',
    "both ' and \"",
    "tab\there",
    "line\nbreak",
    "back\\slash",
    "ends in \\",
    "\\n",
    "é 日本",
    "a%20b 100%",
    "it''s",
    "b' , 'c",
    " leads",
    "x AND y; --",
    "#h?q&a=b",
    "Twin",
    "twin",
]


def look(people: MlflowPublisher, selector: CollectionSelector) -> SourceState:
    sweep = people.source.sweep([selector])
    assert sweep.failed == {}
    [state] = sweep.found[selector]
    return state


def labels(state: SourceState) -> dict[str, str]:
    return {alias: state.version(to).label for alias, to in state.aliases.items()}


def failure(people: MlflowPublisher, selector: CollectionSelector) -> BridgeError:
    sweep = people.source.sweep([selector])
    assert sweep.found == {}
    return sweep.failed[selector]


def test_versions_and_aliases_of_a_model_are_found(people: MlflowPublisher, server: MlflowServer) -> None:
    name = new_name()
    people.register(name, NOWHERE)
    people.register(name, NOWHERE)
    people.alias(name, "2", "champion")
    state = look(people, models(name))
    first, second = state.versions

    assert (state.collection, state.name, state.complete) == (f"models:/{name}", name, True)
    assert (first.label, first.digest, first.connection) == ("1", None, "acme")
    assert second.url == f"{server.url}/#/models/{name}/versions/2"
    assert str(second) == f"models:/{name}/2"
    assert re.fullmatch(r"2@\d{13}-[0-9a-f]{8}", second.id)
    assert labels(state) == {"champion": "2"}


def test_what_changes_between_two_sweeps_is_seen_by_the_second(people: MlflowPublisher) -> None:
    name = new_name()
    selector = models(name, stages=frozenset({"Production"}))
    people.register(name, NOWHERE)
    people.alias(name, "1", "champion")
    before = look(people, selector)
    people.register(name, NOWHERE)
    people.alias(name, "2", "champion")
    people.stage(name, "1", "Production")
    after = look(people, selector)
    people.delete(name, "1")
    last = look(people, selector)

    assert labels(before) == {"champion": "1"}
    assert labels(after) == {"champion": "2", "Production": "1"}
    assert labels(last) == {"champion": "2"}
    assert [version.label for version in last.versions] == ["2"]


def test_only_aliases_that_are_asked_for_are_found(people: MlflowPublisher) -> None:
    name = new_name()
    people.register(name, NOWHERE)
    people.alias(name, "1", "champion")
    people.alias(name, "1", "shadow")

    assert labels(look(people, models(name, aliases=frozenset({"champion", "nobodys"})))) == {"champion": "1"}


def test_two_versions_in_one_stage_are_told(people: MlflowPublisher) -> None:
    name = new_name()
    for label in ("1", "2", "3"):
        people.register(name, NOWHERE)
        if label != "2":
            people.stage(name, label, "Production")
    people.stage(name, "1", "Staging")
    people.stage(name, "1", "Production")
    state = look(people, models(name, stages=frozenset({"Production", "Archived"})))

    assert labels(state) == {"Production": "1"}
    assert list(state.remarks) == ["Production"]
    assert "versions 1 and 3 are both in stage 'Production'; 1 is taken by its last update" in (
        state.remarks["Production"].text
    )


def test_quiet_sweeps_ask_twice(people: MlflowPublisher, traffic: Traffic, clock: FakeClock) -> None:
    names = [new_name("quiet") for _ in range(3)]
    for name in names:
        people.register(name, NOWHERE)
    selectors = [models(name) for name in names]
    people.source.sweep(selectors)
    costs = []
    for pause in (0, 60, 600):
        clock.advance(pause)
        traffic.reset()
        people.source.sweep(selectors)
        costs.append(traffic.count("mlflow"))

    assert costs == [2, 2, 3]


@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_found_whatever_its_name(people: MlflowPublisher, name: str) -> None:
    name = f"{name}{'' if name.endswith(chr(92)) else new_name('')}" if name.lower() != "twin" else name
    if not any(found.name == name for found in people.client.search_registered_models(max_results=1000)):
        people.client.create_registered_model(name)
    label = str(people.client.create_model_version(name, NOWHERE, await_creation_for=0).version)
    people.alias(name, label, "champion")
    for _ in range(2):
        state = look(people, models(name))
        assert (state.name, labels(state)) == (name, {"champion": label})
        found = people.source.sweep([models(re.escape(name), is_pattern=True), models("x.*", is_pattern=True)])
        assert [each.name for each in found.found[models(re.escape(name), is_pattern=True)]] == [name]
    assert not people.source.is_gone(f"models:/{name}", "champion")
    assert people.source.is_gone(f"models:/{name}", "Production")


def test_a_model_that_was_renamed_says_so_and_keeps_its_ids(people: MlflowPublisher) -> None:
    old, new = new_name(), new_name()
    people.register(old, NOWHERE)
    before = look(people, models(old))
    people.client.rename_registered_model(old, new)

    for _ in range(2):
        problem = failure(people, models(old))
        assert isinstance(problem, NotFound)
        assert f"was renamed to '{new}'" in str(problem)
        assert f"name '{new}' in the mapping" in str(problem)
    assert [v.id for v in look(people, models(new)).versions] == [v.id for v in before.versions]


def test_a_model_that_was_made_anew_has_other_versions(people: MlflowPublisher) -> None:
    name = new_name()
    people.register(name, NOWHERE)
    people.register(name, NOWHERE)
    people.alias(name, "2", "champion")
    before = look(people, models(name))
    people.delete_collection(name)
    gone = failure(people, models(name))
    people.register(name, NOWHERE)
    people.alias(name, "1", "champion")
    after = look(people, models(name))

    assert isinstance(gone, NotFound)
    assert "renamed" not in str(gone)
    assert [version.label for version in after.versions] == ["1"]
    assert after.versions[0].id not in {version.id for version in before.versions}


def test_a_model_made_anew_between_two_sweeps_is_not_mixed_with_the_old(people: MlflowPublisher) -> None:
    name = new_name()
    for _ in range(3):
        people.register(name, NOWHERE)
    before = look(people, models(name))
    people.delete_collection(name)
    people.register(name, NOWHERE)
    after = look(people, models(name))

    assert [version.label for version in after.versions] == ["1"]
    assert not {version.id for version in after.versions} & {version.id for version in before.versions}


def test_a_pattern_finds_a_new_model_by_its_version_and_lets_go_of_a_deleted_one(people: MlflowPublisher) -> None:
    stem = new_name("stem")
    pattern = models(f"{re.escape(stem)}-[ab]", is_pattern=True)
    people.register(f"{stem}-a", NOWHERE)
    people.register(f"{stem}-bb", NOWHERE)
    first = people.source.sweep([pattern]).found[pattern]
    people.register(f"{stem}-b", NOWHERE)
    second = people.source.sweep([pattern]).found[pattern]
    people.delete_collection(f"{stem}-a")
    third = people.source.sweep([pattern]).found[pattern]

    assert [[state.name[-1] for state in found] for found in (first, second, third)] == [["a"], ["a", "b"], ["b"]]


def test_only_models_with_all_the_tags_are_chosen(people: MlflowPublisher) -> None:
    stem = new_name("tagged")
    for part, tags in (("a", ["team=risk", "eu=it's"]), ("b", ["team=risk"]), ("c", [])):
        people.register(f"{stem}-{part}", NOWHERE)
        people.tag(f"{stem}-{part}", *tags)
    both = models(f"{stem}-.", is_pattern=True, tags=frozenset({"team=risk", "eu=it's"}))
    one = models(f"{stem}-.", is_pattern=True, tags=frozenset({"team=risk"}))
    exact = models(f"{stem}-b", tags=frozenset({"team=risk"}))
    without = models(f"{stem}-c", tags=frozenset({"team=risk"}))
    for _ in range(2):
        sweep = people.source.sweep([both, one, exact, without])
        names = {chosen: [state.name[-1] for state in found] for chosen, found in sweep.found.items()}
        assert names == {both: ["a"], one: ["a", "b"], exact: ["b"]}
        assert isinstance(sweep.failed[without], NotFound)
        assert "without the tags" in str(sweep.failed[without])
    people.client.delete_registered_model_tag(f"{stem}-a", "team")
    people.tag(f"{stem}-c", "team=risk")

    assert [state.name[-1] for state in people.source.sweep([one]).found[one]] == ["b", "c"]


def test_a_version_that_is_being_registered_is_waited_for(people: MlflowPublisher, server: MlflowServer) -> None:
    name = new_name()
    people.register(name, NOWHERE)
    people.alias(name, "1", "champion")
    states = []
    for status in ("PENDING_REGISTRATION", "FAILED_REGISTRATION", "READY"):
        _write(server, "UPDATE model_versions SET status = ? WHERE name = ?", status, name)
        states.append(look(people, models(name)))
    pending, failed, ready = states

    assert [state.aliases for state in (pending, failed)] == [{}, {}]
    assert [state.versions for state in (pending, failed)] == [(), ()]
    assert (pending.remarks["champion"].passing, failed.remarks["champion"].passing) == (True, False)
    assert "version 1" in pending.remarks["champion"].text
    assert labels(ready) == {"champion": "1"}


def test_an_alias_on_a_version_that_is_not_there_leaves_the_state_incomplete(
    people: MlflowPublisher, server: MlflowServer
) -> None:
    name = new_name()
    people.register(name, NOWHERE)
    people.alias(name, "1", "champion")
    people.alias(name, "1", "shadow")
    _write(server, "UPDATE registered_model_aliases SET version = 7 WHERE name = ? AND alias = 'shadow'", name)
    state = look(people, models(name))

    assert (labels(state), state.complete) == ({"champion": "1"}, False)
    assert look(people, models(name, aliases=frozenset({"champion"}))).complete


def test_without_permission_nothing_counts_as_deleted(people: MlflowPublisher, clock: FakeClock) -> None:
    name = new_name()
    people.register(name, NOWHERE)
    named, pattern = models(name), models(re.escape(name), is_pattern=True)
    assert people.source.sweep([named, pattern]).failed == {}
    shown_nothing = Fault("mlflow", "empty", "registered-models/search", count=None)
    denied = Fault("mlflow", "status", "registered-models/get", count=None, status=403)
    with people.fault(shown_nothing, denied):
        quick = people.source.sweep([named, pattern])
        clock.advance(timedelta(minutes=10))
        full = people.source.sweep([named, pattern])
    for sweep in (quick, full):
        assert sweep.found == {}
        assert {type(problem) for problem in sweep.failed.values()} == {NeedsPerson}
    assert "without permission MLflow answers an empty list" in str(full.failed[pattern])
    assert people.source.sweep([named, pattern]).failed == {}


def test_a_model_that_a_list_leaves_out_is_asked_for_by_name(people: MlflowPublisher) -> None:
    name = new_name()
    people.register(name, NOWHERE)
    people.alias(name, "1", "champion")
    with people.fault(Fault("mlflow", "empty", "registered-models/search", count=1)):
        assert labels(look(people, models(name))) == {"champion": "1"}
    with people.fault(Fault("mlflow", "empty", "registered-models/search", count=1)):
        pattern = models(re.escape(name), is_pattern=True)
        assert [labels(state) for state in people.source.sweep([pattern]).found[pattern]] == [{"champion": "1"}]


def test_an_alias_is_gone_only_if_its_model_says_so(people: MlflowPublisher) -> None:
    name = new_name()
    people.register(name, NOWHERE)
    people.alias(name, "1", "champion")
    people.stage(name, "1", "Production")

    answers = [people.source.is_gone(f"models:/{name}", alias) for alias in ("champion", "Production", "Staging", "x")]
    assert answers == [False, False, True, True]
    with pytest.raises(NotFound):
        people.source.is_gone(f"models:/{new_name()}", "champion")


def test_prompts_are_no_models(people: MlflowPublisher) -> None:
    name = new_name("prompt")
    people.client.register_prompt(name, "Say {{what}}.")
    pattern = models(f"{re.escape(name)}|.*no-such", is_pattern=True)
    people.register(new_name(), NOWHERE)

    assert people.source.sweep([pattern]).found[pattern] == ()


def _write(server: MlflowServer, statement: str, *values: str) -> None:
    """Do to the server's database what no call of its API does."""
    database = server.process.log.with_name("mlflow.sqlite")
    assert Path(database).exists()
    with closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        assert connection.execute(statement, values).rowcount > 0


def test_a_version_is_not_deleted_because_the_server_shows_nothing(people: MlflowPublisher) -> None:
    name = new_name()
    people.register(name, NOWHERE)
    [version] = look(people, models(name)).versions
    people.delete_collection(name)
    blind = (
        Fault("mlflow", "empty", "model-versions/search", count=None),
        Fault("mlflow", "empty", "registered-models/search", count=None),
    )

    with people.fault(*blind), pytest.raises(NeedsPerson, match="shows no model; without permission MLflow answers"):
        people.source.is_deleted(version, models(name))


def test_a_version_whose_model_is_the_last_of_all_and_empty_is_deleted(people: MlflowPublisher) -> None:
    name = new_name()
    people.register(name, NOWHERE)
    [version] = look(people, models(name)).versions
    people.delete(name, "1")

    with people.fault(Fault("mlflow", "empty", "model-versions/search", count=None)):
        assert people.source.is_deleted(version, models(name))


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_a_version_is_not_deleted_because_the_server_answers_with_an_error(
    people: MlflowPublisher, status: int
) -> None:
    name = new_name()
    people.register(name, NOWHERE)
    [version] = look(people, models(name)).versions

    with people.fault(Fault("mlflow", "status", count=None, status=status)), pytest.raises(BridgeError):
        people.source.is_deleted(version, models(name))
