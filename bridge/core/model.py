"""
The nouns: what a mapping asks, what a source publishes, what Vertex holds, what the store remembers.

Everything is frozen and compared by value, so that a plan is a pure function of snapshots and a test can
write them down literally.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, NewType

from bridge.core.errors import Position

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from bridge.core.errors import BridgeError

Alias = NewType("Alias", str)  # legal in Vertex; what a source calls its own is a plain str
DEFAULT = Alias("default")  # Vertex demands exactly one per model, from its first version on
EVERY = Alias("*")  # in a hold: every alias, and the model itself; in its key: every model. Nothing is called so
MLFLOW_PLACE = "models:"  # what holds MLflow's registered models, so that a path is the URI that people write


class Policy(StrEnum):
    """What a mapping permits."""

    SYNC = "sync"  # versions and aliases arrive, move and go
    UPSERT_ONLY = "upsert-only"  # nothing goes
    CREATE_ONLY = "create-only"  # nothing goes or moves


class OnDrift(StrEnum):
    """What happens when somebody changed in Vertex what the bridge had set."""

    REPORT = "report"
    HEAL = "heal"


class OnConflict(StrEnum):
    """What happens where a version in Vertex that is not ours has an alias, or the place, of one of ours."""

    HOLD = "hold"  # it is refused, and a person decides
    OVERWRITE = "overwrite"  # the alias is taken from it; the version itself stays as it is
    ADOPT = "adopt"  # it becomes ours if its bytes are those of the source; else as HOLD


class OnSourceDelete(StrEnum):
    """What becomes of a version of ours in Vertex when it is deleted at its source."""

    RETAIN = "retain"  # it stays, with its aliases
    UNALIAS = "unalias"  # its aliases go
    DELETE = "delete"  # they go, and so do the version and its folder in the bucket


class State(StrEnum):
    """The state of one model, in one word: the same in CLI, API and metrics."""

    SYNCED = "SYNCED"
    PENDING = "PENDING"  # a change is known and waits
    COPYING = "COPYING"
    REGISTERING = "REGISTERING"
    BLOCKED = "BLOCKED"  # a guard, a conflict or a policy needs a person
    FAILED = "FAILED"
    HELD = "HELD"  # a person paused it
    DEGRADED = "DEGRADED"  # the source cannot be read; Vertex keeps what it had
    DRIFTED = "DRIFTED"  # somebody changed Vertex by hand


@dataclass(frozen=True, slots=True, order=True)
class ModelKey:
    """The unit of work: one Vertex model under one mapping."""

    mapping: str
    model: str  # Vertex model id

    def __str__(self) -> str:
        return f"{self.mapping}/{self.model}"


@dataclass(frozen=True, slots=True)
class CollectionSelector:
    """Which collections of a connection a mapping watches, and for which aliases."""

    connection: str
    place: str  # what holds the collections: "wandb-registry-model", "entity/project", or "models:" of MLflow
    name: str  # a collection's name, or a regular expression over the whole name if `is_pattern`
    is_pattern: bool = False
    artifact_type: str = "model"  # only asked for in a project of W&B
    tags: frozenset[str] = frozenset()  # a collection must carry all of them; MLflow's are "key=value"
    aliases: frozenset[str] | None = None  # the only aliases that matter; None: any may
    stages: frozenset[str] = frozenset()  # of MLflow: stages that count as aliases of their own names


@dataclass(frozen=True, slots=True)
class AliasRules:
    """How a mapping spells a source's aliases in Vertex; `default` is never among the values."""

    named: Mapping[str, Alias | None]  # source alias -> Vertex alias; None drops it
    others: Literal["pass", "slug", "drop"] = "pass"


@dataclass(frozen=True, slots=True)
class VersionRule:
    """Which versions are registered: those with a mirrored alias, and besides them the `newest` n, or all."""

    newest: int | None = 0  # None: all


