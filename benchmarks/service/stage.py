"""A sandbox and a service over it, as processes, and what can be read of them from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import grpc
import requests
import wandb
from google.cloud import aiplatform_v1 as v1  # noqa: TID251  a client of the stand-in
from google.cloud.aiplatform_v1.services.model_service.transports.grpc import (  # noqa: TID251  the same
    ModelServiceGrpcTransport,
)

from bridge.sandbox.address import API_KEY, BUCKET, LOCATION, ORG_ENTITY, PROJECT, environment
from bridge.sandbox.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PORTS = 28470
REGISTRY = f"{ORG_ENTITY}/wandb-registry-model"
PATIENCE = 600  # seconds after which something has gone wrong
_TICKS = os.sysconf("SC_CLK_TCK")
_CONNECTIONS = f"""\
connections:
  prod: {{kind: vertex, project: {PROJECT}, location: {LOCATION}, bucket: gs://{BUCKET}/registry, \
endpoint: {environment(PORTS)["BRIDGE_SANDBOX_VERTEX_GRPC"]}, insecure: true, \
storage_endpoint: {environment(PORTS)["STORAGE_EMULATOR_HOST"]}}}
"""


@contextmanager
def sandbox(folder: Path, *more: str) -> Iterator[None]:
    """Run a sandbox over a folder that may have been seeded."""
    command = [sys.executable, "-m", "bridge", "sandbox", "--data", str(folder), "--port-base", str(PORTS), *more]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603  our own words
    assert process.stdout is not None
    assert process.stdout.readline() == "sandbox ready\n"
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def seed(folder: Path, collections: int, prefix: str, versions: int = 1) -> None:
    """Fill W&B's registry before the sandbox starts over it; the first version of each is in production."""
    with World(folder) as world:
        world.wandb.seed_collections(collections, versions, registry=REGISTRY, prefix=prefix)


def control(method: str, path: str, body: object = None) -> Any:  # noqa: ANN401  whatever it answers
    """Speak to the sandbox's control API."""
    answer = requests.request(method, environment(PORTS)["BRIDGE_SANDBOX_CONTROL"] + path, json=body, timeout=60)
    answer.raise_for_status()
    return answer.json() if answer.content else None


def calls(service: str) -> int:
    """Count the calls that a stand-in has had since they were forgotten."""
    return sum(call["count"] for call in control("GET", "/calls") if call["service"] == service)


def api() -> wandb.Api:
    """Return W&B's own client, as people have it."""
    return wandb.Api(overrides={"base_url": environment(PORTS)["WANDB_BASE_URL"]}, api_key=API_KEY, timeout=60)


def tag(artifact: wandb.Artifact) -> None:
    """Move `production` to a version of W&B, whoever has it now."""
    # The SDK sends the difference to what it believes; another move has taken the alias away meanwhile.
    artifact.aliases = [alias for alias in artifact.aliases if alias != "production"]
    artifact._saved_aliases = artifact.aliases.copy()  # noqa: SLF001  as if it had been fetched again
    artifact.aliases.append("production")
    artifact.save()


@contextmanager
def vertex() -> Iterator[v1.ModelServiceClient]:
    """Give Vertex's own client."""
    with grpc.insecure_channel(environment(PORTS)["BRIDGE_SANDBOX_VERTEX_GRPC"]) as channel:
        yield v1.ModelServiceClient(transport=ModelServiceGrpcTransport(channel=channel))


def holder(client: v1.ModelServiceClient, model: str, alias: str) -> str | None:
    """Return the version id that has an alias, None if none has it."""
    name = f"projects/{PROJECT}/locations/{LOCATION}/models/{model}@{alias}"
    try:
        return str(client.get_model(name=name).version_id)
    except Exception as problem:
        if "404" in str(problem) or "NOT_FOUND" in str(problem):
            return None
        raise


