"""The whole sandbox: every stand-in over one folder, one tally and one clock, with something in it to start from."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Self

import requests

from bridge.sandbox import address
from bridge.sandbox.address import API_KEY, BUCKET, LOCATION, ORGANIZATION, PROJECT, REGISTRY, TEAM
from bridge.sandbox.clock import SandboxClock
from bridge.sandbox.control import Control
from bridge.sandbox.gcs.server import GcsServer
from bridge.sandbox.mlflow.server import MlflowServer
from bridge.sandbox.serving import HttpServer
from bridge.sandbox.traffic import Traffic
from bridge.sandbox.vertex.server import VertexServer
from bridge.sandbox.wandb.server import WandbServer

if TYPE_CHECKING:
    from pathlib import Path


class World:
    """
    Stand-ins for W&B, Vertex AI and GCS, and if `mlflow` a real MLflow server, below one folder.

    A context manager that starts and stops them. With `port_base` N they have the ports that address.py gives;
    without it, free ones. A user, a team, an organization with one registry, and a bucket are there from the start.
    """

    def __init__(self, data: Path, port_base: int | None = None, *, mlflow: bool = False) -> None:
        self.traffic = Traffic()
        self.clock = SandboxClock()
        self._data = data
        self._ports = dict.fromkeys(address.OFFSETS, 0)
        if port_base is not None:
            self._ports = {name: port_base + offset for name, offset in address.OFFSETS.items()}
        self._control = HttpServer(self._ports["control"])
        self._ports["control"] = self._control.port
        self._with_mlflow = mlflow
        self._build()

    def _build(self) -> None:
        traffic, clock, ports, data = self.traffic, self.clock, self._ports, self._data
        self.mlflow: MlflowServer | None = None
        if self._with_mlflow:
            self.mlflow = MlflowServer(data / "mlflow", traffic=traffic, port=ports["mlflow"])
        self.wandb = WandbServer(data / "wandb", traffic=traffic, clock=clock, port=ports["wandb"])
        self.gcs = GcsServer(data / "gcs", traffic=traffic, clock=clock, port=ports["gcs"])
        self.vertex = VertexServer(
            data / "vertex",
            traffic=traffic,
            clock=clock,
            grpc_port=ports["vertex_grpc"],
            rest_port=ports["vertex_rest"],
            object_names=self.gcs.object_names,
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start every server and make what there is to start from; returns when all of them answer."""
        self._control.start(Control(self).app())
        self._start()

    def _start(self) -> None:
        if self.mlflow is not None:
            self.mlflow.start_in_background()
        self.wandb.start()
        self.gcs.start()
        self.vertex.start()
        self.wandb.create_organization(ORGANIZATION, registries=(REGISTRY,))
        self.wandb.create_team(TEAM, organization=ORGANIZATION)
        self.wandb.create_user("bridge", api_key=API_KEY, organization=ORGANIZATION, team=TEAM)
        bucket = {"name": BUCKET, "location": LOCATION}
        answer = requests.post(f"{self.gcs.url}/storage/v1/b", params={"project": PROJECT}, json=bucket, timeout=10)
        if answer.status_code not in (requests.codes.ok, requests.codes.conflict):
            answer.raise_for_status()
        if self.mlflow is not None:
            self.mlflow.wait_until_ready()
        self.traffic.reset()

    def stop(self) -> None:
        """Stop every server. Idempotent."""
        self._stop()
        self._control.stop()

    def _stop(self) -> None:
        if self.mlflow is not None:
            self.mlflow.stop()
        self.wandb.stop()
        self.gcs.stop()
        self.vertex.stop()

    def reset(self) -> None:
        """Forget all data, calls, faults and switches, at the same addresses; time does not go back."""
        places = {
            "wandb": self.wandb.url,
            "gcs": self.gcs.url,
            "vertex_rest": self.vertex.rest_url,
            "vertex_grpc": self.vertex.grpc_address,
        } | ({"mlflow": self.mlflow.url} if self.mlflow else {})
        self._ports |= {name: int(place.rpartition(":")[2]) for name, place in places.items()}
        self._stop()
        for part in ("wandb", "gcs", "vertex", "mlflow"):
            shutil.rmtree(self._data / part, ignore_errors=True)
        self.traffic.faults.disarm()
        self._build()
        self._start()

    @property
    def control_url(self) -> str:
        """The base URL of the control API."""
        return self._control.url

    def environment(self) -> dict[str, str]:
        """Return the variables that point unmodified scripts at this sandbox."""
        return address.variables(
            wandb=self.wandb.url,
            mlflow=self.mlflow.url if self.mlflow else None,
            vertex_rest=self.vertex.rest_url,
            vertex_grpc=self.vertex.grpc_address,
            gcs=self.gcs.url,
            control=self.control_url,
        )

    def connections(self) -> str:
        """Return the `connections:` of a bridge.yaml that speaks to this sandbox."""
        return (
            "connections:\n"
            f"  acme: {{kind: wandb, base_url: '{self.wandb.url}', organization: {ORGANIZATION}, "
            "api_key: {env: WANDB_API_KEY}}\n"
            f"  prod: {{kind: vertex, project: {PROJECT}, location: {LOCATION}, bucket: gs://{BUCKET}/registry, "
            f"endpoint: '{self.vertex.grpc_address}', insecure: true, storage_endpoint: '{self.gcs.url}'}}\n"
        ) + (f"  ml: {{kind: mlflow, tracking_uri: '{self.mlflow.url}'}}\n" if self.mlflow else "")