class Layout(StrEnum):
    """Which files of a version its container is given, and how it is asked; see core.serving."""

    MIRROR = "mirror"  # the tree as it is, for the user's own image
    PREBUILT = "prebuilt"  # what one of Vertex's own images loads, under the names that it wants
    CUSTOM_MLFLOW = "custom-mlflow"  # the tree as it is, for an image that is MLflow's scoring server
    AUTO = "auto"  # one of the above, chosen for each version


@dataclass(frozen=True, slots=True)
class Container:
    """The container that Vertex starts for a version: what UploadModel's container_spec takes."""

    image: str
    ports: tuple[int, ...] = ()
    predict_route: str | None = None
    health_route: str | None = None
    env: tuple[tuple[str, str], ...] = ()  # names and values, by name


@dataclass(frozen=True, slots=True)
class Serving:
    """What a mapping says of how its versions are served."""

    image: str | None = None  # None only where the layout finds one
    ports: tuple[int, ...] = ()
    predict_route: str | None = None
    health_route: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    layout: Layout = Layout.MIRROR
    framework: str | None = None  # what the files are, if neither they nor the source say so
    framework_version: str | None = None
    accelerator: Literal["cpu", "gpu"] = "cpu"


@dataclass(frozen=True, slots=True)
class Fit:
    """How one version is served: what core.serving chose for it."""

    layout: Layout  # never AUTO
    container: Container
    renames: tuple[tuple[str, str], ...] = ()  # of PREBUILT: path in the faithful copy, path for the container
    why: str = ""  # one clause; empty if the mapping left nothing to choose


@dataclass(frozen=True, slots=True)
class Target:
    """Where a mapping's models go; `model` may hold `{group}` of the selector's pattern."""

    connection: str
    model: str


@dataclass(frozen=True, slots=True)
class Freeze:
    """Times at which a mapping changes nothing in Vertex: each begins where `cron` says, and lasts."""

    cron: str  # five fields, as crontab(5) has them
    lasts: timedelta
    timezone: str = "UTC"  # an IANA name: "Europe/Berlin"


@dataclass(frozen=True, slots=True)
class Scan:
    """A program that each version's files have to pass before it is registered."""

    command: tuple[str, ...]  # and its arguments
    within: float  # seconds


@dataclass(frozen=True, slots=True)
class MappingSpec:
    """One rule of mappings/*.yaml."""

    name: str
    source: CollectionSelector
    target: Target
    policy: Policy
    aliases: AliasRules
    serving: Serving
    origin: Position
    default_from: str | None = None  # a source alias
    versions: VersionRule = VersionRule()
    drift: OnDrift = OnDrift.REPORT
    on_conflict: OnConflict = OnConflict.HOLD
    on_source_delete: OnSourceDelete = OnSourceDelete.RETAIN
    freezes: tuple[Freeze, ...] = ()
    scan: Scan | None = None

    @property
    def wish(self) -> MappingSpec:
        """The rule as far as it says what Vertex should have: not where it is written, nor when it is frozen."""
        return replace(self, origin=Position("", 0, 0), freezes=())


def spell_version(collection: str, label: str) -> str:
    """Spell a version as people do: "acme_org/wandb-registry-model/fraud:v7", "models:/churn/3"."""
    return f"{collection}{'/' if collection.startswith(MLFLOW_PLACE) else ':'}{label}"


@dataclass(frozen=True, slots=True)
class SourceVersion:
    """One immutable version of a collection."""

    connection: str
    collection: str  # full path: "acme_org/wandb-registry-model/fraud-detector", "models:/churn"
    label: str  # as the source spells it: "v7", "3"
    id: str  # stable, unique in its collection for ever, even if the label is used again
    digest: str | None  # over all of its files, as the source computes it
    url: str  # where a person can look at it

    def __str__(self) -> str:
        return spell_version(self.collection, self.label)


@dataclass(frozen=True, slots=True)
class Remark:
    """What a person should know of a source alias that is not plainly on one version."""

    text: str  # a clause: "versions 3 and 5 are both in stage 'Production'"
    remedy: str = ""
    passing: bool = False  # it is expected to end by itself


