"""A world is one full set of ends in memory; its `Fuse` kills the process in the middle of a pass."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, cast

from bridge.copying.budget import Budget
from bridge.copying.copier import StreamingCopier
from bridge.core.errors import Position
from bridge.core.model import (
    AliasRules,
    CollectionSelector,
    Container,
    Facts,
    MappingSpec,
    ModelKey,
    Policy,
    RemovalGuard,
    Serving,
    SourceVersion,
    Target,
)
from bridge.core.settings import CopySettings
from bridge.core.witness import Audience
from bridge.reconcile.leasing import Leases
from bridge.reconcile.passes import Passes, Report
from bridge.reconcile.placing import Places
from bridge.reconcile.reconciler import Reconciler
from bridge.testing.clock import FakeClock
from bridge.testing.registry import MemoryRegistry
from bridge.testing.runner import InlineRunner
from bridge.testing.source import MemorySource
from bridge.testing.storage import MemoryStorage
from bridge.testing.store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from bridge.core.changes import Plan
    from bridge.core.ports import Clock, Runner
    from bridge.core.records import Status

T = TypeVar("T")

REGISTRY = "acme_org/wandb-registry-model"  # what holds the collections
FRAUD = f"{REGISTRY}/fraud-detector"
KEY = ModelKey("fraud", "fraud")
BASE = "gs://models/prod"
SETTLE = timedelta(minutes=10)

# The effects of every port; all else only looks, and looking may die between any two of them.
EFFECTS = frozenset(
    {
        *("put", "rewrite", "commit", "discard", "remove"),  # Storage
        *("register", "move_alias", "remove_alias", "mark_ours", "mark_duplicate", "delete"),  # Registry
        *(
            "save_record",
            "bury",
            "files_removed",
            "save_mirrored",
            "begin",
            "finish",
            "jot",
            "save_intent",
            "close_intent",
        ),  # Store
        *(
            "save_seen",
            "save_status",
            "save_states",
            "save_waiting",
            "save_hold",
            "lift_hold",
            "add_token",
            "revoke_token",
        ),
        *("take_lease", "release_lease"),  # a renewal changes nothing that anybody else could see
        *("save_upload", "forget_upload", "enter", "stay", "claim", "begin_removal"),
        *("save_contents", "forget_content", "forget_folder"),
        "sleep",  # Clock: death while waiting
    }
)


class Crash(BaseException):
    """The process dies here. Not an Exception: no handler may swallow it."""


@dataclass
class Fuse:
    """Dies when it has burned `left` times; None: it is out."""

    left: int | None = None
    after: bool = True  # also where an effect has ended; False: only where one begins

    def burn(self) -> None:
        if self.left is None:
            return
        self.left -= 1
        if self.left < 0:
            self.left = None
            raise Crash


class Crashing:
    """Wraps a port: each of its effects burns the fuse before and after."""

    def __init__(self, port: object, fuse: Fuse) -> None:
        self._port = port
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  it stands for any port
        method = getattr(self._port, name)
        if name == "fenced":
            return lambda lease: mortal(method(lease), self._fuse)
        if name not in EFFECTS:
            return method

        def effect(*args: object, **named: object) -> object:
            self._fuse.burn()
            result = method(*args, **named)
            if self._fuse.after:
                self._fuse.burn()
            return result

        return effect


def mortal(port: T, fuse: Fuse) -> T:
    """Return the port, made to die by the fuse."""
    return cast("T", Crashing(port, fuse))


CONTAINER = Container("europe-docker.pkg.dev/acme/serving/sklearn:1")
FACTS = Facts(run_id="a-run", metrics={"auc": 0.9})


def mapping(name: str = "fraud", collection: str = "fraud-detector", model: str = "fraud") -> MappingSpec:
    """Return a mapping that mirrors all there is to mirror."""
    return MappingSpec(
        name=name,
        source=CollectionSelector("wandb", "wandb-registry-model", collection),
        target=Target("vertex", model),
        policy=Policy.SYNC,
        aliases=AliasRules({}),
        serving=Serving(CONTAINER.image),
        origin=Position("mappings/fraud.yaml", 1, 1),
    )


def pattern(name: str = "vision", regex: str = "vision-(?P<task>.+)", model: str = "vision-{task}") -> MappingSpec:
    """Return a mapping over many collections."""
    spec = mapping(name, regex, model)
    return replace(spec, source=replace(spec.source, is_pattern=True))


@dataclass
class World:
    """All ends, the mappings between them, and the loop; what is changed here is seen by the next pass."""

    specs: list[MappingSpec] = field(default_factory=lambda: [mapping()])
    base: str = BASE
    target: str = "acme-prod europe-west4"
    settle: timedelta = SETTLE
    guard: RemovalGuard = field(default_factory=RemovalGuard)

    clock: FakeClock = field(default_factory=FakeClock)
    source: MemorySource = field(default_factory=MemorySource)
    storage: MemoryStorage = field(default_factory=MemoryStorage)
    store: MemoryStore = field(default_factory=MemoryStore)
    fuse: Fuse = field(default_factory=Fuse)
    runner: Runner = field(default_factory=InlineRunner)
    owner: str = "the process"  # of leases; one that died and came back has the same
    frozen_until: datetime | None = None
    scan: Callable[[SourceVersion, str], None] | None = None
    places: Places = field(default_factory=Places)
    audience: Audience = field(default_factory=Audience)
    serial: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.registry = MemoryRegistry(self.clock)
        self.registry.interrupt = self.storage.interrupt = self.fuse.burn

    @property
    def passes(self) -> Passes:
        store = mortal(self.store, self.fuse)
        return Passes(
            lambda _connection: self.source,
            self.reconciler,
            lambda _spec: f"{self.target} {self.base}",
            store,
            self.clock,
            self.runner,
            Leases(store, mortal(self.clock, self.fuse), self.owner),
            chance=lambda: 0.0,
        )

    def reconciler(self, _spec: MappingSpec) -> Reconciler:
        clock = mortal(self.clock, self.fuse)
        return Reconciler(
            source=self.source,
            copier=self.copier(clock),
            registry=mortal(self.registry, self.fuse),
            store=mortal(self.store, self.fuse),
            clock=clock,
            base=self.base,
            location="europe-west4",
            guard=self.guard,
            settle=self.settle,
            frozen=lambda _spec, _now: self.frozen_until,
            scan=self.scan,
            place=lambda: self.places.of(self.storage, f"{self.base}/"),
            witness=self.audience,
        )

    def copier(self, clock: Clock) -> StreamingCopier:
        one_by_one = Budget(clock, CopySettings(parallel_files=1))
        store = mortal(self.store, self.fuse)
        return StreamingCopier(
            self.source, mortal(self.storage, self.fuse), store, store, clock, one_by_one, lambda _progress: None
        )

    def publish(
        self, *aliases: str, collection: str = FRAUD, content: bytes | None = None, facts: Facts = FACTS
    ) -> SourceVersion:
        """Publish a version of one file, which differs from every other unless `content` is given."""
        content = content or f"model {next(self.serial)}".encode()
        return self.source.publish(collection, {"model.bin": content}, *aliases, facts=facts)

    def sync(self, *, full: bool = False, allowed_removals: str | None = None) -> list[Report]:
        """Do one pass over all mappings."""
        return self.passes.sync(
            self.specs, why="test", full=full, allowed_removals=[allowed_removals] if allowed_removals else []
        )

    def dies_in_a_pass(self, after: int) -> bool:
        """Do one pass that dies when so many effects have been begun or ended; False if it came to its end."""
        self.fuse.left = after
        try:
            self.sync()
        except Crash:
            return True
        finally:
            self.fuse.left = None
        return False

    def quiet_pass(self) -> list[Report]:
        """Do one pass in fair weather, long after all that went before."""
        self.clock.advance(self.settle)
        return self.sync()

    def plans(self) -> list[Plan]:
        """Return what would be done now."""
        return [report.plan for report in self.passes.plan(self.specs) if report.plan is not None]

    def names(self, model: str = "fraud") -> dict[str, str]:
        """Return a model's aliases in Vertex as the source spells the versions: alias -> "v7"; else the URI."""
        uris, labels = self.registry.versions(model), self._labels()
        return {
            alias: labels.get(uris[version_id], uris[version_id])
            for alias, version_id in sorted(self.registry.aliases(model).items())
        }

    def status(self, key: ModelKey = KEY) -> Status:
        status = self.store.status(key)
        assert status is not None
        return status

    def ends(self) -> dict[str, object]:
        """Return all that is left behind on every end, but for times and the journal's detours."""
        keys = sorted(status.key for status in self.store.statuses())
        models = sorted({key.model for key in keys})
        return {
            "objects": self.storage.objects,
            "manifests": {folder: manifest.files for folder, manifest in self.storage.manifests.items()},
            "versions": {model: self.registry.versions(model) for model in models},
            "aliases": {model: self.registry.aliases(model) for model in models},
            "records": {(record.artifact_uri, record.version_id) for record in self.store.all_records()},
            "tombstones": {
                (grave.record.artifact_uri, grave.record.version_id, grave.files_removed is not None)
                for grave in self.store.tombstones()
            },
            "mirrored": {key: self.store.mirrored(key) for key in keys},
            "intents": {key: self.store.intents(key) for key in keys},
            "unfinished": {key: self.store.unfinished(key) for key in keys},
            "seen": {key: self.store.seen_before(key) for key in keys},
            "statuses": [(status.key, status.state, status.fingerprint) for status in self.store.statuses()],
        }

    def _labels(self) -> dict[str, str]:
        return {record.artifact_uri: record.source.label for record in self.store.all_records()}
