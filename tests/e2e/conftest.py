"""A person's folder: a bridge.yaml that speaks to the sandbox, a mapping, and a collection nobody else uses."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import wandb
from google.api_core.exceptions import NotFound
from google.cloud import aiplatform_v1 as v1  # noqa: TID251  what people look with
from google.cloud.aiplatform_v1.services.model_service.transports.grpc import (  # noqa: TID251  the same
    ModelServiceGrpcTransport,
)

from bridge.cli.main import run
from bridge.sandbox.address import API_KEY, BUCKET, LOCATION, ORG_ENTITY, PROJECT
from tests.sources.mlflow_people import mlflow_people
from tests.store.databases import VARIABLE, all_rows, has_tables, lose_tables, postgres_schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from bridge.sandbox.mlflow.server import MlflowServer
    from bridge.sandbox.traffic import Traffic
    from bridge.sandbox.world import World
    from tests.sources.mlflow_people import MlflowPublisher

_numbers = count(1)

PARENT = f"projects/{PROJECT}/locations/{LOCATION}"
WAIT = 30  # seconds after which Vertex has not answered

SECRET_KEY = "BRIDGE_SECRET_KEY"  # a variable
# Variables whose values may show nowhere, in any test: see Desk.leaks.
SECRETS = (
    "WANDB_API_KEY",
    SECRET_KEY,
    "BRIDGE_WEBHOOK_TOKEN",
    "BRIDGE_WEBHOOK_SECRET",
    "BRIDGE_NOTIFY_URL",
    "BRIDGE_SLACK_URL",
)
IN_A_FILE = "sqlite:///bridge.db"
# For a test that looks at the file, or at what is said of it.
in_a_file = pytest.mark.parametrize("store_url", [IN_A_FILE])


@dataclass(frozen=True)
class Outcome:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Version:
    """A version in Vertex as Google's own client shows it: nothing of it has gone through the bridge's registry."""

    id: str
    artifact_uri: str
    aliases: frozenset[str]
    labels: Mapping[str, str]


@dataclass
class Desk:
    """Where one person works; the collection and the model have its number."""

    folder: Path
    world: World
    capsys: pytest.CaptureFixture[str]
    store: str
    number: int = field(default_factory=lambda: next(_numbers))
    said: list[str] = field(default_factory=list)  # by all commands

    @property
    def collection(self) -> str:
        return f"detector-{self.number}"

    @property
    def model(self) -> str:
        return f"fraud-{self.number}"

    @property
    def path(self) -> str:
        return f"{ORG_ENTITY}/wandb-registry-model/{self.collection}"

    @property
    def store_lines(self) -> str:
        """What bridge.yaml says of the store; one in a file has a key beside it."""
        key = "" if self.store == IN_A_FILE else f"secret_key: {{env: {SECRET_KEY}}}\n"
        return f"store: {self.store}\n{key}"

    def write_config(self, extra: str = "") -> None:
        connections = self.world.connections()
        (self.folder / "bridge.yaml").write_text(f"{self.store_lines}{connections}{extra}")

    def write_mapping(self, *lines: str, collection: str | None = None) -> None:
        (self.folder / "mappings").mkdir(exist_ok=True)
        text = [
            "mappings:",
            "  - name: fraud",
            f"    source: {{from: acme, registry: model, collection: {collection or self.collection}}}",
            f"    target: {{to: prod, model: {self.model}}}",
            "    serving: {image: 'europe-docker.pkg.dev/acme/serve/sklearn:1', port: 8080}",
            *(f"    {line}" for line in lines or ("policy: sync", "default_from: production")),
        ]
        (self.folder / "mappings" / "fraud.yaml").write_text("\n".join(text) + "\n")

    def bridge(self, *arguments: str) -> Outcome:
        self.capsys.readouterr()
        code = run(arguments)
        out, err = self.capsys.readouterr()
        self.said += [out, err]
        return Outcome(code, out, err)

    def bridge_json(self, *arguments: str) -> Any:  # noqa: ANN401  whatever the command prints
        return json.loads(self.bridge(*arguments, "--json").out)

    def publish(self, content: bytes, *aliases: str, **more: Any) -> str:  # noqa: ANN401  what seed_version takes
        """Put a version with one file into the collection; return its label."""
        version = self.world.wandb.seed_version(self.path, {"model.pkl": content}, aliases=aliases, **more)
        return f"v{version.version_index}"

    def tag(self, label: str, alias: str) -> None:
        """Move an alias, with the real SDK."""
        artifact = self.api().artifact(f"{self.path}:{label}")
        artifact.aliases.append(alias)
        artifact.save()

    def untag(self, label: str, alias: str) -> None:
        artifact = self.api().artifact(f"{self.path}:{label}")
        artifact.aliases.remove(alias)
        artifact.save()

    def api(self) -> wandb.Api:
        return wandb.Api(overrides={"base_url": self.world.wandb.url}, api_key=API_KEY)

    @cached_property
    def vertex(self) -> v1.ModelServiceClient:
        """Google's own client; the fixture closes it."""
        channel = grpc.insecure_channel(self.world.vertex.grpc_address)
        return v1.ModelServiceClient(transport=ModelServiceGrpcTransport(channel=channel))

    @property
    def in_vertex(self) -> str:
        """The resource name of the model."""
        return f"{PARENT}/models/{self.model}"

    def versions(self) -> tuple[Version, ...]:
        """Say what Vertex has of the model, oldest first."""
        try:
            listed = list(self.vertex.list_model_versions(name=self.in_vertex, timeout=WAIT))
        except NotFound:
            return ()
        found = (
            Version(each.version_id, each.artifact_uri, frozenset(each.version_aliases), dict(each.labels))
            for each in listed
        )
        return tuple(sorted(found, key=lambda version: int(version.id)))

    def alias_by_hand(self, alias: str, version_id: str) -> None:
        """Set an alias in Vertex, as a person does."""
        self.vertex.merge_version_aliases(name=f"{self.in_vertex}@{version_id}", version_aliases=[alias], timeout=WAIT)

    def aliases(self) -> dict[str, str]:
        """Say which Vertex version each alias is on."""
        return {alias: version.id for version in self.versions() for alias in version.aliases}

    def objects(self) -> list[str]:
        return self.world.gcs.object_names(BUCKET, f"registry/{self.model}/")

    def has_store(self) -> bool:
        """Say whether anything has been written into the store, or it was made."""
        if self.store == IN_A_FILE:
            return (self.folder / "bridge.db").exists()
        return has_tables(self.store)

    def leaks(self) -> list[str]:
        """Search what commands said, files that are ours and the store for secrets; say where there are some."""
        files = [path for path in self.folder.rglob("*") if path.is_file() and not is_of_wandb(path, self.folder)]
        places = {str(path.relative_to(self.folder)): path.read_bytes() for path in files}
        places["output"] = "\n".join(self.said).encode()
        if self.store != IN_A_FILE:
            places["store"] = all_rows(self.store).encode()
        known = {name: value.encode() for name in SECRETS if (value := os.environ.get(name))}
        return [
            f"{name} in {place}" for place, text in places.items() for name, secret in known.items() if secret in text
        ]

    def lose_store(self) -> None:
        if self.store == IN_A_FILE:
            (self.folder / "bridge.db").unlink()
        else:
            lose_tables(self.store)


