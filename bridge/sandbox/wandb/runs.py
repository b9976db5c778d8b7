"""Runs: what `wandb.init` makes and resumes; their config, summary, history, output and files."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from bridge.sandbox.wandb.artifacts import Artifact
from bridge.sandbox.wandb.errors import Refused
from bridge.sandbox.wandb.files import download_url, upload_url
from bridge.sandbox.wandb.filters import Field, column, metadata, moment, sql_filter
from bridge.sandbox.wandb.manifests import md5_digest
from bridge.sandbox.wandb.paging import Listing, Page, slice_of
from bridge.sandbox.wandb.people import User
from bridge.sandbox.wandb.projects import Project
from bridge.sandbox.wandb.records import Record, Sql

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.sandbox.wandb.context import Context

HISTORY, EVENTS, OUTPUT = "wandb-history.jsonl", "wandb-events.jsonl", "output.log"
MANY_RUNS = 10_000


@dataclass(frozen=True, slots=True)
class Run(Record):
    """`Run`; `name` is the run's id in the SDK's words."""

    table: ClassVar[str] = "runs"
    kinds: ClassVar[tuple[str, ...]] = ("Run",)

    project_key: int
    name: str
    display_name: str
    description: str | None
    notes: str | None
    run_group: str | None
    job_type: str | None
    commit: str | None
    config: str
    summary_metrics: str
    tags_json: str
    state: str
    stopped: int
    user_key: int | None
    created_at: float
    updated_at: float
    heartbeat_at: float

    sweep = None
    sweepName = None
    readOnly = False
    systemMetrics = "{}"

    @classmethod
    def columns(cls) -> str:
        """List the columns; `tags` is a GraphQL field of its own, so the row calls it otherwise."""
        names = (field.name for field in dataclasses.fields(cls))
        return ", ".join(f'runs."{"tags" if name == "tags_json" else name}"' for name in names)

    @property
    def group(self) -> str | None:
        """The group; SQL has that word for itself."""
        return self.run_group

    @property
    def projectId(self) -> int:
        """The project's number."""
        return self.project_key

    @property
    def tags(self) -> list[str]:
        """The run's tags."""
        return list(json.loads(self.tags_json))

    def project(self, context: Context) -> Project:
        """Return where the run is."""
        return context.get(Project, self.project_key)

    def user(self, context: Context) -> User | None:
        """Return who started it."""
        return None if self.user_key is None else context.get(User, self.user_key)

    def wandbConfig(self, context: Context, keys: Sequence[str] | None = None) -> str:  # noqa: ARG002  one of many
        """Return the SDK's own part of the config, as far as `keys` names it."""
        own = json.loads(self.config).get("_wandb", {}).get("value", {})
        return json.dumps({key: own[key] for key in keys or own if key in own})

    def historyLineCount(self, context: Context) -> int:
        """Count the history's lines."""
        return len(lines(context, self, HISTORY))

    def eventsLineCount(self, context: Context) -> int:
        """Count the lines of system metrics."""
        return len(lines(context, self, EVENTS))

    def logLineCount(self, context: Context) -> int:
        """Count the lines of console output."""
        return len(lines(context, self, OUTPUT))

    def historyTail(self, context: Context) -> str:
        """Return the last line of history, as a JSON list of JSON texts: a resumed run reads its step there."""
        return json.dumps(lines(context, self, HISTORY)[-1:])

    def eventsTail(self, context: Context) -> str:
        """Return the last line of system metrics, in the same form."""
        return json.dumps(lines(context, self, EVENTS)[-1:])

    def historyKeys(self, context: Context) -> dict[str, Any] | None:
        """Return the names in the history and the last step."""
        rows = [json.loads(line) for line in lines(context, self, HISTORY)]
        if not rows:
            return None
        names = sorted({name for row in rows for name in row})
        return {"sets": [], "keys": {name: {} for name in names}, "lastStep": rows[-1].get("_step", len(rows) - 1)}

    def history(
        self, context: Context, minStep: int | None = None, maxStep: int | None = None, samples: int | None = None
    ) -> list[str]:
        """Return lines of history, of steps from `minStep` up to but not including `maxStep`."""
        found = lines(context, self, HISTORY)
        if minStep is not None or maxStep is not None:
            found = [line for line in found if _in_steps(json.loads(line), minStep, maxStep)]
        return found[:samples]

    def events(self, context: Context, samples: int | None = None) -> list[str]:
        """Return lines of system metrics."""
        return lines(context, self, EVENTS)[:samples]

    def sampledHistory(self, context: Context, specs: Sequence[str]) -> list[list[dict[str, Any]]]:
        """Return for each spec the first `samples` rows that have all its keys; the real service picks others."""
        rows = [json.loads(line) for line in lines(context, self, HISTORY)]
        answers = []
        for spec in map(json.loads, specs):
            keys = spec.get("keys") or []
            # Here `maxStep` is the last step, not the one after it: for a page of step 0 alone, wandb-core 0.31.0
            # sends {"minStep": 0, "maxStep": 0, "samples": 1}.
            high = None if spec.get("maxStep") is None else spec["maxStep"] + 1
            asked = [row for row in rows if _in_steps(row, spec.get("minStep"), high)]
            chosen = _with_all(asked, keys) if keys else asked
            answers.append(chosen[: spec.get("samples") or 500])
        return answers

    def parquetHistory(self, context: Context, liveKeys: Sequence[str]) -> dict[str, Any]:
        """Return the rows that no parquet file has yet, as far as `liveKeys` names them: here that is all rows."""
        # wandb-core 0.31.0 asks for ["_step"] only, to learn the first step that is in no file. The rows from there
        # on it reads by `history`, or by `sampledHistory` if the caller named keys.
        rows = [json.loads(line) for line in lines(context, self, HISTORY)]
        return {"parquetUrls": [], "liveData": _with_all(rows, liveKeys)}

    def files(
        self,
        context: Context,
        *,
        names: Sequence[str] | None = None,
        after: str | None = None,
        first: int | None = None,
        pattern: str | None = None,
    ) -> Page[RunFile]:
        """List the run's own files: all, those named, or those that a pattern with % fits."""
        where = Sql("run_key = ?", (self.key,))
        if names:
            where &= Sql("name IN (SELECT value FROM json_each(?))", (json.dumps(list(names)),))
        if pattern:
            where &= Sql("name LIKE ?", (pattern,))
        return Listing(RunFile, where=where).page(context, first, after)

    def fileCount(self, context: Context) -> int:
        """Count the run's own files."""
        return self.files(context).count()

    def outputArtifacts(self, context: Context, after: str | None = None, first: int | None = None) -> Page[Artifact]:
        """List the versions that the run logged."""
        return self._artifacts(context, "output", first, after)

    def inputArtifacts(self, context: Context, after: str | None = None, first: int | None = None) -> Page[Artifact]:
        """List the versions that the run used."""
        return self._artifacts(context, "input", first, after)

    def _artifacts(self, context: Context, direction: str, first: int | None, after: str | None) -> Page[Artifact]:
        where = Sql(
            "run_artifacts.run_key = ? AND run_artifacts.direction = ? AND artifacts.state = 'COMMITTED'",
            (self.key, direction),
        )
        joins = "JOIN run_artifacts ON run_artifacts.artifact_key = artifacts.key"
        return Listing(Artifact, joins, where).page(context, first, after)


