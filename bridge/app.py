"""
The composition root: configuration -> real ends -> Passes. The only module that knows everyone.

Rooms that load a vendor's SDK are imported when one of their ends is first built, so that a command that
needs none of them stays quick.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Protocol, Self, TypeVar, cast

from bridge.config.choosing import chosen, store_url
from bridge.config.freezing import frozen_until
from bridge.config.model import MlflowConnection, VertexConnection, WandbConnection
from bridge.copying.budget import Budget
from bridge.core.errors import NeedsPerson
from bridge.core.naming import adopted_uri, copied_uri
from bridge.core.ownership import is_adopted
from bridge.core.witness import Audience
from bridge.reconcile.leasing import LASTS, RENEWED_EVERY, Leases
from bridge.reconcile.leftovers import Leftovers
from bridge.reconcile.passes import Passes
from bridge.reconcile.placing import Places
from bridge.reconcile.read_only import ReadOnlyBucket, ReadOnlyCopier, ReadOnlyRegistry
from bridge.reconcile.reconciler import Reconciler
from bridge.reconcile.verifying import Verifier
from bridge.run.buckets import Buckets, Heard
from bridge.run.clock import SystemClock
from bridge.run.repeating import repeating
from bridge.run.threads import ThreadRunner
from bridge.store.faults import NoStoreYet
from bridge.store.sql import open_store
from bridge.testing.store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import timedelta
    from pathlib import Path

    from bridge.config.model import Config
    from bridge.core.model import Manifest, MappingRecord, MappingSpec, ModelKey, Scan, SourceVersion
    from bridge.core.ports import Bucket, Clock, Copier, ObjectStore, Registry, Runner, Source, Storage, Store, Webhooks
    from bridge.core.records import Progress

    class Closable(Protocol):
        """What holds connections."""

        def close(self) -> None:
            """Give them back."""


T = TypeVar("T")


class Bridge:
    """
    The bridge as its configuration describes it; a context manager that closes what it opened.

    With `read_only` nothing can be written: not to the store, not to Vertex, not to the bucket. What it comes after,
    `before`, may still be at work: limits that are the same are then those of both together.
    """

    def __init__(
        self,
        config: Config,
        *,
        read_only: bool = False,
        clock: Clock | None = None,
        runner: Runner | None = None,
        patience: timedelta = 2 * LASTS,  # the lease of a process that died is over by then
        store: Store | None = None,  # None: the one that the configuration names
        before: Bridge | None = None,  # that this one follows in the same process
    ) -> None:
        self.config = config
        self.clock = clock or SystemClock()
        self._read_only = read_only
        self._opened = ExitStack()
        self._lock = threading.RLock()
        self.watchers: list[Callable[[Progress], None]] = []  # are told how far copies are
        self.audience = Audience()  # is told of what happens
        self.buckets: Buckets = Buckets(
            config.limits, self.clock, self.audience.answered, before.buckets if before else None
        )
        self.budget: Budget = Budget(self.clock, config.copying, before.budget if before else None)
        self._ends: dict[tuple[str, str], object] = {}
        self._places = Places()
        self.store = store if store is not None else self._store()
        owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"  # one per Bridge, not per process
        self.leases = Leases(self.store, self.clock, owner, patience)
        self.passes = Passes(
            self.source, self.reconciler, self.target, self.store, self.clock, runner or ThreadRunner(), self.leases
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the store and every connection."""
        self._opened.close()

    @contextmanager
    def renewing(self) -> Iterator[None]:
        """Renew leases for as long as the block lasts: files may be copied for hours. A service does it by itself."""
        with repeating(RENEWED_EVERY, self.leases.renew):
            yield

    def specs(self, names: Sequence[str]) -> list[MappingSpec]:
        """Return the mappings of these names, all if there are none. Raises ConfigErrors for an unknown one."""
        return chosen(self.config, names)

    def reconciler(self, spec: MappingSpec) -> Reconciler:
        """Build what one mapping needs; ends are shared between the mappings of a connection."""
        target = self._vertex(spec.target.connection)
        registry, storage = self._registry(target), self._storage(target)
        source = self.source(spec.source.connection)
        copier = self._copier(source, storage)
        if self._read_only:
            registry, copier = ReadOnlyRegistry(registry), ReadOnlyCopier(copier)
        return Reconciler(
            source=source,
            copier=copier,
            registry=registry,
            store=self.store,
            clock=self.clock,
            base=target.bucket,
            location=target.location,
            guard=self.config.guard,
            settle=self.config.settle,
            registrations=self.buckets.at("vertex_uploads", target.place),
            frozen=frozen_until,
            scan=self._scan(spec.scan, storage) if spec.scan else None,
            place=lambda: self._places.of(storage, f"{target.bucket}/", target.storage_endpoint),
            witness=self.audience,
        )

    def _scan(self, program: Scan, storage: Storage) -> Callable[[SourceVersion, str], None]:
        from bridge.copying.scanning import Scanner

        return Scanner(ReadOnlyBucket(storage), self.budget, program).scan

    def registry(self, connection: str) -> Registry:
        """Build what a Vertex connection reaches, as it may be looked at."""
        return ReadOnlyRegistry(self._registry(self._vertex(connection)))

    def bucket(self, connection: str) -> Bucket:
        """Build the bucket of a Vertex connection, as it may be looked at."""
        return ReadOnlyBucket(self._storage(self._vertex(connection)))

    def verifier(self) -> Verifier:
        """Build what verifies any record; its ends are built when the first record needs them, and only read."""

        def target(key: ModelKey) -> tuple[Bucket, Registry, str]:
            vertex = self._target_of(key, "verify them")
            return self.bucket(vertex.name), self.registry(vertex.name), vertex.bucket

        return Verifier(self.source, target, self.store)

    def restore(self, record: MappingRecord, into: Path) -> tuple[str, Manifest]:
        """
        Bring a version's files back to a directory; return the folder that they are from, and their manifest.

        Raises as Restorer.restore does, and NeedsPerson if the configuration has its bucket no longer.
        """
        from bridge.copying.restoring import Restorer

        folder, kept = copied_uri(record.artifact_uri), None
        storage = self._storage_of(folder)
        if is_adopted(record):  # a person's folder may be in any bucket
            folder, vertex = record.artifact_uri, self._target_of(record.key, "have them restored")
            storage, kept = self._storage(vertex), adopted_uri(vertex.bucket, record.key.model, folder)
        if storage is None:
            raise NeedsPerson(f"no connection of bridge.yaml has the bucket of {folder}", "put the connection back")
        restorer = Restorer(ReadOnlyBucket(storage), self.clock, self.budget, self._watch)
        return folder, restorer.restore(record.source, folder, into, kept=kept)

    def _target_of(self, key: ModelKey, deed: str) -> VertexConnection:
        specs = {spec.name: spec for spec in self.config.mappings}
        if key.mapping not in specs:
            raise NeedsPerson(
                f"the configuration has no mapping {key.mapping!a} any longer, which says where its versions are",
                f"put the mapping back to {deed}",
            )
        return self._vertex(specs[key.mapping].target.connection)

    @property
    def leftovers(self) -> Leftovers:
        """What copies have begun and not finished, in the buckets of all connections."""
        return Leftovers(self.store, self._storage_of, self.clock, self.config.copying.leftovers_after)

    def _storage_of(self, uri: str) -> Storage | None:
        for spec in self.config.connections.values():
            if isinstance(spec, VertexConnection) and uri.startswith(f"{spec.bucket}/"):
                return self._storage(spec)
        return None

    def target(self, spec: MappingSpec) -> str:
        """Spell a mapping's target: project, location and bucket folder; nothing is built or connected for it."""
        target = self._vertex(spec.target.connection)
        return f"{target.place} {target.bucket}"

    def source(self, connection: str) -> Source:
        """Build a connection's source, or return the one that was built."""
        spec = self.config.connections.get(connection)
        if spec is None or isinstance(spec, VertexConnection):
            raise NeedsPerson(
                f"the configuration has no source connection {connection!a} any longer",
                "put the connection back under that name",
            )
        return self._end("source", connection, lambda: self._source(spec))

    def _source(self, spec: WandbConnection | MlflowConnection) -> Source:
        if isinstance(spec, WandbConnection):
            from bridge.sources.wandb.source import WandbSource

            return WandbSource(
                spec.name,
                spec.base_url,
                spec.api_key.read,
                spec.organization,
                per_host=self.config.copying.per_host,
                limit=self._limit(spec),
            )
        from bridge.sources.mlflow.source import MlflowSource

        return MlflowSource(
            spec.name,
            spec.tracking_uri,
            self.clock,
            workspace=spec.workspace,
            stores=spec.artifact_stores,
            gcs=lambda: self._objects(spec),
            per_host=self.config.copying.per_host,
            limit=self._limit(spec),
        )

    def _limit(self, spec: WandbConnection | MlflowConnection) -> Heard:
        if isinstance(spec, WandbConnection):
            return self.buckets.at("wandb", spec.base_url)
        return self.buckets.at("mlflow", spec.tracking_uri)

    def pause(self, connection: str) -> float:
        """Return the seconds until a source connection may be asked without waiting for its budget."""
        spec = self.config.connections[connection]
        assert not isinstance(spec, VertexConnection)  # noqa: S101  the caller's check
        return self._limit(spec).pause()

    def webhooks(self, connection: str, team: str | None = None) -> Webhooks:
        """Build what sets up webhooks at a source whose connection takes some; at W&B, `team` has them."""
        spec = self.config.connections[connection]
        assert not isinstance(spec, VertexConnection) and spec.webhook is not None  # noqa: S101, PT018  the caller's check
        token, secret = spec.webhook.read()
        if isinstance(spec, MlflowConnection):
            from bridge.sources.mlflow.webhooks import MlflowWebhooks

            return MlflowWebhooks(connection, spec.tracking_uri, spec.workspace, self.config.owner, secret or "")
        from bridge.sources.wandb.automations import WandbAutomations

        place = (connection, spec.base_url, spec.api_key.read, spec.organization, team)
        return WandbAutomations(*place, owner=self.config.owner, token=token, secret=secret)

    def _objects(self, spec: MlflowConnection) -> ObjectStore:
        from bridge.copying.gcs import GcsObjects

        return self._opening(GcsObjects(spec.name, spec.storage_endpoint, self.buckets.at("gcs", spec.name)))

    def _store(self) -> Store:
        url, secret = store_url(self.config), self.config.secret_key
        try:
            if self._read_only:  # goes on with no upload, so the secret need not be here
                return self._opening(open_store(url, read_only=True))
            return self._opening(open_store(url, secret_key=secret.read() if secret else None))
        except NoStoreYet:
            return MemoryStore()  # whoever only looks, before the first sync, sees a store that is empty

    def _registry(self, target: VertexConnection) -> Registry:
        def made() -> Registry:
            from bridge.vertex.registry import VertexRegistry

            return VertexRegistry(
                target.project,
                target.location,
                self.config.owner,
                endpoint=target.endpoint,
                insecure=target.insecure,
                limit=self.buckets.at("vertex", target.place),
                uploads=self.buckets.at("vertex_uploads", target.place),
            )

        return self._end("registry", target.name, made)

    def _storage(self, target: VertexConnection) -> Storage:
        def made() -> Storage:
            from bridge.copying.gcs import GcsStorage

            return GcsStorage(
                target.project,
                target.storage_endpoint,
                clock=self.clock,
                uploads=self.store,
                budget=self.budget,
                limit=self.buckets.at("gcs", target.bucket_name),
            )

        return self._end("storage", target.name, made)

    def _copier(self, source: Source, storage: Storage) -> Copier:
        from bridge.copying.copier import StreamingCopier

        return StreamingCopier(source, storage, self.store, self.store, self.clock, self.budget, self._watch)

    def _watch(self, progress: Progress) -> None:
        self.audience.copied(progress)
        for watch in self.watchers:
            watch(progress)

    def _vertex(self, connection: str) -> VertexConnection:
        spec = self.config.connections[connection]
        assert isinstance(spec, VertexConnection)  # noqa: S101  checked with the configuration
        return spec

    def _end(self, port: str, connection: str, build: Callable[[], T]) -> T:
        with self._lock:
            if (port, connection) not in self._ends:
                self._ends[port, connection] = self._opening(build())
            return cast("T", self._ends[port, connection])

    def _opening(self, end: T) -> T:
        self._opened.callback(cast("Closable", end).close)
        return end