@dataclass(frozen=True, slots=True)
class SourceState:
    """What the source says of one collection."""

    collection: str
    name: str  # the last part of `collection`
    versions: tuple[SourceVersion, ...]  # oldest first
    aliases: Mapping[str, str]  # source alias -> SourceVersion.id
    complete: bool = True  # False: what is absent here may exist all the same
    remarks: Mapping[str, Remark] = field(default_factory=dict)  # by source alias; if not in `aliases`: undecided
    is_missing: bool = False  # the collection was there once, and is not found any more

    def version(self, version_id: str) -> SourceVersion:
        """Return the version with that id. Raises KeyError."""
        for version in self.versions:
            if version.id == version_id:
                return version
        raise KeyError(version_id)


@dataclass(frozen=True, slots=True)
class Sweep:
    """One look at all that is watched on a connection; each selector is in exactly one of the two."""

    found: Mapping[CollectionSelector, tuple[SourceState, ...]]
    failed: Mapping[CollectionSelector, BridgeError]


@dataclass(frozen=True, slots=True)
class Digest:
    """A digest of some bytes; `value` is base64 of the raw digest (crc32c's big-endian), as W&B and GCS write it."""

    algorithm: Literal["md5", "xxh128", "crc32c"]
    value: str


@dataclass(frozen=True, slots=True)
class ArtifactFile:
    """One file of a version."""

    path: str  # relative, "/" between parts; checked by naming.check_path when read, never again
    size: int  # bytes
    digest: Digest | None  # None: the source keeps none, so it is computed while streaming
    location: str | None = None  # gs://bucket/object, if Cloud Storage can copy the bytes by itself


@dataclass(frozen=True, slots=True)
class Facts:
    """What a source says of the model in a version, besides its files. All of it may be absent."""

    flavors: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # of an MLmodel file, single values only
    python: str | None = None  # version, "3.11.7"
    signature: str | None = None  # JSON, as the MLmodel file has it
    run_id: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    framework: str | None = None  # as a person wrote it: "sklearn"
    framework_version: str | None = None
    unread: str | None = None  # why its MLmodel file could not be read: a sentence


@dataclass(frozen=True, slots=True)
class Description:
    """What is in a version."""

    files: Sequence[ArtifactFile]  # by path; a tuple, or packed
    facts: Facts = Facts()


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file as it lies in the bucket; digests are base64, crc32c of the big-endian 32 bits."""

    path: str
    size: int  # bytes
    crc32c: str
    md5: str | None = None
    xxh128: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class ManifestHeader:
    """What a manifest says besides its files."""

    collection: str
    label: str
    source_id: str
    source_digest: str | None
    created: str  # ISO 8601, UTC
    facts: Facts = Facts()

    def is_of(self, version: SourceVersion) -> bool:
        """Tell whether these are the version's bytes: by digest, or by id if the source keeps no digests."""
        if version.digest is None:
            return self.source_id == version.id  # not the collection too: MLflow's can be renamed
        return self.source_digest == version.digest


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was copied, written as the last object of a folder: with it the folder is whole, without it nothing is."""

    collection: str
    label: str
    source_id: str
    source_digest: str | None
    files: Sequence[StoredFile]  # by path, no two of one; a tuple, or packed
    created: str  # ISO 8601, UTC
    facts: Facts = Facts()

    @property
    def header(self) -> ManifestHeader:
        """All but the files."""
        return ManifestHeader(self.collection, self.label, self.source_id, self.source_digest, self.created, self.facts)

    def is_of(self, version: SourceVersion) -> bool:
        """Tell whether these are the version's bytes, as the header does."""
        return self.header.is_of(version)