@dataclass(frozen=True, slots=True)
class RunFile(Record):
    """`File` of a run."""

    table: ClassVar[str] = "run_files"
    kinds: ClassVar[tuple[str, ...]] = ("File",)

    name: str
    blob: str
    updated_at: float

    mimetype = "application/octet-stream"

    @property
    def displayName(self) -> str:
        """The path again."""
        return self.name

    def directUrl(self, context: Context) -> str:
        """Return a signed URL."""
        return download_url(context, self.blob)

    def url(self, context: Context, upload: bool | None = None) -> str:  # noqa: FBT001  GraphQL's own argument
        """Return a signed URL, to read or to write."""
        return upload_url(context, self.blob) if upload else self.directUrl(context)

    def sizeBytes(self, context: Context) -> int:
        """Return the size; 0 until the file is uploaded."""
        return context.blobs.size(self.blob)

    def md5(self, context: Context) -> str | None:
        """Return the base64 of the md5; None until the file is uploaded."""
        return md5_digest(context.blobs.read(self.blob)) if context.blobs.exists(self.blob) else None


def lines(context: Context, run: Run, stream: str) -> list[str]:
    """Return the lines of one of a run's streams."""
    query = "SELECT content FROM run_lines WHERE run_key = ? AND stream = ? ORDER BY number"
    return [str(content) for [content] in context.rows(query, run.key, stream)]


