"""`bridge sandbox`: local stand-ins for W&B, Vertex AI and GCS."""

from __future__ import annotations

import signal
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.printing import say
from bridge.sandbox.address import PORT_BASE, environment

app = typer.Typer(help="Local stand-ins for W&B, Vertex AI and GCS, and a real MLflow server, for the real SDKs.")
PortBase = Annotated[int, typer.Option("--port-base", min=1024, max=65529, help="The first of the ports it takes.")]


@app.callback(invoke_without_command=True)
def sandbox(
    context: typer.Context,
    data: Annotated[Path | None, typer.Option("--data", help="Keep everything here, over restarts.")] = None,
    port_base: PortBase = PORT_BASE,
    *,
    mlflow: Annotated[bool, typer.Option("--mlflow/--no-mlflow", help="Also start a real MLflow server.")] = True,
) -> None:
    """Run stand-ins for W&B, Vertex AI and GCS, and a real MLflow server, until it is interrupted."""
    if context.invoked_subcommand is not None:
        return
    from bridge.core.errors import NeedsPerson
    from bridge.sandbox.serving import PortTakenError
    from bridge.sandbox.world import World

    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    with ExitStack() as stack:
        folder = data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bridge-sandbox-")))
        try:
            stack.enter_context(World(folder, port_base, mlflow=mlflow))
        except PortTakenError as taken:
            raise NeedsPerson(str(taken), "stop what has it, or choose other ports with --port-base") from taken
        except (FileExistsError, NotADirectoryError, PermissionError) as unusable:
            raise NeedsPerson(f"{folder} cannot hold the sandbox: {unusable.strerror}", "name a folder") from unusable
        say("sandbox ready")
        done.wait()


@app.command()
def env(port_base: PortBase = PORT_BASE) -> None:
    """Print `export` lines that point unmodified scripts at the sandbox."""
    for name, value in environment(port_base).items():
        say(f"export {name}={value}")