@dataclass(frozen=True, slots=True)
class BucketPlace:
    """Where a bucket keeps its bytes."""

    location: str  # as the service spells it: "EUROPE-WEST4", "EU", "EUR4"
    regions: tuple[str, ...] = ()  # of a pair that somebody has chosen; `location` only says what both are in

    def __str__(self) -> str:
        return f"{self.location} ({' and '.join(self.regions)})" if self.regions else self.location


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version in Vertex."""

    id: str  # a decimal number
    artifact_uri: str
    aliases: frozenset[Alias]
    marked: bool  # carries our owner label; proof of ownership only together with a record
    owner: str | None = None  # whose owner label it carries, if that is somebody else's
    duplicate: bool = False  # carries our label for one too many
    endpoints: tuple[str, ...] = ()  # resource names of those that it is deployed to


@dataclass(frozen=True, slots=True)
class TargetState:
    """What Vertex holds of one model, and which of the folders in question are whole."""

    model: str
    exists: bool
    versions: tuple[ModelVersion, ...] = ()  # oldest first
    committed: frozenset[str] = frozenset()  # artifact URIs whose manifest is written

    def holder(self, alias: Alias) -> ModelVersion | None:
        """Return the version that carries the alias."""
        return next((version for version in self.versions if alias in version.aliases), None)

    @property
    def doubled(self) -> int:
        """How many versions of ours there are beyond one for each folder."""
        ours = [version.artifact_uri for version in self.versions if version.marked]
        return len(ours) - len(set(ours))


@dataclass(frozen=True, slots=True)
class VersionRef:
    """A version by both of its names."""

    version_id: str  # in Vertex
    label: str | None  # at the source; None if no record knows


@dataclass(frozen=True, slots=True)
class MappingRecord:
    """A row of the mapping store: source version <-> GCS URI <-> Vertex version."""

    key: ModelKey
    source: SourceVersion
    artifact_uri: str
    version_id: str  # in Vertex
    first_seen: str  # ISO 8601, UTC
    facts: Facts = Facts()


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What is left of a record whose version the bridge has deleted in Vertex. Times are ISO 8601, UTC."""

    record: MappingRecord
    removed: str
    why: str  # a clause
    files_removed: str | None = None  # None: its folder may still be in the bucket


@dataclass(frozen=True, slots=True)
class Hold:
    """
    A person's override: the alias stays where it is in Vertex until the hold ends.

    One of EVERY alias is a pause: then nothing of the model changes, or of any model of the mapping.
    """

    alias: Alias
    who: str
    why: str
    until: str | None  # ISO 8601, UTC; None: until it is lifted
    model: str = field(default=EVERY, compare=False)  # that it was put on, as the store tells; EVERY: the whole mapping

    @property
    def lasts(self) -> str:
        """Until when, in words."""
        return f"until {self.until or 'somebody resumes it'}"

    def scope(self, key: ModelKey) -> str:
        """Name what it was put on, and is resumed for: the mapping of a model that it holds, or just that model."""
        return key.mapping if self.model == EVERY else str(key)


@dataclass(frozen=True, slots=True)
class RemovalGuard:
    """A plan that removes more than this share of aliases or versions, and at least this many, is an accident."""

    max_share: float = 0.3
    min_count: int = 3

    def __str__(self) -> str:
        return f"{self.max_share:.0%} (and at least {self.min_count})"


@dataclass(frozen=True, slots=True)
class Known:
    """What the store remembers of one key when a plan is made."""

    records: tuple[MappingRecord, ...] = ()
    mirrored: Mapping[Alias, str] = field(default_factory=dict)  # as last set by us: alias -> Vertex version id
    seen_before: frozenset[Alias] | None = None  # desired in the last complete listing; None: there was none
    holds: Mapping[Alias, Hold] = field(default_factory=dict)  # those in force
    tombstones: tuple[Tombstone, ...] = ()  # those whose folder may still be there
    taken: frozenset[str] = frozenset()  # folders that records of other models, or open intents, have


@dataclass(frozen=True, slots=True)
class Absences:
    """Versions of ours, by SourceVersion.id, that a complete listing of their source does not hold."""

    now: frozenset[str] = frozenset()
    before: frozenset[str] = frozenset()  # from the complete listing before this one, too
    deleted: frozenset[str] = frozenset()  # the source says positively that nothing has them any more
    unsaid: Mapping[str, str] = field(default_factory=dict)  # why the source could not be asked: a sentence
