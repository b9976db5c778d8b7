"""
Values in few words, so that a test shows only what it is about.

Everything belongs to one collection and one Vertex model, `fraud`. A source version is named by its label;
the version "v7" has the Vertex id "7" unless a test says otherwise.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal, assert_never

from bridge.core.changes import (
    AdoptVersion,
    ArrangeFiles,
    Change,
    CopyFiles,
    MarkDuplicate,
    MoveAlias,
    Plan,
    Refusal,
    RegisterVersion,
    RemoveAlias,
)
from bridge.core.desired import Desired
from bridge.core.errors import Position
from bridge.core.model import (
    Alias,
    AliasRules,
    CollectionSelector,
    Container,
    Fit,
    Hold,
    Known,
    Layout,
    MappingRecord,
    MappingSpec,
    ModelKey,
    ModelVersion,
    OnConflict,
    OnDrift,
    Policy,
    Serving,
    SourceState,
    SourceVersion,
    Target,
    TargetState,
    VersionRef,
    VersionRule,
)
from bridge.core.naming import artifact_uri, serving_uri

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

BASE = "gs://acme-models/registry"
COLLECTION = "acme_org/wandb-registry-model/fraud-detector"
KEY = ModelKey("fraud", "fraud")
ORIGIN = Position("mappings/fraud.yaml", 2, 5)
IMAGE = "europe-docker.pkg.dev/acme/serve/sklearn"


def version(label: str, *, version_id: str | None = None, digest: str | None = "") -> SourceVersion:
    """Return a source version; its digest is made from the label unless one is given (None: it has none)."""
    made = hashlib.sha256(label.encode("utf-8", "surrogatepass")).hexdigest()[:32] if digest == "" else digest
    return SourceVersion("acme", COLLECTION, label, version_id or f"id-{label}", made, f"https://wandb.ai/{label}")


def uri(label: str) -> str:
    """Return the folder of the version with that label."""
    return artifact_uri(BASE, KEY.model, version(label))


def spec(
    policy: str = "sync",
    *,
    drift: str = "report",
    on_conflict: str = "hold",
    named: Mapping[str, str | None] | None = None,
    others: Literal["pass", "slug", "drop"] = "pass",
    default_from: str | None = None,
    newest: int | None = 0,
    pattern: str | None = None,
    model: str = KEY.model,
    layout: str = "mirror",
) -> MappingSpec:
    """Return a mapping of the collection `fraud-detector`, or of those that match `pattern`."""
    rules = {name: None if to is None else Alias(to) for name, to in (named or {}).items()}
    return MappingSpec(
        name=KEY.mapping,
        source=CollectionSelector("acme", "wandb-registry-model", pattern or "fraud-detector", pattern is not None),
        target=Target("prod", model),
        policy=Policy(policy),
        aliases=AliasRules(rules, others),
        serving=Serving(IMAGE, layout=Layout(layout)),
        origin=ORIGIN,
        default_from=default_from,
        versions=VersionRule(newest),
        drift=OnDrift(drift),
        on_conflict=OnConflict(on_conflict),
    )


def source(*labels: str, aliases: Mapping[str, str] | None = None, complete: bool = True) -> SourceState:
    """Return what the source says: versions by label, oldest first, and aliases by label."""
    by_id = {alias: version(label).id for alias, label in (aliases or {}).items()}
    return SourceState(COLLECTION, "fraud-detector", tuple(version(label) for label in labels), by_id, complete)


def desired(
    aliases: Mapping[str, str] | None = None,
    *,
    versions: Iterable[str] = (),
    complete: bool = True,
    refusals: Iterable[Refusal] = (),
    unclear: Iterable[str] = (),
) -> Desired:
    """Return a desired state: aliases by label, and labels of versions that carry none."""
    named = {Alias(alias): version(label) for alias, label in (aliases or {}).items()}
    labels = sorted({*versions, *(each.label for each in named.values())})
    return Desired(
        versions=tuple(version(label) for label in labels),
        aliases=named,
        refusals=tuple(refusals),
        complete=complete,
        unclear=frozenset(map(Alias, unclear)),
    )


def ours(
    label: str, *aliases: str, at: str | None = None, marked: bool = True, folder: str | None = None
) -> ModelVersion:
    """Return the Vertex version of a source version, as the bridge registers it."""
    return ModelVersion(at or label.removeprefix("v"), folder or uri(label), frozenset(map(Alias, aliases)), marked)


def prebuilt_uri(label: str) -> str:
    """Return the folder of that version which a prebuilt container is given."""
    return serving_uri(uri(label))


def prebuilt(why: str = "it is xgboost") -> Fit:
    """Return how a version is served by a prebuilt container."""
    return Fit(Layout.PREBUILT, Container("prebuilt/xgboost"), (("model.ubj", "model.bst"),), why)


def custom(why: str = "") -> Fit:
    """Return how a version is served by MLflow's scoring server."""
    return Fit(Layout.CUSTOM_MLFLOW, Container("mlflow/server", (8080,), "/invocations", "/ping"), why=why)


