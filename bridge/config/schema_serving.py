"""The shape of a mapping's `serving`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from bridge.config import checks
from bridge.config.schema_models import TEXT, Strict

_Version = Annotated[
    str, AfterValidator(checks.framework_version), WithJsonSchema({"type": "string", "pattern": checks.VERSION_PATTERN})
]


class ServingYaml(Strict):
    """The container that Vertex AI starts for a version, and which of its files it is given."""

    layout: Literal["mirror", "prebuilt", "custom-mlflow", "auto"] = "mirror"
    image: Annotated[str, AfterValidator(checks.image), WithJsonSchema(TEXT)] | None = None
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    ports: list[Annotated[int, Field(ge=1, le=65_535)]] = Field(default=[], min_length=1)
    predict_route: Annotated[str, AfterValidator(checks.route)] | None = None
    health_route: Annotated[str, AfterValidator(checks.route)] | None = None
    env: Annotated[dict[str, str], AfterValidator(checks.variables)] = Field(default_factory=dict)
    framework: Literal["sklearn", "xgboost", "tensorflow", "pytorch"] | None = None
    framework_version: _Version | None = None
    accelerator: Literal["cpu", "gpu"] = "cpu"
