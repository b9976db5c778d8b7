"""The whole sandbox: every stand-in over one folder, one tally and one clock, with something in it to start from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import requests

from bridge.sandbox import address
from bridge.sandbox.address import API_KEY, BUCKET, LOCATION, ORGANIZATION, PROJECT, REGISTRY, TEAM
from bridge.sandbox.clock import SandboxClock
from bridge.sandbox.gcs.server import GcsServer
from bridge.sandbox.traffic import Traffic
from bridge.sandbox.vertex.server import VertexServer
from bridge.sandbox.wandb.server import WandbServer

if TYPE_CHECKING:
    from pathlib import Path


class World:
    """
    Stand-ins for W&B, Vertex AI and GCS below one folder; a context manager that starts and stops them.

    With `port_base` N they have the ports N, N+2 (Vertex, REST), N+3 (Vertex, gRPC) and N+4; without it,
    free ones. A user, a team, an organization with one registry, and a bucket are there from the start.
    """

    def __init__(self, data: Path, port_base: int | None = None) -> None:
        def port(offset: int) -> int:
            return 0 if port_base is None else port_base + offset

        self.traffic = Traffic()
        self.clock = SandboxClock()
        traffic, clock = self.traffic, self.clock
        self.wandb = WandbServer(data / "wandb", traffic=traffic, clock=clock, port=port(address.WANDB))
        self.gcs = GcsServer(data / "gcs", traffic=traffic, clock=clock, port=port(address.GCS))
        self.vertex = VertexServer(
            data / "vertex",
            traffic=traffic,
            clock=clock,
            grpc_port=port(address.VERTEX_GRPC),
            rest_port=port(address.VERTEX_REST),
            object_names=self.gcs.object_names,
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start every server and make what there is to start from; returns when all of them answer."""
        self.wandb.start()
        self.gcs.start()
        self.vertex.start()
        self.wandb.create_organization(ORGANIZATION, registries=(REGISTRY,))
        self.wandb.create_team(TEAM, organization=ORGANIZATION)
        self.wandb.create_user("bridge", api_key=API_KEY, organization=ORGANIZATION, team=TEAM)
        answer = requests.post(
            f"{self.gcs.url}/storage/v1/b", params={"project": PROJECT}, json={"name": BUCKET}, timeout=10
        )
        if answer.status_code not in (requests.codes.ok, requests.codes.conflict):
            answer.raise_for_status()
        self.traffic.reset()

    def stop(self) -> None:
        """Stop every server. Idempotent."""
        self.wandb.stop()
        self.gcs.stop()
        self.vertex.stop()

    def environment(self) -> dict[str, str]:
        """Return the variables that point unmodified scripts at this sandbox."""
        return address.variables(self.wandb.url, self.vertex.rest_url, self.vertex.grpc_address, self.gcs.url)

    def connections(self) -> str:
        """Return the `connections:` of a bridge.yaml that speaks to this sandbox."""
        return (
            "connections:\n"
            f"  acme: {{kind: wandb, base_url: '{self.wandb.url}', organization: {ORGANIZATION}, "
            "api_key: {env: WANDB_API_KEY}}\n"
            f"  prod: {{kind: vertex, project: {PROJECT}, location: {LOCATION}, bucket: gs://{BUCKET}/registry, "
            f"endpoint: '{self.vertex.grpc_address}', insecure: true, storage_endpoint: '{self.gcs.url}'}}\n"
        )
