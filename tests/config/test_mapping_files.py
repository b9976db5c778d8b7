"""What a mapping file says, and what it gets for what it cannot mean: the whole message, place included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bridge.core.errors import Position
from bridge.core.model import (
    Alias,
    AliasRules,
    CollectionSelector,
    MappingSpec,
    OnConflict,
    OnDrift,
    OnSourceDelete,
    Policy,
    Scan,
    Serving,
    Target,
    VersionRule,
)

if TYPE_CHECKING:
    from tests.config.folders import Folder

AT = "mappings/fraud.yaml"
POLICIES = (
    "write policy: sync (versions and aliases arrive, move and go), upsert-only (nothing goes) "
    "or create-only (nothing goes or moves)"
)
NO_SERVING = "write serving: {image: …} with the container image that serves it, or serving: {layout: auto}"
NO_IMAGE = (
    "layout mirror needs the image that serves the files as they are; "
    "write image: its address, or layout: auto or layout: prebuilt, which find one of Vertex AI's own"
)
PATTERN = "{from: acme, registry: model, collection: {regex: '^vision-(?P<task>[a-z]+)$'}}"


def test_a_mapping_with_only_what_is_required_gets_the_defaults(folder: Folder) -> None:
    (spec,) = folder.load().mappings
    assert spec == MappingSpec(
        name="fraud",
        source=CollectionSelector("acme", "wandb-registry-model", "fraud-detector"),
        target=Target("prod", "fraud"),
        policy=Policy.SYNC,
        aliases=AliasRules({}, "pass"),
        serving=Serving(image="img"),
        origin=Position(AT, 2, 5),
    )


def test_a_pattern_with_tags_and_everything_else_is_translated(folder: Folder) -> None:
    folder.mapping(
        source=PATTERN[:-1] + ", where: {tags: [approved, '2024']}}",
        target="{to: prod, model: 'vision-{task}'}",
        policy="upsert-only",
        serving="{image: img, ports: [1, 2], predict_route: /p, health_route: /h, env: {K: 'no'}, layout: mirror}",
        alias_style="slug",
        default_from="production",
        versions="{latest: 5}",
        drift="heal",
        on_conflict="adopt",
        on_source_delete="retain",
        scan="{command: [modelscan, --tar, '-'], within: 90s}",
    )
    (spec,) = folder.load().mappings
    assert spec.source == CollectionSelector(
        connection="acme",
        place="wandb-registry-model",
        name="^vision-(?P<task>[a-z]+)$",
        is_pattern=True,
        tags=frozenset({"approved", "2024"}),
    )
    assert spec.on_conflict is OnConflict.ADOPT
    assert spec.scan == Scan(("modelscan", "--tar", "-"), 90.0)
    assert spec.serving == Serving(image="img", ports=(1, 2), predict_route="/p", health_route="/h", env={"K": "no"})
    assert (spec.policy, spec.drift) == (Policy.UPSERT_ONLY, OnDrift.HEAL)
    assert (spec.aliases, spec.default_from) == (AliasRules({}, "slug"), "production")
    assert spec.versions == VersionRule(5)


def test_a_collection_of_a_project_may_have_a_type_of_its_own(folder: Folder) -> None:
    folder.mapping(
        source="{from: acme, entity: team, project: ranking, collection: ranker, type: ranking-model}",
        serving="{image: img, port: 8080}",
    )
    (spec,) = folder.load().mappings
    assert spec.source == CollectionSelector("acme", "team/ranking", "ranker", artifact_type="ranking-model")
    assert spec.serving.ports == (8080,)


@pytest.mark.parametrize(
    ("aliases", "versions", "rules", "asked_for"),
    [
        ("{a_b: a-b, gone: null}", "aliased", AliasRules({"a_b": Alias("a-b"), "gone": None}), None),
        ("{a_b: a-b, gone: ~, '*': null}", "aliased", AliasRules({"a_b": Alias("a-b"), "gone": None}, "drop"), "a_b"),
        ("[best]", "aliased", AliasRules({"best": Alias("best")}, "drop"), "best"),
        ("[best]", "all", AliasRules({"best": Alias("best")}, "drop"), None),
        ("[best]", "{latest: 1}", AliasRules({"best": Alias("best")}, "drop"), None),
    ],
)
def test_only_named_aliases_are_asked_for_when_all_others_are_dropped(
    folder: Folder, aliases: str, versions: str, rules: AliasRules, asked_for: str | None
) -> None:
    folder.mapping(aliases=aliases, versions=versions)
    (spec,) = folder.load().mappings
    assert spec.aliases == rules
    assert spec.source.aliases == (None if asked_for is None else frozenset({asked_for}))


def test_the_alias_that_moves_default_is_asked_for_even_if_it_is_dropped(folder: Folder) -> None:
    folder.mapping(aliases="{production: null, best: best, '*': null}", default_from="production")
    (spec,) = folder.load().mappings
    assert spec.source.aliases == frozenset({"best", "production"})


def test_all_versions_are_none_to_count(folder: Folder) -> None:
    folder.mapping(versions="all")
    (spec,) = folder.load().mappings
    assert spec.versions == VersionRule(None)


def test_no_yes_and_on_are_texts(folder: Folder) -> None:
    folder.mapping(aliases="{no: yes, on: off}", source="{from: acme, registry: no, collection: 2024-01-01}")
    (spec,) = folder.load().mappings
    assert spec.aliases.named == {"no": "yes", "on": "off"}
    assert (spec.source.place, spec.source.name) == ("wandb-registry-no", "2024-01-01")


def test_a_null_where_nothing_is_needed_is_as_good_as_nothing(folder: Folder) -> None:
    folder.mapping(default_from="null", serving="{image: img, port: null, health_route: ~}")
    (spec,) = folder.load().mappings
    assert spec.default_from is None
    assert spec.serving == Serving(image="img")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alias": "{a: b}"}, "7:5: unknown key 'alias'; did you mean 'aliases'?"),
        (
            {"zzz": "1"},
            (
                "7:5: unknown key 'zzz'; known keys: name, source, target, policy, aliases, alias_style, default_from, "
                "versions, serving, freeze, drift, on_conflict, on_source_delete, scan"
            ),
        ),
        ({"policy": None}, f"2:5: missing key 'policy'; {POLICIES}"),
        ({"policy": "mirror"}, f"5:13: expected sync, upsert-only or create-only, found 'mirror'; {POLICIES}"),
        ({"policy": ""}, f"5:5: expected sync, upsert-only or create-only, found nothing; {POLICIES}"),
        ({"source": None}, "2:5: missing key 'source'"),
        ({"source": "fraud"}, "3:13: expected a mapping, found a text"),
        (
            {"source": "{from: acme, collection: c}"},
            (
                "3:13: missing key 'registry'; a source names a registry and a collection, "
                "or an entity, a project and a collection"
            ),
        ),
        (
            {"source": "{from: acme, registry: model, entity: e, collection: c}"},
            "3:43: unknown key 'entity'; a source names a registry, or an entity and a project, not both",
        ),
        (
            {"source": "{from: acme, registry: model, collection: c, type: model}"},
            "3:58: unknown key 'type'; it is only for a source with entity and project",
        ),
        (
            {"source": "{from: acme, entity: e, project: p, collection: c, where: {tags: [a]}}"},
            "3:64: unknown key 'where'; tags can only be asked for in a registry",
        ),
        (
            {"source": "{from: acme, registry: model, collection: c, stages: [Production]}"},
            "3:58: unknown key 'stages'; it is only for a source from MLflow, which names a model",
        ),
        (
            {"source": "{from: acme, entity: e, project: p, collection: c, aliases: [a]}"},
            "3:64: unknown key 'aliases'; it is only for a source from MLflow, which names a model",
        ),
        (
            {"source": "{from: acme, entity: e, project: p, collection: {regex: c}}"},
            "3:61: a pattern needs a source with a registry; name one collection of a project",
        ),
        ({"source": "{from: acme, entity: e, project: p, collection: []}"}, "3:61: expected a text, found a list"),
        (
            {"source": "{from: acne, registry: model, collection: c}"},
            "3:20: no connection is named 'acne'; did you mean 'acme'?",
        ),
        (
            {"source": "{from: prod, registry: model, collection: c}"},
            "3:20: connection 'prod' is of kind 'vertex', not 'wandb'; connections of kind wandb: acme",
        ),
        (
            {"source": "{from: acme, registry: wandb-registry-model, collection: c}"},
            "3:36: write the registry as 'model', without 'wandb-registry-'",
        ),
        ({"source": "{from: acme, registry: model, collection: a/b}"}, "3:55: 'a/b' must not hold '/'"),
        ({"source": "{from: acme, registry: model, collection: ''}"}, "3:55: expected a text, found an empty one"),
        (
            {"source": '{from: acme, registry: model, collection: "a\\u202e"}'},
            r"3:55: 'a\u202e' holds a character that cannot be seen, or white space around it",
        ),
        (
            {"source": "{from: acme, registry: model, collection: 7}"},
            "3:55: expected a text or {regex: …}, found a number",
        ),
        (
            {"source": "{from: acme, registry: model, collection: c, where: {tags: []}}"},
            "3:72: expected at least one entry, found none",
        ),
        ({"target": "{to: prod}"}, "4:13: missing key 'model'"),
        (
            {"target": "{to: nowhere, model: m}"},
            "4:18: no connection is named 'nowhere'; connections of kind vertex: prod",
        ),
        (
            {"target": "{to: prod, model: [a]}"},
            "4:31: expected a text, found a list",
        ),
        (
            {"target": "{to: prod, model: 'vision-{task}'}"},
            "4:31: {task} needs a source whose collection is a {regex: …} with that group",
        ),
        ({"target": "{to: prod, model: 'a}b'}"}, "4:31: '{' and '}' stand only around the name of a group"),
        ({"serving": None}, f"2:5: missing key 'serving'; {NO_SERVING}"),
        ({"serving": "{port: 1}"}, f"6:14: {NO_IMAGE}"),
        ({"serving": ""}, "6:5: expected a mapping, found nothing"),
        ({"serving": "{image: img, port: 70000}"}, "6:33: expected at most 65535"),
        ({"serving": "{image: img, port: 0}"}, "6:33: expected at least 1"),
        ({"serving": "{image: img, port: '80'}"}, "6:33: expected a whole number, found a text"),
        ({"serving": "{image: img, port: 8.5}"}, "6:33: expected a whole number, found a decimal number"),
        ({"serving": "{image: img, port: 1, ports: [2]}"}, "6:36: write port or ports, not both"),
        ({"serving": "{image: img, ports: 8080}"}, "6:34: expected a list, found a number"),
        (
            {"serving": "{image: https://img}"},
            "6:22: 'https://img' is not an image; expected one like europe-docker.pkg.dev/project/folder/name@sha256:…",
        ),
        (
            {"serving": "{image: img, predict_route: predict}"},
            "6:42: 'predict' is not a path; expected one like /predict",
        ),
        (
            {"serving": "{image: img, env: {K: 1}}"},
            "6:36: expected a text, found a number; write it in quotes",
        ),
        ({"serving": "{image: img, env: {K: true}}"}, "6:36: expected a text, found true; write it in quotes"),
        ({"serving": "{image: img, env: [K]}"}, "6:32: expected a mapping, found a list"),
        (
            {"serving": "{image: img, env: {A-B: x}}"},
            "6:33: 'A-B' is not a variable's name; use letters, digits and '_', and no digit first",
        ),
        (
            {"on_conflict": "steal"},
            "7:18: expected hold, overwrite or adopt, found 'steal'; write one of hold, overwrite, adopt",
        ),
        (
            {"on_source_delete": "remove"},
            "7:23: expected retain, unalias or delete, found 'remove'; write one of retain, unalias, delete",
        ),
        ({"scan": "modelscan"}, "7:11: expected a mapping, found a text"),
        ({"scan": "{within: 1h}"}, "7:11: missing key 'command'"),
        ({"scan": "{command: modelscan -}"}, "7:21: expected a list, found a text"),
        ({"scan": "{command: []}"}, "7:21: expected at least one entry, found none"),
        ({"scan": "{command: [a], within: 5}"}, "7:34: expected a duration such as 90s, 10m, 2h or 1d, found a number"),
        ({"drift": "fix"}, "7:12: expected report or heal, found 'fix'; write one of report, heal"),
        ({"drift": "false"}, "7:12: expected report or heal, found false; write one of report, heal"),
        ({"versions": "newest"}, "7:15: expected aliased or all, found 'newest'; write one of aliased, all"),
        ({"versions": "5"}, "7:15: expected aliased, all or {latest: N}, found a number"),
        ({"versions": "{latest: 0}"}, "7:24: expected at least 1"),
        ({"default_from": "''"}, "7:19: expected a text, found an empty one"),
    ],
)
def test_what_one_line_gets(folder: Folder, changes: dict[str, Any], message: str) -> None:
    folder.mapping(**changes)
    assert folder.wrong() == [f"{AT}:{message}"]


@pytest.mark.parametrize("way", list(OnSourceDelete))
def test_what_is_deleted_at_the_source_goes_as_the_mapping_says(folder: Folder, way: OnSourceDelete) -> None:
    folder.mapping(on_source_delete=way.value)
    assert folder.load().mappings[0].on_source_delete is way


def test_a_mapping_that_deletes_lists_versions_without_its_aliases_too(folder: Folder) -> None:
    folder.mapping(aliases="[production]")
    assert folder.load().mappings[0].source.aliases == frozenset({"production"})
    folder.mapping(aliases="[production]", on_source_delete="delete")
    assert folder.load().mappings[0].source.aliases is None


@pytest.mark.parametrize(
    ("aliases", "messages"),
    [
        (
            "{best_model: best_model}",
            [
                (
                    "7:27: 'best_model' is not a legal Vertex AI version alias ('_' is not allowed); "
                    "write 'best_model: best-model'"
                )
            ],
        ),
        (
            "[best_model]",
            [
                (
                    "7:15: 'best_model' is not a legal Vertex AI version alias ('_' is not allowed); "
                    "write 'best_model: best-model'"
                )
            ],
        ),
        ("{champion: default}", ["7:25: only default_from moves 'default'; write 'default_from: champion'"]),
        ("[default]", ["7:15: only default_from moves 'default'; write 'default_from: default'"]),
        (
            "{a1: prod, a2: prod, a3: prod}",
            [
                "7:29: 'a1' and 'a2' both land on 'prod'; give each a name of its own",
                "7:39: 'a1' and 'a3' both land on 'prod'; give each a name of its own",
            ],
        ),
        ("{'*': all}", ["7:20: '*' can only be null, which drops all aliases that are not named"]),
        ("['*']", ["7:15: '*' has no place in a list; what a list does not name is dropped"]),
        ("[prod, prod]", ["7:21: 'prod' is listed twice"]),
        ("{'': prod}", ["7:15: an alias must not be empty"]),
        ("{a: 1}", ["7:18: expected a text, found a number; write it in quotes"]),
        ("[1]", ["7:15: expected a text, found a number; write it in quotes"]),
        ("", ["7:5: expected a mapping or a list, found nothing"]),
        ("all", ["7:14: expected a mapping or a list, found a text"]),
    ],
)
def test_what_aliases_get(folder: Folder, aliases: str, messages: list[str]) -> None:
    folder.mapping(aliases=aliases)
    assert folder.wrong() == [f"{AT}:{message}" for message in messages]


@pytest.mark.parametrize("aliases", ["[prod]", "{'*': null}"])
def test_a_style_for_aliases_that_are_all_dropped_is_refused(folder: Folder, aliases: str) -> None:
    folder.mapping(aliases=aliases, alias_style="slug")
    message = "alias_style says how unnamed aliases are spelled, but aliases drops them all; write one of both"
    assert folder.wrong() == [f"{AT}:8:5: {message}"]


@pytest.mark.parametrize(
    ("regex", "model", "message"),
    [
        ("(", "'{task}'", "3:63: this regular expression does not compile: missing ), unterminated subpattern at"),
        ("[[a]", "'{task}'", "3:63: this regular expression does not compile: Possible nested set at position 1"),
        ("a{1}{99999999999999999999}", "'{task}'", "3:63: this regular expression does not compile: "),
        ("a/b", "'{task}'", "3:63: a collection's name holds no '/', so its pattern must not either"),
        ("a" * 501, "'{task}'", "3:63: a pattern has at most 500 characters"),
        ("(?P<task>.*)", "'x-{tsk}'", "4:31: the pattern has no group 'tsk'; did you mean 'task'?"),
        (".*", "'x-{task}'", "4:31: the pattern has no group 'task'; its named groups: none"),
        (
            "(?P<task>.*)",
            "vision",
            "4:31: many collections would land on one model; put a {group} of the pattern, (?P<group>…), into its name",
        ),
        ("(?P<task>.*)", "'{task}-{'", "4:31: '{' and '}' stand only around the name of a group"),
    ],
)
def test_what_a_pattern_gets(folder: Folder, regex: str, model: str, message: str) -> None:
    folder.mapping(
        source=f"{{from: acme, registry: model, collection: {{regex: '{regex}'}}}}",
        target=f"{{to: prod, model: {model}}}",
    )
    (found,) = folder.wrong()
    assert found.startswith(f"{AT}:{message}")


def test_the_name_of_a_mapping_is_short_and_plain(folder: Folder) -> None:
    folder.mapping(name="Fraud Team", target="{to: prod, model: m}")
    advice = "use 1 to 63 of a-z, 0-9, '_' and '-', with a letter or digit first"
    assert folder.wrong() == [f"{AT}:2:11: 'Fraud Team' is not a name; {advice}"]


def test_a_mistake_hides_no_other_mistake(folder: Folder) -> None:
    folder.mapping(
        alias="{}",
        aliases="[best_model, 7, best_model]",
        target="{to: prod, model: '{x}'}",
        serving="{port: 1, ports: [2]}",
    )
    assert [message.removeprefix(AT) for message in folder.wrong()] == [
        ":4:31: {x} needs a source whose collection is a {regex: …} with that group",
        f":6:14: {NO_IMAGE}",
        ":6:24: write port or ports, not both",
        ":7:5: unknown key 'alias'; did you mean 'aliases'?",
        (
            ":8:15: 'best_model' is not a legal Vertex AI version alias ('_' is not allowed); "
            "write 'best_model: best-model'"
        ),
        ":8:27: expected a text, found a number; write it in quotes",
        ":8:30: 'best_model' is listed twice",
    ]


def test_a_mistake_is_shown_with_its_line(folder: Folder) -> None:
    folder.mapping(policy="sink  # ?")
    (error,) = folder.errors()
    assert error.at == Position(AT, 5, 13)
    assert error.excerpt == "    policy: sink  # ?"


def test_a_file_of_mappings_holds_a_list_of_them(folder: Folder) -> None:
    folder.write("mappings/fraud.yaml", "mappings: {name: fraud}\nmapping: []\n")
    assert folder.wrong() == [
        f"{AT}:1:11: expected a list, found a mapping",
        f"{AT}:2:1: unknown key 'mapping'; did you mean 'mappings'?",
    ]
    folder.write("mappings/fraud.yaml", "- name: fraud\n")
    assert folder.wrong() == [f"{AT}:1:1: expected a mapping, found a list"]
    folder.write("mappings/fraud.yaml", "mappings:\n  - fraud\n  -\n")
    assert folder.wrong() == [
        f"{AT}:2:5: expected a mapping, found a text",
        f"{AT}:3:4: expected a mapping, found nothing",
    ]
