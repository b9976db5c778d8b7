"""Puts the commands together, and turns errors into messages and exit codes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from bridge.cli import (
    adopt,
    apply,
    check,
    demo,
    doctor,
    explain,
    history,
    hooks,
    init,
    leftovers,
    pausing,
    plan,
    rebuild,
    restore,
    run as run_command,
    sandbox,
    status,
    sync,
    token,
    verify,
    where,
)
from bridge.cli.printing import say_aside, say_error

if TYPE_CHECKING:
    from collections.abc import Sequence

app = typer.Typer(
    name="bridge",
    help="Mirrors model versions and aliases from W&B and MLflow into the Vertex AI Model Registry.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    init,
    check,
    doctor,
    plan,
    apply,
    sync,
    run_command,
    status,
    explain,
    where,
    verify,
    restore,
    history,
    leftovers,
    demo,
):
    app.command()(getattr(command, command.__name__.rpartition(".")[2]))
app.add_typer(hooks.app, name="hooks")
for on_call in (pausing.pause, pausing.resume, pausing.retry, adopt.adopt, rebuild.rebuild):
    app.command()(on_call)
app.add_typer(token.app, name="token")
app.add_typer(sandbox.app, name="sandbox")


def run(arguments: Sequence[str]) -> int:
    """
    Run one command line; return its exit code: 0 fine, 1 error, 2 bad usage or bad configuration.

    An error that the bridge knows is one sentence on stderr; any other is a bug, and keeps its traceback.
    """
    from bridge.core.errors import BridgeError, ConfigErrors

    try:
        app(list(arguments), prog_name="bridge")
    except ConfigErrors as wrong:
        for error in wrong.shown:
            say_error(str(error), excerpt=error.excerpt, column=error.at.column if error.at else None)
        if wrong.more:
            say_aside(wrong.more)
        return 2
    except BridgeError as problem:
        say_error(str(problem))
        return 1
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 1
    return 0


def main() -> None:
    """Be the program."""
    sys.exit(run(sys.argv[1:]))
