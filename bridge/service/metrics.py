"""
What Prometheus may ask for, at /metrics.

Values of labels are names of the configuration, or words of our own: whoever names a model at a source makes no new
series. What the store knows is asked for when somebody looks, so it is true for all processes that share a store.
"""

from __future__ import annotations

import contextlib
import threading
from http import HTTPStatus
from importlib.metadata import version
from typing import TYPE_CHECKING, Protocol

from fastapi import APIRouter, Response
from fastapi.routing import APIRoute
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from bridge.core.changes import MoveAlias, change_kind
from bridge.core.errors import BridgeError, IntegrityError
from bridge.core.model import State
from bridge.core.witness import Witness

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime

    from prometheus_client import Metric

    from bridge.core.changes import Change
    from bridge.core.model import ModelKey, SourceVersion
    from bridge.core.ports import Clock
    from bridge.core.records import Progress, Status, Tally
    from bridge.service.health import Health

SECONDS = (0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 21600)
_STATUSES = frozenset(map(int, HTTPStatus))


class Looked(Protocol):
    """What is looked at when somebody asks: a service."""

    def tally(self) -> tuple[Tally, ...]:
        """Count the models of its mappings, by mapping and state."""
        ...

    @property
    def load(self) -> tuple[int, int]:
        """How many models wait, and how many are at work."""
        ...

    @property
    def age(self) -> float:
        """How many seconds the oldest has waited."""
        ...

    @property
    def leases(self) -> int:
        """How many leases are held."""
        ...


