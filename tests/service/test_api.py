"""What a running service answers, and does when it is told to; everything in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bridge.core.errors import ConfigError, ConfigErrors, TryAgain
from bridge.core.model import ModelKey, State
from bridge.service.refusing import LARGEST
from tests.service.apis import Api
from tests.worlds import FRAUD, KEY, REGISTRY, World, mapping, pattern

if TYPE_CHECKING:
    from collections.abc import Iterator

PAUSE = {"reason": "incident 7", "for": "8h"}


def synced() -> Api:
    api = Api()
    api.world.publish("production")
    assert api.client.post("/v1/mappings/fraud/sync").status_code == 202
    assert api.world.status().state is State.SYNCED
    return api


# what it tells


def test_mappings_are_listed_with_what_follows_what() -> None:
    assert Api().client.get("/v1/mappings").json() == [
        {
            "name": "fraud",
            "source": {"connection": "wandb", "collection": "wandb-registry-model/fraud-detector"},
            "target": {"connection": "vertex", "model": "fraud"},
            "policy": "sync",
            "origin": "mappings/fraud.yaml:1:1",
        }
    ]


def test_a_mapping_says_whether_something_is_yet_to_be_done_for_it() -> None:
    api = synced()
    told = {"since": "2026-01-05T09:00:00+00:00", "sweeps": 1, "left": 0, "unread": []}
    (row,) = api.client.get("/v1/mappings").json()
    assert api.client.get("/v1/mappings/fraud").json() == row | told
    api.client.post("/v1/mappings/fraud/sync")
    assert api.client.get("/v1/mappings/fraud").json() == row | told | {"sweeps": 2}


def test_a_pattern_that_could_not_be_looked_at_is_told_as_long_as_no_model_of_it_is_known() -> None:
    api = Api(World([pattern()]))
    api.world.source.problem = TryAgain("W&B is unwell")
    api.client.post("/v1/mappings/vision/sync")
    (unread,) = api.client.get("/v1/mappings/vision").json()["unread"]
    assert (unread["state"], unread["message"]) == ("DEGRADED", "W&B is unwell")
    api.world.source.problem = None
    api.client.post("/v1/mappings/vision/sync")

    assert api.client.get("/v1/mappings/vision").json()["unread"] == []


def test_a_model_is_told_with_its_aliases_versions_holds_and_copies() -> None:
    api = synced()
    api.client.post("/v1/mappings/fraud/pause", json=PAUSE)

    page = api.client.get("/v1/models/fraud/fraud").json()

    assert page["state"] == "HELD"
    assert page["next_try"] == "2026-01-05T17:00:00+00:00"
    assert page["aliases"] == {
        alias: {"version": "1", "label": "v0"} for alias in api.world.names() if alias != "default"
    }
    assert [(each["source"], each["version"]) for each in page["versions"]] == [
        ("acme_org/wandb-registry-model/fraud-detector:v0", "1")
    ]
    assert [(each["alias"], each["who"], each["why"]) for each in page["holds"]] == [
        ("*", "somebody on this machine", "incident 7")
    ]
    assert page["copies"] == []


def test_models_come_in_pages_by_mapping_and_model() -> None:
    api = Api(World([pattern()]))
    for name in ("a", "b", "c"):
        api.world.publish("production", collection=f"{REGISTRY}/vision-{name}")
    api.client.post("/v1/mappings/vision/sync")

    first = api.client.get("/v1/models", params={"limit": 2}).json()
    second = api.client.get("/v1/models", params={"limit": 2, "after": first["next"]}).json()

    assert [row["model"] for row in first["models"]] == ["vision-a", "vision-b"]
    assert ([row["model"] for row in second["models"]], second["next"]) == (["vision-c"], None)
    assert api.client.get("/v1/models", params={"mapping": "vision", "after": "vision/vision-b"}).json() == second


def test_models_of_mappings_that_are_no_more_are_not_told() -> None:
    api = synced()
    api.world.store.save_status(replace(api.world.status(), key=ModelKey("gone", "gone")))

    assert [row["mapping"] for row in api.client.get("/v1/models").json()["models"]] == ["fraud"]


def test_the_journal_comes_in_pages_newest_first() -> None:
    api = synced()
    every = api.client.get("/v1/journal").json()
    pages, before = [], None
    while True:
        page = api.client.get("/v1/journal", params={"limit": 1} | ({"before": before} if before else {})).json()
        pages += page["entries"]
        if (before := page["next"]) is None:
            break

    assert (every["next"], pages) == (None, every["entries"])
    assert [entry["change"] for entry in pages] == ["move-alias", "register", "copy"]
    assert pages[0]["why"] == "bridge run: it is new"
    of_model = {"mapping": "fraud", "model": "fraud"}
    assert api.client.get("/v1/journal", params=of_model).json() == every
    assert api.client.get("/v1/journal", params={"mapping": "fraud", "model": "other"}).json()["entries"] == []


# what it does


def test_a_sync_looks_at_the_source_and_brings_what_has_changed() -> None:
    api = synced()
    api.world.publish("production")

    answer = api.client.post("/v1/mappings/fraud/sync")

    assert (answer.status_code, answer.json()) == (202, {"mapping": "fraud", "queued": True})
    assert api.world.names()["production"] == "v1"


def test_a_sync_asks_vertex_about_what_is_well_only_if_it_is_full() -> None:
    api = synced()
    api.world.registry.calls.clear()
    api.client.post("/v1/mappings/fraud/sync")
    assert api.world.registry.calls == []
    api.client.post("/v1/mappings/fraud/sync", params={"full": True})
    assert api.world.registry.calls == ["observe"]


def test_a_sync_tries_again_what_failed_though_its_time_has_not_come() -> None:
    api = synced()
    api.world.publish("production")
    api.world.registry.problems["observe"] = TryAgain("Vertex AI is unwell")
    api.client.post("/v1/mappings/fraud/sync")
    assert api.world.status().state is State.FAILED
    api.world.registry.problems.clear()
    api.client.post("/v1/mappings/fraud/sync")

    assert api.world.status().state is State.SYNCED


def test_a_retry_works_on_one_model_whenever_its_next_try_is_due() -> None:
    api = synced()
    api.world.publish("production")
    api.world.registry.problems["observe"] = TryAgain("Vertex AI is unwell")
    api.client.post("/v1/mappings/fraud/sync")
    api.world.registry.problems.clear()

    answer = api.client.post("/v1/models/fraud/fraud/retry")

    assert (answer.status_code, answer.json()) == (202, {"mapping": "fraud", "model": "fraud", "queued": True})
    assert api.world.status().state is State.SYNCED
    assert api.world.store.journal()[0].why == "bridge run: somebody on this machine asks"


@pytest.mark.parametrize(
    "ref", ["fraud/fraud", "fraud", "fraud@production", "wandb-registry-model/fraud-detector:v1", f"{FRAUD}:v99"]
)
def test_a_retry_works_on_the_model_that_a_reference_means(ref: str) -> None:
    api = synced()
    api.world.publish("production")
    api.world.registry.problems["observe"] = TryAgain("Vertex AI is unwell")
    api.client.post("/v1/mappings/fraud/sync")
    api.world.registry.problems.clear()

    answer = api.client.post("/v1/retry", params={"ref": ref})

    assert (answer.status_code, answer.json()) == (202, {"mapping": "fraud", "model": "fraud", "queued": True})
    assert api.world.names()["production"] == "v1"


def test_a_retry_of_a_reference_to_two_models_is_refused_with_their_names() -> None:
    specs = [mapping(), mapping("fraud-eu", model="fraud-eu")]
    api = Api(World(specs))
    api.world.publish("production")
    for spec in specs:
        api.client.post(f"/v1/mappings/{spec.name}/sync")

    answer = api.client.post("/v1/retry", params={"ref": f"{FRAUD}:v0"})

    assert (answer.status_code, answer.json()) == (
        409,
        {
            "error": f"'{FRAUD}' may be any of fraud/fraud, fraud-eu/fraud-eu",
            "remedy": "name one of them: bridge retry MAPPING/MODEL",
        },
    )


def test_since_when_a_model_is_behind_its_source_is_told() -> None:
    api = synced()
    assert api.client.get("/v1/models").json()["models"][0]["behind_since"] is None
    api.world.publish("production")
    api.world.registry.problems["observe"] = TryAgain("Vertex AI is unwell")
    for _ in range(2):
        api.client.post("/v1/mappings/fraud/sync")
        api.world.clock.advance(timedelta(hours=1))

    since = "2026-01-05T09:00:00+00:00"
    assert api.client.get("/v1/models").json()["models"][0]["behind_since"] == since
    assert api.client.get("/v1/models/fraud/fraud").json()["behind_since"] == since


def test_a_pause_holds_what_changes_until_it_is_resumed() -> None:
    api = synced()
    paused = api.client.post("/v1/mappings/fraud/pause", json=PAUSE)
    assert paused.json() == {
        "mapping": "fraud",
        "model": None,
        "alias": None,
        "who": "somebody on this machine",
        "reason": "incident 7",
        "until": "2026-01-05T17:00:00+00:00",
    }
    api.world.publish("production")
    api.client.post("/v1/mappings/fraud/sync")
    assert (api.world.names()["production"], api.world.status().state) == ("v0", State.HELD)

    assert api.client.post("/v1/mappings/fraud/resume").json()["was_paused"]
    assert (api.world.names()["production"], api.world.status().state) == ("v1", State.SYNCED)
    assert not api.client.post("/v1/mappings/fraud/resume", json={}).json()["was_paused"]
    said = api.client.get("/v1/journal", params={"mapping": "fraud", "model": "*"}).json()["entries"]
    assert [(entry["change"], entry["why"]) for entry in said] == [
        ("resume", "somebody on this machine"),
        ("pause", "somebody on this machine"),
    ]


def test_a_pause_ends_by_itself() -> None:
    api = synced()
    api.client.post("/v1/mappings/fraud/pause", json=PAUSE)
    api.world.publish("production")
    api.following.sweep("wandb")
    api.world.clock.advance(timedelta(hours=8))
    api.following.retry()

    assert api.world.names()["production"] == "v1"


def test_one_model_of_many_is_paused_alone() -> None:
    api = Api(World([pattern()]))
    for name in ("a", "b"):
        api.world.publish("production", collection=f"{REGISTRY}/vision-{name}")
    api.client.post("/v1/mappings/vision/sync")
    one = {"reason": "it is compared", "model": "vision-a"}
    assert api.client.post("/v1/mappings/vision/pause", json=one).json()["until"] is None
    for name in ("a", "b"):
        api.world.publish("production", collection=f"{REGISTRY}/vision-{name}")
    api.client.post("/v1/mappings/vision/sync")
    assert [api.world.names(f"vision-{name}")["production"] for name in ("a", "b")] == ["v0", "v1"]
    api.client.post("/v1/mappings/vision/resume", json={"model": "vision-a"})

    assert api.world.names("vision-a")["production"] == "v1"


def test_one_alias_is_paused_alone() -> None:
    api = synced()
    one = {"reason": "it is compared", "alias": "production"}
    assert api.client.post("/v1/mappings/fraud/pause", json=one).json()["alias"] == "production"
    api.world.publish("production", "staging")
    api.client.post("/v1/mappings/fraud/sync")
    assert (api.world.names()["production"], api.world.names()["staging"]) == ("v0", "v1")
    assert not api.client.post("/v1/mappings/fraud/resume").json()["was_paused"], "nothing but the alias was"
    assert api.client.post("/v1/mappings/fraud/resume", json={"alias": "production"}).json()["was_paused"]

    assert api.world.names()["production"] == "v1"


def test_a_reload_says_whether_the_configuration_was_taken() -> None:
    api = Api()
    assert api.client.post("/v1/reload").json() == {"mappings": 1}
    api.refusal = ConfigErrors((ConfigError("unknown key 'alias'"),))
    refused = api.client.post("/v1/reload")

    assert (refused.status_code, api.reloads) == (409, 2)
    assert "the last good one goes on: unknown key 'alias'" in refused.json()["error"]


# what it refuses

NO_MAPPING = "there is no mapping 'nothing'"
NO_MODEL = "the store knows no model 'nothing' of mapping 'fraud'"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "error"),
    [
        ("POST", "/v1/mappings/nothing/sync", None, 404, NO_MAPPING),
        ("POST", "/v1/mappings/nothing/pause", PAUSE, 404, NO_MAPPING),
        ("POST", "/v1/mappings/nothing/resume", None, 404, NO_MAPPING),
        ("GET", "/v1/mappings/nothing", None, 404, NO_MAPPING),
        ("GET", "/v1/models?mapping=nothing", None, 404, NO_MAPPING),
        ("GET", "/v1/models/nothing/fraud", None, 404, NO_MAPPING),
        ("GET", "/v1/models/fraud/nothing", None, 404, NO_MODEL),
        ("POST", "/v1/models/fraud/nothing/retry", None, 404, NO_MODEL),
        ("POST", "/v1/retry?ref=elsewhere/churn:v1", None, 404, "the store knows no model 'elsewhere/churn:v1'"),
        ("POST", "/v1/retry", None, 422, "query.ref: Field required"),
        ("POST", f"/v1/retry?ref={'x' * 501}", None, 422, "query.ref"),
        ("POST", "/v1/mappings/fraud/pause", {"reason": "x", "model": "nothing"}, 404, NO_MODEL),
        ("GET", "/v1/nothing", None, 404, "there is nothing at this path"),
        ("GET", "/v1/reload", None, 405, "this path is not asked that way"),
        ("POST", "/v1/mappings/fraud/pause", PAUSE | {"alias": "v7_x"}, 422, "'v7_x' is no alias of Vertex AI"),
        ("POST", "/v1/mappings/fraud/pause", None, 422, "body: Field required"),
        ("POST", "/v1/mappings/fraud/pause", {}, 422, "body.reason: Field required"),
        ("POST", "/v1/mappings/fraud/pause", {"reason": " "}, 422, "body.reason: String should have at least 1"),
        ("POST", "/v1/mappings/fraud/pause", {"reason": 7}, 422, "body.reason: Input should be a valid string"),
        ("POST", "/v1/mappings/fraud/pause", PAUSE | {"for": "8 hours"}, 422, "body.for: '8 hours' is not a duration"),
        ("POST", "/v1/mappings/fraud/pause", PAUSE | {"until": "x"}, 422, "body.until: Extra inputs"),
        ("POST", "/v1/mappings/fraud/resume", [], 422, "body"),
        ("POST", "/v1/mappings/fraud/sync?full=maybe", None, 422, "query.full: Input should be a valid boolean"),
        ("GET", "/v1/models?limit=0", None, 422, "query.limit"),
        ("GET", "/v1/journal?limit=1001", None, 422, "query.limit"),
        ("GET", "/v1/journal?before=9223372036854775808", None, 422, "query.before"),
        ("GET", "/v1/journal?mapping=fraud", None, 422, "asked for by mapping and model"),
        ("GET", f"/v1/models/{'x' * 201}/y", None, 422, "path.mapping"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(method: str, path: str, body: object, status: int, error: str) -> None:
    answer = synced().client.request(method, path, json=body)

    assert answer.status_code == status
    assert error in answer.json()["error"]
    assert answer.json()["remedy"]
    assert set(answer.json()) == {"error", "remedy"}


def test_a_body_that_is_no_json_is_refused_in_words() -> None:
    answer = synced().client.post(
        "/v1/mappings/fraud/pause", data=b'{"reason": ', headers={"Content-Type": "application/json"}
    )

    assert (answer.status_code, answer.json()["remedy"]) == (422, "see what it takes at /docs")


def test_a_body_that_is_too_large_is_not_read_whatever_its_length_is_said_to_be() -> None:
    api = synced()

    def pieces() -> Iterator[bytes]:  # sent without a length
        for _ in range(8):
            yield b" " * (LARGEST // 4)

    for content in (b" " * (LARGEST + 1), pieces()):
        answer = api.client.post("/v1/mappings/fraud/pause", data=content, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["remedy"]) == (413, "send less; no request needs that much")
    assert api.world.store.holds(KEY, api.world.clock.now()) == {}


def test_a_model_is_not_resumed_alone_while_its_mapping_is_paused() -> None:
    api = synced()
    api.client.post("/v1/mappings/fraud/pause", json=PAUSE)
    answer = api.client.post("/v1/mappings/fraud/resume", json={"model": "fraud"})

    assert (answer.status_code, answer.json()["remedy"]) == (409, "resume all of it: bridge resume fraud")
    assert api.world.status().state is State.HELD


def test_a_model_that_is_paused_is_not_retried() -> None:
    api = synced()
    api.client.post("/v1/mappings/fraud/pause", json=PAUSE)
    answer = api.client.post("/v1/models/fraud/fraud/retry")

    assert answer.status_code == 409
    assert answer.json()["error"] == "fraud/fraud is paused by somebody on this machine: incident 7"


def test_a_model_whose_source_cannot_be_read_is_not_retried() -> None:
    api = synced()
    api.world.source.problem = TryAgain("W&B is unwell")
    api.client.post("/v1/mappings/fraud/sync")
    answer = api.client.post("/v1/models/fraud/fraud/retry")

    assert (answer.status_code, answer.json()["error"]) == (409, "fraud/fraud is not followed now: W&B is unwell")


def test_a_store_that_does_not_answer_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    api = synced()

    def unwell() -> None:
        raise TryAgain("the store is busy")

    monkeypatch.setattr(api.world.store, "statuses", unwell)
    answer = api.client.get("/v1/models")

    assert (answer.status_code, answer.json()) == (503, {"error": "the store is busy", "remedy": "ask again later"})
