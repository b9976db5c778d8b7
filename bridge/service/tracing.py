"""
Traces, where OpenTelemetry's standard variables say where to send them; else nothing, and nothing is loaded.

A trace is a span for each time that a model was worked on. Its attributes are names of the configuration, words of
ours, and the id that the log has of the same: neither names of models nor texts, which may come from outside.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING

from bridge.core.model import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from opentelemetry.sdk.trace import TracerProvider

    from bridge.run.queue import Submission

log = logging.getLogger(__name__)

LAST_WORDS = 2.0  # seconds for what is not sent yet when the service stops
PROTOCOL = "http/protobuf"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


class Traces:
    """Spans of a provider, which is no one else's: what libraries would trace by the global one is not ours to tell."""

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("registry-bridge", version("registry-bridge")) if provider else None

    @contextmanager
    def span(self, submission: Submission, connection: str) -> Iterator[Callable[[State | None], None]]:
        """
        Trace the work on a submission; yield what is to be told how the model is then.

        Nothing is traced if that is None: there was nothing to do.
        """
        if self._tracer is None:
            yield lambda _state: None
            return
        from opentelemetry.context import Context  # noqa: PLC0415  only where traces are wanted
        from opentelemetry.trace import StatusCode  # noqa: PLC0415  the same

        names = {"bridge.mapping": submission.key.mapping, "bridge.connection": connection}
        span = self._tracer.start_span("reconcile", Context(), attributes=names | {"bridge.id": submission.id})

        def tell(state: State | None) -> None:
            if state is None:
                return
            span.set_attribute("bridge.state", state.value)
            if state is State.FAILED:
                span.set_status(StatusCode.ERROR)
            span.end()

        try:
            yield tell
        except BaseException:
            span.set_status(StatusCode.ERROR)
            span.end()
            raise

    def close(self) -> None:
        """Send what is not sent yet, if that takes no more than a moment."""
        if self._provider is not None:
            ending = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
            ending.start()
            ending.join(LAST_WORDS)


def traces_from(environment: Mapping[str, str]) -> Traces:
    """Return the traces that the variables ask for; what keeps them from being sent is logged, and that is all."""
    if not _is_asked_for(environment):
        return Traces()
    protocol = _first(environment, _PROTOCOLS)
    if protocol not in ("", PROTOCOL):
        log.warning("no traces are sent: %s is %a, and they are sent by %s alone", _PROTOCOLS[1], protocol, PROTOCOL)
        return Traces()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415  optional
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415  the same
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415  the same
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415  the same
    except ImportError:
        log.warning("no traces are sent: the packages for it are missing; pip install 'registry-bridge[otel]'")
        return Traces()
    ours = Resource({"service.name": "registry-bridge", "service.version": version("registry-bridge")})
    try:
        provider = TracerProvider(resource=ours.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    except ValueError as problem:  # its text may hold what a variable holds, such as a key
        log.warning("no traces are sent: a variable OTEL_… cannot be read (%s)", type(problem).__name__)
        return Traces()
    return Traces(provider)


def _is_asked_for(environment: Mapping[str, str]) -> bool:
    exporters = environment.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    is_off = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return bool(_first(environment, _ENDPOINTS)) and not is_off and "otlp" in exporters.split(",")


def _first(environment: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((value for name in names if (value := environment.get(name, "").strip())), "")
