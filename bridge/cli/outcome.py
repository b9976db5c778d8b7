"""How commands that change something end: what they print, and with which exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from bridge.cli.printing import report_to_json, say_json, say_reports

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bridge.reconcile.passes import Report

_TROUBLE = ("BLOCKED", "FAILED", "DEGRADED", "DRIFTED")


def finish(reports: Sequence[Report], *, as_json: bool) -> None:
    """Print the reports; exit with 1 if a model is in trouble."""
    if as_json:
        say_json([report_to_json(report) for report in reports])
    else:
        say_reports(reports)
    exit_by(report.status.state for report in reports)


def exit_by(states: Iterable[str]) -> None:
    """Exit with 1 if one of these states is trouble."""
    if any(state in _TROUBLE for state in states):
        raise typer.Exit(1)
