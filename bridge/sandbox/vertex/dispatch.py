"""The one way in: both fronts hand every call to `Dispatcher.dispatch`."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from bridge.sandbox.vertex.breaking import Breaking
from bridge.sandbox.vertex.endpoints import Endpoints
from bridge.sandbox.vertex.errors import refusal
from bridge.sandbox.vertex.evaluations import Evaluations
from bridge.sandbox.vertex.locations import Locations
from bridge.sandbox.vertex.methods import wire
from bridge.sandbox.vertex.models import Models
from bridge.sandbox.vertex.operations import Operations
from bridge.sandbox.vertex.prediction import Predictions
from bridge.sandbox.vertex.quotas import Quotas
from bridge.sandbox.vertex.uploads import Uploads
from bridge.sandbox.vertex.versions import Versions

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.sandbox.traffic import Traffic
    from bridge.sandbox.vertex.errors import Refused
    from bridge.sandbox.vertex.messages import Message
    from bridge.sandbox.vertex.methods import Method
    from bridge.sandbox.vertex.state import State
    from bridge.sandbox.vertex.switches import VertexSwitches

Handler: TypeAlias = "Callable[[Message], Message]"


class Dispatcher:
    """
    Answers calls, one at a time.

    A call is one transaction: it changes all it should, or it raises Refused and changes nothing. Operations whose
    time has come take effect before it, in transactions of their own.
    """

    def __init__(self, state: State, traffic: Traffic) -> None:
        self._state = state
        self._traffic = traffic
        self._lock = threading.Lock()
        self._breaking = Breaking(traffic)
        self._quotas = Quotas(state.clock)
        self._operations = Operations(state)
        self._handlers = _handlers(state, self._operations)

    @property
    def switches(self) -> VertexSwitches:
        """The switches as they are now: NextCalls count down."""
        return self._state.switches

    @switches.setter
    def switches(self, switches: VertexSwitches) -> None:
        with self._lock:
            self._state.switches = switches

    def close(self) -> None:
        """Let the call under way end, then close the data."""
        with self._lock:
            self._state.storage.close()

    def dispatch(self, method: Method, request: Message) -> Message:
        """
        Answer one call, or raise Refused. `request` is the callee's to change.

        Raises Struck, over REST, if a fault is to keep the call from being worked on.
        """
        handler = self._handlers.get(method.name)
        if handler is None:
            raise self.refuse_unknown(method.name, write=method.is_write)
        fault = self._breaking.note(method)
        question = method.name, wire(request)
        with self._lock, self._operations.struck_by(fault):
            self._operations.settle()
            with self._state.storage.transaction():
                if self._state.switches.quotas:
                    self._quotas.spend(
                        method.name,
                        method.resource(request),
                        write=method.is_write,
                        submits=self._operations.has(method.name),
                    )
                answer = handler(request)
            self._break_reply(method)
        return self._breaking.spoil(fault, question, answer)

    def refuse_unknown(self, name: str, *, write: bool) -> Refused:
        """Count a call that the stand-in does not serve, and make its refusal."""
        self._traffic.note("vertex", name, write=write)
        return refusal("UNIMPLEMENTED", f"the stand-in does not implement {name}")

    def _break_reply(self, method: Method) -> None:
        """Raise what the caller gets though the call is committed, if a switch says so."""
        switches = self._state.switches
        if switches.lost_reply.matches(method.name, write=method.is_write):
            fewer = replace(switches.lost_reply, count=switches.lost_reply.count - 1)
            self._state.switches = replace(switches, lost_reply=fewer)
            raise refusal("UNAVAILABLE", f"{method.name}: the connection broke before the reply")
        if switches.fail_after_commit.matches(method.name, write=method.is_write):
            fewer = replace(switches.fail_after_commit, count=switches.fail_after_commit.count - 1)
            self._state.switches = replace(switches, fail_after_commit=fewer)
            raise refusal("INTERNAL", f"{method.name}: internal error")


def _handlers(state: State, operations: Operations) -> dict[str, Handler]:
    """Build the parts; return every method that is served."""
    versions = Versions(state)
    models = Models(state, operations, versions)
    uploads = Uploads(state, operations, versions)
    evaluations = Evaluations(state, versions)
    endpoints = Endpoints(state, operations, versions)
    predictions = Predictions(state, endpoints)
    locations = Locations(state)
    return {
        "UploadModel": uploads.UploadModel,
        "CopyModel": uploads.CopyModel,
        "GetModel": models.GetModel,
        "ListModels": models.ListModels,
        "ListModelVersions": models.ListModelVersions,
        "ListModelVersionCheckpoints": models.ListModelVersionCheckpoints,
        "UpdateModel": models.UpdateModel,
        "MergeVersionAliases": models.MergeVersionAliases,
        "DeleteModelVersion": models.DeleteModelVersion,
        "DeleteModel": models.DeleteModel,
        "ImportModelEvaluation": evaluations.ImportModelEvaluation,
        "GetModelEvaluation": evaluations.GetModelEvaluation,
        "ListModelEvaluations": evaluations.ListModelEvaluations,
        "CreateEndpoint": endpoints.CreateEndpoint,
        "GetEndpoint": endpoints.GetEndpoint,
        "ListEndpoints": endpoints.ListEndpoints,
        "UpdateEndpoint": endpoints.UpdateEndpoint,
        "DeleteEndpoint": endpoints.DeleteEndpoint,
        "DeployModel": endpoints.DeployModel,
        "UndeployModel": endpoints.UndeployModel,
        "MutateDeployedModel": endpoints.MutateDeployedModel,
        "Predict": predictions.Predict,
        "RawPredict": predictions.RawPredict,
        "GetOperation": operations.GetOperation,
        "ListOperations": operations.ListOperations,
        "WaitOperation": operations.WaitOperation,
        "CancelOperation": operations.CancelOperation,
        "DeleteOperation": operations.DeleteOperation,
        "GetLocation": locations.GetLocation,
        "ListLocations": locations.ListLocations,
    }
