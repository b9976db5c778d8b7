"""The shape of `copying` in bridge.yaml; its defaults are those of CopySettings, as people write them."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from bridge.config import checks, units
from bridge.config.schema_models import Duration, Strict
from bridge.config.wrong import Fault, Wrong, either
from bridge.core.settings import CopySettings, UnfitSettings

Size = Annotated[
    str,
    AfterValidator(checks.size),
    BeforeValidator(either("a size such as 8MiB or 1GiB", str)),
    WithJsonSchema({"type": "string", "pattern": units.SIZE_PATTERN}),
]
Rate = Annotated[
    str,
    AfterValidator(checks.rate),
    BeforeValidator(either("a rate such as 200MB/s", str)),
    WithJsonSchema({"type": "string", "pattern": units.RATE_PATTERN}),
]


class CopyingYaml(Strict):
    """How much of a machine, and of both ends, copying may take."""

    parallel_files: int = Field(64, ge=1)
    parallel_versions: int = Field(4, ge=1)
    per_host: int = Field(64, ge=1)
    memory: Size = "256MiB"
    max_bandwidth: Rate | None = None
    one_request: Size = "8MiB"
    parts_above: Size = "1GiB"
    slow_stream: Rate = "150MB/s"
    part: Size = "8MiB"
    leftovers_after: Duration = "7d"

    @model_validator(mode="after")
    def _fits(self) -> CopyingYaml:
        try:
            self.settings()
        except UnfitSettings as error:
            raise Wrong(*(Fault(sentence, (field,)) for field, sentence in error.faults)) from error
        return self

    def settings(self) -> CopySettings:
        """Return the same as values. Raises UnfitSettings."""
        return CopySettings(
            parallel_files=self.parallel_files,
            parallel_versions=self.parallel_versions,
            per_host=self.per_host,
            memory=units.size(self.memory),
            max_bandwidth=units.rate(self.max_bandwidth) if self.max_bandwidth is not None else None,
            one_request=units.size(self.one_request),
            parts_above=units.size(self.parts_above),
            slow_stream=units.rate(self.slow_stream),
            part=units.size(self.part),
            leftovers_after=units.duration(self.leftovers_after),
        )
