"""The shapes of `service` and `limits` in bridge.yaml, and of `freeze` in a mapping."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from bridge.config import addresses, checks, freezing, units
from bridge.config.schema_models import TEXT, Duration, Strict
from bridge.config.wrong import either

Interval = Annotated[Duration, AfterValidator(checks.interval)]
Budget = Annotated[
    str,
    AfterValidator(checks.budget),
    BeforeValidator(either("a budget such as 60/m", str)),
    WithJsonSchema({"type": "string", "pattern": units.BUDGET_PATTERN}),
]


class ServiceYaml(Strict):
    """How `bridge run` runs."""

    listen: Annotated[str, AfterValidator(addresses.listen), WithJsonSchema(TEXT)] = "127.0.0.1:8470"
    keys: int = Field(8, ge=1, le=64)
    full_every: Interval = "6h"
    grace: Duration = "30s"


class LimitsYaml(Strict):
    """
    How many requests the bridge makes at most, in any second or minute, per connection.

    A bucket takes about 5,000 reads a second from the beginning on, and more later. Of writes it takes 1,000, which
    files keep to as it answers (docs.cloud.google.com, Cloud Storage, request rate and access distribution).
    """

    wandb: Budget = "60/m"
    mlflow: Budget = "20/s"
    vertex: Budget = "480/m"
    vertex_uploads: Budget = "60/m"
    gcs: Budget = "5000/s"


class FreezeYaml(Strict):
    """Times at which a mapping changes nothing in Vertex."""

    cron: Annotated[str, AfterValidator(freezing.cron), WithJsonSchema(TEXT)]
    for_: Interval = Field(alias="for")
    timezone: Annotated[str, AfterValidator(freezing.timezone), WithJsonSchema(TEXT)] = "UTC"
