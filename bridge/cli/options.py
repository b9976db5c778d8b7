"""Options and arguments that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from datetime import timedelta

    from bridge.config.model import Config

ConfigPath = Annotated[
    Path, typer.Option("--config", "-c", envvar="BRIDGE_CONFIG", help="The file bridge.yaml.", show_default=True)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
Mappings = Annotated[list[str] | None, typer.Argument(metavar="[MAPPING]...", help="Only these mappings.")]

REFERENCES = "fraud, fraud@7, fraud@production, wandb-registry-model/fraud:v7, models:/churn/3, models:/churn@champion"

DEFAULT_CONFIG = Path("bridge.yaml")


def read_span(text: str, option: str) -> timedelta:
    """Read a duration such as 8h. Raises BadParameter."""
    from bridge.config import units

    try:
        return units.duration(text)
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong), param_hint=option) from wrong


def load_config(path: Path) -> Config:
    """Read the configuration. Raises ConfigErrors."""
    from bridge.config.load import load

    return load(path)
