"""
The Registry port over Vertex AI's generated client.

Not the high-level SDK: its configuration is global to the process, its upload moves `default` unless told
not to, and it waits at most 15 minutes (google-cloud-aiplatform 2.7.0, aiplatform/models.py). The generated
client has no timeout of its own, so every call is given one.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import grpc
from google.api_core import exceptions as api
from google.api_core.retry import Retry, if_exception_type
from google.cloud import aiplatform_v1 as v1  # noqa: TID251  this is its room
from google.cloud.aiplatform_v1.services.model_service.transports.grpc import (  # noqa: TID251  the same
    ModelServiceGrpcTransport,
)

from bridge.core.describing import labels_of
from bridge.core.errors import NeedsPerson, NotFound, TryAgain
from bridge.core.limits import UNLIMITED
from bridge.core.model import DEFAULT, Alias, ModelVersion, TargetState
from bridge.core.naming import DUPLICATE_LABEL, OWNER_LABEL
from bridge.core.records import Operation
from bridge.vertex.errors import status_of, translated
from bridge.vertex.requests import model_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager

    from bridge.core.model import Container, Facts, SourceVersion
    from bridge.core.ports import Limit

TIMEOUT = 30.0  # seconds per call
_PAGE = 100
_LASTING = (3, 5, 7, 9, 11, 12, 16)  # grpc codes of an operation's error that trying again does not mend


class VertexRegistry:
    """The models of one project and location, as one owner sees them; all requests but uploads count for `limit`."""

    def __init__(
        self,
        project: str,
        location: str,
        owner: str,
        endpoint: str | None = None,
        *,
        insecure: bool = False,
        limit: Limit = UNLIMITED,
        uploads: Limit = UNLIMITED,
    ) -> None:
        self._limit = limit
        # Reads only: a write that is sent twice may happen twice.
        again = if_exception_type(api.ServiceUnavailable, api.TooManyRequests)
        self._retry = Retry(again, initial=0.5, maximum=5, timeout=20, on_error=self._heard)
        self._uploads = uploads  # is only told to slow down: see reconcile.registering
        self._parent = f"projects/{project}/locations/{location}"
        self._owner = owner
        with translated("connecting to Vertex AI", UNLIMITED):
            if endpoint and insecure:
                channel = grpc.insecure_channel(endpoint)
                self._client = v1.ModelServiceClient(transport=ModelServiceGrpcTransport(channel=channel))
            else:
                host = endpoint or f"{location}-aiplatform.googleapis.com"
                self._client = v1.ModelServiceClient(client_options={"api_endpoint": host})

    def close(self) -> None:
        """Close the channel."""
        self._client.transport.close()

    def check_access(self) -> None:
        """See the port."""
        with self._asking(f"listing the models of {self._parent}"):
            try:
                request = v1.ListModelsRequest(parent=self._parent, page_size=1)
                next(iter(self._client.list_models(request, timeout=TIMEOUT, retry=self._retry).pages))
            except api.NotFound as absent:
                reason = f"Vertex AI has no {self._parent} ({absent.message})"
                raise NeedsPerson(reason, "mend project and location of the connection") from absent

    def models(self) -> tuple[str, ...]:
        """See the port."""
        with self._asking(f"listing the models of {self._parent}"):
            ours = f"labels.{OWNER_LABEL}={self._owner}"
            request = v1.ListModelsRequest(parent=self._parent, filter=ours, page_size=_PAGE)
            try:
                listed = list(self._paged(self._client.list_models(request, timeout=TIMEOUT, retry=self._retry)))
            except api.NotFound:
                return ()
        return tuple(sorted(model.name.rpartition("/")[2] for model in listed))

    def observe(self, model: str) -> TargetState:
        """See the port."""
        with self._asking(f"listing the versions of model {model}"):
            try:
                request = v1.ListModelVersionsRequest(name=self._name(model), page_size=_PAGE)
                listed = list(
                    self._paged(self._client.list_model_versions(request, timeout=TIMEOUT, retry=self._retry))
                )
            except api.NotFound:
                return TargetState(model, exists=False)
        versions = sorted((self._version(version) for version in listed), key=lambda version: int(version.id))
        return TargetState(model, exists=True, versions=tuple(versions))

    def _paged(self, pager: Iterable[v1.Model]) -> Iterator[v1.Model]:
        for number, each in enumerate(pager):
            if number and number % _PAGE == 0:
                self._limit.take()  # for the page that this one came with
                self._limit.answered(HTTPStatus.OK)
            yield each

    def version(self, model: str, version_id: str) -> ModelVersion | None:
        """See the port."""
        found = self._model(f"{self._name(model)}@{version_id}", f"asking for version @{version_id} of model {model}")
        return None if found is None else self._version(found)

    def holder(self, model: str, alias: Alias) -> ModelVersion | None:
        """See the port. Vertex takes an alias where it takes a version's id."""
        found = self._model(f"{self._name(model)}@{alias}", f"asking for alias {alias} of model {model}")
        return None if found is None else self._version(found)

    def _model(self, name: str, what: str) -> v1.Model | None:
        with self._asking(what):
            try:
                return self._client.get_model(name=name, timeout=TIMEOUT, retry=self._retry)
            except api.NotFound:
                return None

    def _version(self, version: v1.Model) -> ModelVersion:
        owner = version.labels.get(OWNER_LABEL)
        return ModelVersion(
            version.version_id,
            f"{version.artifact_uri.rstrip('/')}/",
            frozenset(Alias(alias) for alias in version.version_aliases),
            owner == self._owner,
            None if owner == self._owner else owner,
            DUPLICATE_LABEL in version.labels,
            tuple(deployed.endpoint for deployed in version.deployed_models),
        )

    def register(
        self,
        model: str,
        name: str,
        version: SourceVersion,
        artifact_uri: str,
        container: Container,
        *,
        facts: Facts,
        first: bool,
    ) -> str:
        """See the port. No alias is sent, so `default` stays where it is, but for a model's first version."""
        labels = {OWNER_LABEL: self._owner, **labels_of(version, facts)}
        uploaded = model_of(name, version, artifact_uri, container, labels=labels, facts=facts)
        request = v1.UploadModelRequest(parent=self._parent, model=uploaded)
        if first:
            request.model_id = model  # two first uploads collide here, instead of making two models
        else:
            request.parent_model = self._name(model)
        what = f"registering {version} in model {model}"
        with translated(what, self._uploads):
            try:
                operation = self._client.upload_model(request, timeout=TIMEOUT)
            except api.NotFound as absent:
                said = f"{what}: Vertex AI says {absent.message}"
                if first:
                    raise NeedsPerson(said, f"check that {self._parent} exists") from absent
                if self._is_there(model):
                    raise NeedsPerson(said, "mend what it names") from absent
                raise TryAgain(said, nothing_happened=True) from absent
        return str(operation.operation.name)

    def _is_there(self, model: str) -> bool:
        try:
            return self._model(self._name(model), f"asking for model {model}") is not None
        except TryAgain:
            return False

    def operation(self, name: str) -> Operation:
        """See the port. One that Vertex has forgotten is done, with neither a version nor an error."""
        with self._asking(f"asking for operation {name}"):
            try:
                message = self._client.get_operation({"name": name}, timeout=TIMEOUT, retry=self._retry)
            except api.NotFound:
                return Operation(done=True)
        if not message.done:
            return Operation(done=False)
        if message.HasField("error"):
            return Operation(done=True, error=message.error.message, lasting=message.error.code in _LASTING)
        answer = v1.UploadModelResponse.deserialize(message.response.value)
        return Operation(done=True, version_id=answer.model_version_id or None)  # a deletion makes none

    def running(self, model: str) -> tuple[str, ...]:
        """See the port. Whether Vertex lists an upload under its model is not known: it is one check of several."""
        with self._asking(f"listing the operations of model {model}"):
            try:
                listed = self._operations(self._name(model))
            except (api.NotFound, api.MethodNotImplemented):
                return ()
        return tuple(operation.name for operation in listed if not operation.done)

    def _operations(self, name: str) -> list[Any]:
        listed: list[Any] = []
        token = ""
        while True:
            request = {"name": name, "page_token": token}
            page = self._client.list_operations(request, timeout=TIMEOUT, retry=self._retry)
            listed += page.operations
            token = page.next_page_token
            if not token:
                return listed

    def move_alias(self, model: str, alias: Alias, version_id: str) -> None:
        """
        See the port.

        Documents say that Vertex takes the alias from whoever has it; nobody here has seen it. If it refuses
        that, the alias is taken from the other version first, and given back if it cannot be set then; if it
        leaves the alias on both, it is taken from the other at last.
        """
        try:
            self._merge(model, version_id, alias)
        except NeedsPerson:
            has_it = self.holder(model, alias)  # which may be listed later
            if has_it is None or has_it.id == version_id or alias == DEFAULT:
                raise
            self._merge(model, has_it.id, f"-{alias}")
            try:
                self._merge(model, version_id, alias)
            except (NeedsPerson, TryAgain):
                self._merge(model, has_it.id, alias)
                raise
        holders = {version.id for version in self.observe(model).versions if alias in version.aliases}
        if version_id not in holders and not self._has(model, version_id, alias):  # which may be listed later
            raise TryAgain(f"alias {alias} of model {model} was set on @{version_id}, but does not show there yet")
        for other in sorted(holders - {version_id}):
            self._merge(model, other, f"-{alias}")

    def remove_alias(self, model: str, alias: Alias, version_id: str) -> None:
        """
        See the port. The version itself is asked, since a list may not show it yet.

        An answer may be older than what it tells of, and a removal that was taken for done is never made again. So an
        alias that does not show is taken away, too; from a version that does not have it, that does nothing (a guess).
        """
        there = self.version(model, version_id)
        if there is None:
            return
        try:
            self._merge(model, version_id, f"-{alias}")
        except NeedsPerson:
            if alias in there.aliases:
                raise
            return  # that there is nothing to remove may be refused
        if self._has(model, version_id, alias):
            raise TryAgain(f"alias {alias} was removed from @{version_id} of model {model}, but still shows there")

    def _has(self, model: str, version_id: str, alias: Alias) -> bool:
        there = self.version(model, version_id)
        return there is not None and alias in there.aliases

    def mark_ours(self, model: str, version_id: str) -> None:
        """See the port."""
        self._label(model, version_id, OWNER_LABEL, self._owner)

    def mark_duplicate(self, model: str, version_id: str, of: str) -> None:
        """See the port."""
        self._label(model, version_id, DUPLICATE_LABEL, of)

    def _label(self, model: str, version_id: str, label: str, value: str) -> None:
        """Set one of our labels; that of a duplicate stays only where it is the one that is set."""
        name = f"{self._name(model)}@{version_id}"
        there = self._model(name, f"asking for version @{version_id} of model {model}")
        if there is None:
            raise NotFound(f"model {model} has no version @{version_id}", "look which it has: bridge explain")
        if (owner := there.labels.get(OWNER_LABEL)) not in (None, self._owner):
            raise NeedsPerson(
                f"version @{version_id} of model {model} carries the mark of another bridge, {owner!r}",
                "adopt it there, or take the label away in Vertex if that bridge is no more",
            )
        # What is read are the model's labels too, and what is written are all of the version's: nothing gets lost.
        labels = {key: held for key, held in there.labels.items() if key != DUPLICATE_LABEL} | {label: value}
        if labels == dict(there.labels):
            return
        change = v1.UpdateModelRequest(
            model=v1.Model(name=name, labels=labels, etag=there.etag), update_mask={"paths": ["labels"]}
        )
        what = f"labelling version @{version_id} of model {model}"
        with self._asking(what):
            try:
                self._client.update_model(change, timeout=TIMEOUT)
            except api.NotFound as absent:
                raise TryAgain(f"{what}: it is gone ({absent.message})") from absent
        seen = self._model(name, what)
        if seen is None or seen.labels.get(label) != value:
            raise TryAgain(f"{what}: the label was set, but does not show there yet")

    def delete(self, model: str, version_id: str) -> str | None:
        """See the port. An answer of 500 may come from a deletion that was done (python-aiplatform#2675)."""
        with self._asking(f"deleting version @{version_id} of model {model}"):
            try:
                operation = self._client.delete_model_version(name=f"{self._name(model)}@{version_id}", timeout=TIMEOUT)
            except api.NotFound:
                return None
        return str(operation.operation.name)

    def _merge(self, model: str, version_id: str, alias: str) -> None:
        request = v1.MergeVersionAliasesRequest(name=f"{self._name(model)}@{version_id}", version_aliases=[alias])
        with self._asking(f"setting alias {alias} on @{version_id} of model {model}"):
            try:
                self._client.merge_version_aliases(request, timeout=TIMEOUT)
            except api.NotFound as absent:
                raise TryAgain(f"version @{version_id} of model {model} is gone ({absent.message})") from absent

    def _heard(self, problem: Exception) -> None:
        self._limit.answered(status_of(problem))
        if isinstance(problem, api.TooManyRequests):
            self._limit.slow()

    def _asking(self, what: str) -> AbstractContextManager[None]:
        self._limit.take()
        return translated(what, self._limit)

    def _name(self, model: str) -> str:
        return f"{self._parent}/models/{model}"
