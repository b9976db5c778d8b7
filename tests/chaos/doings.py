"""What happens in a storm, as values, written from the seed alone: a replay does the same again."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from bridge.sandbox.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ALIASES = ("production", "staging", "champion")
THEIRS = ("canary", "keep-me")  # aliases that no source has
COLLECTIONS = {  # name -> Vertex model; the last is MLflow's
    "alpha": "fraud",
    "beta": "credit",
    "storm-one": "storm-one",
    "storm-two": "storm-two",
    "churn": "churn",
}
MLFLOW = "churn"
BY_PATTERN = "storm-"
SMALL, LARGE = (200, 60_000), 3 << 20  # bytes of a model


@dataclass(frozen=True, slots=True)
class Publish:
    """A user logs a version and links or registers it; the store of the source loses a bit of a rotten one."""

    collection: str
    label: str
    size: int
    rotten: bool = False


@dataclass(frozen=True, slots=True)
class Point:
    """A user moves an alias to a version."""

    collection: str
    alias: str
    label: str


@dataclass(frozen=True, slots=True)
class Unpoint:
    """A user takes an alias away."""

    collection: str
    alias: str
    label: str


@dataclass(frozen=True, slots=True)
class Withdraw:
    """A user deletes a version with its aliases."""

    collection: str
    label: str


@dataclass(frozen=True, slots=True)
class Rename:
    """A user calls a collection otherwise; the pattern of its mapping finds it under either name."""

    collection: str
    name: str


@dataclass(frozen=True, slots=True)
class HandMove:
    """A person moves an alias in Vertex, to whichever version of the model `pick` means then."""

    model: str
    alias: str
    pick: int


@dataclass(frozen=True, slots=True)
class HandRemove:
    """A person takes an alias away in Vertex."""

    model: str
    alias: str


@dataclass(frozen=True, slots=True)
class HandMake:
    """A person registers a version of theirs, perhaps with an alias."""

    model: str
    alias: str | None


@dataclass(frozen=True, slots=True)
class HandDelete:
    """A person deletes a version in Vertex."""

    model: str
    pick: int


@dataclass(frozen=True, slots=True)
class Break:
    """Something goes wrong from now on."""

    fault: Fault


@dataclass(frozen=True, slots=True)
class Mend:
    """Nothing goes wrong any more."""


@dataclass(frozen=True, slots=True)
class Switch:
    """Vertex behaves otherwise where nobody knows how it does."""

    commit_delay: float
    list_lag: float
    alias_conflict: Literal["move", "reject"]
    label_scope: Literal["model", "version"]
    lost_replies: int


@dataclass(frozen=True, slots=True)
class Stop:
    """A service is killed, or told to end."""

    service: int
    kill: bool


@dataclass(frozen=True, slots=True)
class Start:
    """A service that is down is started."""

    service: int


Doing = (
    Publish
    | Point
    | Unpoint
    | Withdraw
    | Rename
    | HandMove
    | HandRemove
    | HandMake
    | HandDelete
    | Break
    | Mend
    | Switch
    | Stop
    | Start
)

READS = {  # what the bridge asks of each service, and users do not
    "wandb": ("RegistryVersions", "ArtifactMembershipByName", "FetchArtifactManifest", "ArtifactMembershipFiles"),
    "mlflow": ("registered-models/search", "model-versions/search", "model-versions/get", "registered-models/get"),
    "vertex": ("ListModelVersions", "GetModel", "GetOperation", "ListOperations"),
    "gcs": ("objects.list", "objects.get"),
}
WRITES = {"vertex": ("UploadModel", "MergeVersionAliases"), "gcs": ("objects.insert",)}
FILES = {"wandb": "GET file", "mlflow": "mlflow-artifacts/artifacts GET"}


@dataclass
class Author:
    """Writes storms one after another; knows what users have done so far, so that what they do next can be done."""

    seed: int
    services: int = 1
    large: bool = True
    chance: random.Random = field(init=False)
    labels: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in COLLECTIONS})
    aliases: dict[str, dict[str, str]] = field(default_factory=lambda: {name: {} for name in COLLECTIONS})
    made: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COLLECTIONS, 0))
    names: int = 0
    down: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)  # noqa: S311  not for secrets: the seed is what lets a run be repeated

    def opening(self) -> Iterator[tuple[float, Doing]]:
        """Give every collection a version with an alias, so that every model is there."""
        for name in COLLECTIONS:
            yield 0.0, self._publish(name, rotten=False)
            yield 0.0, self._point(name, self.labels[name])

    def storm(self, seconds: float) -> Iterator[tuple[float, Doing]]:
        """Yield what happens, each after a pause in seconds; every service runs when it begins."""
        self.down.clear()
        left = seconds
        while left > 0:
            pause = self.chance.uniform(0, 0.7)
            left -= pause
            doing = self._next()
            if doing is not None:
                yield pause, doing

    def _next(self) -> Doing | None:
        kinds: list[tuple[int, Callable[[], Doing | None]]] = [
            (14, lambda: self._publish(self._any(), rotten=self.chance.random() < 0.05)),
            (26, self._point_any),
            (9, self._unpoint),
            (4, self._withdraw),
            (2, self._rename),
            (12, self._by_hand),
            (20, self._break),
            (3, Mend),
            (4, self._switch),
            (30 if len(self.down) == self.services else 6, self._stop_or_start),
        ]
        (chosen,) = self.chance.choices([each for _, each in kinds], [weight for weight, _ in kinds])
        return chosen()

    def _any(self) -> str:
        return self.chance.choice(sorted(self.labels))

    def _publish(self, name: str, *, rotten: bool) -> Doing:
        number = self.made[name]
        self.made[name] += 1
        label = str(number + 1) if name == MLFLOW else f"v{number}"
        self.labels[name].append(label)
        is_large = self.large and self.chance.random() < 0.08
        size = LARGE if is_large else self.chance.randrange(*SMALL)
        return Publish(name, label, size, rotten=rotten and name != MLFLOW)

    def _point_any(self) -> Doing | None:
        name = self._any()
        return self._point(name, self.labels[name][-4:]) if self.labels[name] else None

    def _point(self, name: str, labels: list[str]) -> Doing:
        alias, label = self.chance.choice(ALIASES), self.chance.choice(labels)
        self.aliases[name][alias] = label
        return Point(name, alias, label)

    def _unpoint(self) -> Doing | None:
        name = self._any()
        if not self.aliases[name]:
            return None
        alias = self.chance.choice(sorted(self.aliases[name]))
        return Unpoint(name, alias, self.aliases[name].pop(alias))

    def _withdraw(self) -> Doing | None:
        name = self._any()
        if len(self.labels[name]) < 3:
            return None
        label = self.chance.choice(self.labels[name])
        self.labels[name].remove(label)
        self.aliases[name] = {alias: named for alias, named in self.aliases[name].items() if named != label}
        return Withdraw(name, label)

    def _rename(self) -> Doing:
        old = self.chance.choice(sorted(name for name in self.labels if name.startswith(BY_PATTERN)))
        self.names += 1
        new = f"{BY_PATTERN}n{self.names}"
        self.labels[new] = self.labels.pop(old)
        self.aliases[new] = self.aliases.pop(old)
        self.made[new] = self.made.pop(old)
        return Rename(old, new)

    def _by_hand(self) -> Doing:
        name = self._any()
        model = COLLECTIONS.get(name, name)
        alias, pick = self.chance.choice((*ALIASES, *THEIRS)), self.chance.randrange(1000)
        return self.chance.choice(
            (
                HandMove(model, alias, pick),
                HandRemove(model, self.chance.choice(ALIASES)),
                HandMake(model, self.chance.choice((None, None, *THEIRS, alias))),
                HandDelete(model, pick),
            )
        )

    def _break(self) -> Doing:
        chance = self.chance
        service = chance.choice(sorted(READS))
        reads, writes = READS[service], WRITES.get(service, ())
        method = chance.choice((*reads, *writes, *writes))
        kind = chance.choice(("status", "status", "timeout_before", "timeout_after", "reset", "half_body", "slow"))
        fault: dict[str, float | None] = {
            "count": chance.randrange(1, 5),
            "seed": chance.randrange(1 << 30),
            "seconds": 0.05,
        }
        if kind == "status":
            status = chance.choice((429, 429, 500, 503, 503))
            fault |= {"status": status, "retry_after": chance.choice((None, 1)) if status == 429 else None}
        special = chance.random()
        if special < 0.12 and service in FILES:
            # MLflow keeps no digests, so nobody could tell that a byte of its answer was another.
            wrong = "corrupt_byte" if service == "wandb" else "half_body"
            method, kind = FILES[service], chance.choice((wrong, wrong, "half_body", "reset"))
        elif special < 0.24:
            method, kind = chance.choice(reads[:2]), "stale_list"
        elif special < 0.32 and service in FILES:
            method, kind = chance.choice(reads[:2]), "empty"
            fault["count"] = chance.randrange(1, 9)
        elif special < 0.32 and service == "vertex":
            method, kind = "UploadModel", "operation_fails"
        return Break(Fault(service, kind, method, **fault))  # type: ignore[arg-type]  # chosen from the kinds above

    def _switch(self) -> Doing:
        chance = self.chance
        return Switch(
            commit_delay=chance.choice((0.0, 0.0, 0.3, 0.8)),
            list_lag=chance.choice((0.0, 0.0, 0.5, 1.0)),
            alias_conflict=chance.choice(("move", "reject")),
            label_scope=chance.choice(("model", "version")),
            lost_replies=chance.choice((0, 0, 1, 2)),
        )

    def _stop_or_start(self) -> Doing:
        if self.down:
            service = min(self.down)
            self.down.remove(service)
            return Start(service)
        service = self.chance.randrange(self.services)
        self.down.add(service)
        return Stop(service, kill=self.chance.random() < 0.6)
