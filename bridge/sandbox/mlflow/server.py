"""The server and its proxy as one thing that starts and stops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.sandbox.mlflow.process import MlflowProcess
from bridge.sandbox.mlflow.proxy import Proxy
from bridge.sandbox.serving import HttpServer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bridge.sandbox.traffic import Traffic

PATIENCE = 120.0  # seconds that the first start may take; it migrates an empty database


class MlflowServer:
    """
    A real MLflow tracking server and model registry on 127.0.0.1; `port` 0 takes a free one.

    Everything lives below `data`: the database, the artifacts and the log are there again when a new server is
    given the same folder. One server per folder at a time. It dies with us, also on kill -9 (child.py says how),
    and connects to nothing beyond loopback. `artifacts` and `more` are those of MlflowProcess.
    """

    def __init__(
        self,
        data: Path,
        *,
        traffic: Traffic,
        port: int = 0,
        artifacts: str = "./artifacts",
        more: Mapping[str, str] | None = None,
    ) -> None:
        self._http = HttpServer(port)
        self._traffic = traffic
        self.process = MlflowProcess(data, artifacts=artifacts, more=more)

    @property
    def url(self) -> str:
        """The base URL: MLFLOW_TRACKING_URI of clients."""
        return self._http.url

    def start(self) -> None:
        """Start, and return when requests are answered. Raises RuntimeError with the end of the log if not."""
        self.start_in_background()
        self.wait_until_ready()

    def start_in_background(self) -> None:
        """Start, and return at once; requests wait until they can be answered."""
        self.process.start()
        self._http.start(Proxy(self.process.url, self._traffic, self.process.log))

    def wait_until_ready(self) -> None:
        """
        Return when requests are answered. Raises RuntimeError, with the end of the log, after 120 s or a crash.

        It asks behind the proxy: what it asks is not counted, and takes no fault that waits for a caller.
        """
        try:
            self.process.wait_until_ready(PATIENCE)
        except RuntimeError:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the proxy, then the server. Idempotent."""
        self._http.stop()
        self.process.stop()
