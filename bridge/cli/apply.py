"""`bridge apply FILE`: just that plan, or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.following import following
from bridge.cli.options import DEFAULT_CONFIG, ConfigPath, Json, load_config
from bridge.cli.outcome import finish
from bridge.cli.plan_file import read_checksums


def apply(
    file: Annotated[Path, typer.Argument(help="A plan that `bridge plan --out` has saved.")],
    config: ConfigPath = DEFAULT_CONFIG,
    *,
    as_json: Json = False,
) -> None:
    """Apply a saved plan; refuse if the world has moved since it was made."""
    from bridge.app import Bridge

    checksums = read_checksums(file)
    with Bridge(load_config(config)) as opened, following(opened) as bridge, bridge.renewing():
        specs = bridge.specs(sorted({key.mapping for key in checksums}))
        reports = bridge.passes.apply(specs, checksums, why=f"bridge apply {file.name}")
    finish(reports, as_json=as_json)
