"""`bridge explain` on the command line, over the sandbox; each answer has its test in tests/reconcile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.conftest import Desk

pytestmark = pytest.mark.sandbox


def test_an_alias_is_explained_with_its_rule_and_what_serves_and_what_to_do(desk: Desk) -> None:
    desk.publish(b"first", "production")
    desk.bridge("sync")
    desk.publish(b"second", "production")
    desk.world.traffic.reset()
    done = desk.bridge("explain", f"{desk.model}@production")

    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(
        f"fraud -> model {desk.model}  [PENDING]\n  rule     mappings/fraud.yaml:2:5: policy sync"
    )
    assert done.out.endswith(
        "  = alias production: to come: the next pass makes it so: ~ alias    production (v0 -> v1)\n"
        "    serving  not affected: production goes on naming @1 (v0)\n"
        "    next     bridge sync fraud\n"
    )
    assert desk.world.traffic.count(write=True) == 0


def test_the_path_that_where_prints_is_understood(desk: Desk) -> None:
    label = desk.publish(b"first", "production")
    desk.bridge("sync")

    assert f"  = version {label}: in place: it is @1 ({label}), with default, production" in (
        desk.bridge("explain", f"{desk.path}:{label}").out
    )


def test_what_nobody_follows_is_explained_too(desk: Desk) -> None:
    desk.publish(b"first", "production")
    done = desk.bridge("explain", f"wandb-registry-model/{desk.collection}x:v0")

    assert (done.code, done.err) == (0, "")
    assert f"mapping fraud: not followed: it follows '{desk.collection}', not '{desk.collection}x'\n" in done.out
    assert "  next     if it should, change mappings/fraud.yaml:2:5\n" in done.out
    [first, second] = desk.bridge_json("explain", f"wandb-registry-model/{desk.collection}x:v0")
    assert [each["answers"][0]["verdict"] for each in (first, second)] == ["not followed", "not followed"]


def test_answers_are_there_for_machines(desk: Desk) -> None:
    desk.publish(b"first", "best_model")
    [model] = desk.bridge_json("explain", f"wandb-registry-model/{desk.collection}:best_model")

    assert model["rule"] == "mappings/fraud.yaml:2:5"
    [answer] = model["answers"]
    assert (answer["about"], answer["verdict"]) == ("alias 'best_model'", "blocked")
    assert "'_' is not allowed" in answer["reason"]
    assert answer["next"].startswith("write 'best_model: best-model' under aliases")


def test_a_collection_without_the_tags_is_told(desk: Desk) -> None:
    desk.publish(b"first", "production")
    text = (desk.folder / "mappings" / "fraud.yaml").read_text()
    tagged = text.replace(
        f"collection: {desk.collection}}}", f"collection: {desk.collection}, where: {{tags: [approved]}}}}"
    )
    (desk.folder / "mappings" / "fraud.yaml").write_text(tagged)

    assert "filtered: mapping fraud follows only what carries the tags approved, and it does not" in (
        desk.bridge("explain", f"wandb-registry-model/{desk.collection}:production").out
    )
