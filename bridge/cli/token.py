"""`bridge token`: who may ask a service over HTTP."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated

import typer

from bridge.cli.lookup import opened
from bridge.cli.options import DEFAULT_CONFIG, ConfigPath, Json, load_config
from bridge.cli.printing import say, say_aside, say_json, table

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke tokens for the service's HTTP API.")


class ScopeName(StrEnum):
    """core.records.Scope, which would cost the command line's start."""

    READ = "read"
    SYNC = "sync"
    ADMIN = "admin"


@app.command()
def create(
    config: ConfigPath = DEFAULT_CONFIG,
    *,
    scope: Annotated[ScopeName, typer.Option("--scope", help="What it is good for; each includes those before it.")],
    name: Annotated[str | None, typer.Option("--name", help="Who it is for.")] = None,
    as_json: Json = False,
) -> None:
    """Make a token and show it, once: only a digest is kept."""
    from bridge.core.records import Scope
    from bridge.run.clock import SystemClock
    from bridge.service.tokens import issue

    if name is not None and not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}", name):
        raise typer.BadParameter("use 1 to 63 letters, digits and any of . _ -", param_hint="--name")
    with opened(load_config(config)) as store:
        taken = {token.name for token in store.tokens()}
        free = (f"{scope}-{number}" for number in range(1, len(taken) + 2))
        name = name or next(each for each in free if each not in taken)
        text = issue(store, name, Scope(scope), SystemClock().now())
    if as_json:
        say_json({"name": name, "scope": scope, "token": text})
        return
    say(text)
    say_aside(f"this is token {name} with the scope {scope}; it is not shown again")


@app.command("list")
def list_(config: ConfigPath = DEFAULT_CONFIG, *, as_json: Json = False) -> None:
    """Show which tokens there are."""
    with opened(load_config(config), read_only=True) as store:
        rows = [{"name": each.name, "scope": each.scope, "created": each.created} for each in store.tokens()]
    if as_json:
        say_json(rows)
        return
    for line in table([("NAME", "SCOPE", "CREATED"), *(tuple(map(str, row.values())) for row in rows)]):
        say(line)


@app.command()
def revoke(name: str, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Let nobody in with a token any more, from the next request on."""
    from bridge.core.errors import NotFound

    with opened(load_config(config)) as store:
        if not store.revoke_token(name):
            raise NotFound(f"there is no token {name!a}", "see which there are: bridge token list")
    say(f"token {name} is revoked")
