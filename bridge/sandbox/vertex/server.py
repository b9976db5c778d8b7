"""The stand-in as a whole: one core, a gRPC and a REST port, one folder of data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.sandbox.serving import LOOPBACK, HttpServer
from bridge.sandbox.vertex.dispatch import Dispatcher
from bridge.sandbox.vertex.grpc_front import GrpcFront
from bridge.sandbox.vertex.rest_front import RestFront
from bridge.sandbox.vertex.state import State
from bridge.sandbox.vertex.storage import Storage

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from pathlib import Path

    from bridge.sandbox.clock import SandboxClock
    from bridge.sandbox.traffic import Traffic
    from bridge.sandbox.vertex.switches import VertexSwitches


class VertexServer:
    """
    Vertex AI's model registry, endpoints and operations on loopback, for the real clients.

    `data` is a folder; a new server on the same folder goes on where the last one stopped, operations included.
    `object_names` lists the objects of a bucket under a prefix; without it the switch artifact_check checks nothing.
    Ports of 0 are free ones; they are bound, and the addresses known, before start().
    """

    def __init__(
        self,
        data: Path,
        *,
        traffic: Traffic,
        clock: SandboxClock,
        grpc_port: int = 0,
        rest_port: int = 0,
        object_names: Callable[[str, str], list[str]] | None = None,
    ) -> None:
        data.mkdir(parents=True, exist_ok=True)
        self._state = State(Storage(data / "vertex.sqlite"), clock, object_names)
        self._dispatcher = Dispatcher(self._state, traffic)
        self._grpc = GrpcFront(self._dispatcher, grpc_port)
        self._http = HttpServer(rest_port)

    @property
    def grpc_address(self) -> str:
        """Where the gRPC front listens: "127.0.0.1:PORT", plaintext."""
        return f"{LOOPBACK}:{self._grpc.port}"

    @property
    def rest_url(self) -> str:
        """The REST front's base URL, without a slash at its end."""
        return self._http.url

    @property
    def random(self) -> random.Random:
        """What draws the deployed model that answers a prediction; seed it to repeat the draws."""
        return self._state.random

    @property
    def switches(self) -> VertexSwitches:
        """How the stand-in behaves now: `server.switches = replace(server.switches, alias_conflict="reject")`."""
        return self._dispatcher.switches

    @switches.setter
    def switches(self, switches: VertexSwitches) -> None:
        self._dispatcher.switches = switches

    def start(self) -> None:
        """Accept calls on both ports."""
        self._grpc.start()
        self._http.start(RestFront(self._dispatcher).app)

    def stop(self) -> None:
        """Close both ports and the data. Idempotent."""
        self._grpc.stop()
        self._http.stop()
        self._dispatcher.close()
