"""
One connection to MLflow through its own client: the only module that imports `mlflow`.

Who we are is MLflow's business: its variables, files and plug-ins say so, here as in every script of its users.
Its retries are switched off, because a server that is away would otherwise be waited for during four minutes,
and one that hangs for twenty (measured with mlflow 3.17.2); both are variables of the whole process.
"""

from __future__ import annotations

import math
import os
import threading
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from urllib.parse import urlsplit

import requests

from bridge.core.errors import BridgeError
from bridge.core.limits import UNLIMITED
from bridge.net.insisting import retry_after
from bridge.sources.mlflow.failures import Failures, broke, is_untold, status_in
from bridge.sources.mlflow.records import Model, Run, Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from mlflow.entities.model_registry import ModelVersion, RegisteredModel

    from bridge.core.ports import Limit

os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")  # seconds
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # looked at when mlflow is imported

from mlflow import MlflowClient
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request
from mlflow.utils.workspace_context import ServerWorkspaceContext

T = TypeVar("T")
Route: TypeAlias = "tuple[str, Mapping[str, str]]"  # path and query

MODELS_PAGE = 1000  # the most that MLflow gives
VERSIONS_PAGE = 200_000  # the same
NEWEST_FIRST = ["last_updated_timestamp DESC"]
API = "/api/2.0/mlflow"
SEARCH: Route = ("registered-models/search", {"max_results": "1"})
TIMEOUT = (5, 60)  # seconds to connect, and to wait for the next bytes


