"""`bridge hooks`: has sources tell the service of changes, so that it need not wait for its next look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from bridge.cli.options import DEFAULT_CONFIG, ConfigPath, Json, load_config
from bridge.cli.printing import say, say_json, table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.config.model import Config
    from bridge.core.model import CollectionSelector
    from bridge.core.ports import Webhooks
    from bridge.core.webhooks import Webhook

    Work = Callable[[Webhooks, Sequence[CollectionSelector]], list[Webhook]]

app = typer.Typer(help="Have W&B or MLflow tell the service of changes.", no_args_is_help=True)

Connection = Annotated[str, typer.Option("--connection", help="A connection to a source, with a 'webhook'.")]
Team = Annotated[str | None, typer.Option("--team", help="W&B: the team that has the webhook, if not the default.")]


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise typer.BadParameter("expected the address of 'bridge run' as the source sees it: https://host/path")
    return text.rstrip("/")


Url = Annotated[str, typer.Option("--url", help="Where the source reaches 'bridge run'.", parser=_url, metavar="URL")]


@app.command()
def install(
    connection: Connection,
    url: Url,
    config: ConfigPath = DEFAULT_CONFIG,
    *,
    team: Team = None,
    again: Annotated[bool, typer.Option("--again", help="Write all of it anew, the secret too.")] = False,
    as_json: Json = False,
) -> None:
    """Set the source up to tell the service; what is as it should be is left alone."""
    _do(config, connection, team, lambda hooks, chosen: hooks.install(url, chosen, again=again), as_json=as_json)


@app.command(name="list")
def show(
    connection: Connection, config: ConfigPath = DEFAULT_CONFIG, *, team: Team = None, as_json: Json = False
) -> None:
    """Show what the source is set up to tell."""
    _do(config, connection, team, lambda hooks, chosen: hooks.installed(chosen), as_json=as_json)


@app.command()
def remove(
    connection: Connection, config: ConfigPath = DEFAULT_CONFIG, *, team: Team = None, as_json: Json = False
) -> None:
    """Take away what `install` has made."""
    _do(config, connection, team, lambda hooks, chosen: hooks.remove(chosen), as_json=as_json)


@app.command(name="test")
def send_one(connection: Connection, config: ConfigPath = DEFAULT_CONFIG, *, team: Team = None) -> None:
    """
    Have one webhook reach the service, about nothing.

    MLflow sends it. W&B sends none on demand, so it is sent from here: whether W&B gets through is not shown.
    """
    hooks, chosen = _made(config, connection, team)
    say(hooks.test(chosen))


def _made(config: ConfigPath, connection: str, team: str | None) -> tuple[Webhooks, list[CollectionSelector]]:
    from bridge.app import Bridge

    with Bridge(load_config(config), read_only=True) as bridge:
        _check(bridge.config, connection)
        chosen = [spec.source for spec in bridge.config.mappings if spec.source.connection == connection]
        return bridge.webhooks(connection, team), chosen


def _check(config: Config, connection: str) -> None:
    """Raise ConfigErrors unless the connection takes webhooks."""
    from bridge.config.model import MlflowConnection, VertexConnection
    from bridge.core.errors import ConfigError, ConfigErrors

    sources = {name: each for name, each in config.connections.items() if not isinstance(each, VertexConnection)}
    if connection not in sources:
        choices = ", ".join(sorted(sources)) or "(none)"
        raise ConfigErrors((ConfigError(f"no connection to a source is named {connection!a}; choose from: {choices}"),))
    if (spec := sources[connection]).webhook is None:
        secret = "{secret: {env: BRIDGE_WEBHOOK_SECRET}}"  # noqa: S105  an example
        both = "{token: {env: BRIDGE_WEBHOOK_TOKEN}, secret: {env: BRIDGE_WEBHOOK_SECRET}}, or one of the two"
        said = secret if isinstance(spec, MlflowConnection) else both
        advice = f"write into it, in bridge.yaml, webhook: {said}"
        raise ConfigErrors((ConfigError(f"connection {connection!a} takes no webhooks; {advice}"),))


def _do(config: ConfigPath, connection: str, team: str | None, work: Work, *, as_json: bool) -> None:
    done = work(*_made(config, connection, team))
    if as_json:
        say_json(
            [
                {"name": each.name, "url": each.url, "events": list(each.events), "happened": each.happened}
                | {"is_on": each.is_on}
                for each in done
            ]
        )
        return
    rows = [(each.happened if each.is_on else "off", each.name, each.url, ", ".join(each.events)) for each in done]
    for line in table(rows):
        say(line)
    if not rows:
        say("there is none")
