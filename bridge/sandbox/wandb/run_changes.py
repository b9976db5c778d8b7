"""Changes to runs: started, resumed, described, stopped, deleted; their files announced."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bridge.sandbox.wandb.artifacts import Artifact
from bridge.sandbox.wandb.blobs import blob_of_run_file
from bridge.sandbox.wandb.errors import Refused
from bridge.sandbox.wandb.files import Upload, upload_url
from bridge.sandbox.wandb.ids import global_id
from bridge.sandbox.wandb.projects import check_may_write, project_or_new, project_to_write
from bridge.sandbox.wandb.runs import Run, find_run

if TYPE_CHECKING:
    from bridge.sandbox.wandb.context import Context
    from bridge.sandbox.wandb.projects import Project

# What an input calls a column of `runs`.
RUN_INPUTS = {
    "displayName": "display_name",
    "description": "description",
    "notes": "notes",
    "groupName": "run_group",
    "jobType": "job_type",
    "commit": "commit",
    "config": "config",
    "summaryMetrics": "summary_metrics",
    "state": "state",
    "host": "host",
    "jobProgram": "program",
}


class RunMutations:
    """Changes to runs."""

    def upsertBucket(self, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        """Make a run, or change one: found by its id, or by its name in the project."""
        if given.get("id"):
            run: Run | None = context.require(Run, given["id"])
        else:
            project = project_or_new(context, given.get("entityName"), given.get("modelName") or "uncategorized")
            run = find_run(context, project, given.get("name") or "")
        inserted = run is None
        if run is None:
            run = _new(context, project, given.get("name") or "")
        check_may_write(context, run.project(context))
        changes = {name: given[key] for key, name in RUN_INPUTS.items() if given.get(key) is not None}
        if given.get("tags") is not None:
            changes["tags"] = json.dumps(given["tags"])
        changes |= {"updated_at": context.now, "heartbeat_at": context.now}
        assignments = ", ".join(f'"{name}" = ?' for name in changes)
        context.write(f"UPDATE runs SET {assignments} WHERE key = ?", *changes.values(), run.key)  # noqa: S608  names of columns above
        return {"bucket": context.get(Run, run.key), "inserted": inserted}

    def createRunFiles(self, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        """Announce files of a run, and say where to send them."""
        run = _named(context, given)
        uploads = []
        for name in given["files"]:
            blob = blob_of_run_file(run.key, name)
            context.write(
                "INSERT INTO run_files (run_key, name, blob, updated_at) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (run_key, name) DO UPDATE SET updated_at = excluded.updated_at",
                run.key,
                name,
                blob,
                context.now,
            )
            uploads.append(Upload(global_id("File", blob), name, blob, uploadUrl=upload_url(context, blob)))
        return {"runID": run.id, "uploadHeaders": [], "files": uploads}

    def markRunFilesUploaded(self, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        """Take note; a file is there once its bytes are."""
        _named(context, given)
        return {"success": True}

    def useArtifact(self, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        """Write down that a run used a version."""
        artifact = context.require(Artifact, given["artifactID"])
        run = _named(context, given)
        context.write(
            "INSERT OR IGNORE INTO run_artifacts (run_key, artifact_key, direction) VALUES (?, ?, 'input')",
            run.key,
            artifact.key,
        )
        return {"artifact": artifact}

    def stopRun(self, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        """Ask a run to stop."""
        run = context.require(Run, given["id"])
        check_may_write(context, run.project(context))
        context.write("UPDATE runs SET stopped = 1 WHERE key = ?", run.key)
        return {"success": True}

    def deleteRun(self, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        """Delete a run; its artifacts stay. Refuses to delete those as well."""
        run = context.require(Run, given["id"])
        check_may_write(context, run.project(context))
        if given.get("deleteArtifacts"):
            raise Refused("the sandbox does not implement deleteRun with deleteArtifacts", 400)
        context.write("DELETE FROM runs WHERE key = ?", run.key)
        return {"clientMutationId": given.get("clientMutationId")}


def _new(context: Context, project: Project, name: str) -> Run:
    number = context.value("SELECT count(*) + 1 FROM runs WHERE project_key = ?", project.key)
    key = context.write(
        "INSERT INTO runs (project_key, name, display_name, state, user_key, created_at, updated_at,"
        " heartbeat_at) VALUES (?, ?, ?, 'running', ?, ?, ?, ?)",
        project.key,
        name,
        f"run-{number}",  # the real service makes up two words
        context.asker.user_key,
        context.now,
        context.now,
        context.now,
    )
    return context.get(Run, key)


def _named(context: Context, given: dict[str, Any]) -> Run:
    project = project_to_write(context, given["entityName"], given["projectName"])
    run = find_run(context, project, given["runName"])
    if run is None:
        raise Refused(f"run {project.name}/{given['runName']} not found", 404)
    return run
