"""Mappings from MLflow: what a source selects, and what it gets for what cannot come together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bridge.core.model import MLFLOW_PLACE, Alias, AliasRules, CollectionSelector
from tests.config.folders import ML, Folder as AnyFolder

if TYPE_CHECKING:
    from pathlib import Path

AT = "mappings/fraud.yaml"
TOO_BIG = "it must begin with a lower-case letter"
NO_LINE = "'_' is not allowed"
TOGETHER = "both land on 'production'; give each a name of its own under aliases"
TWICE = "is selected as a stage already, and one name cannot follow both; take one of them out"
NO_DEFAULT = (
    "source alias 'default' is never passed on, because Vertex demands exactly one 'default' per model; "
    "write 'default: some-other-name' under aliases, 'default: null' to drop it, or use default_from"
)
UNSELECTED = "is neither a stage nor an alias that the source selects"
OF_MLFLOW = (
    "connection 'ml' is of kind 'mlflow'; a source from there names a model, and maybe where, stages and aliases"
)
OF_WANDB = (
    "connection 'acme' is of kind 'wandb'; a source from there names "
    "a registry and a collection, or an entity, a project and a collection, not a model"
)
BOTH_STAGES = "{from: ml, model: churn, stages: [Staging, Production]}"  # entries at columns 47 and 56


class Folder(AnyFolder):
    """A configuration with a connection to MLflow, from which its mapping reads."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.bridge(f"  ml: {ML}\n")

    def source(self, source: str, **changes: Any) -> None:  # noqa: ANN401  as Folder.mapping takes them
        self.mapping(source=source, **changes)

    def selector(self) -> CollectionSelector:
        (spec,) = self.load().mappings
        return spec.source


def illegal(name: str, why: str, legal: str) -> str:
    return f"{name!r} is not a legal Vertex AI version alias ({why}); write '{name}: {legal}' under aliases"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.chdir(tmp_path)
    return Folder(tmp_path)


def test_a_model_by_its_name_is_watched_for_every_alias_and_no_stage(folder: Folder) -> None:
    folder.source("{from: ml, model: churn}")
    assert folder.selector() == CollectionSelector("ml", MLFLOW_PLACE, "churn")


def test_models_by_pattern_and_tags_with_stages_and_aliases_are_translated(folder: Folder) -> None:
    folder.source(
        "{from: ml, model: {regex: 'churn-(?P<country>[a-z]+)'}, where: {tags: {team: fraud, tier: '1'}}, "
        "stages: [Staging, Production], aliases: [champion]}",
        target="{to: prod, model: 'churn-{country}'}",
        aliases="{Production: production, Staging: staging}",
        default_from="Production",
    )
    assert folder.selector() == CollectionSelector(
        connection="ml",
        place=MLFLOW_PLACE,
        name="churn-(?P<country>[a-z]+)",
        is_pattern=True,
        tags=frozenset({"team=fraud", "tier=1"}),
        aliases=frozenset({"champion"}),
        stages=frozenset({"Staging", "Production"}),
    )


@pytest.mark.parametrize(
    ("aliases", "changes", "asked_for"),
    [
        (", aliases: []", {}, frozenset()),
        (", aliases: [champion]", {"versions": "all"}, frozenset({"champion"})),
        (", aliases: null", {}, None),
        ("", {}, None),
        ("", {"aliases": "{Production: production, champion: best, '*': null}"}, frozenset({"champion"})),
        ("", {"aliases": "{Production: production, '*': null}", "default_from": "Production"}, frozenset()),
        ("", {"aliases": "{Production: production, '*': null}", "default_from": "blue"}, frozenset({"blue"})),
        ("", {"aliases": "[champion]", "versions": "all"}, None),
    ],
)
def test_a_stage_is_never_asked_for_as_an_alias(
    folder: Folder, aliases: str, changes: dict[str, str], asked_for: frozenset[str] | None
) -> None:
    folder.source(f"{{from: ml, model: churn, stages: [Production]{aliases}}}", **{"alias_style": "slug"} | changes)
    if "aliases" in changes:  # which drop the rest, so that no style is left to choose
        folder.source(f"{{from: ml, model: churn, stages: [Production]{aliases}}}", **changes)
    selector = folder.selector()
    assert (selector.aliases, selector.stages) == (asked_for, frozenset({"Production"}))


