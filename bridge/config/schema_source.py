"""The shapes of a mapping's `source`: collections of a W&B registry or project, and registered models of MLflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, WithJsonSchema

from bridge.config import checks
from bridge.config.schema_models import TEXT, Known, Part, Plain, Strict, by_type, refers_to
from bridge.config.wrong import Fault, Wrong, either

if TYPE_CHECKING:
    from pydantic import ValidationInfo

_WANDB_KEYS = "a registry and a collection, or an entity, a project and a collection, not a model"
_MLFLOW_KEYS = "a model, and maybe where, stages and aliases"
_ONLY_OF_MLFLOW = "it is only for a source from MLflow, which names a model"
_ONLY_OF_WANDB = "a source from MLflow names a model, one from W&B a registry or a project"

Stage = Literal["Staging", "Production", "Archived"]  # "None", MLflow's fourth, is that of a version without one

_OF_WANDB = {"registry", "collection", "entity", "project", "type"}
_MODEL = {"type": "string", "pattern": "^[^/:]+$"}


class PatternYaml(Strict):
    """Every collection, or model of MLflow, whose whole name matches."""

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
        **dict.fromkeys(("model", "stages", "aliases"), _ONLY_OF_MLFLOW),
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

    advice: ClassVar[dict[str, str]] = {
        "where": "tags can only be asked for in a registry",
        **dict.fromkeys(("model", "stages", "aliases"), _ONLY_OF_MLFLOW),
    }

    from_: Annotated[Plain, refers_to("wandb")] = Field(alias="from")
    entity: Part
    project: Part
    collection: Annotated[Part, BeforeValidator(_no_pattern)]
    type: Plain = "model"


class TagsYaml(Strict):
    """A model must carry all of the tags, with these values."""

    tags: Annotated[
        dict[Plain, Plain],
        Field(min_length=1),
        AfterValidator(checks.tag_keys),
        BeforeValidator(either("a mapping such as {team: fraud}", dict)),
    ]


class MlflowSourceYaml(Strict):
    """Registered models of MLflow, with the stages and aliases that are followed."""

    advice: ClassVar[dict[str, str]] = {
        "model": f"a source from MLflow names {_MLFLOW_KEYS}",
        **dict.fromkeys(sorted(_OF_WANDB), _ONLY_OF_WANDB),
        "stage": "did you mean 'stages'?",
    }

    from_: Annotated[Plain, refers_to("mlflow")] = Field(alias="from")
    model: Annotated[
        Annotated[str, AfterValidator(checks.registered_model), WithJsonSchema(_MODEL), Tag("\0text")]
        | Annotated[PatternYaml, Tag("\0mapping")],
        Discriminator(by_type),
        BeforeValidator(either("a text or {regex: …}", str, dict)),
    ]
    where: TagsYaml | None = None
    stages: Annotated[list[Stage], Field(min_length=1), AfterValidator(checks.unique)] | None = None
    aliases: (
        Annotated[
            list[Annotated[str, AfterValidator(checks.mlflow_alias), WithJsonSchema(TEXT)]],
            AfterValidator(checks.unique),
        ]
        | None
    ) = None


def shape_of_source(said: dict[str, object]) -> str:
    """Return the tag of a source's shape, told by its keys: `model` is MLflow's."""
    if "model" in said or (said.keys() & {"stages", "aliases"} and not said.keys() & _OF_WANDB):
        return "\0mlflow"
    of_project = "registry" not in said and ("entity" in said or "project" in said)
    return "\0project" if of_project else "\0registry"


def of_its_connection(said: dict[str, object], info: ValidationInfo) -> dict[str, object]:
    """Refuse a source whose shape is not that of its connection's kind; all else about it would be beside the point."""
    known = info.context.connections if isinstance(info.context, Known) else None
    match said:
        case {"from": str(connection)} if known is not None:
            kind = known.get(connection)
        case _:
            return said
    of_mlflow = shape_of_source(said) == "\0mlflow"
    if kind == "mlflow" and not of_mlflow:
        names = _MLFLOW_KEYS
    elif kind == "wandb" and of_mlflow:
        names = _WANDB_KEYS
    else:
        return said
    raise Wrong(Fault(f"connection {connection!r} is of kind {kind!r}; a source from there names {names}", ("from",)))
