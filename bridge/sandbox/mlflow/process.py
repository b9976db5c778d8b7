"""The process that the real server is: how it is set up, started, waited for and ended."""

from __future__ import annotations

import base64
import http.client
import os
import secrets
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.sandbox.serving import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Mapping

CHILD = Path(__file__).with_name("child.py")
NOT_INHERITED = ("MLFLOW_", "_MLFLOW_", "OTEL_", "DATABRICKS_")  # ours is the sandbox's server, not the user's
TAIL = 4000  # characters of the log in an error message


class MlflowProcess:
    """
    MLflow's tracking server on a port of its own, with its data in a folder; started and stopped once.

    It is the app of `mlflow server --workers 1` in one process, started by child.py: half the time and half the
    memory of the command, which imports everything twice (2.9 instead of 5.4 s, 255 instead of 500 MB).
    `artifacts` is where it keeps files, a folder in `data` or "s3://bucket/prefix", and `more` are variables for it.
    """

    def __init__(self, data: Path, *, artifacts: str = "./artifacts", more: Mapping[str, str] | None = None) -> None:
        self._data = data
        self._artifacts = artifacts
        self._more = dict(more or {})
        self._process: subprocess.Popen[bytes] | None = None
        self.log = data / "server.log"
        self.port = 0  # until it is started

    @property
    def url(self) -> str:
        """The base URL, for the proxy only."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def pid(self) -> int | None:
        """The process, which is also its process group; None if it does not run."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the process. Its port takes connections at once, and they wait until it answers."""
        self._data.mkdir(parents=True, exist_ok=True)
        with socket.create_server((LOOPBACK, 0), backlog=1024) as listening, self.log.open("ab") as log:
            self.port = listening.getsockname()[1]
            self._process = subprocess.Popen(  # noqa: S603  our own file, with our own Python
                [sys.executable, "-P", str(CHILD), str(listening.fileno())],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._data,
                env=self._environment(),
                pass_fds=[listening.fileno()],
                start_new_session=True,
            )
        # Only the child has the socket now, so that the connections that wait are broken if it dies.

    def wait_until_ready(self, seconds: float) -> None:
        """Return when /health is answered. Raises RuntimeError, with the end of the log, if it will not be."""
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=seconds)
        try:
            connection.request("GET", "/health")
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            tail = self.log.read_text(errors="replace")[-TAIL:]
            raise RuntimeError(f"MLflow did not start ({error!r}); the end of {self.log}:\n{tail}") from error
        finally:
            connection.close()

    def stop(self, patience: float = 5.0) -> None:
        """End the process and whatever it has started: SIGTERM, and SIGKILL after `patience` s. Idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None  # noqa: S101  start() gave it a pipe
        self._signal(process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=patience)
        self._signal(process, signal.SIGKILL)
        process.wait()
        process.stdin.close()

    @staticmethod
    def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):  # macOS says the second of a group of zombies
            os.killpg(process.pid, number)

    def _environment(self) -> dict[str, str]:
        """
        Return what `mlflow server` would set, and what keeps it at home.

        The options of the command are private variables to the app (mlflow/server/constants.py, 3.17.2). Paths are
        relative to the folder, which the process works in: no character of its name has to be quoted.
        """
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(NOT_INHERITED)}
        return inherited | {
            "_MLFLOW_SERVER_FILE_STORE": "sqlite:///mlflow.sqlite",
            "_MLFLOW_SERVER_REGISTRY_STORE": "sqlite:///mlflow.sqlite",
            "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
            "_MLFLOW_SERVER_ARTIFACT_DESTINATION": self._artifacts,
            "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
            "_MLFLOW_SGI_NAME": "uvicorn",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_ENABLE_AI_GATEWAY": "false",
            "MLFLOW_MODEL_CATALOG_URI": "",  # else fetched from github.com for the UI
            "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
            "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
            "MLFLOW_WEBHOOK_CACHE_TTL": "0",  # a new hook works at once, not within a minute
            "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": self._webhook_key(),
            **self._more,
        }

    def _webhook_key(self) -> str:
        """Return the key that the secrets of webhooks are stored under: the same after a restart."""
        path = self._data / "webhook.key"
        if not path.exists():
            path.write_bytes(base64.urlsafe_b64encode(secrets.token_bytes(32)))
        return path.read_text()
