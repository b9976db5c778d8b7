"""
What the models of both kinds of file are made of; the JSON Schemas are made from those models.

Values stay as written (a duration is still a text); translate makes values of bridge.core from them.
`advice` is what is said, besides the rule, about a key that is missing, unknown or holds none of its words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

from bridge.config import checks
from bridge.config.units import DURATION_PATTERN
from bridge.config.wrong import Wrong, did_you_mean, either

if TYPE_CHECKING:
    from pydantic import ValidationInfo


KINDS = ("wandb", "mlflow", "vertex")


@dataclass(frozen=True, slots=True)
class Known:
    """What a mapping file may refer to: the kind of each connection; None if bridge.yaml could not be read."""

    connections: dict[str, str] | None


def by_type(value: object) -> str:
    """Return the tag of a variant by its shape; a tag begins with NUL, as no key can (see explain)."""
    if isinstance(value, str):
        return "\0text"
    return "\0mapping" if isinstance(value, dict) else "\0list"


def refers_to(kind: str) -> AfterValidator:
    """Check that a text names a connection of that kind."""

    def check(connection: str, info: ValidationInfo) -> str:
        known = info.context.connections if isinstance(info.context, Known) else None
        if known is None:
            return connection
        fitting = [name for name, other in known.items() if other == kind]
        advice = did_you_mean(connection, fitting, f"connections of kind {kind}:")
        if connection not in known:
            raise Wrong(f"no connection is named {connection!r}; {advice}")
        if connection not in fitting and known[connection] in KINDS:  # any other kind is a mistake of its own
            raise Wrong(f"connection {connection!r} is of kind {known[connection]!r}, not {kind!r}; {advice}")
        return connection

    return AfterValidator(check)


TEXT = {"type": "string", "minLength": 1}
Plain = Annotated[str, AfterValidator(checks.plain), WithJsonSchema(TEXT)]
Part = Annotated[str, AfterValidator(checks.part), WithJsonSchema({"type": "string", "pattern": "^[^/]+$"})]
Name = Annotated[str, AfterValidator(checks.name), WithJsonSchema({"type": "string", "pattern": checks.NAME_PATTERN})]
Duration = Annotated[
    str,
    AfterValidator(checks.duration),
    BeforeValidator(either("a duration such as 90s, 10m, 2h or 1d", str)),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN}),
]


class Strict(BaseModel):
    """Nothing is converted, nothing unknown is let through, nothing changes."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    advice: ClassVar[dict[str, str]] = {}