def test_names_with_spaces_and_beyond_ascii_are_models_and_aliases(folder: Folder) -> None:
    folder.source("{from: ml, model: churn résumé, aliases: [日本]}", aliases="{日本: japan}")
    selector = folder.selector()
    assert (selector.name, selector.aliases) == ("churn résumé", frozenset({"日本"}))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{from: ml, registry: model, collection: churn}", f"3:20: {OF_MLFLOW}"),
        ("{from: ml, entity: e, project: p, collection: c}", f"3:20: {OF_MLFLOW}"),
        ("{from: ml}", f"3:20: {OF_MLFLOW}"),
        ("{from: acme, model: churn}", f"3:20: {OF_WANDB}"),
        ("{from: acme, stages: [Production]}", f"3:20: {OF_WANDB}"),
        ("{from: prod, model: churn}", "3:20: connection 'prod' is of kind 'vertex', not 'mlflow'; {ml}"),
        ("{from: mll, model: churn}", "3:20: no connection is named 'mll'; did you mean 'ml'?"),
        (
            "{from: ml, stages: [Archived]}",
            "3:13: missing key 'model'; a source from MLflow names a model, and maybe where, stages and aliases",
        ),
        (
            "{from: ml, model: churn, registry: model}",
            "3:38: unknown key 'registry'; a source from MLflow names a model, one from W&B a registry or a project",
        ),
        ("{from: ml, model: churn, stage: Production}", "3:38: unknown key 'stage'; did you mean 'stages'?"),
        ("{from: ml, model: 7}", "3:31: expected a text or {regex: …}, found a number"),
        ("{from: ml, model: ''}", "3:31: expected a text, found an empty one"),
        ("{from: ml, model: a/b}", "3:31: 'a/b' must hold neither '/' nor ':'"),
        ("{from: ml, model: 'models:/churn'}", "3:31: 'models:/churn' must hold neither '/' nor ':'"),
        ("{from: ml, model: ..}", "3:31: '..' is no name of a model, because MLflow takes it for a path"),
        (
            '{from: ml, model: "a\\t"}',
            r"3:31: 'a\t' holds a character that cannot be seen, or white space around it",
        ),
        ("{from: ml, model: m, where: {tags: {}}}", "3:48: expected at least one entry, found none"),
        (
            "{from: ml, model: m, where: {tags: [fraud]}}",
            "3:48: expected a mapping such as {team: fraud}, found a list",
        ),
        (
            "{from: ml, model: m, where: {tags: {tier: 1}}}",
            "3:55: expected a text, found a number; write it in quotes",
        ),
        (
            "{from: ml, model: m, where: {tags: {a=b: c}}}",
            "3:49: the key of a tag must not hold '=', as 'a=b' does",
        ),
        (
            "{from: ml, model: m, stages: [production]}",
            "3:43: expected Staging, Production or Archived, found 'production'; did you mean 'Production'?",
        ),
        (
            "{from: ml, model: m, stages: [PRODUCTION]}",
            "3:43: expected Staging, Production or Archived, found 'PRODUCTION'; did you mean 'Production'?",
        ),
        (
            "{from: ml, model: m, stages: [None]}",
            (
                "3:43: expected Staging, Production or Archived, found 'None'; "
                "write one of Staging, Production, Archived"
            ),
        ),
        ("{from: ml, model: m, stages: []}", "3:42: expected at least one entry, found none"),
        ("{from: ml, model: m, stages: Production}", "3:42: expected a list, found a text"),
        ("{from: ml, model: m, aliases: champion}", "3:43: expected a list, found a text"),
        ("{from: ml, model: m, aliases: [a1, a1]}", "3:48: 'a1' is listed twice"),
        (
            "{from: ml, model: m, aliases: [latest]}",
            "3:44: MLflow lets no alias be named 'latest'; name one that is set by somebody",
        ),
        (
            "{from: ml, model: m, aliases: [V3]}",
            "3:44: MLflow lets no alias be named 'V3'; name one that is set by somebody",
        ),
        (
            "{from: ml, model: m, aliases: [a.b]}",
            "3:44: 'a.b' is no alias of MLflow; use letters, digits, '_' and '-'",
        ),
        ("{from: ml, model: m, aliases: ['']}", "3:44: '' is no alias of MLflow; use letters, digits, '_' and '-'"),
        ("{from: ml, model: m, aliases: [1]}", "3:44: expected a text, found a number; write it in quotes"),
        (
            "{from: ml, model: m, aliases: []}",
            ("3:43: neither an alias nor a stage is selected, so nothing would be mirrored; add stages: [Production]"),
        ),
    ],
)
def test_what_a_source_gets(folder: Folder, source: str, message: str) -> None:
    folder.source(source)
    assert folder.wrong() == [f"{AT}:{message}".replace("{ml}", "connections of kind mlflow: ml")]


