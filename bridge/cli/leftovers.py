"""`bridge leftovers`: what copies have begun and never finished."""

from __future__ import annotations

from typing import Annotated

import typer

from bridge.cli.options import DEFAULT_CONFIG, ConfigPath, Json, load_config
from bridge.cli.printing import say, say_json


def leftovers(
    config: ConfigPath = DEFAULT_CONFIG,
    *,
    remove: Annotated[bool, typer.Option("--remove", help="Remove them from the bucket.")] = False,
    as_json: Json = False,
) -> None:
    """Show what copies have begun and not finished for long; remove it if told to."""
    from bridge.app import Bridge

    with Bridge(load_config(config), read_only=not remove) as bridge:
        found = bridge.leftovers.remove() if remove else bridge.leftovers.find()
    if as_json:
        say_json(
            [
                {"uri": each.upload.uri, "kind": each.upload.kind, "begun": each.upload.begun}
                | {"removed": each.removed, "why": each.why}
                for each in found
            ]
        )
    for each in () if as_json else found:
        say(str(each))
    if not (found or as_json):
        say("nothing is left over")
    if remove and any(each.removed is None for each in found):
        raise typer.Exit(1)