def _in_steps(row: Mapping[str, Any], low: int | None, high: int | None) -> bool:
    step: int = row.get("_step", 0)
    return (low or 0) <= step < (math.inf if high is None else high)


def _with_all(rows: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> list[dict[str, Any]]:
    """Return these keys of the rows that have all of them."""
    return [{key: row[key] for key in keys} for row in rows if all(key in row for key in keys)]


def find_run(context: Context, project: Project, name: str) -> Run | None:
    """Return a run by its name, which the SDK calls its id."""
    return context.find(Run, "project_key = ? AND name = ?", project.key, name)


RUN_FILTERS: dict[str, Field] = {
    "name": column("runs.name"),
    "display_name": column("runs.display_name"),
    "displayName": column("runs.display_name"),
    "state": column("runs.state"),
    "group": column("runs.run_group"),
    "jobType": column("runs.job_type"),
    "job_type": column("runs.job_type"),
    "created_at": moment("runs.created_at"),
    "createdAt": moment("runs.created_at"),
}
RUN_ORDERS = {
    "created_at": "runs.created_at",
    "createdAt": "runs.created_at",
    "heartbeat_at": "runs.heartbeat_at",
    "heartbeatAt": "runs.heartbeat_at",
}


def run_filter(text: str | None) -> Sql:
    """Translate a filter on runs; `config.key.value` and `summary_metrics.key` reach into the JSON."""

    def field(name: str) -> Field | None:
        word, _, path = name.partition(".")
        if path and word in ("config", "summary_metrics", "summaryMetrics"):
            return metadata("runs.config" if word == "config" else "runs.summary_metrics", path)
        return RUN_FILTERS.get(name)

    return sql_filter(text, field)


class ProjectRuns:
    """Fields of `Project` that are about runs."""

    @staticmethod
    def run(project: Project, context: Context, name: str) -> Run | None:
        """Return a run."""
        return find_run(context, project, name)

    @staticmethod
    def bucket(project: Project, context: Context, name: str, missingOk: bool | None = None) -> Run | None:  # noqa: FBT001  GraphQL's own argument
        """Return a run, under its older name."""
        run = find_run(context, project, name)
        if run is None and not missingOk:
            raise Refused(f"run {project.name}/{name} not found", 404)
        return run

    @staticmethod
    def runs(
        project: Project,
        context: Context,
        *,
        filters: str | None = None,
        after: str | None = None,
        first: int | None = None,
        order: str | None = None,
    ) -> Page[Run]:
        """List runs, oldest first unless asked otherwise."""
        where = Sql("runs.project_key = ?", (project.key,)) & run_filter(filters)
        return Listing(Run, where=where, orders=RUN_ORDERS).page(context, first, after, order)

    @staticmethod
    def runCount(project: Project, context: Context, filters: str | None = None) -> int:
        """Count runs."""
        return ProjectRuns.runs(project, context, filters=filters).count()


class ArtifactRuns:
    """Fields of `Artifact` that are about runs."""

    @staticmethod
    def createdBy(artifact: Artifact, context: Context) -> Run | User | None:
        """Return the run that logged the version, or the user, if no run did."""
        if artifact.run_key is not None:
            return context.get(Run, artifact.run_key)
        return None if artifact.user_key is None else context.get(User, artifact.user_key)

    @staticmethod
    def usedBy(artifact: Artifact, context: Context) -> Page[Run]:
        """Return the runs that used the version."""
        used = "SELECT run_key FROM run_artifacts WHERE artifact_key = ? AND direction = 'input'"
        return slice_of(context.find_all(Run, f"key IN ({used}) ORDER BY key", artifact.key), None, None, MANY_RUNS)
