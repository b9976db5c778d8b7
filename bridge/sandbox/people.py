"""
What users do, with the real SDKs, as their own scripts would: `python -m bridge.sandbox.people STEP …`.

It reads the variables of `bridge sandbox env` and knows nothing of the bridge. The demo runs it, a process per
step, since wandb's settings are global to a process.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

TYPE = "model"


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


def main(arguments: list[str]) -> None:
    """Take one step."""
    parser = argparse.ArgumentParser(prog="people", description=__doc__)
    steps = parser.add_subparsers(dest="step", required=True)
    for step, names in (
        ("log", ("project", "collection", "registry", "content")),
        ("alias", ("path", "alias")),
        ("unalias", ("path", "alias")),
        ("versions", ("project", "location", "model")),
        ("files", ("bucket",)),
    ):
        command = steps.add_parser(step)
        for name in names:
            command.add_argument(name)
    said = parser.parse_args(arguments)
    if said.step == "log":
        files = {"model.pkl": said.content.encode() * 50_000, "config/features.json": b'{"features": 12}'}
        print(log_model(said.project, said.collection, said.registry, files))  # noqa: T201  its output
    elif said.step == "alias":
        set_alias(said.path, said.alias)
    elif said.step == "unalias":
        remove_alias(said.path, said.alias)
    elif said.step == "versions":
        for version, aliases, uri in model_versions(said.project, said.location, said.model):
            print(f"{said.model}@{version}  aliases: {', '.join(aliases) or '-'}  {uri}")  # noqa: T201  the same
    else:
        for name, size, crc32c in bucket_files(said.bucket):
            print(f"{name}  {size} bytes  crc32c {crc32c}")  # noqa: T201  the same


if __name__ == "__main__":
    main(sys.argv[1:])
