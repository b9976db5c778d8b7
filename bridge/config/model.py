"""What the configuration says, as values."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bridge.core.errors import NeedsPerson
from bridge.core.naming import bucket_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from bridge.core.model import MappingSpec, RemovalGuard
    from bridge.core.settings import CopySettings


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a secret lies: a variable or a file, exactly one of the two. It never holds the secret."""

    env: str | None = None
    file: str | None = None  # absolute, or relative to the current directory

    def __post_init__(self) -> None:
        if (self.env is None) == (self.file is None):
            raise ValueError("a secret lies in a variable or in a file")

    def read(self) -> str:
        """Return the secret without whitespace around it. Raises NeedsPerson, which names the place only."""
        if self.env is not None:
            place, remedy = f"the variable {self.env}", f"set {self.env} in the environment of the bridge"
            secret = os.environ.get(self.env)
        else:
            place, remedy = f"the file {self.file}", f"write the secret to {self.file}, readable by the bridge"
            secret = _text_of(Path(str(self.file)))
        if secret is None:
            raise NeedsPerson(f"{place}, which should hold a secret, is missing or cannot be read", remedy)
        if not secret.strip():
            raise NeedsPerson(f"{place}, which should hold a secret, is empty", remedy)
        return secret.strip()


@dataclass(frozen=True, slots=True)
class WebhookSecrets:
    """What a webhook of a connection must show, all that is not None; at least one of the two."""

    token: SecretRef | None = None  # sent as it is: "Authorization: Bearer …"; W&B only
    secret: SecretRef | None = None  # signs what is sent

    def read(self) -> tuple[str | None, str | None]:
        """Return token and secret. Raises NeedsPerson, which names the places only."""
        return self.token.read() if self.token else None, self.secret.read() if self.secret else None


@dataclass(frozen=True, slots=True)
class WandbConnection:
    """How to reach a W&B server."""

    name: str
    base_url: str  # http or https, without "/" at its end
    api_key: SecretRef
    organization: str | None = None
    webhook: WebhookSecrets | None = None  # None: nobody may tell of changes there


@dataclass(frozen=True, slots=True)
class MlflowConnection:
    """How to reach an MLflow tracking server; its credentials are in MLflow's own variables, so none are here."""

    name: str
    tracking_uri: str  # http or https without "/" at its end, "databricks", or "databricks://profile"
    workspace: str | None = None
    artifact_stores: tuple[
        str, ...
    ] = ()  # all that may be read besides the server: "s3://bucket", "gs://bucket/prefix"
    storage_endpoint: str | None = None  # URL of a stand-in for GCS, without "/" at its end
    webhook: WebhookSecrets | None = None  # the same; with a `secret`


@dataclass(frozen=True, slots=True)
class VertexConnection:
    """How to reach a Vertex AI Model Registry, and the bucket its models lie in."""

    name: str
    project: str
    location: str  # "europe-west4"
    bucket: str  # "gs://bucket" or "gs://bucket/prefix", without "/" at its end
    endpoint: str | None = None  # "host:port" of a stand-in; None: Google's own
    insecure: bool = False  # plaintext gRPC; only to an endpoint on this machine
    storage_endpoint: str | None = None  # URL of a stand-in for GCS, without "/" at its end

    @property
    def place(self) -> str:
        """What Vertex counts quotas for: project and location."""
        return f"{self.project} {self.location}"

    @property
    def bucket_name(self) -> str:
        """What Cloud Storage counts requests for."""
        return bucket_of(self.bucket)


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """How `bridge run` runs."""

    host: str  # where it listens
    port: int  # 0: a free one
    keys: int  # models worked on at a time, at most
    full_every: timedelta  # each model is compared with Vertex once in that time, whatever its source says
    grace: timedelta  # what is under way may take that long when the service is told to stop


@dataclass(frozen=True, slots=True)
class Config:
    """Everything the files say; connection names in `mappings` are keys of `connections`, of the right kind."""

    path: Path  # of bridge.yaml
    store: str | SecretRef  # SQLAlchemy URL of the store, without a password, or where such a URL lies
    secret_key: SecretRef | None  # what the store seals its secrets with; None: see bridge.store.sealing
    owner: str  # label value of what this bridge makes in Vertex
    poll_every: timedelta
    settle: timedelta
    guard: RemovalGuard
    copying: CopySettings
    service: ServiceSettings
    limits: Mapping[str, tuple[int, timedelta]]  # so many requests in any such span: wandb, mlflow, vertex, …
    notify: Mapping[Literal["slack", "webhook"], SecretRef]  # URLs
    connections: Mapping[str, WandbConnection | MlflowConnection | VertexConnection]
    mappings: tuple[MappingSpec, ...]  # in the order of files, and within a file as written


def _text_of(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):  # ValueError: not UTF-8, or a NUL in the path
        return None
