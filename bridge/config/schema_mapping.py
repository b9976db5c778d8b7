"""The shape of mappings/*.yaml."""

from __future__ import annotations

from typing import Annotated, ClassVar, Generic, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, WithJsonSchema

from bridge.config import checks
from bridge.config.schema_models import TEXT, Name, Part, Plain, Strict, by_type, refers_to
from bridge.config.wrong import Wrong, either, not_yet

Item = TypeVar("Item")


class PatternYaml(Strict):
    """Every collection whose whole name matches."""

    regex: Annotated[str, AfterValidator(checks.regex), WithJsonSchema({"type": "string", "format": "regex"})]


class WhereYaml(Strict):
    """A collection must carry all of the tags."""

    tags: list[Plain] = Field(min_length=1)


class RegistrySourceYaml(Strict):
    """Collections of a W&B registry."""

    advice: ClassVar[dict[str, str]] = {
        "registry": "a source names a registry and a collection, or an entity, a project and a collection",
        "entity": "a source names a registry, or an entity and a project, not both",
        "project": "a source names a registry, or an entity and a project, not both",
        "type": "it is only for a source with entity and project",
    }

    from_: Annotated[Plain, refers_to("wandb")] = Field(alias="from")
    registry: Annotated[str, AfterValidator(checks.registry), WithJsonSchema(TEXT)]
    collection: Annotated[
        Annotated[Part, Tag("\0text")] | Annotated[PatternYaml, Tag("\0mapping")],
        Discriminator(by_type),
        BeforeValidator(either("a text or {regex: …}", str, dict)),
    ]
    where: WhereYaml | None = None


def _no_pattern(value: object) -> object:
    if isinstance(value, dict) and "regex" in value:
        raise Wrong("a pattern needs a source with a registry; name one collection of a project")
    return value


class ProjectSourceYaml(Strict):
    """One collection of a W&B project."""

    advice: ClassVar[dict[str, str]] = {"where": "tags can only be asked for in a registry"}

    from_: Annotated[Plain, refers_to("wandb")] = Field(alias="from")
    entity: Part
    project: Part
    collection: Annotated[Part, BeforeValidator(_no_pattern)]
    type: Plain = "model"


def _source_shape(value: dict[str, object]) -> str:
    of_project = "registry" not in value and ("entity" in value or "project" in value)
    return "\0project" if of_project else "\0registry"


class TargetYaml(Strict):
    """A Vertex AI model; its name may hold groups of the source's pattern, as {group}."""

    to: Annotated[Plain, refers_to("vertex")]
    model: Plain


class ServingYaml(Strict):
    """The container that Vertex AI starts for a version."""

    advice: ClassVar[dict[str, str]] = {"image": "Vertex AI takes no model without the container image that serves it"}

    image: Annotated[str, AfterValidator(checks.image), WithJsonSchema(TEXT)]
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    ports: list[Annotated[int, Field(ge=1, le=65_535)]] = Field(default=[], min_length=1)
    predict_route: Annotated[str, AfterValidator(checks.route)] | None = None
    health_route: Annotated[str, AfterValidator(checks.route)] | None = None
    env: Annotated[dict[str, str], AfterValidator(checks.variables)] = Field(default_factory=dict)
    layout: Annotated[
        Literal["mirror"], BeforeValidator(not_yet("layout", ("prebuilt", "custom-mlflow"), "mirror"))
    ] = "mirror"


class NewestYaml(Strict):
    """Besides the versions with a mirrored alias, the newest few."""

    latest: int = Field(ge=1)


_POLICIES = (
    "write policy: sync (versions and aliases arrive, move and go), upsert-only (nothing goes) "
    "or create-only (nothing goes or moves)"
)


class MappingYaml(Strict):
    """One rule: what follows what."""

    advice: ClassVar[dict[str, str]] = {"policy": _POLICIES, "serving": ServingYaml.advice["image"]}

    name: Name
    source: Annotated[
        Annotated[RegistrySourceYaml, Tag("\0registry")] | Annotated[ProjectSourceYaml, Tag("\0project")],
        Discriminator(_source_shape),
        BeforeValidator(either("a mapping", dict)),
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
    drift: Literal["report", "heal"] = "report"
    on_source_delete: Annotated[
        Literal["retain"], BeforeValidator(not_yet("on_source_delete", ("unalias", "delete"), "retain"))
    ] = "retain"


class MappingsYaml(Strict, Generic[Item]):
    """A file of mappings/: a list of rules."""

    mappings: list[Item]
