"""How things look: data on stdout, messages on stderr; no control character of an outside name reaches a terminal."""

from __future__ import annotations

import getpass
import json
import socket
import sys
import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import timedelta

    from bridge.reconcile.passes import Report

_UNITS = ("bytes", "kB", "MB", "GB", "TB")
_SPANS = ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))  # in seconds


def say(text: str = "") -> None:
    """Print a line of data."""
    sys.stdout.write(f"{printable(text)}\n")


def say_json(data: Any) -> None:  # noqa: ANN401  whatever JSON can spell
    """Print data as JSON."""
    sys.stdout.write(f"{json.dumps(data, indent=2)}\n")


def say_error(message: str, excerpt: str | None = None, column: int | None = None) -> None:
    """Print an error, with the line that it is about and a mark under the column."""
    sys.stderr.write(f"error: {printable(message)}\n")
    if excerpt is not None:
        sys.stderr.write(f"    {printable(excerpt)}\n")
        if column is not None:
            sys.stderr.write(f"    {' ' * (column - 1)}^\n")


def say_aside(text: str) -> None:
    """Print a line that is no data, at once."""
    sys.stderr.write(f"{printable(text)}\n")
    sys.stderr.flush()


def asker() -> str:
    """Say who runs this command."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def printable(text: str) -> str:
    """Escape what could move a cursor, forge a line or read backwards: a name from outside may hold a newline."""
    return "".join(c.encode("unicode_escape").decode() if _unsafe(c) else c for c in text)


def table(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """Align columns; the last one is not padded."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths[:-1], strict=True)]
        yield "  ".join([*cells, row[-1]]).rstrip()


def size(count: int) -> str:
    """Spell a number of bytes: "999 bytes", "1.2 GB"."""
    number, unit = float(count), 0
    while number >= (1000 if unit == 0 else 999.95) and unit < len(_UNITS) - 1:  # 999.95 would be shown as 1000.0
        number, unit = number / 1000, unit + 1
    return f"{number:.1f} {_UNITS[unit]}" if unit else f"{count} byte{'' if count == 1 else 's'}"


def span(lasts: timedelta) -> str:
    """Spell a duration in whole units, two or more, so that less than a third is left out: "119 s", "3 m", "2 h"."""
    seconds = max(int(lasts.total_seconds()), 0)  # below, if another machine's clock is ahead of ours
    length, unit = next(each for each in _SPANS if seconds >= 2 * each[0] or each[0] == 1)
    return f"{seconds // length} {unit}"


def report_to_json(report: Report) -> dict[str, Any]:
    """Return a report as JSON values: its state, and the plan's fields if there is one."""
    from bridge.core.changes import plan_to_json
    from bridge.core.records import status_to_json

    data = status_to_json(report.status) | {
        "compared": report.plan is not None,
        "changes": [],
        "refusals": [],
        "notes": [],
        "holds": [],
    }
    return data | (plan_to_json(report.plan) if report.plan else {})


def say_reports(reports: Sequence[Report], *, everything: bool = False) -> None:
    """Print what each model's plan says, and a sum; with `everything` also models of which there is nothing to say."""
    from bridge.core.changes import Kind
    from bridge.core.model import State

    changes = 0
    for report in reports:
        plan, status = report.plan, report.status
        lines = [f"  {change}" for change in plan.changes] if plan else []
        changes += len(lines)
        refusals = plan.refusals if plan else ()
        if plan and (lines or everything):
            lines += [f"  i {note}" for note in plan.notes]
        lines += [f"  i {hold}" for hold in plan.holds] if plan else []
        lines += [f"  {refusal}" for refusal in refusals if everything or refusal.kind is not Kind.POLICY]
        trouble = plan is None and status.state is not State.SYNCED
        if lines or trouble or everything:
            say(f"{status.key.mapping} -> model {status.key.model}  [{status.state}]")
        for line in lines:
            say(line)
        if trouble:
            say(f"  ! {status.message}; {status.remedy}")
    models = f"{len(reports)} model{'' if len(reports) == 1 else 's'}"
    say(f"{changes} change{'' if changes == 1 else 's'} ({models})")


def _unsafe(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")
