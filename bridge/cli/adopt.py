"""`bridge adopt REF`: a version that a person made in Vertex, taken into ownership."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.options import DEFAULT_CONFIG, ConfigPath, Json, load_config
from bridge.cli.printing import say, say_json

if TYPE_CHECKING:
    from bridge.reconcile.adopting import Adoption


def adopt(
    ref: Annotated[str, typer.Argument(metavar="REF", help="fraud@3, or fraud for all that are not the bridge's.")],
    config: ConfigPath = DEFAULT_CONFIG,
    *,
    source: Annotated[
        str | None, typer.Option("--as", metavar="VERSION", help="Which it is: wandb-registry-model/fraud:v7.")
    ] = None,
    deep: Annotated[bool, typer.Option("--deep", help="Read every byte where no digest tells.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be adopted.")] = False,
    as_json: Json = False,
) -> None:
    """Take over versions that were made by hand, if their bytes are those of a version at the source."""
    from bridge.app import Bridge
    from bridge.cli.following import following
    from bridge.cli.printing import asker
    from bridge.core.refs import parse_ref
    from bridge.reconcile.adopting import Adopter, Wish

    wish = Wish(parse_ref(ref), parse_ref(source) if source else None, deep, asker())
    if source and wish.ref.version is None:
        raise typer.BadParameter("it says what one version is; name that, as MODEL@ID", param_hint="--as")
    with Bridge(load_config(config), read_only=dry_run) as built, following(built) as bridge:
        adopter = Adopter(bridge.passes)
        if dry_run:
            found = adopter.find(bridge.config.mappings, wish)
        else:
            with bridge.renewing():
                found = adopter.adopt(bridge.config.mappings, wish)
    if as_json:
        say_json([_data(each) for each in found])
    for each in () if as_json else found:
        what = f"{each.key.model}@{each.version_id}"
        if each.problem:
            say(f"!!  {what}  {each.problem}")
        else:
            say(f"ok  {what}  {'would be' if dry_run else 'is'} adopted as {each.source}")
    if any(each.problem for each in found):
        raise typer.Exit(1)


def _data(adoption: Adoption) -> dict[str, Any]:
    return {
        "mapping": adoption.key.mapping,
        "model": adoption.key.model,
        "version": adoption.version_id,
        "source": str(adoption.source) if adoption.source else None,
        "problem": str(adoption.problem) if adoption.problem else None,
    }