def test_a_stage_listed_twice_is_an_error(folder: Folder) -> None:
    folder.source("{from: ml, model: m, stages: [Staging, Staging]}", alias_style="slug")
    assert folder.wrong() == [f"{AT}:3:52: 'Staging' is listed twice"]


def test_no_selected_name_is_needed_where_all_versions_are_registered(folder: Folder) -> None:
    folder.source("{from: ml, model: m, aliases: []}", versions="all")
    assert folder.selector().aliases == frozenset()


@pytest.mark.parametrize(
    ("model", "target", "message"),
    [
        ("churn", "'x-{c}'", "4:31: {c} needs a source whose model is a {regex: …} with that group"),
        ("{regex: '(?P<c>.*)'}", "'x-{d}'", "4:31: the pattern has no group 'd'; its named groups: c"),
        (
            "{regex: '(?P<c>.*)'}",
            "churn",
            "4:31: many models would land on one model; put a {group} of the pattern, (?P<group>…), into its name",
        ),
    ],
)
def test_what_a_target_gets_for_its_groups(folder: Folder, model: str, target: str, message: str) -> None:
    folder.source(f"{{from: ml, model: {model}}}", target=f"{{to: prod, model: {target}}}")
    assert folder.wrong() == [f"{AT}:{message}"]


@pytest.mark.parametrize(
    ("source", "changes", "messages"),
    [
        (
            BOTH_STAGES,
            {},
            [
                f"3:47: {illegal('Staging', TOO_BIG, 'staging')}",
                f"3:56: {illegal('Production', TOO_BIG, 'production')}",
            ],
        ),
        (
            BOTH_STAGES,
            {"aliases": "{Staging: staging}"},
            [f"3:56: {illegal('Production', TOO_BIG, 'production')}"],
        ),
        (
            "{from: ml, model: churn, aliases: [blue_1, x]}",
            {},
            [
                f"3:48: {illegal('blue_1', NO_LINE, 'blue-1')}",
                f"3:56: {illegal('x', 'at least two characters are needed', 'x-2d71')}",
            ],
        ),
        (
            "{from: ml, model: churn, aliases: [default]}",
            {"alias_style": "slug"},
            [f"3:48: {NO_DEFAULT}"],
        ),
        (
            "{from: ml, model: churn, stages: [Production], aliases: [production]}",
            {"alias_style": "slug"},
            [f"3:70: 'Production' and 'production' {TOGETHER}"],
        ),
        (
            "{from: ml, model: churn, stages: [Production], aliases: [production]}",
            {"aliases": "{Production: production}"},
            [f"3:70: 'Production' and 'production' {TOGETHER}"],
        ),
        (
            "{from: ml, model: churn, stages: [Production]}",
            {"aliases": "{blue: production}", "alias_style": "slug"},
            [f"3:47: 'blue' and 'Production' {TOGETHER}"],
        ),
        (
            "{from: ml, model: churn, stages: [Production], aliases: [production]}",
            {"aliases": "{Production: prod, production: prod}"},
            ["7:45: 'Production' and 'production' both land on 'prod'; give each a name of its own"],
        ),
        (
            "{from: ml, model: churn, stages: [Production], aliases: [Production]}",
            {"aliases": "{Production: production}"},
            [f"3:70: 'Production' {TWICE}"],
        ),
        (
            "{from: ml, model: churn, stages: [Production], aliases: [champion]}",
            {"aliases": "{Production: production, production: other, '*': null}"},
            [f"7:39: 'production' {UNSELECTED}; did you mean 'Production'?"],
        ),
        (
            "{from: ml, model: churn, aliases: [champion]}",
            {"aliases": "[champion, blue]"},
            [f"7:25: 'blue' {UNSELECTED}; it selects champion"],
        ),
        (
            "{from: ml, model: churn, aliases: [champion]}",
            {"default_from": "champoin"},
            [f"7:19: 'champoin' {UNSELECTED}; did you mean 'champion'?"],
        ),
        (
            "{from: ml, model: churn, stages: [Production], aliases: [champion]}",
            {"alias_style": "slug", "default_from": "Staging"},
            [f"8:19: 'Staging' {UNSELECTED}; it selects Production, champion"],
        ),
    ],
)
def test_what_a_selection_gets(folder: Folder, source: str, changes: dict[str, str], messages: list[str]) -> None:
    folder.source(source, **changes)
    assert folder.wrong() == [f"{AT}:{message}" for message in messages]