def until(condition: Callable[[], bool], pause: float = 0.05) -> float:
    """Wait for a condition; return for how many seconds."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < PATIENCE, "it does not come about"
        time.sleep(pause)  # noqa: TID251  a measurement waits for others
    return time.monotonic() - begun


_WANDB = f"kind: wandb, base_url: {environment(PORTS)['WANDB_BASE_URL']}, organization: acme"


def write_config(
    folder: Path, mappings: str, settings: str = "", webhook: str = "", others: Sequence[str] = ()
) -> None:
    """Write bridge.yaml and the mappings; `webhook` goes into connection `acme`, and `others` are like it without."""
    more = "".join(f"  {name}: {{{_WANDB}, api_key: {{env: WANDB_API_KEY}}}}\n" for name in others)
    connections = f"{_CONNECTIONS}  acme: {{{_WANDB}, api_key: {{env: WANDB_API_KEY}}{webhook}}}\n{more}"
    (folder / "mappings").mkdir(exist_ok=True)
    (folder / "mappings" / "all.yaml").write_text(f"mappings:\n{mappings}")
    (folder / "bridge.yaml").write_text(
        f"store: sqlite:///bridge.db\nservice: {{listen: '127.0.0.1:0'}}\n{settings}{connections}"
    )


def one_mapping(pattern: str, name: str = "all", model: str = "{name}") -> str:
    """Spell a mapping of all collections of a pattern, each to a model of its own."""
    return (
        f"  - name: {name}\n    source: {{from: acme, registry: model, collection: {{regex: '(?P<name>{pattern})'}}}}\n"
        f"    target: {{to: prod, model: '{model}'}}\n    policy: sync\n    aliases: {{production: production}}\n"
        "    serving: {image: an/image}\n"
    )


@dataclass
class Service:
    """`bridge run` in a folder."""

    folder: Path
    url: str = ""
    seconds_to_ready: float = 0.0
    said: list[dict[str, Any]] = field(default_factory=list)
    _process: subprocess.Popen[str] = field(init=False)

    def __enter__(self) -> Self:
        begun = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bridge", "run"],
            cwd=self.folder,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment(PORTS)},
        )
        threading.Thread(target=self._read, daemon=True).start()
        until(lambda: bool(self.url), 0.01)
        until(lambda: requests.get(f"{self.url}/readyz", timeout=60).ok, 0.02)
        self.seconds_to_ready = time.monotonic() - begun
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(PATIENCE)

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if not line.startswith("{"):
                sys.stderr.write(line)
                continue
            said = json.loads(line)
            self.said.append(said)
            if said["event"].startswith("listening on "):
                self.url = said["event"].split()[2].rstrip(";")

    def loud(self) -> list[str]:
        """Return what it has warned of."""
        return [each["event"] for each in self.said if each["level"] != "info"]

    def metric(self, name: str, **labels: str) -> float:
        """Sum a metric over all its labels but these."""
        total = 0.0
        for line in requests.get(f"{self.url}/metrics", timeout=60).text.splitlines():
            spelled, _, value = line.rpartition(" ")
            if spelled.partition("{")[0] == name and all(f'{key}="{said}"' in spelled for key, said in labels.items()):
                total += float(value)
        return total

    def sweeps(self, mapping: str) -> int:
        """Return how often a mapping's source has been looked at."""
        return int(requests.get(f"{self.url}/v1/mappings/{mapping}", timeout=60).json()["sweeps"])

    def memory(self) -> float:
        """Return its resident memory, in MB."""
        status = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))

    def cpu(self) -> tuple[float, float]:
        """Return the CPU seconds that it has taken, and those of the SDK's core process beside it."""
        own = self._process.pid
        core = [
            int(each.name)
            for each in Path("/proc").iterdir()
            if each.name.isdigit() and _spelled(each).endswith(f"\0--pid\0{own}\0")
        ]
        return _cpu(own), sum(map(_cpu, core))


def _spelled(process: Path) -> str:
    try:
        return (process / "cmdline").read_text()
    except OSError:
        return ""


def _cpu(process: int) -> float:
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS
