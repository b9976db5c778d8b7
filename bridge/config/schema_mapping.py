"""The shape of mappings/*.yaml."""

from __future__ import annotations

from typing import Annotated, ClassVar, Generic, Literal, TypeVar

from pydantic import BeforeValidator, Discriminator, Field, Tag

from bridge.config.schema_models import Duration, Name, Plain, Strict, by_type, refers_to
from bridge.config.schema_service import FreezeYaml  # noqa: TC001  pydantic reads it at run time
from bridge.config.schema_serving import ServingYaml  # noqa: TC001  pydantic reads it at run time
from bridge.config.schema_source import (
    MlflowSourceYaml,
    ProjectSourceYaml,
    RegistrySourceYaml,
    of_its_connection,
    shape_of_source,
)
from bridge.config.wrong import either

Item = TypeVar("Item")


class TargetYaml(Strict):
    """A Vertex AI model; its name may hold groups of the source's pattern, as {group}."""

    to: Annotated[Plain, refers_to("vertex")]
    model: Plain


class NewestYaml(Strict):
    """Besides the versions with a mirrored alias, the newest few."""

    latest: int = Field(ge=1)


class ScanYaml(Strict):
    """A program that reads a tar of a version's files on its stdin, and ends with 0 if they are clean."""

    command: list[Plain] = Field(min_length=1)
    within: Duration = "1h"


_POLICIES = (
    "write policy: sync (versions and aliases arrive, move and go), upsert-only (nothing goes) "
    "or create-only (nothing goes or moves)"
)


class MappingYaml(Strict):
    """One rule: what follows what."""

    advice: ClassVar[dict[str, str]] = {
        "policy": _POLICIES,
        "serving": "write serving: {image: …} with the container image that serves it, or serving: {layout: auto}",
    }

    name: Name
    source: Annotated[
        Annotated[RegistrySourceYaml, Tag("\0registry")]
        | Annotated[ProjectSourceYaml, Tag("\0project")]
        | Annotated[MlflowSourceYaml, Tag("\0mlflow")],
        Discriminator(shape_of_source),
        BeforeValidator(of_its_connection),
        BeforeValidator(either("a mapping", dict)),  # the last is the first to run
    ]
    target: TargetYaml
    policy: Literal["sync", "upsert-only", "create-only"]
    aliases: Annotated[
        Annotated[dict[str, str | None], Tag("\0mapping")] | Annotated[list[str], Tag("\0list")],
        Discriminator(by_type),
        BeforeValidator(either("a mapping or a list", dict, list)),
    ] = Field(default_factory=dict)
    alias_style: Literal["slug"] | None = None
    default_from: Plain | None = None
    versions: Annotated[
        Annotated[Literal["aliased", "all"], Tag("\0text")] | Annotated[NewestYaml, Tag("\0mapping")],
        Discriminator(by_type),
        BeforeValidator(either("aliased, all or {latest: N}", str, dict)),
    ] = "aliased"
    serving: ServingYaml
    freeze: list[FreezeYaml] = Field(default=[])
    drift: Literal["report", "heal"] = "report"
    on_conflict: Literal["hold", "overwrite", "adopt"] = "hold"
    on_source_delete: Literal["retain", "unalias", "delete"] = "retain"
    scan: ScanYaml | None = None


class MappingsYaml(Strict, Generic[Item]):
    """A file of mappings/: a list of rules."""

    mappings: list[Item]
