"""Work on a model is traced where that is asked for, with nothing of what comes from outside, and else not at all."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from bridge.core.errors import TryAgain
from bridge.core.model import ModelKey, State
from bridge.run.queue import Submission
from bridge.service.tracing import Traces, traces_from
from tests.sources.servers import Reply, ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Mapping

HOSTILE = Submission(ModelKey("vision", "<script>"), "token <script> asks", "0a1b2c3d")
NAMES = {"bridge.mapping": "vision", "bridge.connection": "acme", "bridge.id": "0a1b2c3d"}
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.fixture
def sent() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def traces(sent: InMemorySpanExporter) -> Traces:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(sent))
    return Traces(provider)


@pytest.mark.parametrize(
    ("state", "status"), [(State.SYNCED, "UNSET"), (State.BLOCKED, "UNSET"), (State.FAILED, "ERROR")]
)
def test_a_span_has_names_of_the_configuration_the_id_of_the_log_and_the_state(
    traces: Traces, sent: InMemorySpanExporter, state: State, status: str
) -> None:
    with traces.span(HOSTILE, "acme") as tell:
        tell(state)

    (span,) = sent.get_finished_spans()
    assert (span.name, dict(span.attributes or {})) == ("reconcile", NAMES | {"bridge.state": state.value})
    assert (span.status.status_code.name, span.parent, span.events) == (status, None, ())


def test_an_error_is_one_and_its_words_are_not_told(traces: Traces, sent: InMemorySpanExporter) -> None:
    with pytest.raises(TryAgain), traces.span(HOSTILE, "acme"):
        raise TryAgain("<script>")

    (span,) = sent.get_finished_spans()
    assert (span.status.status_code.name, dict(span.attributes or {})) == ("ERROR", NAMES)
    assert "<script>" not in span.to_json()


def test_what_was_not_due_any_more_is_not_traced(traces: Traces, sent: InMemorySpanExporter) -> None:
    with traces.span(HOSTILE, "acme") as tell:
        tell(None)

    assert sent.get_finished_spans() == ()


def test_spans_go_where_the_variable_says_and_those_that_wait_go_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer(lambda _: Reply()) as collector:
        for name, value in ((ENDPOINT, collector.url), ("OTEL_SERVICE_NAME", "the-bridge")):
            monkeypatch.setenv(name, value)
        made = traces_from({ENDPOINT: collector.url})
        with made.span(HOSTILE, "acme") as tell:
            tell(State.SYNCED)
        made.close()

        (asked,) = collector.asked
    assert asked.path == "/v1/traces"
    assert b"0a1b2c3d" in asked.body
    assert b"the-bridge" in asked.body
    assert b"<script>" not in asked.body


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {ENDPOINT: " "},
        {ENDPOINT: "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
        {ENDPOINT: "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1:1"},
    ],
    ids=str,
)
def test_where_nothing_asks_for_traces_there_are_none_and_nothing_is_said(
    environment: Mapping[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    made = traces_from(environment)
    with made.span(HOSTILE, "acme") as tell:
        tell(State.SYNCED)
    made.close()

    assert (made._provider, caplog.messages) == (None, [])  # noqa: SLF001  there is nothing to see from outside


def test_a_protocol_that_is_not_spoken_is_told(caplog: pytest.LogCaptureFixture) -> None:
    traces_from({ENDPOINT: "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}).close()

    assert caplog.messages == [
        "no traces are sent: OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc', and they are sent by http/protobuf alone"
    ]


def test_packages_that_are_missing_are_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    traces_from({ENDPOINT: "http://127.0.0.1:1"}).close()

    assert caplog.messages == [
        "no traces are sent: the packages for it are missing; pip install 'registry-bridge[otel]'"
    ]


def test_a_variable_that_cannot_be_read_is_told_without_what_it_holds(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "hunter2")
    traces_from({ENDPOINT: "http://127.0.0.1:1"}).close()

    assert caplog.messages == ["no traces are sent: a variable OTEL_… cannot be read (ValueError)"]
