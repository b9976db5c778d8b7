"""What a run sends while it lives: POST .../file_stream, chunks of lines per file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridge.sandbox.wandb.projects import project_to_write
from bridge.sandbox.wandb.runs import OUTPUT, Run, find_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.sandbox.wandb.context import Context

SUMMARY = "wandb-summary.json"


def keep_chunks(context: Context, entity: str, project: str, run_name: str, sent: Mapping[str, Any]) -> dict[str, Any]:
    """
    Keep the lines of a request like `{"files": {name: {"offset": 0, "content": [...]}}, "complete": true}`.

    A chunk that is sent again replaces itself. Returns what the client takes for "go on": an empty object, or
    word that the run shall stop.
    """
    run = find_run(context, project_to_write(context, entity, project), run_name)
    if run is None:
        return {}
    for name, chunk in (sent.get("files") or {}).items():
        _keep(context, run, name, int(chunk.get("offset") or 0), chunk.get("content") or [])
    state = run.state
    if sent.get("complete"):
        state = "failed" if sent.get("exitcode") else "finished"
    context.write("UPDATE runs SET state = ?, heartbeat_at = ? WHERE key = ?", state, context.now, run.key)
    return {"stopped": True} if run.stopped else {}


def _keep(context: Context, run: Run, name: str, offset: int, content: list[str]) -> None:
    if name == SUMMARY:
        if content and content[-1]:
            context.write("UPDATE runs SET summary_metrics = ? WHERE key = ?", content[-1], run.key)
        return
    stream = OUTPUT if name.endswith(OUTPUT) else name
    rows = [(run.key, stream, offset + at, line) for at, line in enumerate(content)]
    context.database.executemany("INSERT OR REPLACE INTO run_lines VALUES (?, ?, ?, ?)", rows)
