"""Carries doings out: users with the SDKs of their registries, people with Vertex's client; the ledger is told."""

from __future__ import annotations

import random
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, assert_never

import wandb
from google.api_core import exceptions
from google.cloud import aiplatform_v1 as v1  # noqa: TID251  a person's own client

from bridge.sandbox.vertex.switches import NextCalls
from tests.chaos.doings import (
    MLFLOW,
    Break,
    Doing,
    HandDelete,
    HandMake,
    HandMove,
    HandRemove,
    Mend,
    Point,
    Publish,
    Rename,
    Start,
    Stop,
    Switch,
    Unpoint,
    Withdraw,
)
from tests.chaos.ledger import Edit, Ledger
from tests.chaos.scene import PARENT, REGISTRY, md5_of, model_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.chaos.scene import Scene
    from tests.chaos.seen import Registered

SHARED = b'{"features": ["amount", "country"], "threshold": 0.5}'  # lies in every version, so it is copied only once


@dataclass
class People:
    """Whoever acts; `seed` decides which bytes are published."""

    scene: Scene
    ledger: Ledger
    seed: int

    def __post_init__(self) -> None:
        self._run = wandb.init(project="chaos", dir=str(self.scene.folder))

    def leave(self) -> None:
        self._run.finish()

    def do(self, doing: Doing) -> str:
        """Do it; say how it went, in a word."""
        now = self.scene.world.clock.now
        match doing:
            case Publish() | Point() | Unpoint() | Withdraw() | Rename():
                with self.scene.faults.sheltering("wandb", "mlflow"):
                    try:
                        self._use(doing, now())
                    finally:
                        self.ledger.settle(now())
            case HandMove() | HandRemove() | HandMake() | HandDelete():
                with self.scene.faults.sheltering("vertex"), self._replies():
                    return self._touch(doing)
            case Break(fault):
                self.scene.faults.arm(fault)
            case Mend():
                self.scene.faults.disarm()
            case Switch():
                self._switch(doing)
            case Stop(service, kill):
                self.scene.services[service].stop(kill=kill)
            case Start(service):
                self.scene.services[service].start()
            case _:
                assert_never(doing)
        return "done"

    def calm(self) -> None:
        """Let nothing be broken any more, and every service run."""
        self.scene.faults.disarm()
        self._switch(Switch(0.0, 0.0, "move", "model", 0))
        for service in self.scene.services:
            service.start()

    # users

    def _use(self, doing: Publish | Point | Unpoint | Withdraw | Rename, at: float) -> None:
        at_mlflow = doing.collection == MLFLOW
        match doing:
            case Publish(collection, label, size, rotten):
                files = {"model.bin": self._content(collection, label, size), "config/features.json": SHARED}
                published = frozenset((path, md5_of(content)) for path, content in files.items())
                self.ledger.models.setdefault(collection, model_of(collection))
                self.ledger.publish(collection, label, published, rotten=rotten)
                found = self._log_to_mlflow(collection, files) if at_mlflow else self._log_to_wandb(collection, files)
                assert found == label, f"{collection} has {found} where {label} should be"
                if rotten:
                    self.scene.world.wandb.corrupt_file(f"{REGISTRY}/{collection}:{label}", "model.bin", offset=7)
            case Point(collection, alias, label):
                self.ledger.point(collection, alias, label, at)
                if at_mlflow:
                    self.scene.mlflow.set_registered_model_alias(collection, alias, label)
                else:
                    artifact = self._artifact(collection, label)
                    artifact.aliases.append(alias)
                    artifact.save()
            case Unpoint(collection, alias, label):
                self.ledger.point(collection, alias, None, at)
                if at_mlflow:
                    self.scene.mlflow.delete_registered_model_alias(collection, alias)
                else:
                    artifact = self._artifact(collection, label)
                    artifact.aliases.remove(alias)
                    artifact.save()
            case Withdraw(collection, label):
                self.ledger.withdraw(collection, label, at)
                if at_mlflow:
                    self.scene.mlflow.delete_model_version(collection, label)
                else:
                    self._artifact(collection, label).unlink()
            case Rename(collection, name):
                self.ledger.rename(collection, name, model_of(name), at)
                there = self.scene.wandb.artifact_collection("model", f"{REGISTRY}/{collection}")
                there.name = name
                there.save()

    def _log_to_wandb(self, collection: str, files: dict[str, bytes]) -> str:
        artifact = wandb.Artifact(collection, type="model")
        with TemporaryDirectory() as folder:
            for path, local in _written(Path(folder), files):
                artifact.add_file(str(local), name=path)
            logged = self._run.log_artifact(artifact).wait()
        return str(self._run.link_artifact(logged, f"wandb-registry-model/{collection}").version)

    def _log_to_mlflow(self, model: str, files: dict[str, bytes]) -> str:
        client = self.scene.mlflow
        if not client.search_registered_models(f"name = '{model}'"):
            client.create_registered_model(model)
        info = client.create_run("0").info
        with TemporaryDirectory() as folder:
            for _ in _written(Path(folder), files):
                pass
            client.log_artifacts(info.run_id, folder, "model")
        source = f"runs:/{info.run_id}/model"
        made = client.create_model_version(model, source, run_id=info.run_id, await_creation_for=0)
        return str(made.version)

    def _artifact(self, collection: str, label: str) -> Any:  # noqa: ANN401  the SDK's own class is private
        return wandb.Api().artifact(f"{REGISTRY}/{collection}:{label}")

    def _content(self, collection: str, label: str, size: int) -> bytes:
        return random.Random(f"{self.seed}/{collection}/{label}").randbytes(size)  # noqa: S311  not for secrets

    # people at Vertex

    def _touch(self, doing: HandMove | HandRemove | HandMake | HandDelete) -> str:
        there = [version for version in self.scene.look().versions if version.model == doing.model]
        if not there:
            return "there is no such model"
        try:
            return self._edit(doing, there)
        except exceptions.GoogleAPICallError as refused:  # the bridge was quicker: a person shrugs, too
            return f"refused: {refused.message}"

    def _edit(self, doing: HandMove | HandRemove | HandMake | HandDelete, there: list[Registered]) -> str:
        match doing:
            case HandMove(_, alias, pick):
                return self._move(there, alias, there[pick % len(there)])
            case HandRemove(_, alias):
                holder = next((version for version in there if alias in version.aliases), None)
                return self._merge(holder, alias, None) if holder else "nobody has it"
            case HandMake(model, alias):
                return self._make(there, model, alias)
            case HandDelete(model, pick):
                others = [version for version in there if "default" not in version.aliases]
                return self._delete(others[pick % len(others)]) if others else f"{model} has only its default"

    def _delete(self, version: Registered) -> str:
        self.ledger.deleted[version.model, version.id] = self.scene.world.clock.now()
        name = f"{PARENT}/models/{version.model}@{version.id}"
        self.scene.vertex.delete_model_version(name=name).result(timeout=30)
        return f"@{version.id}"

    @contextmanager
    def _replies(self) -> Iterator[None]:
        """Lose no reply to a person: the ledger must know what they did."""
        vertex = self.scene.world.vertex
        lost = vertex.switches.lost_reply
        vertex.switches = replace(vertex.switches, lost_reply=NextCalls())
        try:
            yield
        finally:
            vertex.switches = replace(vertex.switches, lost_reply=lost)

    def _move(self, there: list[Registered], alias: str, to: Registered) -> str:
        holder = next((version for version in there if alias in version.aliases), None)
        if holder is not None and holder.id != to.id and self.scene.world.vertex.switches.alias_conflict == "reject":
            self._merge(holder, alias, None)
        return self._merge(to, alias, to.id)

    def _merge(self, version: Registered, alias: str, version_id: str | None) -> str:
        edit = Edit(version.model, alias, version_id, self.scene.world.clock.now())
        self.ledger.edits.append(edit)
        sign = "" if version_id else "-"
        name = f"{PARENT}/models/{version.model}@{version.id}"
        try:
            self.scene.vertex.merge_version_aliases(name=name, version_aliases=[sign + alias])
        except exceptions.GoogleAPICallError:
            self.ledger.edits.remove(edit)
            raise
        return f"{sign}@{version.id}"

    def _make(self, there: list[Registered], model: str, alias: str | None) -> str:
        folder = f"gs://elsewhere/{model}/{len(self.ledger.foreign)}/"
        request = v1.UploadModelRequest(
            parent=PARENT,
            parent_model=f"{PARENT}/models/{model}",
            model=v1.Model(
                display_name=model,
                artifact_uri=folder,
                container_spec=v1.ModelContainerSpec(image_uri="europe-docker.pkg.dev/acme/theirs:1"),
            ),
        )
        answer = self.scene.vertex.upload_model(request).result(timeout=30)
        self.ledger.foreign[model, answer.model_version_id] = folder
        if alias is not None:
            made = replace(there[0], id=answer.model_version_id, folder=folder, aliases=frozenset())
            self._move(there, alias, made)
        return f"@{answer.model_version_id}"

    def _switch(self, to: Switch) -> None:
        vertex = self.scene.world.vertex
        vertex.switches = replace(
            vertex.switches,
            commit_delay=to.commit_delay,
            list_lag=to.list_lag,
            alias_conflict=to.alias_conflict,
            label_scope=to.label_scope,
            lost_reply=NextCalls(to.lost_replies),
        )


def _written(folder: Path, files: dict[str, bytes]) -> list[tuple[str, Path]]:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return [(path, folder / path) for path in files]