def foreign(at: str, *aliases: str, marked: bool = False) -> ModelVersion:
    """Return a Vertex version that somebody else registered."""
    return ModelVersion(at, f"gs://elsewhere/{at}/", frozenset(map(Alias, aliases)), marked)


def vertex(*versions: ModelVersion, whole: Iterable[str] = ()) -> TargetState:
    """Return what Vertex holds; `whole` are the labels of versions whose folder has its manifest."""
    return TargetState(KEY.model, bool(versions), versions, frozenset(uri(label) for label in whole))


def record(label: str, at: str | None = None, folder: str | None = None) -> MappingRecord:
    """Return the row that ties a source version to its Vertex version."""
    first_seen = "2026-01-05T09:00:00+00:00"
    return MappingRecord(KEY, version(label), folder or uri(label), at or label.removeprefix("v"), first_seen)


def known(
    *labels: str,
    mirrored: Mapping[str, str] | None = None,
    seen: Iterable[str] | None = None,
    holds: Iterable[Hold] = (),
) -> Known:
    """Return what the store remembers: records by label, aliases as last set by Vertex id."""
    return Known(
        records=tuple(record(label) for label in labels),
        mirrored={Alias(alias): at for alias, at in (mirrored or {}).items()},
        seen_before=None if seen is None else frozenset(map(Alias, seen)),
        holds={each.alias: each for each in holds},
    )


def hold(alias: str, until: str | None = None) -> Hold:
    """Return a hold by Ann, after a rollback."""
    return Hold(Alias(alias), "ann", "rolled back", until)


def copy(label: str) -> CopyFiles:
    """Return the copying of a version."""
    return CopyFiles(version(label), uri(label))


def register(label: str) -> RegisterVersion:
    """Return the registration of a version."""
    return RegisterVersion(version(label), uri(label), Container(IMAGE))


def adopt(label: str, at: str = "90", why: str = "") -> AdoptVersion:
    """Return the adoption of a version that somebody else registered."""
    return AdoptVersion(version(label), f"gs://elsewhere/{at}/", at, why)


def move(alias: str, to: str, previous: str | None = None) -> MoveAlias:
    """Return the move of an alias, from a label or from nobody."""
    return MoveAlias(Alias(alias), version(to), uri(to), ref(previous) if previous else None)


def remove(alias: str, label: str) -> RemoveAlias:
    """Return the removal of an alias from a version."""
    return RemoveAlias(Alias(alias), ref(label))


def ref(label: str) -> VersionRef:
    """Return a version by both of its names."""
    return VersionRef(label.removeprefix("v"), label)


def plan_with(*steps: Change | Refusal) -> Plan:
    """Return a plan of those changes and refusals."""
    return Plan(
        key=KEY,
        changes=tuple(step for step in steps if not isinstance(step, Refusal)),
        refusals=tuple(step for step in steps if isinstance(step, Refusal)),
        checksum="0123456789abcdef",
    )


def says(plan: Plan) -> list[str]:
    """Return a plan in a few words a line: changes in their order, then refusals."""
    return [*map(_in_words, plan.changes), *(f"refuse {each.kind}: {each.about}" for each in plan.refusals)]


def _in_words(change: Change) -> str:  # noqa: PLR0911  one kind a case
    match change:
        case CopyFiles(to):
            return f"copy {to.label}"
        case ArrangeFiles(to):
            return f"arrange {to.label}"
        case RegisterVersion(to):
            return f"register {to.label}"
        case AdoptVersion(to, version_id=at):
            return f"adopt @{at} as {to.label}"
        case MoveAlias(alias, to, previous=previous):
            return f"move {alias} {_spelled(previous)} -> {to.label}"
        case RemoveAlias(alias, previous):
            return f"remove {alias} from {_spelled(previous)}"
        case MarkDuplicate(version_id, of):
            return f"mark @{version_id} as a duplicate of @{of}"
        case _:
            assert_never(change)


def _spelled(previous: VersionRef | None) -> str:
    return (previous.label or f"@{previous.version_id}") if previous else "-"