class MlflowSession:
    """An MlflowClient that is made when first needed. Thread-safe. Every method may raise NeedsPerson or TryAgain."""

    def __init__(self, name: str, tracking_uri: str, workspace: str | None = None, limit: Limit = UNLIMITED) -> None:
        self.tracking_uri = tracking_uri.rstrip("/")
        self._limit = limit
        self.failures = Failures(name, self.tracking_uri, workspace, self._limit)
        self._workspace = workspace
        self._lock = threading.Lock()
        self._made: MlflowClient | None = None

    @property
    def is_http(self) -> bool:
        """Tell whether there is a server that can be asked for files."""
        return urlsplit(self.tracking_uri).scheme.lower() in ("http", "https")

    # the registry

    def newest_versions(self, most: int) -> list[Version]:
        """Return the versions that were changed last, newest first."""

        def search(client: MlflowClient) -> list[ModelVersion]:
            return list(client.search_model_versions("", most, order_by=NEWEST_FIRST))

        return [_version(found) for found in self._call("the newest versions", search)]

    def versions(self, written: str = "") -> list[Version]:
        """
        Return the versions that a filter finds, or all.

        Up to 200,000 are one look; behind that come pages, between which a version may hide or show twice.
        """

        def search(client: MlflowClient, token: str | None) -> Any:  # noqa: ANN401  a list with a token
            return client.search_model_versions(written, VERSIONS_PAGE, page_token=token)

        return [_version(found) for found in self._paged("model versions", search)]

    def models(self, written: str = "") -> list[Model]:
        """
        Return the models that a filter finds, or all, but for prompts.

        Pages are offsets: a model that is deleted or made between two can hide another, or show it twice.
        """

        def search(client: MlflowClient, token: str | None) -> Any:  # noqa: ANN401  the same
            return client.search_registered_models(written, MODELS_PAGE, page_token=token)

        return [_model(found) for found in self._paged("registered models", search)]

    def model(self, name: str) -> Model:
        """Ask for one model. Raises NotFound."""
        route = ("registered-models/get", {"name": name})
        return _model(self._call(f"registered model {name!a}", lambda client: client.get_registered_model(name), route))

    def version(self, name: str, number: int) -> Version:
        """Ask for one version. Raises NotFound."""
        what = f"version {number} of registered model {name!a}"
        route = ("model-versions/get", {"name": name, "version": str(number)})
        return _version(self._call(what, lambda client: client.get_model_version(name, str(number)), route))

    def download_uri(self, name: str, number: int) -> str:
        """Ask where the files of a version are. Raises NotFound."""
        what = f"version {number} of registered model {name!a}"
        route = ("model-versions/get-download-uri", {"name": name, "version": str(number)})
        uri: str = self._call(what, lambda client: client.get_model_version_download_uri(name, str(number)), route)
        return uri

    # runs and logged models

    def run(self, run_id: str) -> Run:
        """Ask for a run. Raises NotFound."""
        run = self._call(f"run {run_id!a}", lambda client: client.get_run(run_id), ("runs/get", {"run_id": run_id}))
        metrics = {name: float(value) for name, value in run.data.metrics.items() if math.isfinite(value)}
        logged = run.outputs.model_outputs if run.outputs else []
        return Run(run.info.artifact_uri, metrics, tuple(output.model_id for output in logged))

    def logged_model(self, model_id: str) -> tuple[str, str]:
        """Return the name of a logged model and the URI of its folder. Raises NotFound."""
        model = self._call(f"logged model {model_id!a}", lambda client: client.get_logged_model(model_id))
        return model.name, model.artifact_location

    def call(self, what: str, work: Callable[[MlflowClient], T]) -> T:
        """Let the client do what no method here does."""
        return self._call(what, work)

    # plain HTTP, with the connection's credentials

    def get(
        self,
        endpoint: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        stream: bool = False,
    ) -> requests.Response:
        """
        Ask the tracking server; any status is returned.

        With `stream`, what goes wrong on the way is raised as requests.RequestException, for who tries again; such
        a request is for bytes, and has no part in the budget of the API.
        """
        for is_last in (stream, True):
            if not stream:
                self._limit.take()
            try:
                with self._inside():
                    response: requests.Response = http_request(
                        get_default_host_creds(self.tracking_uri),
                        endpoint,
                        "GET",
                        max_retries=0,
                        raise_on_status=False,
                        timeout=TIMEOUT,
                        extra_headers=dict(headers or {}),
                        params=params,
                        stream=stream,
                    )
            except Exception as problem:  # noqa: BLE001  plug-ins may raise anything
                if not stream:
                    self._limit.answered(None)
                under = problem.__cause__ or problem.__context__
                if stream and isinstance(under, requests.RequestException):
                    raise under from None
                if is_last or not broke(problem):
                    raise self.failures.of(problem, "a file") from None  # its text may hold a password
            else:
                if not stream:
                    self._limit.answered(response.status_code)
                return response
        raise AssertionError  # the second round returns or raises

    def json_of(self, response: requests.Response, what: str) -> dict[str, Any]:
        """Return an answer's JSON object. Raises NotFound for a 404 that MLflow itself gives."""
        try:
            answer = response.json()
        except requests.JSONDecodeError:
            answer = None
        if response.status_code != requests.codes.ok:
            code = answer.get("error_code") if isinstance(answer, dict) else None
            raise self.failures.status(response.status_code, what, code, retry_after(response.headers))
        if not isinstance(answer, dict):
            raise self.failures.page()
        return answer

    def _call(self, what: str, work: Callable[[MlflowClient], T], route: Route = SEARCH) -> T:
        """
        Let the client work, once more if a connection breaks: it had been kept open, and the server let it go.

        `route` is what the client asks for, or as good as that, should it not tell how it was answered.
        """
        for is_last in (False, True):
            self._limit.take()
            try:
                with self._inside():
                    answer = work(self._client())
            except BridgeError:
                raise
            except Exception as problem:  # noqa: BLE001  plug-ins may raise anything
                self._limit.answered(status_in(problem))
                if is_last or not broke(problem):
                    raise self._translated(problem, what, route) from None  # its text may hold a password
            else:
                self._limit.answered(requests.codes.ok)
                return answer
        raise AssertionError  # the second round returns or raises

    def _paged(self, what: str, search: Callable[..., Any]) -> Iterator[Any]:
        token: str | None = None
        while True:
            page = self._call(what, partial(search, token=token))
            yield from page
            token = page.token or None
            if token is None:
                return

    def _client(self) -> MlflowClient:
        with self._lock:
            if self._made is None:
                self._made = MlflowClient(self.tracking_uri, registry_uri=self.tracking_uri)
            return self._made

    def _inside(self) -> AbstractContextManager[object]:
        """Enter the connection's workspace: in this thread only, while the public context is for the process."""
        return nullcontext() if self._workspace is None else ServerWorkspaceContext(self._workspace)

    def _translated(self, problem: Exception, what: str, route: Route) -> BridgeError:
        if is_untold(problem) and self.is_http:
            try:
                status = self.get(f"{API}/{route[0]}", params=route[1]).status_code
            except BridgeError as worse:
                return worse
            if status != requests.codes.ok:
                return self.failures.status(status, what)
        return self.failures.of(problem, what)


def _version(found: ModelVersion) -> Version:
    return Version(
        found.name,
        int(found.version),
        found.creation_timestamp,
        found.last_updated_timestamp or found.creation_timestamp,
        found.current_stage or "None",
        found.status,
        found.source or "",
        found.run_id or None,
    )


def _model(found: RegisteredModel) -> Model:
    return Model(
        found.name,
        found.creation_timestamp,
        {alias: int(number) for alias, number in found.aliases.items()},
        dict(found.tags),
        tuple(map(_version, found.latest_versions or ())),
    )
