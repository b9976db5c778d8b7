"""
What users do, with the real SDKs, as their own scripts would: `python -m bridge.sandbox.people STEP …`.

It reads the variables of `bridge sandbox env` and knows nothing of the bridge. The demo runs it in a process of
its own, which takes a step for each line, since the SDKs need seconds to be imported.
"""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

TYPE = "model"
END = "\x04"  # a line of its own after each step, if there are several
STAGES = ("Staging", "Production", "Archived")  # of MLflow


def log_model(project: str, collection: str, registry: str, files: Mapping[str, bytes]) -> str:
    """Log a model artifact from a run, link it into a registry collection; return its version there, "v0"."""
    import wandb

    with tempfile.TemporaryDirectory() as folder, wandb.init(project=project, dir=folder) as run:
        artifact = wandb.Artifact(collection, type=TYPE)
        for name, content in files.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            artifact.add_file(str(path), name=name)
        logged = run.log_artifact(artifact).wait()
        linked = run.link_artifact(logged, f"wandb-registry-{registry}/{collection}")
        return str(linked.version)


def set_alias(path: str, alias: str) -> None:
    """Move an alias to a version: `path` is "entity/project/collection:v1"."""
    import wandb

    artifact = wandb.Api().artifact(path)
    artifact.aliases.append(alias)
    artifact.save()


def remove_alias(path: str, alias: str) -> None:
    """Take an alias away from a version."""
    import wandb

    artifact = wandb.Api().artifact(path)
    artifact.aliases.remove(alias)
    artifact.save()


def train(kind: str) -> str:
    """
    Train a small model of "sklearn" or "xgboost" for real, log it to MLflow and register it as `churn-<kind>`.

    Returns its version there: "1".
    """
    import mlflow
    import numpy as np

    numbers = np.random.default_rng(1)
    columns = numbers.normal(size=(200, 4))
    churned = (columns @ [1.0, -2.0, 0.5, 0.0] > 0).astype(int)
    name = f"churn-{kind}"
    with mlflow.start_run():
        if kind == "sklearn":
            from sklearn.linear_model import LogisticRegression

            model = LogisticRegression().fit(columns, churned)
            mlflow.log_metric("accuracy", float(model.score(columns, churned)))
            logged = mlflow.sklearn.log_model(model, name="model", registered_model_name=name)
        else:
            import xgboost

            rows = xgboost.DMatrix(columns, churned)
            model = xgboost.train({"objective": "binary:logistic", "max_depth": 3}, rows, num_boost_round=5)
            mlflow.log_metric("accuracy", float(((model.predict(rows) > 0.5) == churned).mean()))  # noqa: PLR2004  even odds
            logged = mlflow.xgboost.log_model(model, name="model", registered_model_name=name)
    return str(logged.registered_model_version)


def promote(model: str, version: str, *, alias: str | None = None, stage: str | None = None) -> None:
    """Set an alias of a registered model of MLflow, or move a version to a stage."""
    import mlflow

    client = mlflow.MlflowClient()
    if alias:
        client.set_registered_model_alias(model, alias, version)
    if stage:
        client.transition_model_version_stage(model, version, stage)


def model_versions(project: str, location: str, model: str) -> list[tuple[str, list[str], str]]:
    """List a Vertex model's versions with the high-level SDK: id, aliases, artifact URI."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import aiplatform  # noqa: TID251  what users' scripts use

    logging.getLogger("google.cloud.aiplatform").setLevel(logging.WARNING)  # it tells stdout what it is about to do
    aiplatform.init(
        project=project,
        location=location,
        credentials=AnonymousCredentials(),
        api_endpoint=os.environ["BRIDGE_SANDBOX_VERTEX_REST"],
        api_transport="rest",
    )
    versions = aiplatform.models.ModelRegistry(model).list_versions()
    return [
        (
            version.version_id,
            sorted(version.version_aliases or ()),
            str(aiplatform.Model(f"{model}@{version.version_id}").uri),
        )
        for version in versions
    ]


def bucket_files(bucket: str) -> list[tuple[str, int, str]]:
    """List a bucket's objects: name, size in bytes, crc32c."""
    from google.cloud import storage  # no py.typed  # noqa: TID251  the same

    with storage.Client(project="anything") as client:
        return [(blob.name, blob.size, blob.crc32c) for blob in client.list_blobs(bucket)]


def _log(said: argparse.Namespace) -> Iterator[str]:
    files = {"model.pkl": said.content.encode() * 50_000, "config/features.json": b'{"features": 12}'}
    yield log_model(said.project, said.collection, said.registry, files)


def _alias(said: argparse.Namespace) -> Iterator[str]:
    set_alias(said.path, said.alias)
    yield from ()


def _unalias(said: argparse.Namespace) -> Iterator[str]:
    remove_alias(said.path, said.alias)
    yield from ()


def _train(said: argparse.Namespace) -> Iterator[str]:
    for kind in said.kinds:
        yield f"models:/churn-{kind}/{train(kind)}"


def _promote(said: argparse.Namespace) -> Iterator[str]:
    promote(said.model, said.version, **{"stage" if said.name in STAGES else "alias": said.name})
    yield from ()


def _versions(said: argparse.Namespace) -> Iterator[str]:
    for model in said.models:
        for version, aliases, uri in model_versions(said.project, said.location, model):
            yield f"{model}@{version}  aliases: {', '.join(aliases) or '-'}  {uri}"


def _files(said: argparse.Namespace) -> Iterator[str]:
    for name, size, crc32c in bucket_files(said.bucket):
        yield f"{name}  {size} bytes  crc32c {crc32c}"


_STEPS: dict[str, tuple[Callable[[argparse.Namespace], Iterator[str]], tuple[str, ...]]] = {
    "log": (_log, ("project", "collection", "registry", "content")),
    "alias": (_alias, ("path", "alias")),
    "unalias": (_unalias, ("path", "alias")),
    "train": (_train, ("kinds",)),
    "promote": (_promote, ("model", "version", "name")),
    "versions": (_versions, ("project", "location", "models")),
    "files": (_files, ("bucket",)),
}
_SEVERAL = ("kinds", "models")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="people", description=__doc__)
    steps = parser.add_subparsers(dest="step")
    for step, (_, names) in _STEPS.items():
        command = steps.add_parser(step)
        for name in names:
            command.add_argument(name, nargs="+" if name in _SEVERAL else None)
    return parser


def main(arguments: list[str]) -> None:
    """Take one step; without arguments, one for each line of standard input, and print END after each."""
    parser = _parser()
    lines = [arguments] if arguments else (shlex.split(line) for line in sys.stdin)
    for line in lines:
        said = parser.parse_args(line)
        for told in _STEPS[said.step][0](said):
            print(told)  # noqa: T201  its output
        if not arguments:
            print(END, flush=True)  # noqa: T201  the same


if __name__ == "__main__":
    main(sys.argv[1:])