class Metrics(Witness):
    """
    Counts what it is told. One for a process, whatever configurations come and go. Safe from several threads.

    A service that retires ends what it has under way, and tells of it when the next configuration is in force already:
    what has no place in that one is not brought back.
    """

    def __init__(self, clock: Clock, health: Health) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._mappings: frozenset[str] = frozenset()  # those in force
        self._connections: frozenset[str] = frozenset()
        self._first_seen: dict[ModelKey, datetime] = {}  # of those that wait for something
        self._copies: dict[SourceVersion, Progress] = {}
        self._doubles: dict[ModelKey, int] = {}
        self.registry = CollectorRegistry()
        ProcessCollector(namespace="bridge", registry=self.registry)
        self.live = Live(health, self.registry)
        self._gauge("build_info", "Which bridge this is.", "version").labels(version("registry-bridge")).set(1)
        self._success = self._gauge(
            "last_success_timestamp_seconds",
            "When a sweep last found all models of a mapping as they should be or held by a person; the start of the "
            "service, if it was not since.",
            "mapping",
        )
        self._swept = self._gauge(
            "last_sweep_timestamp_seconds", "When a connection was last looked at, whatever came of it.", "connection"
        )
        self._doubled = self._gauge(
            "duplicate_versions", "Versions in Vertex beyond one for each version of the source.", "mapping"
        )
        self._lag = Histogram(
            "bridge_alias_lag_seconds",
            "From when a sweep or webhook first showed a change to when an alias was set in Vertex.",
            ("mapping",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._changes = self._counter(
            "changes", "Changes that were made, or failed for good.", "mapping", "kind", "outcome"
        )
        self._unverified = self._counter(
            "verify_failures", "Files whose bytes were not what they should be.", "mapping"
        )
        self._requests = self._counter("upstream_requests", "Requests to outside APIs, by answer.", "api", "code")
        self._bytes = self._counter("copied_bytes", "Bytes of files that are in the bucket now.", "connection")
        self._files = self._counter("copied_files", "Files that are in the bucket now.", "connection")
        self._reloads = self._counter("config_reloads", "Times that the configuration was read again.", "result")
        self._notices = self._counter("notifications", "Notifications that were to go out.", "channel", "result")

    def configured(self, mappings: Iterable[str], connections: Iterable[str]) -> None:
        """Begin to wait for the first success of these mappings; forget all others, and all other connections."""
        with self._lock:
            known, self._mappings, self._connections = self._mappings, frozenset(mappings), frozenset(connections)
            for name in self._mappings - known:
                self._success.labels(name).set(self._clock.now().timestamp())
            self._doubles = {key: count for key, count in self._doubles.items() if key.mapping in self._mappings}
            for gauge, names in (
                (self._success, self._mappings),
                (self._doubled, self._mappings),
                (self._swept, self._connections),
            ):
                for name in _labelled(gauge) - names:
                    gauge.remove(name)

    def reloaded(self, *, accepted: bool) -> None:
        """Count a configuration that was read again."""
        self._reloads.labels("accepted" if accepted else "refused").inc()

    def notified(self, channel: str, result: str) -> None:
        """Count a notification to a channel: sent, failed or dropped."""
        self._notices.labels(channel, result).inc()

    def text(self) -> bytes:
        """Say it all in Prometheus's text format."""
        return generate_latest(self.registry)

    # as a witness

    def answered(self, api: str, status: int | None) -> None:
        """See Witness."""
        code = "none" if status is None else str(int(status)) if status in _STATUSES else "other"
        self._requests.labels(api, code).inc()

    def copied(self, progress: Progress) -> None:
        """See Witness."""
        of = progress.version
        with self._lock:
            last = self._copies.pop(of, None)
            if not progress.is_whole:
                self._copies[of] = progress
        files, size = (last.files_done, last.bytes_done) if last else (0, 0)
        self._files.labels(of.connection).inc(max(0, progress.files_done - files))
        self._bytes.labels(of.connection).inc(max(0, progress.bytes_done - size))

    def due(self, key: ModelKey) -> None:
        """See Witness."""
        with self._lock:
            self._first_seen.setdefault(key, self._clock.now())

    def made(self, key: ModelKey, change: Change) -> None:
        """See Witness."""
        self._changes.labels(key.mapping, change_kind(change), "applied").inc()
        with self._lock:
            since = self._first_seen.get(key)
        if since is not None and isinstance(change, MoveAlias):
            self._lag.labels(key.mapping).observe(max(0.0, (self._clock.now() - since).total_seconds()))

    def failed(self, key: ModelKey, change: Change, problem: BridgeError) -> None:
        """See Witness."""
        self._changes.labels(key.mapping, change_kind(change), "failed").inc()
        if isinstance(problem, IntegrityError):
            self._unverified.labels(key.mapping).inc()

    def doubled(self, key: ModelKey, versions: int) -> None:
        """See Witness."""
        with self._lock:
            if key.mapping in self._mappings:
                self._doubles[key] = versions
                of_mapping = sum(count for each, count in self._doubles.items() if each.mapping == key.mapping)
                self._doubled.labels(key.mapping).set(of_mapping)

    def stood(self, status: Status) -> None:
        """See Witness."""
        if status.state is State.SYNCED:
            with self._lock:
                self._first_seen.pop(status.key, None)

    def swept(self, connection: str, well: Iterable[str]) -> None:
        """See Witness."""
        now = self._clock.now().timestamp()
        with self._lock:
            if connection in self._connections:
                self._swept.labels(connection).set(now)
                for mapping in self._mappings.intersection(well):
                    self._success.labels(mapping).set(now)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"bridge_{name}", text, labels, registry=self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"bridge_{name}", text, labels, registry=self.registry)


class Live:
    """What is asked for when somebody looks."""

    def __init__(self, health: Health, registry: CollectorRegistry) -> None:
        self._health = health
        self.service: Looked | None = None
        self.webhooks: Callable[[], Mapping[tuple[str, str], int]] = dict  # by connection and a word for what became
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Say how things are now; what the store should tell is left out while it does not answer."""
        report = self._health.report()
        yield _number("ready", "1 if the service does its work.", report["ready"])
        connections = self._health.connections
        readable = _family("connection_readable", "0 while a source connection cannot be read.", "connection")
        for name, well in connections.items():
            readable.add_metric([name], float(well))
        yield readable
        webhooks = CounterMetricFamily(
            "bridge_webhooks", "Webhooks, by what became of them.", labels=("connection", "result")
        )
        for (name, result), count in self.webhooks().items():
            if name in connections:  # whoever calls may write anything for one
                webhooks.add_metric([name, result], count)
        yield webhooks
        yield _number(
            "config_valid", "0 while the last good configuration goes on.", "configuration" not in report["degraded"]
        )
        if self.service is None:
            return
        waiting, at_work = self.service.load
        yield _number("queue_depth", "Models that wait to be worked on.", waiting)
        yield _number("queue_at_work", "Models that are worked on.", at_work)
        yield _number("queue_age_seconds", "How long the model that has waited longest has waited.", self.service.age)
        yield _number("leases_held", "Leases that this process holds.", self.service.leases)
        with contextlib.suppress(BridgeError):
            yield from _of_models(self.service.tally())


def _of_models(tallies: tuple[Tally, ...]) -> Iterator[Metric]:
    # What is zero is left out: with 10,000 mappings it would be 90,000 lines that say nothing.
    models = _family("models", "Models by state, but for states that none is in.", "mapping", "state")
    errors = _family("consecutive_errors", "How often in a row the worst model was tried in vain.", "mapping")
    worst: dict[str, int] = {}
    for tally in tallies:
        models.add_metric([tally.mapping, tally.state.value], tally.models)
        worst[tally.mapping] = max(tally.attempt, worst.get(tally.mapping, 0))
    for mapping, attempt in worst.items():
        errors.add_metric([mapping], attempt)
    yield models
    yield errors


def _labelled(gauge: Gauge) -> set[str]:
    return {labels[0] for labels in gauge._metrics}  # noqa: SLF001  it has no public list of them


def _family(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"bridge_{name}", text, labels=labels)


def _number(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"bridge_{name}", text, value=float(value))


def metrics_router(metrics: Metrics, route: type[APIRoute] = APIRoute) -> APIRouter:
    """Return what answers at /metrics; `route` is the class of routes that says who may ask."""
    router = APIRouter(route_class=route)

    @router.get("/metrics", include_in_schema=False)
    def show() -> Response:
        """Say it all in Prometheus's text format."""
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)

    return router
