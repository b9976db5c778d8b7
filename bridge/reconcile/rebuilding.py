"""A store that was lost, made again from what is in Vertex, in the bucket and at the source; those are only read."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.core.desired import desire, model_name
from bridge.core.errors import NeedsPerson
from bridge.core.model import ModelKey, SourceVersion, State
from bridge.core.naming import adopted_uri, is_our_name, model_id
from bridge.core.rebuilding import Rebuilding, Remains, rebuild
from bridge.core.records import Status
from bridge.reconcile.failing import known
from bridge.reconcile.pausing import due
from bridge.reconcile.read_only import ReadOnlyCopier, ReadOnlyRegistry
from bridge.reconcile.sweeping import Sweeper, selects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bridge.core.errors import BridgeError
    from bridge.core.model import ManifestHeader, MappingSpec, SourceState, TargetState
    from bridge.core.ports import Copier, Registry, Store
    from bridge.reconcile.passes import Passes
    from bridge.reconcile.sweeping import Look


MADE_AGAIN = "its records were made again, from Vertex and the bucket"
NOTHING = Rebuilding()


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What came of one model."""

    key: ModelKey
    found: Rebuilding = NOTHING
    problem: BridgeError | None = None  # it could not be looked at, or not be written down


@dataclass(frozen=True, slots=True)
class _Subject:
    spec: MappingSpec
    key: ModelKey
    state: SourceState | None  # None: the source could not be asked, or has the collection no longer


@dataclass(frozen=True, slots=True)
class Rebuilder:
    """Makes records again. Idempotent, and safe beside a running service: each model is worked on under its lease."""

    passes: Passes  # its ends, store and leases

    def find(self, specs: Sequence[MappingSpec]) -> list[Rebuilt]:
        """Look; change nothing anywhere."""
        return self._over(specs, lambda subject: self._look(subject, self.passes.store))

    def rebuild(self, specs: Sequence[MappingSpec]) -> list[Rebuilt]:
        """Look, and write down what is known again; what the store knows already stays as it is."""
        return self._over(specs, self._write)

    def _over(self, specs: Sequence[MappingSpec], work: Callable[[_Subject], Rebuilding]) -> list[Rebuilt]:
        sweeper = Sweeper(self.passes.source, self.passes.clock)
        look = sweeper.look(specs, self.passes.known())
        subjects, reports = self._subjects(specs, look)
        lock = threading.Lock()

        def run(key: ModelKey) -> None:
            try:
                report = Rebuilt(key, work(subjects[key]))
            except Exception as problem:  # noqa: BLE001  one broken model, or bug, does not hold up another
                report = Rebuilt(key, problem=known(problem, key))
            with lock:
                reports[key] = report

        self.passes.runner.run(tuple(subjects), run)
        return [reports[key] for key in sorted(reports)]

    # which models

    def _subjects(
        self, specs: Sequence[MappingSpec], look: Look
    ) -> tuple[dict[ModelKey, _Subject], dict[ModelKey, Rebuilt]]:
        """Return the models of these mappings: those the source leads to, and those in Vertex that it led to once."""
        reports: dict[ModelKey, Rebuilt] = {
            rival.key: Rebuilt(rival.key, problem=_refused(look, rival.key)) for rival in look.rivals
        }
        subjects = {order.key: _Subject(order.spec, order.key, order.state) for order in look.orders}
        for spec in specs:
            key = ModelKey(spec.name, model_id(spec.target.model))
            if not spec.source.is_pattern and key not in reports:
                subjects.setdefault(key, _Subject(spec, key, None))
        by_target: dict[str, list[MappingSpec]] = {}
        for spec in specs:
            if spec.source.is_pattern:
                by_target.setdefault(spec.target.connection, []).append(spec)
        for connection, patterns in by_target.items():
            taken = {key.model for key in reports}
            taken |= {each.key.model for each in subjects.values() if each.spec.target.connection == connection}
            try:
                found = list(self._unlisted(patterns, taken))
            except Exception as problem:  # noqa: BLE001  the same
                keys = (ModelKey(spec.name, spec.target.model) for spec in patterns)
                reports |= {key: Rebuilt(key, problem=known(problem, key)) for key in keys}
            else:
                subjects |= {subject.key: subject for subject in found}
        return subjects, reports

    def _unlisted(self, patterns: Sequence[MappingSpec], taken: set[str]) -> Iterator[_Subject]:
        """Find the models whose collection the source does not list any more: their manifests name it."""
        registry, copier, base = self._ends(patterns[0])
        for model in registry.models():
            if model in taken:
                continue
            headers = _headers(copier, base, registry.observe(model), frozenset()).values()
            collections = [header.collection for header in headers if not isinstance(header, str)]
            spec = next((spec for spec in patterns for each in collections if _leads_to(spec, each, model)), None)
            if spec is not None:
                yield _Subject(spec, ModelKey(spec.name, model), None)

    def _ends(self, spec: MappingSpec) -> tuple[Registry, Copier, str]:
        reconciler = self.passes.reconciler(spec)
        return ReadOnlyRegistry(reconciler.registry), ReadOnlyCopier(reconciler.copier), reconciler.base

    # one model

    def _look(self, subject: _Subject, store: Store) -> Rebuilding:
        spec, key, state = subject.spec, subject.key, subject.state
        registry, copier, base = self._ends(spec)
        records = store.records(key)
        pending = frozenset(intent.artifact_uri for intent in store.intents(key))
        actual = registry.observe(key.model)
        known_folders = pending | {record.artifact_uri for record in records}
        remains = Remains(
            key=key,
            connection=spec.source.connection,
            actual=actual,
            headers=_headers(copier, base, actual, known_folders),
            published=state.versions if state else (),
            desired=desire(spec, state) if state else None,
            records=records,
            mirrored=store.mirrored(key),
            pending=pending,
        )
        return rebuild(remains, self.passes.clock.now().isoformat())

    def _write(self, subject: _Subject) -> Rebuilding:
        key = subject.key
        with self.passes.leases.of(key) as lease:
            store = self.passes.store.fenced(lease)
            found = self._look(subject, store)
            for record in found.records:
                store.save_record(record)
            for alias, version_id in found.mirrored.items():
                store.save_mirrored(key, alias, version_id)
            if records := store.records(key):
                # A service that took the model for somebody else's looks again.
                collection = subject.state.collection if subject.state else records[-1].source.collection
                at = self.passes.clock.now().isoformat()
                made = Status(key, State.PENDING, MADE_AGAIN, "the next pass compares it", collection, at, None)
                store.save_status(due(store.status(key) or made))
        return found


