"""The sandbox, whose faults strike the bridge alone; the services, as processes; and how both are looked at."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import grpc
import requests
import wandb
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform_v1 as v1, storage  # noqa: TID251  the oracle looks for itself
from google.cloud.aiplatform_v1.services.model_service.transports.grpc import (  # noqa: TID251  the same
    ModelServiceGrpcTransport,
)
from mlflow import MlflowClient

from bridge.sandbox.address import API_KEY, BUCKET, LOCATION, ORG_ENTITY, ORGANIZATION, PROJECT
from bridge.sandbox.faults import Faults
from bridge.sandbox.world import World
from tests.chaos.doings import BY_PATTERN, COLLECTIONS, MLFLOW
from tests.chaos.ledger import Rule
from tests.chaos.processes import Group
from tests.chaos.seen import Look, ModelRow, Registered, StoredObject
from tests.store.databases import all_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from bridge.sandbox.faults import Fault

PARENT = f"projects/{PROJECT}/locations/{LOCATION}"
REGISTRY = f"{ORG_ENTITY}/wandb-registry-model"
BASE = f"gs://{BUCKET}/registry/"
SETTLE = 4  # seconds; longer than the longest commit delay and list lag of doings.py together
PATIENCE = 60.0  # seconds for what takes a few
SECRETS = {  # made up; none may show anywhere
    "WANDB_API_KEY": API_KEY,
    "BRIDGE_WEBHOOK_TOKEN": "canary-token-5d1f0c",
    "BRIDGE_WEBHOOK_SECRET": "canary-secret-93ab7e",
    "BRIDGE_SECRET_KEY": "canary-sealing-key-77c2d4",
    "MLFLOW_TRACKING_PASSWORD": "canary-password-0b9e1f",
}
SETTINGS = """\
store: {store}
secret_key: {{env: BRIDGE_SECRET_KEY}}
poll_every: 1s
guards: {{settle: {settle}s, max_removals: 100%}}
limits: {{wandb: 1000/s, vertex: 1000/s, mlflow: 1000/s, vertex_uploads: 1000/s}}
service: {{listen: '127.0.0.1:0', full_every: 2s, grace: 10s}}
"""
MAPPING = """\
  - name: {name}
    source: {source}
    target: {{to: prod, model: '{model}'}}
    serving: {{image: 'europe-docker.pkg.dev/acme/serve/sklearn:1', port: 8080}}
    policy: sync
    on_source_delete: unalias
    drift: {drift}
