"""What a mapping asks of Vertex, given what the source says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import pytest
from hypothesis import assume, given

from bridge.core.changes import Kind, Refusal
from bridge.core.desired import desire, model_name
from bridge.core.model import DEFAULT, Alias, Remark
from bridge.core.naming import alias_problem
from tests.core.builders import ORIGIN, desired, source, spec
from tests.core.small_worlds import source_states, specs

if TYPE_CHECKING:
    from bridge.core.desired import Desired
    from bridge.core.model import MappingSpec, SourceState

LABELS = ("v1", "v2", "v3", "v4")


def aliases(wanted: Desired) -> dict[str, str]:
    return {alias: version.label for alias, version in wanted.aliases.items()}


def labels(wanted: Desired) -> list[str]:
    return [version.label for version in wanted.versions]


# What the source leaves open


def test_a_remark_on_an_alias_that_is_decided_is_a_note() -> None:
    remarks = {"Production": Remark("v1 and v2 are in it")}
    state = replace(source(*LABELS, aliases={"Production": "v2"}), remarks=remarks)
    wanted = desire(spec(named={"Production": "production"}), state)

    assert (aliases(wanted), wanted.notes) == ({"production": "v2"}, {"production": "v1 and v2 are in it"})
    assert wanted.refusals == ()


@pytest.mark.parametrize(("passing", "kind"), [(False, Kind.UNCLEAR), (True, Kind.WAITING)])
def test_an_alias_that_is_not_decided_is_refused_and_not_taken_for_gone(*, passing: bool, kind: Kind) -> None:
    remarks = {"champion": Remark("it is two things", "rename one", passing=passing)}
    wanted = desire(spec(), replace(source(*LABELS, aliases={"staging": "v1"}), remarks=remarks))

    assert wanted.refusals == (Refusal(kind, "alias champion", "it is two things", "rename one"),)
    assert (aliases(wanted), wanted.unclear) == ({"staging": "v1"}, frozenset({Alias("champion")}))
    assert not wanted.notes


def test_default_is_unclear_while_the_alias_that_it_follows_is() -> None:
    remarks = {"champion": Remark("it is being made", passing=True)}
    wanted = desire(spec(default_from="champion"), replace(source(*LABELS), remarks=remarks))

    assert wanted.unclear == {DEFAULT, "champion"}


def test_a_remark_without_a_remedy_says_that_it_passes() -> None:
    state = replace(source(), remarks={"champion": Remark("version 4 is being made", passing=True)})
    [refusal] = desire(spec(), state).refusals

    assert refusal.remedy == "it follows when the source is clear about it"


def test_a_remark_on_an_alias_that_is_dropped_is_dropped() -> None:
    wanted = desire(spec(named={"champion": None}), replace(source(), remarks={"champion": Remark("it is two things")}))

    assert (wanted.refusals, wanted.unclear) == ((), frozenset())


# Translation


@pytest.mark.parametrize(
    ("named", "others", "said", "expected"),
    [
        pytest.param({}, "pass", "production", "production", id="a legal name passes"),
        pytest.param({"production": "live"}, "pass", "production", "live", id="a rule renames"),
        pytest.param({"best_model": "best-model"}, "pass", "best_model", "best-model", id="a rule spells"),
        pytest.param({"production": None}, "pass", "production", None, id="null drops"),
        pytest.param({}, "pass", "latest", None, id="latest is skipped"),
        pytest.param({}, "pass", "v3", None, id="v3 is skipped"),
        pytest.param({"latest": "newest"}, "pass", "latest", "newest", id="latest is mirrored if named"),
        pytest.param({"v3": "third"}, "drop", "v3", "third", id="v3 is mirrored if named"),
        pytest.param({"staging": "staging"}, "drop", "production", None, id="what no rule names is dropped"),
        pytest.param({}, "slug", "best_model", "best-model", id="slug spells the rest"),
    ],
)
def test_an_alias_is_translated_by_the_rules(
    named: dict[str, str | None], others: Literal["pass", "slug", "drop"], said: str, expected: str | None
) -> None:
    wanted = desire(spec(named=named, others=others), source(*LABELS, aliases={said: "v2"}))
    assert aliases(wanted) == ({} if expected is None else {expected: "v2"})
    assert labels(wanted) == ([] if expected is None else ["v2"])
    assert wanted.refusals == ()


@pytest.mark.parametrize("said", ["best_model", "Champion", "x", "default"])
def test_an_alias_that_cannot_be_spelled_is_refused_with_its_place_and_the_rest_is_unharmed(said: str) -> None:
    wanted = desire(spec(), source(*LABELS, aliases={said: "v1", "production": "v2"}))
    assert aliases(wanted) == {"production": "v2"}
    assert labels(wanted) == ["v2"]
    [refusal] = wanted.refusals
    assert (refusal.kind, refusal.about) == (Kind.NAME, f"alias {said!r}")
    assert refusal.remedy.endswith(f"({ORIGIN})")


@pytest.mark.parametrize("said", ["prod\n! fake line", "prod\x1b[2J", "prod\u202edlo"])
def test_a_hostile_alias_is_escaped_wherever_a_refusal_names_it(said: str) -> None:
    [refusal] = desire(spec(), source("v1", aliases={said: "v1"})).refusals
    assert refusal.about == f"alias {said!a}"
    assert str(refusal).isprintable()
    assert str(refusal).isascii()


# Collisions


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"best_model": "v1", "best model": "v2"}, id="two versions"),
        pytest.param({"best_model": "v1", "best model": "v1"}, id="one version"),
        pytest.param({"best_model": "v1", "best-model": "v2"}, id="one of them is legal as it is"),
    ],
)
def test_source_aliases_that_land_on_one_name_are_refused_with_both_and_the_rest_is_unharmed(
    said: dict[str, str],
) -> None:
    wanted = desire(spec(others="slug"), source(*LABELS, aliases={**said, "production": "v3"}))
    assert aliases(wanted) == {"production": "v3"}
    assert labels(wanted) == ["v3"]
    [refusal] = wanted.refusals
    assert (refusal.kind, refusal.about) == (Kind.NAME, "alias best-model")
    assert all(repr(name) in refusal.reason for name in said)
    assert refusal.remedy.endswith(f"({ORIGIN})")


def test_two_rules_that_land_on_one_name_collide_only_if_the_source_has_both() -> None:
    mapping = spec(named={"production": "live", "Production": "live"})
    assert aliases(desire(mapping, source("v1", aliases={"Production": "v1"}))) == {"live": "v1"}
    both = desire(mapping, source("v1", "v2", aliases={"Production": "v1", "production": "v2"}))
    assert aliases(both) == {}
    assert both.refusals[0].reason.startswith("source aliases 'Production' and 'production' all land on 'live'")


def test_three_source_aliases_that_land_on_one_name_are_all_shown() -> None:
    said = {"best_model": "v1", "best model": "v2", "best.model": "v3"}
    [refusal] = desire(spec(others="slug"), source(*LABELS, aliases=said)).refusals
    assert all(repr(name) in refusal.reason for name in said)


# What is absent but not gone


@pytest.mark.parametrize(
    ("others", "said", "unclear"),
    [
        pytest.param("pass", ["best_model"], {"best-model"}, id="refused: its nearest spelling"),
        pytest.param("slug", ["best_model", "best model"], {"best-model"}, id="collided: where they land"),
        pytest.param("slug", ["best_model", "production"], set(), id="both are clear"),
        pytest.param("pass", ["latest", "v3"], set(), id="skipped is not refused"),
    ],
)
def test_what_a_refused_alias_may_have_meant_is_unclear(
    others: Literal["pass", "slug"], said: list[str], unclear: set[str]
) -> None:
    wanted = desire(spec(others=others), source("v1", aliases=dict.fromkeys(said, "v1")))
    assert wanted.unclear == unclear


# default


def test_default_follows_the_alias_that_default_from_names() -> None:
    wanted = desire(spec(default_from="production"), source(*LABELS, aliases={"production": "v3", "staging": "v4"}))
    assert aliases(wanted) == {"production": "v3", "staging": "v4", "default": "v3"}


@pytest.mark.parametrize("said", ["latest", "v3", "best_model", "default"])
def test_default_may_follow_an_alias_that_is_not_mirrored_itself(said: str) -> None:
    mapping = spec(default_from=said, named={said: None})
    wanted = desire(mapping, source(*LABELS, aliases={said: "v3"}))
    assert aliases(wanted) == {"default": "v3"}
    assert labels(wanted) == ["v3"]


def test_default_is_not_wanted_without_the_alias_that_default_from_names() -> None:
    assert DEFAULT not in desire(spec(default_from="production"), source("v1", aliases={"staging": "v1"})).aliases


def test_default_is_not_wanted_without_default_from() -> None:
    assert DEFAULT not in desire(spec(), source("v1", aliases={"production": "v1"})).aliases


def test_a_source_alias_called_default_may_have_a_name_of_its_own() -> None:
    wanted = desire(spec(named={"default": "source-default"}), source("v1", aliases={"default": "v1"}))
    assert aliases(wanted) == {"source-default": "v1"}


# Versions


@pytest.mark.parametrize(
    ("newest", "expected"),
    [
        pytest.param(0, ["v1"], id="only those with an alias"),
        pytest.param(1, ["v1", "v4"], id="and the newest"),
        pytest.param(2, ["v1", "v3", "v4"], id="and the newest two"),
        pytest.param(4, ["v1", "v2", "v3", "v4"], id="and as many as there are"),
        pytest.param(5, ["v1", "v2", "v3", "v4"], id="and more than there are"),
        pytest.param(8, ["v1", "v2", "v3", "v4"], id="and twice as many as there are"),
        pytest.param(None, ["v1", "v2", "v3", "v4"], id="and all"),
    ],
)
def test_versions_with_an_alias_are_wanted_and_besides_them_what_the_rule_says_oldest_first(
    newest: int | None, expected: list[str]
) -> None:
    assert labels(desire(spec(newest=newest), source(*LABELS, aliases={"production": "v1"}))) == expected


@pytest.mark.parametrize("newest", [None, 0, 1])
def test_a_collection_without_versions_asks_for_nothing(newest: int | None) -> None:
    assert desire(spec(newest=newest), source()) == desired()


@pytest.mark.parametrize("complete", [True, False])
def test_a_listing_is_as_complete_as_it_was(*, complete: bool) -> None:
    assert desire(spec(), source("v1", complete=complete)).complete is complete


# Names of models


def test_a_mapping_of_one_collection_has_one_model() -> None:
    assert model_name(spec(model="fraud"), "fraud-detector") == "fraud"


@pytest.mark.parametrize(
    ("pattern", "model", "collection", "expected"),
    [
        ("^vision-(?P<task>[a-z]+)$", "vision-{task}", "vision-depth", "vision-depth"),
        ("(?P<team>[a-z]+)/(?P<what>.+)", "{what}-of-{team}-{what}", "ann/pose", "pose-of-ann-pose"),
        ("vision(?P<suffix>-.+)?", "vision{suffix}", "vision", "vision"),
        ("vision-.*", "vision", "vision-depth", "vision"),
    ],
    ids=["one group", "groups more than once", "a group that is not there is empty", "no group"],
)
def test_a_pattern_fills_its_groups_into_the_models_name(
    pattern: str, model: str, collection: str, expected: str
) -> None:
    assert model_name(spec(pattern=pattern, model=model), collection) == expected


def test_what_a_group_holds_is_not_filled_again() -> None:
    mapping = spec(pattern="(?P<a>.+)-(?P<b>.+)", model="{a}-{b}")
    assert model_name(mapping, "{b}-x") == "{b}-x"


# In every small world


@given(specs(), source_states())
def test_all_that_is_wanted_is_legal_and_every_aliased_version_is_among_the_versions(
    mapping: MappingSpec, state: SourceState
) -> None:
    wanted = desire(mapping, state)
    assert all(alias_problem(alias) is None for alias in wanted.aliases)
    assert set(wanted.aliases.values()) <= set(wanted.versions)
    assert list(wanted.versions) == [version for version in state.versions if version in wanted.versions]


@given(specs(), source_states())
def test_every_alias_of_the_source_is_wanted_or_refused_by_name_unless_a_rule_drops_it(
    mapping: MappingSpec, state: SourceState
) -> None:
    assume(mapping.aliases.others != "drop")
    wanted = desire(mapping, state)
    told = " ".join(f"{refusal.about} {refusal.reason}" for refusal in wanted.refusals)
    said = {name for name in state.aliases.keys() - {"latest", "v3"} if mapping.aliases.named.get(name, "") is not None}
    refused = {name for name in said if repr(name) in told}
    assert len(said) == len(refused) + len(wanted.aliases.keys() - {DEFAULT})