def _headers(
    copier: Copier, base: str, actual: TargetState, known_folders: frozenset[str]
) -> dict[str, ManifestHeader | str]:
    """Read the headers of the marked versions' folders, but for those that are known; a text says why there is none."""
    headers: dict[str, ManifestHeader | str] = {}
    for folder in {version.artifact_uri for version in actual.versions if version.marked} - known_folders:
        try:
            headers[folder] = _header(copier, base, actual.model, folder) or f"{folder} has no manifest"
        except NeedsPerson as problem:
            headers[folder] = problem.reason
    return headers


def _header(copier: Copier, base: str, model: str, folder: str) -> ManifestHeader | None:
    """Read what is known of a folder: its own manifest if the bridge filled it, else that which is kept of it."""
    header = copier.header(folder)
    if header is not None:
        source = SourceVersion("", header.collection, header.label, header.source_id, header.source_digest, "")
        if is_our_name(folder, model, source):
            return header
    return copier.header(adopted_uri(base, model, folder))


def _leads_to(spec: MappingSpec, collection: str, model: str) -> bool:
    """Tell whether a mapping brings a collection, given by its full path, to a model."""
    place, _, name = collection.rpartition("/")
    in_place = place == spec.source.place or place.endswith(f"/{spec.source.place}")
    return in_place and selects(spec.source, name) and model_id(model_name(spec, name)) == model


def _refused(look: Look, key: ModelKey) -> NeedsPerson:
    return next(NeedsPerson(status.message, status.remedy) for status in look.unread if status.key == key)
