"""People at a real MLflow server: they log files and register them, move aliases and stages, delete and tag."""

from __future__ import annotations

import os
import tempfile
import warnings
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from bridge.core.model import MLFLOW_PLACE, CollectionSelector
from bridge.run.clock import SystemClock
from bridge.sandbox.faults import Fault
from bridge.sources.mlflow.source import MlflowSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mlflow import MlflowClient

    from bridge.core.ports import Clock
    from bridge.sandbox.traffic import Traffic

CONNECTION = "acme"
FOLDER = "model"  # of a run


def models(
    name: str,
    *,
    is_pattern: bool = False,
    tags: frozenset[str] = frozenset(),
    aliases: frozenset[str] | None = None,
    stages: frozenset[str] = frozenset(),
) -> CollectionSelector:
    """Select a registered model, or those that a pattern matches; tags are "key=value"."""
    return CollectionSelector(
        CONNECTION, MLFLOW_PLACE, name, is_pattern=is_pattern, tags=tags, aliases=aliases, stages=stages
    )


@dataclass
class MlflowPublisher:
    """
    Publishes with MLflow's own client, through the counting proxy.

    `put` stores a file behind the server's back, by its path below the root of all artifacts: one whose name
    the client cannot log. None where no such file can be.
    """

    keeps_digests: ClassVar[bool] = False
    numbering: ClassVar[str] = ""
    odd_alias: ClassVar[str] = "Größte_日本\n"  # a line may end in it: facts-mlflow.md, section 3

    source: MlflowSource
    client: MlflowClient
    traffic: Traffic
    put: Callable[[str, bytes], object] | None = None

    def path(self, name: str) -> str:
        """Return the URI that people write."""
        return f"{MLFLOW_PLACE}/{name}"

    def selector(
        self,
        name: str,
        *,
        is_pattern: bool = False,
        tags: frozenset[str] = frozenset(),
        aliases: frozenset[str] | None = None,
    ) -> CollectionSelector:
        """Select a registered model, or those that a pattern matches."""
        return models(name, is_pattern=is_pattern, tags=tags, aliases=aliases)

    def tag_of(self, word: str) -> str:
        """Return "eu=true" for "eu"."""
        return f"{word}=true"

    def run_of(self, name: str, label: str) -> str | None:
        """Return the run that the version was registered with."""
        run: str | None = self.client.get_model_version(name, label).run_id
        return run

    def publish(self, name: str, files: Mapping[str, bytes], *aliases: str) -> str:
        """Log the files of a run, register them; labels begin at "1"."""
        label = self.register(name, f"runs:/{self.log(files)}/{FOLDER}")
        for alias in aliases:
            self.alias(name, label, alias)
        return label

    def log(self, files: Mapping[str, bytes]) -> str:
        """Log files below the folder "model" of a new run; return its id."""
        info = self.client.create_run("0").info
        with tempfile.TemporaryDirectory() as folder:
            for path, content in files.items():
                if not _is_plain(path):
                    assert self.put is not None, f"this end stores no file {path!a}"
                    self.put(f"{info.artifact_uri.removeprefix('mlflow-artifacts:/')}/{FOLDER}/{path}", content)
                    continue
                local = Path(folder, path)
                local.parent.mkdir(parents=True, exist_ok=True)
                local.write_bytes(content)
                below = Path(path).parent.as_posix()
                self.client.log_artifact(info.run_id, str(local), FOLDER if below == "." else f"{FOLDER}/{below}")
        run: str = info.run_id
        return run

    def register(self, name: str, source: str) -> str:
        """Register what lies at a URI as a new version; return its label."""
        if not self.client.search_registered_models(f'name = "{name}"' if "'" in name else f"name = '{name}'"):
            self.client.create_registered_model(name)
        run_id = source.split("/")[1] if source.startswith("runs:/") else None
        model_id = source.removeprefix("models:/") if source.startswith("models:/m-") else None
        made = self.client.create_model_version(name, source, run_id=run_id, model_id=model_id, await_creation_for=0)
        return str(made.version)

    def alias(self, name: str, label: str, alias: str) -> None:
        """Move an alias to a version."""
        self.client.set_registered_model_alias(name, alias, label)

    def unalias(self, name: str, label: str, alias: str) -> None:
        """Take an alias from a version."""
        assert str(self.client.get_model_version_by_alias(name, alias).version) == label
        self.client.delete_registered_model_alias(name, alias)

    def stage(self, name: str, label: str, stage: str) -> None:
        """Put a version into a stage; others that are in it stay there."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # MLflow's advice not to use stages
            self.client.transition_model_version_stage(name, label, stage)

    def delete(self, name: str, label: str) -> None:
        """Delete a version with its aliases; its files stay."""
        self.client.delete_model_version(name, label)

    def delete_collection(self, name: str) -> None:
        """Delete a model; the next one of that name starts at 1 again."""
        self.client.delete_registered_model(name)

    def rename(self, name: str, new: str) -> None:
        """Give a model another name."""
        self.client.rename_registered_model(name, new)

    def tag(self, name: str, *tags: str) -> None:
        """Give a model tags, "key=value"; one without a value has an empty one."""
        for tag in tags:
            key, _, value = tag.partition("=")
            self.client.set_registered_model_tag(name, key, value)

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Let the server answer 503 to everything."""
        with self.fault(Fault("mlflow", "status", count=None, status=503)):
            yield

    @contextmanager
    def lockout(self) -> Iterator[None]:
        """Let the server answer 403 to everything, in JSON that is not MLflow's."""
        with self.fault(Fault("mlflow", "status", count=None, status=403)):
            yield

    @contextmanager
    def fault(self, *faults: Fault) -> Iterator[None]:
        """Let things go wrong for the time of a with block."""
        numbers = [self.traffic.faults.arm(fault) for fault in faults]
        try:
            yield
        finally:
            for number in numbers:
                self.traffic.faults.disarm(number)


def _is_plain(path: str) -> bool:
    """Tell whether a path can be logged, and stays in its folder when it is written to a disk."""
    return path.isprintable() and not {"", ".", ".."}.intersection(path.split("/"))


@contextmanager
def mlflow_people(
    url: str,
    traffic: Traffic,
    clock: Clock | None = None,
    stores: tuple[str, ...] = (),
    put: Callable[[str, bytes], object] | None = None,
) -> Iterator[MlflowPublisher]:
    """Open a source over a server whose requests pass the proxy that counts in `traffic`."""
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    with closing(MlflowSource(CONNECTION, url, clock or SystemClock(), stores=stores)) as source:
        from mlflow import MlflowClient  # noqa: PLC0415  after the source has set MLflow's variables

        yield MlflowPublisher(source, MlflowClient(url, registry_uri=url), traffic, put)
