"""Shows models as they are, again and again: redrawn on a terminal, else a line for whatever has changed."""

from __future__ import annotations

import json
import os
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from bridge.cli.interrupting import ending_soon
from bridge.cli.printing import printable, say, say_aside
from bridge.core.errors import TryAgain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Show = Callable[[Sequence["Row"]], None]

Row = dict[str, Any]

PAUSE = 1.0  # seconds between two looks
SHOW_CURSOR = "\x1b[?25h"
SHOWN = ("mapping", "model", "state", "message", "remedy", "aliases", "next_try")  # what is news if it differs


def watch(look: Callable[[], list[Row]], spell: Callable[[Sequence[Row]], list[str]], *, as_json: bool) -> None:
    """
    Look again and again, until Ctrl-C, which ends it well, within a second, whatever hangs.

    `spell` gives the lines for a terminal. What could not be looked at for now is told once, and looked at again.
    """
    on_terminal = sys.stdout.isatty() and not as_json
    shown = _redrawn(spell) if on_terminal else _changes(as_json=as_json)
    with suppress(KeyboardInterrupt), ending_soon(_give_up), shown as show:
        unwell = ""
        pause = threading.Event()
        while True:
            try:
                rows = look()
            except TryAgain as problem:
                if str(problem) != unwell:
                    say_aside(f"{problem}; it is asked again")
                unwell = str(problem)
            else:
                unwell = ""
                show(rows)
            pause.wait(PAUSE)


def _give_up() -> None:
    if sys.stdout.isatty():
        os.write(sys.stdout.fileno(), SHOW_CURSOR.encode())
    os._exit(0)


@contextmanager
def _redrawn(spell: Callable[[Sequence[Row]], list[str]]) -> Iterator[Show]:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(console=Console(), auto_refresh=False, vertical_overflow="ellipsis") as live:
        yield lambda rows: live.update(Text("\n".join(map(printable, spell(rows)))), refresh=True)


@contextmanager
def _changes(*, as_json: bool) -> Iterator[Show]:
    known: dict[tuple[str, str], Row] = {}

    def show(rows: Sequence[Row]) -> None:
        now = {(row["mapping"], row["model"]): row for row in rows}
        for key, row in now.items():
            if key not in known or any(row[name] != known[key][name] for name in SHOWN):
                say(json.dumps(row) if as_json else _line(row))
        for key in known.keys() - now.keys():
            say(
                json.dumps({"mapping": key[0], "model": key[1], "state": None}) if as_json else f"{'/'.join(key)}  gone"
            )
        sys.stdout.flush()
        known.clear()
        known.update(now)

    yield show


def spell_aliases(row: Row) -> str:
    """Spell where a model's aliases are."""
    return ", ".join(f"{alias} -> {at['label'] or '?'} @{at['version']}" for alias, at in row["aliases"].items())


def _line(row: Row) -> str:
    why = f"{row['message']}; {row['remedy']}" if row["message"] else ""
    again = f"next try: {row['next_try']}" if row["next_try"] else ""
    return "  ".join(filter(None, (f"{row['mapping']}/{row['model']}", row["state"], spell_aliases(row), why, again)))