@pytest.mark.parametrize(
    "changes",
    [
        {"aliases": "{Staging: staging, Production: null}"},
        {"aliases": "{Staging: staging, '*': null}"},
        {"aliases": "[champion]"},
        {"alias_style": "slug"},
        {"aliases": "{Staging: stg}", "alias_style": "slug"},
    ],
)
def test_stages_that_are_spelled_respelled_or_dropped_are_fine(folder: Folder, changes: dict[str, str]) -> None:
    folder.source(BOTH_STAGES, **changes)
    assert folder.selector().stages == frozenset({"Staging", "Production"})


def test_without_a_list_of_aliases_any_may_be_named(folder: Folder) -> None:
    folder.source("{from: ml, model: churn}", aliases="{Production: production, a_b: a-b}", default_from="blue")
    (spec,) = folder.load().mappings
    assert spec.aliases == AliasRules({"Production": Alias("production"), "a_b": Alias("a-b")})
    assert spec.source.aliases is None


def test_a_mistake_among_the_selected_hides_no_other_and_is_said_once(folder: Folder) -> None:
    folder.source(
        "{from: ml, model: a/b, stages: [production, Archived], aliases: [a.b, 1, x_y]}",
        aliases="{production: prod, other: 7}",
        default_from="nobody",
    )
    assert [message.removeprefix(AT) for message in folder.wrong()] == [
        ":3:31: 'a/b' must hold neither '/' nor ':'",
        ":3:45: expected Staging, Production or Archived, found 'production'; did you mean 'Production'?",
        f":3:57: {illegal('Archived', TOO_BIG, 'archived')}",
        ":3:78: 'a.b' is no alias of MLflow; use letters, digits, '_' and '-'",
        ":3:83: expected a text, found a number; write it in quotes",
        f":3:86: {illegal('x_y', NO_LINE, 'x-y')}",
        f":7:33: 'other' {UNSELECTED}; it selects production, Archived, a.b, x_y",
        ":7:40: expected a text, found a number; write it in quotes",
        f":8:19: 'nobody' {UNSELECTED}; it selects production, Archived, a.b, x_y",
    ]


def test_nothing_is_judged_by_aliases_that_cannot_be_read(folder: Folder) -> None:
    folder.source("{from: ml, model: churn, stages: [Production], aliases: [champion]}", aliases="all")
    assert folder.wrong() == [f"{AT}:7:14: expected a mapping or a list, found a text"]


def test_an_mlflow_model_and_a_wandb_collection_cannot_write_one_vertex_model(folder: Folder) -> None:
    folder.mapping("churn", file="churn.yaml", source="{from: ml, model: churn}", target="{to: prod, model: fraud}")
    assert folder.wrong() == [
        (
            f"{AT}:4:31: mapping 'fraud' writes the Vertex model 'fraud', "
            "as mapping 'churn' does (mappings/churn.yaml:4:31); give it another"
        )
    ]
