"""What MLflow says of a model and of a version, as far as it matters here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

READY = "READY"
PENDING = "PENDING_REGISTRATION"
STAGES = ("Staging", "Production", "Archived")  # besides "None", which is no stage


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a registered model; its aliases are its model's."""

    model: str
    number: int
    created: int  # ms since 1970, by the server's clock; kept when the model is renamed
    updated: int  # the same; the transition of a stage moves it, an alias or a tag does not
    stage: str
    status: str
    source: str  # a URI
    run_id: str | None = None

    @property
    def id(self) -> str:
        """
        Identify the version for ever: "3@1735689600000-9f86d081".

        Numbers begin at 1 again when a model is deleted and made anew; then the times differ.
        """
        return f"{self.number}@{self.created}-{hashlib.sha256(self.source.encode()).hexdigest()[:8]}"


@dataclass(frozen=True, slots=True)
class Model:
    """A registered model."""

    name: str
    created: int  # ms since 1970; kept when it is renamed
    aliases: Mapping[str, int] = field(default_factory=dict)  # alias -> number of a version
    tags: Mapping[str, str] = field(default_factory=dict)
    highest: tuple[Version, ...] = ()  # of each stage, "None" too, the version with the highest number


@dataclass(frozen=True, slots=True)
class Run:
    """The run that a version comes from."""

    artifacts: str  # URI of its folder
    metrics: Mapping[str, float] = field(default_factory=dict)  # the last value of each
    models: tuple[str, ...] = ()  # ids of the models that it logged