"""


class ShelteredFaults(Faults):
    """Faults that do not strike a service while users, people or the oracle ask it."""

    def __init__(self) -> None:
        super().__init__()
        self._asking: Counter[str] = Counter()
        self._guard = threading.Lock()

    @contextmanager
    def sheltering(self, *services: str) -> Iterator[None]:
        with self._guard:
            self._asking.update(services)
        try:
            yield
        finally:
            with self._guard:
                self._asking.subtract(services)

    def strike(self, service: str, method: str) -> Fault | None:
        return None if self._asking[service] > 0 else super().strike(service, method)


class Scene:
    """One sandbox, and a folder with a configuration of a bridge that speaks to it."""

    def __init__(self, folder: Path, store: str) -> None:
        self.folder = folder
        self.desk = folder / "desk"
        self.lost = folder / "lost"  # the same configuration, over a store of its own
        self.world = World(folder / "sandbox", mlflow=True)
        self.faults = self.world.traffic.faults = ShelteredFaults()
        self.services: list[Service] = []
        self._store = store

    def start(self) -> None:
        self.world.start()
        os.environ.update(self.world.environment() | SECRETS)
        os.environ |= {"MLFLOW_TRACKING_USERNAME": "bridge", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
        os.environ |= {"WANDB_SILENT": "true", "BRIDGE_CONFIG": str(self.desk / "bridge.yaml")}
        for name in ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_CONFIG_DIR", "WANDB_ARTIFACT_DIR"):
            (self.folder / "wandb").mkdir(exist_ok=True)
            os.environ[name] = str(self.folder / "wandb")
        channel = grpc.insecure_channel(self.world.vertex.grpc_address)
        self.vertex = v1.ModelServiceClient(transport=ModelServiceGrpcTransport(channel=channel))
        self.gcs = storage.Client(
            PROJECT, credentials=AnonymousCredentials(), client_options={"api_endpoint": self.world.gcs.url}
        )
        self.mlflow = MlflowClient(self.world.environment()["MLFLOW_TRACKING_URI"])
        self.wandb = wandb.Api()
        self._configure()

    def stop(self) -> None:
        for service in self.services:
            service.stop(kill=True)
            service.end()
        self.world.stop()

    def _configure(self) -> None:
        hook = "webhook: {token: {env: BRIDGE_WEBHOOK_TOKEN}, secret: {env: BRIDGE_WEBHOOK_SECRET}}"
        connections = self.world.connections().replace("{env: WANDB_API_KEY}}", "{env: WANDB_API_KEY}, " + hook + "}")
        mappings = [
            ("fraud", "{from: acme, registry: model, collection: alpha}", "fraud", "default_from: production"),
            ("credit", "{from: acme, registry: model, collection: beta}", "credit", ""),
            (
                "storms",
                f"{{from: acme, registry: model, collection: {{regex: '^{BY_PATTERN}(?P<name>[a-z0-9]+)$'}}}}",
                BY_PATTERN + "{name}",
                "",
            ),
            ("churn", "{from: ml, model: churn}", "churn", "default_from: champion"),
        ]
        text = "mappings:\n"
        for name, source, model, more in mappings:
            text += MAPPING.format(name=name, source=source, model=model, drift=rule(model).drift)
            text += f"    {more}\n" if more else ""
        for desk, store in ((self.desk, self._store), (self.lost, "sqlite:///bridge.db")):
            (desk / "mappings").mkdir(parents=True)
            (desk / "mappings" / "all.yaml").write_text(text)
            settings = SETTINGS.format(store=f"'{store}'", settle=SETTLE)
            (desk / "bridge.yaml").write_text(settings + connections)

    # what the sides say

    def look(self) -> Look:
        """Ask Vertex for all there is."""
        found: list[Registered] = []
        with self.faults.sheltering("vertex"):
            for model in self.vertex.list_models(parent=PARENT):
                name = model.name.partition("@")[0]
                for version in self.vertex.list_model_versions(name=name):
                    folder = f"{version.artifact_uri.rstrip('/')}/"
                    created = version.version_create_time.timestamp()
                    aliases = frozenset(version.version_aliases)
                    found.append(Registered(name.rpartition("/")[2], version.version_id, folder, aliases, created))
        return Look(self.world.clock.now(), tuple(sorted(found, key=lambda each: (each.model, int(each.id)))))

    def objects(self) -> dict[str, StoredObject]:
        """Read every object of the bucket."""
        found: dict[str, StoredObject] = {}
        with self.faults.sheltering("gcs"):
            for blob in self.gcs.list_blobs(BUCKET):
                uri, md5 = f"gs://{BUCKET}/{blob.name}", md5_of(blob.download_as_bytes())
                found[uri] = StoredObject(uri, md5, blob.time_created.timestamp(), int(blob.generation))
        return found

    def sources(self, collections: list[str]) -> dict[str, tuple[dict[str, str], frozenset[str]]]:
        """Ask the sources: collection -> aliases that users set, and versions."""
        aliases: dict[str, dict[str, str]] = {name: {} for name in collections}
        labels: dict[str, set[str]] = {name: set() for name in collections}
        with self.faults.sheltering("wandb", "mlflow"):
            for version in wandb.Api().registries(ORGANIZATION, filter={"name": "model"}).versions():
                name, _, label = version.name.partition(":")
                labels.setdefault(name, set()).add(label)
                set_ = {alias: label for alias in version.aliases if alias not in ("latest", label)}
                aliases.setdefault(name, {}).update(set_)
            if MLFLOW in collections:
                model = self.mlflow.get_registered_model(MLFLOW)
                aliases[MLFLOW] = {alias: str(version) for alias, version in model.aliases.items()}
                versions = self.mlflow.search_model_versions(f"name = '{MLFLOW}'")
                labels[MLFLOW] = {str(version.version) for version in versions}
        return {name: (aliases[name], frozenset(labels[name])) for name in collections}

    def rows(self) -> tuple[ModelRow, ...]:
        """Ask `bridge status`."""
        return tuple(
            ModelRow(
                row["model"],
                row["state"],
                row["message"],
                datetime.fromisoformat(row["looked_at"]).timestamp(),
                {alias: (at["version"], at["label"]) for alias, at in row["aliases"].items()},
            )
            for row in self.bridge("status", "--json")
        )

    def bridge(self, *arguments: str, desk: Path | None = None) -> Any:  # noqa: ANN401  whatever the command prints
        """Run a command that prints JSON."""
        done = subprocess.run(  # noqa: S603  the arguments are ours
            [sys.executable, "-m", "bridge", *arguments],
            cwd=desk or self.desk,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"bridge {' '.join(arguments)} ended with {done.returncode}: {done.stderr}")
        return json.loads(done.stdout)

    def rebuilt(self) -> tuple[Mapping[str, Any], ...]:
        """Ask `bridge rebuild` what an empty store would know again; that of the services stays as it is."""
        for file in self.lost.glob("bridge.db*"):
            file.unlink()
        return tuple(self.bridge("rebuild", "--json", "--config", "bridge.yaml", desk=self.lost))

    def written(self) -> Counter[str]:
        """Count the writes that Vertex and the bucket were asked for."""
        return Counter(
            {
                f"{call.service} {call.method}": count
                for call, count in self.world.traffic.counts().items()
                if call.write and call.service in ("vertex", "gcs")
            }
        )

    def leaks(self) -> tuple[str, ...]:
        """Search logs, store, argument lists, metrics and HTTP bodies for secrets."""
        places = {str(path.name): path.read_bytes() for path in self.desk.iterdir() if path.is_file()}
        places.pop("bridge.yaml")
        if not self._store.startswith("sqlite"):  # which is one of the files
            places["the store"] = all_rows(self._store).encode()
        for service in self.services:
            if (pid := service.pid) is not None:
                places[f"arguments of service {service.number}"] = _arguments(pid)
            if url := service.url():
                for path in ("/metrics", "/readyz", "/v1/models", "/v1/journal", "/v1/mappings"):
                    places[f"the body of {path}"] = requests.get(url + path, timeout=PATIENCE).content
        return leaked(places)


class Service:
    """`bridge run` as a process of its own, which may be down."""

    def __init__(self, scene: Scene, number: int) -> None:
        self.number = number
        self._scene = scene
        self._group: Group | None = None
        self._told: Literal["run", "end", "die"] = "die"
        self.complaints: list[str] = []

    @property
    def log(self) -> Path:
        return self._scene.desk / f"service-{self.number}.log"

    @property
    def pid(self) -> int | None:
        """The number of its process; None if it is down."""
        return self._group.pid if self._group is not None and self._group.code is None else None

    def start(self) -> None:
        """Start it, unless it runs."""
        if self._told == "run" and self.pid is not None:
            return
        self.end()
        self._group = Group([sys.executable, "-m", "bridge", "run"], self._scene.desk, self.log)
        self._told = "run"

    def stop(self, *, kill: bool) -> None:
        """Kill it, with all that it has started; or tell it to end, and do not wait for that."""
        if self._group is None:
            return
        if kill:
            self._told = "die"
            self._group.kill()
        elif self._group.terminate():
            self._told = "end"

    def check(self) -> None:
        """Complain if it has ended by itself."""
        if self._group is not None and self._told == "run" and (code := self._group.code) is not None:
            self.complaints.append(f"service {self.number} ended by itself with {code}: {self._last_words()}")
            self._told = "die"

    def end(self) -> None:
        """Wait for the last one to be gone, and complain about its end."""
        self.check()
        if self._group is None:
            return
        code = self._group.end(PATIENCE)
        self._group = None
        if code is None:
            self.complaints.append(f"service {self.number} did not end within {PATIENCE} s of its signal")
        elif self._told == "end" and code not in (0, -signal.SIGTERM):  # it may not have come to its handler yet
            self.complaints.append(f"service {self.number} ended with {code} when told to end: {self._last_words()}")

    def wait(self) -> None:
        """Return when it listens: then there is a store."""
        waited = 0.0
        while self.url() is None and waited < PATIENCE:
            threading.Event().wait(0.1)
            waited += 0.1

    def url(self) -> str | None:
        """Say where it listens; None if it is down or has not said so yet."""
        if self.pid is None:
            return None
        spoken = [line for line in self.log.read_text().splitlines() if '"listening on ' in line]
        return json.loads(spoken[-1])["event"].split()[2].rstrip(";") if spoken else None

    def bugs(self) -> list[str]:
        """Return what its log says of errors that nobody expected."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [
            f"service {self.number}: {line[:1500]}"
            for line in lines
            if "unexpected error" in line or "Traceback" in line
        ]

    def _last_words(self) -> str:
        return self.log.read_text()[-600:]


def leaked(places: Mapping[str, bytes]) -> tuple[str, ...]:
    """Return where a secret is found, and which."""
    return tuple(
        f"{where} ({name})"
        for name, secret in SECRETS.items()
        for where, held in places.items()
        if secret.encode() in held
    )


def rule(model: str) -> Rule:
    """Return what the configuration says of a model."""
    if model.startswith(BY_PATTERN):
        return Rule("storms")
    defaults = {"fraud": "production", "churn": "champion"}
    return Rule(model, "report" if model == "credit" else "heal", defaults.get(model))


def model_of(collection: str) -> str:
    return COLLECTIONS.get(collection, collection)


def md5_of(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


def _arguments(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as arguments:  # noqa: PTH123  it is no file
            return arguments.read()
    except OSError:
        return b""


def unpack(
    found: Mapping[str, tuple[dict[str, str], frozenset[str]]],
) -> tuple[dict[str, dict[str, str]], dict[str, frozenset[str]]]:
    """Part aliases from versions."""
    return {name: aliases for name, (aliases, _) in found.items()}, {
        name: labels for name, (_, labels) in found.items()
    }
