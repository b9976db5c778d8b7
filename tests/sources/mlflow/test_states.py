"""Aliases and stages of a model, row by row."""

from __future__ import annotations

from bridge.sources.mlflow.filters import LONGEST, MOST_NAMES, among, named, tagged
from bridge.sources.mlflow.records import Model, Version
from bridge.sources.mlflow.states import source_version, state_of
from tests.sources.mlflow_people import models

STAGED = models("churn", stages=frozenset({"Production"}))
URI = "http://user:secret@mlflow.test/base"


def version(number: int, stage: str = "None", status: str = "READY", updated: int = 0) -> Version:
    return Version("churn", number, 1000 + number, updated or 1000 + number, stage, status, f"s3://b/{number}")


def seen(*versions: Version, **aliases: int) -> tuple[dict[str, str], dict[str, str], bool]:
    """Return aliases by label, the remarks' texts and whether the state is complete."""
    model = Model("churn", 1, aliases)
    state = state_of(STAGED, model, {each.number: each for each in versions}, URI)
    labels = {alias: state.version(to).label for alias, to in state.aliases.items()}
    return labels, {alias: remark.text for alias, remark in state.remarks.items()}, state.complete


def test_a_stage_that_is_selected_is_an_alias_of_its_name() -> None:
    assert seen(version(1, "Production"), version(2, "Staging")) == ({"Production": "1"}, {}, True)


def test_an_alias_and_a_stage_of_one_name_on_one_version_are_one() -> None:
    assert seen(version(1, "Production"), Production=1) == ({"Production": "1"}, {}, True)


def test_an_alias_and_a_stage_of_one_name_on_two_versions_decide_nothing() -> None:
    labels, remarks, complete = seen(version(1), version(2, "Production"), Production=1, champion=2)

    assert (labels, complete) == ({"champion": "2"}, True)
    assert remarks == {"Production": "alias 'Production' is on version 1, and stage 'Production' on version 2"}


def test_of_three_versions_in_a_stage_the_one_updated_last_is_taken() -> None:
    labels, remarks, _ = seen(
        version(1, "Production", updated=5), version(2, "Production", updated=9), version(3, "Production", updated=9)
    )

    assert labels == {"Production": "3"}
    assert remarks["Production"] == (
        "versions 1, 2 and 3 are all in stage 'Production'; 3 is taken by its last update: "
        "MLflow keeps no time of the transition"
    )


def test_a_version_that_is_not_ready_is_in_no_stage() -> None:
    pending = version(2, "Production", "PENDING_REGISTRATION")

    assert seen(version(1, "Production"), pending) == ({"Production": "1"}, {}, True)
    labels, remarks, complete = seen(pending)
    assert (labels, complete) == ({}, True)
    assert "version 2 is still being registered" in remarks["Production"]


def test_versions_come_by_number() -> None:
    model = Model("churn", 1)
    state = state_of(STAGED, model, {number: version(number) for number in (10, 9, 2)}, URI)

    assert [each.label for each in state.versions] == ["2", "9", "10"]


def test_an_id_tells_a_version_from_another_of_its_number() -> None:
    ids = {
        version(1).id,
        version(2).id,
        Version("churn", 1, 7, 7, "None", "READY", "s3://b/1").id,
        Version("churn", 1, 1001, 7, "None", "READY", "s3://b/other").id,
    }

    assert len(ids) == 4
    assert Version("renamed", 1, 1001, 9, "Staging", "READY", "s3://b/1", "run").id == version(1).id


def test_a_page_is_named_without_credentials_and_only_where_there_is_one() -> None:
    slashes = Version("a/b é", 3, 1, 1, "None", "READY", "s3://b/1")

    assert source_version(slashes, "acme", URI).url == "http://mlflow.test/base/#/models/a%2Fb%20%C3%A9/versions/3"
    assert source_version(slashes, "acme", "sqlite:///x.db").url == "models:/a/b é/3"


def test_names_are_put_into_lists_that_no_server_refuses() -> None:
    filters, never = among([f"model-{number}" for number in range(1000)] + ["both ' and \"", "back\\slash"])

    assert never == ["back\\slash", "both ' and \""]
    assert all(len(each) <= LONGEST for each in filters)
    assert sum(each.count("model-") for each in filters) == 1000
    assert among([]) == ([], [])
    assert all(each.count(",") < MOST_NAMES for each in among(map(str, range(1000)))[0])


def test_one_name_or_one_tag_that_cannot_be_written_is_not_asked_for() -> None:
    assert named("both ' and \"") is None
    assert named("it's") == 'name = "it\'s"'
    assert tagged(["k=it's", "a.b=x=y"]) == "tags.`a.b` = 'x=y' AND tags.`k` = \"it's\""
    assert tagged(["k=both ' and \""]) is None
