"""What a running service tells Prometheus and people, asked from outside."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.test_run import WAIT, running, until, write_config
from tests.sources.servers import Reply, ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.e2e.conftest import Desk
    from tests.e2e.test_run import Running

pytestmark = pytest.mark.sandbox

SECRET = "hunter2"


def metrics(service: Running) -> Mapping[str, float]:
    """Return samples by name and labels."""
    answer = requests.get(f"{service.url}/metrics", timeout=WAIT)
    assert answer.status_code == 200
    return {
        sample.name + str(sorted(sample.labels.items()) or ""): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_a_move_is_measured_and_told_once_even_over_a_restart(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer(lambda _: Reply(204)) as people:
        monkeypatch.setenv("BRIDGE_NOTIFY_URL", f"{people.url}/{SECRET}")
        write_config(desk)
        with (desk.folder / "bridge.yaml").open("a") as file:
            file.write("notify: {webhook: {url: {env: BRIDGE_NOTIFY_URL}}}\n")
        desk.publish(b"12345", "production")
        with running(desk) as service:
            service.await_event("is SYNCED")
            until(lambda: len(people.asked) == 2, "both aliases are told")
            until(lambda: "bridge_ready" in metrics(service) and metrics(service)["bridge_ready"] == 1, "it is ready")
            found = metrics(service)
            assert found["bridge_models[('mapping', 'fraud'), ('state', 'SYNCED')]"] == 1
            assert found["bridge_copied_bytes_total[('connection', 'acme')]"] == 5
            assert found["bridge_alias_lag_seconds_count[('mapping', 'fraud')]"] == 2
            assert found["bridge_upstream_requests_total[('api', 'gcs'), ('code', '200')]"] > 0
            assert found["bridge_upstream_requests_total[('api', 'vertex'), ('code', '200')]"] > 0
            assert found["bridge_upstream_requests_total[('api', 'vertex_uploads'), ('code', '200')]"] == 1
            assert found["bridge_upstream_requests_total[('api', 'wandb'), ('code', '200')]"] > 0
            assert found["bridge_leases_held"] == found["bridge_queue_depth"] == 0

            good = (desk.folder / "mappings" / "fraud.yaml").read_text()
            (desk.folder / "mappings" / "fraud.yaml").write_text(good.replace("policy:", "polcy:"))
            service.tell(signal.SIGHUP)
            service.await_event("the last good one goes on")
            assert metrics(service)["bridge_config_valid"] == 0
            assert metrics(service)["bridge_config_reloads_total[('result', 'refused')]"] == 1
            (desk.folder / "mappings" / "fraud.yaml").write_text(good)
            assert service.end() == 0
        with running(desk) as again:
            until(lambda: metrics(again).get("bridge_ready") == 1, "it is ready")
            assert again.end() == 0

    events = [(json.loads(asked.body)["event"], json.loads(asked.body)["alias"]) for asked in people.asked]
    assert sorted(events) == [("moved", "default"), ("moved", "production")]
    assert SECRET not in str(service.seen) + str(again.seen)


def test_what_happens_is_told_once_in_every_channel(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer(lambda _: Reply(204)) as people:
        monkeypatch.setenv("BRIDGE_NOTIFY_URL", f"{people.url}/webhook")
        monkeypatch.setenv("BRIDGE_SLACK_URL", f"{people.url}/slack")
        write_config(desk)
        with (desk.folder / "bridge.yaml").open("a") as file:
            file.write("notify: {webhook: {url: {env: BRIDGE_NOTIFY_URL}}, slack: {url: {env: BRIDGE_SLACK_URL}}}\n")
        first = desk.publish(b"first", "production")
        with running(desk) as service:
            service.await_event("is SYNCED")
            desk.tag(first, "no_alias_of_vertex")
            service.await_event("is BLOCKED")
            requests.post(f"{service.url}/v1/mappings/fraud/sync?full=true", timeout=WAIT)
            service.await_event("is BLOCKED")
            desk.untag(first, "no_alias_of_vertex")
            service.await_event("is SYNCED")
            desk.publish(b"x", "production", references={"big.bin": "s3://bucket/big.bin"})
            service.await_event("is FAILED")
            requests.post(f"{service.url}/v1/mappings/fraud/sync?full=true", timeout=WAIT)
            service.await_event("is FAILED")
            desk.tag(first, "production")
            service.await_event("is SYNCED")
            desk.publish(b"second", "production")
            service.await_event("is SYNCED")
            assert service.end() == 0, "what waits is told before"

    told = [json.loads(asked.body) for asked in people.asked if asked.path == "/webhook"]
    in_slack = [json.loads(asked.body)["text"] for asked in people.asked if asked.path == "/slack"]
    events = [each["event"] for each in told]
    assert events == ["moved", "moved", "blocked", "recovered", "failed", "recovered", "moved", "moved"]
    assert sorted(each["text"] for each in told[:2]) == ["alias default moved to v0", "alias production moved to v0"]
    assert "'no_alias_of_vertex' is not a legal" in told[2]["text"]
    assert "is a reference to 's3://bucket/big.bin'" in told[4]["text"]
    assert sorted(each["alias"] for each in told[6:]) == ["default", "production"]
    assert [text.partition(" ")[0] for text in in_slack] == [f"[{event}]" for event in events]


def test_work_is_traced_where_the_standard_variable_says(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer(lambda _: Reply()) as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        write_config(desk)
        desk.publish(b"first", "production")
        with running(desk) as service:
            service.await_event("is SYNCED")
            assert service.end() == 0
        sent = b"".join(asked.body for asked in collector.asked if asked.path == "/v1/traces")
    assert b"reconcile" in sent
    assert service.seen[-1]["event"] == "stopping"
    assert next(each["id"] for each in service.seen if "is SYNCED" in each["event"]).encode() in sent
    assert desk.model.encode() not in sent
