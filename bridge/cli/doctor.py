"""`bridge doctor`: whether the world is as the configuration wants it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.options import DEFAULT_CONFIG, ConfigPath, Json, load_config
from bridge.cli.printing import say, say_json
from bridge.cli.remote import server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bridge.doctor.checks import Result

PATIENCE = 30.0


def doctor(
    config: ConfigPath = DEFAULT_CONFIG,
    *,
    timeout: Annotated[float, typer.Option("--timeout", min=1, help="Seconds for all checks together.")] = PATIENCE,
    as_json: Json = False,
) -> None:
    """Check configuration, secrets, store, connections, bucket and clocks; write nothing. Exits with 1 on a problem."""
    results = []
    for result in _results(config, timeout):
        if not as_json:
            say(str(result))
        results.append(result)
    if as_json:
        say_json([{"check": r.about, "result": r.word, "said": r.said, "remedy": r.remedy or None} for r in results])
    if any(result.is_problem for result in results):
        raise typer.Exit(1)


def _results(path: Path, timeout: float) -> Iterator[Result]:
    from bridge.app import Bridge
    from bridge.core.errors import ConfigErrors
    from bridge.doctor.checks import Check, Result, Word, examine, well
    from bridge.doctor.rounds import Rounds
    from bridge.testing.store import MemoryStore

    asked = Check("server", _served)
    try:
        config = load_config(path)
    except ConfigErrors as wrong:
        remedy = "mend it, and see the line: bridge check"
        yield from (Result("configuration", Word.PROBLEM, str(error), remedy) for error in wrong.errors)
        yield from examine([asked], timeout)
        return
    counts = f"connections: {len(config.connections)}, mappings: {len(config.mappings)}"
    yield well("configuration", f"{path} is fine; {counts}")
    with Bridge(config, read_only=True, store=MemoryStore()) as bridge:
        yield from examine([*Rounds(bridge).checks(), asked], timeout)


def _served() -> Iterator[Result]:
    """Look at the service that commands would speak to, if they would speak to one."""
    from bridge.doctor.checks import well

    if (service := server()) is not None:
        yield well("server", f"{service.url} answers; mappings: {len(service.mappings())}")
