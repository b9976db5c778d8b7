"""What Prometheus is told, asked over HTTP."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import requests

from bridge.core.changes import MoveAlias, RegisterVersion
from bridge.core.errors import IntegrityError, NeedsPerson, TryAgain
from bridge.core.model import Alias, State
from bridge.service.http import Listener, make_app
from bridge.service.metrics import metrics_router
from bridge.testing.store import MemoryStore
from tests.service.happenings import Stage, Waiting, everything, progress
from tests.worlds import CONTAINER, KEY, REGISTRY, World, pattern

if TYPE_CHECKING:
    import pytest

HOSTILE = 'vision-"} 1\nbridge_ready 0 <!channel>'


def test_it_is_asked_for_over_http() -> None:
    stage = everything()
    listener = Listener("127.0.0.1", 0)
    listener.start(make_app(stage.health, [metrics_router(stage.metrics)]))
    try:
        answer = requests.get(f"{listener.url}/metrics", timeout=10)
    finally:
        listener.stop()

    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, "text/plain")
    assert 'bridge_models{mapping="fraud",state="SYNCED"} 1.0' in answer.text.splitlines()


def test_every_name_begins_with_ours_and_says_what_it_is() -> None:
    lines = everything().text().splitlines()

    names = {line.split()[2] for line in lines if line.startswith("# HELP ")}
    assert len(names) > 20
    assert [name for name in names if not name.startswith("bridge_")] == []
    assert [line for line in lines if line.startswith("# HELP ") and len(line.split()) < 4] == []


def test_models_are_counted_by_state_and_show_the_worst_attempt() -> None:
    stage = everything()
    stage.world.registry.problems["observe"] = TryAgain("Vertex AI is unwell")
    stage.world.publish("production")
    stage.following.sweep("wandb")

    counts = {state: stage.value("bridge_models", mapping="fraud", state=state.value) for state in State}
    assert counts == {**dict.fromkeys(State), State.FAILED: 1.0}, "states that none is in have no line"
    assert stage.value("bridge_consecutive_errors", mapping="fraud") == 1


def test_a_hostile_name_at_a_source_makes_no_new_series() -> None:
    def labels(*names: str) -> set[tuple[str, frozenset[tuple[str, str]]]]:
        stage = Stage(World(specs=[pattern(model="vision-{task}")]))
        for name in names:
            version = stage.world.publish("production", f"x{name}", collection=f"{REGISTRY}/{name}")
            stage.metrics.copied(progress(version, 2, 100))
        stage.following.sweep("wandb")
        stage.metrics.live.webhooks = lambda: {(name, "heeded"): 1 for name in ("wandb", *names)}
        states = {value for _, labels in stage.samples() for name, value in labels if name == "state"}
        assert states <= {state.value for state in State}
        return {(name, frozenset(each for each in labels if each[0] != "state")) for name, labels in stage.samples()}

    assert labels("vision-ocr", HOSTILE, "vision-" + "x" * 200) == labels("vision-ocr")


def test_answers_are_counted_by_api_and_code_and_there_are_only_so_many_codes() -> None:
    stage = Stage()
    for status in (200, 200, 429, 999, None):
        stage.metrics.answered("wandb", status)

    counted = {
        dict(labels)["code"]: value
        for (name, labels), value in stage.samples().items()
        if name == "bridge_upstream_requests_total"
    }
    assert counted == {"200": 2, "429": 1, "other": 1, "none": 1}


def test_what_another_process_has_brought_in_place_has_no_part_in_the_lag_of_the_next_move() -> None:
    stage = everything()
    stage.following.queue = queue = Waiting()
    stage.world.publish("production")
    stage.following.sweep("wandb")
    stage.world.audience.members.remove(stage.metrics)
    stage.world.sync()  # another process
    stage.world.audience.members.append(stage.metrics)
    queue.work(stage.following)
    stage.world.clock.advance(3600)
    stage.world.publish("production")
    stage.following.sweep("wandb")
    queue.work(stage.following)

    assert stage.value("bridge_alias_lag_seconds_sum", mapping="fraud") == 0


def test_alias_lag_runs_from_when_a_change_was_first_seen() -> None:
    stage = everything()
    assert stage.value("bridge_alias_lag_seconds_sum", mapping="fraud") == 0
    stage.world.registry.problems["observe"] = TryAgain("Vertex AI is unwell")
    stage.world.publish("production")
    stage.following.sweep("wandb")
    stage.world.clock.advance(40)
    stage.following.sweep("wandb")
    stage.world.registry.problems.clear()
    stage.world.clock.advance(20)
    stage.following.retry()

    assert stage.value("bridge_alias_lag_seconds_sum", mapping="fraud") == 60
    stage.world.clock.advance(600)
    stage.world.publish("production")
    stage.following.sweep("wandb")
    assert stage.value("bridge_alias_lag_seconds_sum", mapping="fraud") == 60, "it is well in between"


def test_success_is_when_a_sweep_finds_all_models_of_a_mapping_well_and_before_that_the_start() -> None:
    stage = Stage()
    start = stage.world.clock.now().timestamp()
    stage.world.publish("production")
    stage.world.clock.advance(60)
    stage.following.sweep("wandb")
    assert stage.value("bridge_last_success_timestamp_seconds", mapping="fraud") == start
    assert stage.value("bridge_last_sweep_timestamp_seconds", connection="wandb") == start + 60
    stage.world.clock.advance(60)
    stage.following.sweep("wandb")
    assert stage.value("bridge_last_success_timestamp_seconds", mapping="fraud") == start + 120

    stage.world.source.problem = TryAgain("W&B is unwell")
    stage.world.clock.advance(60)
    stage.following.sweep("wandb")
    assert stage.value("bridge_last_success_timestamp_seconds", mapping="fraud") == start + 120
    assert stage.value("bridge_connection_readable", connection="wandb") == 0


def test_a_new_configuration_begins_to_wait_anew_and_forgets_mappings_that_are_gone() -> None:
    stage = Stage()
    stage.world.clock.advance(60)
    stage.metrics.configured(["fraud", "vision"], ["wandb"])
    start = stage.value("bridge_last_success_timestamp_seconds", mapping="fraud")
    assert stage.value("bridge_last_success_timestamp_seconds", mapping="vision") == (start or 0) + 60
    stage.metrics.configured(["vision"], ["wandb"])
    assert stage.value("bridge_last_success_timestamp_seconds", mapping="fraud") is None


def test_what_is_gone_from_the_configuration_is_not_shown_nor_brought_back_by_what_a_retired_service_ends() -> None:
    stage = everything()
    stage.metrics.doubled(KEY, 1)

    def of_the_old() -> dict[str, float]:
        names = ("bridge_last_success_timestamp_seconds", "bridge_duplicate_versions")
        of_mapping = {name: stage.value(name, mapping="fraud") for name in names}
        name = "bridge_last_sweep_timestamp_seconds"
        found = {**of_mapping, name: stage.value(name, connection="wandb")}
        return {name: value for name, value in found.items() if value is not None}

    assert len(of_the_old()) == 3
    stage.metrics.configured(["vision"], ["ml"])
    assert of_the_old() == {}
    stage.metrics.doubled(KEY, 2)
    stage.metrics.swept("wandb", ["fraud"])
    stage.metrics.swept("ml", ["fraud", "vision"])
    assert of_the_old() == {}
    assert stage.value("bridge_last_sweep_timestamp_seconds", connection="ml") is not None
    stage.metrics.configured(["fraud"], ["wandb"])
    stage.metrics.doubled(replace(KEY, model="another"), 1)
    assert stage.value("bridge_duplicate_versions", mapping="fraud") == 1, "it begins anew"


def test_bytes_are_counted_once_however_often_a_copy_tells_how_far_it_is() -> None:
    stage = Stage()
    version = stage.world.publish("production")
    for files, size in ((0, 10), (1, 60), (2, 100)):
        stage.metrics.copied(progress(version, files, size))
    again = replace(version, id="another")
    stage.metrics.copied(progress(again, 1, 50))
    stage.metrics.copied(progress(again, 0, 20))  # broken off, and begun again
    stage.metrics.copied(progress(again, 2, 100))

    assert stage.value("bridge_copied_files_total", connection="wandb") == 2 + 1 + 2
    assert stage.value("bridge_copied_bytes_total", connection="wandb") == 100 + 50 + 80


def test_changes_are_counted_by_kind_and_files_that_did_not_verify_apart() -> None:
    stage = Stage()
    version = stage.world.publish("production")
    change = RegisterVersion(version, "gs://x/", CONTAINER)
    stage.metrics.failed(KEY, change, NeedsPerson("no", "mend it"))
    stage.metrics.failed(KEY, change, IntegrityError("no", "mend it"))
    stage.metrics.made(KEY, MoveAlias(Alias("production"), version, "gs://x/", None))

    of_fraud = {"mapping": "fraud"}
    assert stage.value("bridge_changes_total", kind="register", outcome="failed", **of_fraud) == 2
    assert stage.value("bridge_changes_total", kind="move-alias", outcome="applied", **of_fraud) == 1
    assert stage.value("bridge_verify_failures_total", **of_fraud) == 1
    assert stage.value("bridge_alias_lag_seconds_count", **of_fraud) is None, "nobody had seen it coming"


def test_a_second_version_of_one_folder_is_counted_until_it_is_gone() -> None:
    stage = Stage()
    stage.metrics.doubled(KEY, 1)
    stage.metrics.doubled(replace(KEY, model="another"), 2)
    assert stage.value("bridge_duplicate_versions", mapping="fraud") == 3
    stage.metrics.doubled(KEY, 0)
    assert stage.value("bridge_duplicate_versions", mapping="fraud") == 2


def test_a_pass_that_sees_a_second_version_of_one_folder_says_so() -> None:
    stage = everything()
    [record] = stage.world.store.records(KEY)
    again = (record.source, record.artifact_uri, CONTAINER)
    stage.world.registry.register("fraud", "fraud", *again, facts=record.facts, first=False)
    stage.world.publish("production")
    stage.world.clock.advance(600)
    stage.following.sweep("wandb")

    assert stage.value("bridge_duplicate_versions", mapping="fraud") == 1


def test_the_queue_is_as_it_is_when_somebody_looks() -> None:
    stage = everything()
    names = ("bridge_queue_depth", "bridge_queue_at_work", "bridge_queue_age_seconds", "bridge_leases_held")

    assert [stage.value(name) for name in names] == [3, 2, 7.5, 2]


def test_a_store_that_does_not_answer_costs_only_what_it_would_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    def unwell(_: MemoryStore) -> None:
        raise TryAgain("the store is busy")

    stage = everything()
    monkeypatch.setattr(MemoryStore, "tally", unwell)

    assert stage.value("bridge_models", mapping="fraud", state="SYNCED") is None
    assert stage.value("bridge_queue_depth") == 3


def test_it_is_told_whether_the_service_is_ready_and_its_configuration_the_last_one() -> None:
    stage = everything()
    assert (stage.value("bridge_ready"), stage.value("bridge_config_valid")) == (0, 1)
    stage.health.store(None)
    stage.health.misconfigured("no")
    assert (stage.value("bridge_ready"), stage.value("bridge_config_valid")) == (1, 0)
    assert stage.value("bridge_config_reloads_total", result="refused") == 1


def test_before_there_is_a_service_there_is_something_to_say_all_the_same() -> None:
    stage = Stage()
    stage.metrics.live.service = None
    assert stage.value("bridge_ready") == 0


def test_a_pass_tells_its_witness_what_it_made() -> None:
    stage = everything()
    kinds = {
        dict(labels)["kind"]
        for (name, labels), value in stage.samples().items()
        if name == "bridge_changes_total" and dict(labels)["outcome"] == "applied"
    }
    assert kinds == {"copy", "register", "move-alias"}