def is_of_wandb(path: Path, folder: Path) -> bool:
    """Tell what W&B's own SDK writes, for people."""
    return path.relative_to(folder).parts[0].startswith("wandb")


@pytest.fixture
def store_url() -> Iterator[str]:
    """Yield a store in PostgreSQL where BRIDGE_TEST_POSTGRES_URL says that there is one, as in CI; else in a file."""
    if VARIABLE not in os.environ:
        yield IN_A_FILE
        return
    with postgres_schema() as url:
        yield url


@pytest.fixture
def desk(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], store_url: str
) -> Iterator[Desk]:
    """Give a folder to work in, with a collection `detector-N` that is mapped to the model `fraud-N`."""
    for name, value in world.environment().items():
        monkeypatch.setenv(name, value)
    for name in ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv(SECRET_KEY, "canary-sealing-key-77c2d4e1")
    monkeypatch.chdir(tmp_path)
    made = Desk(tmp_path, world, capsys, store_url)
    made.write_config()
    made.write_mapping()
    yield made
    world.traffic.faults.disarm()  # those of a test that has failed spoil no other
    if "vertex" in vars(made):
        made.vertex.transport.close()
    assert made.leaks() == []


@pytest.fixture
def mlflow(mlflow_server: MlflowServer, mlflow_traffic: Traffic) -> Iterator[MlflowPublisher]:
    with mlflow_people(mlflow_server.url, mlflow_traffic) as people:
        yield people
